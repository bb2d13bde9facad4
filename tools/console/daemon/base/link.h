/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists. A member is embedded in what it stands for, which is found with container_of; it is in one list or alone.
 */
#ifndef DAEMON_BASE_LINK_H
#define DAEMON_BASE_LINK_H

#include <stdbool.h>

/* In a circular list with a head, or alone. */
struct link {
	struct link *next, *prev;
};

static inline void link_init(struct link *l)
{
	l->next = l->prev = l;
}

/* Of a head: the list is empty. */
static inline bool link_alone(const struct link *l)
{
	return l->next == l;
}

static inline void link_remove(struct link *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
	link_init(l);
}

/* From wherever it is to the end of the list. */
static inline void link_move(struct link *l, struct link *head)
{
	link_remove(l);
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

/* To its beginning. */
static inline void link_move_first(struct link *l, struct link *head)
{
	link_remove(l);
	link_move(l, head->next);
}

/* All of one list to the end of another. */
static inline void link_move_all(struct link *from, struct link *to)
{
	while (!link_alone(from))
		link_move(from->next, to);
}

#endif
