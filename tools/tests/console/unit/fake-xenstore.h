/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A xenstored and its library in memory, for the one test that includes this file. It
 * has what can go wrong: it can be stopped, killed and restarted with or without its
 * nodes, refuse single requests, let transactions conflict, and change nodes between
 * two requests. As the real ones do, a watch begins with an event, an event that is
 * pending already is not queued again, the library does not tell that xenstored is
 * gone, and xs_fileno() falls silent with the first event that is fetched. Everything
 * may be called from any thread.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xenstore.h>

#include "base/link.h"
#include "base/loop.h"

#define FAKE_ALL UINT32_MAX

enum fake_op { FAKE_READ, FAKE_WRITE, FAKE_BEGIN, FAKE_END, FAKE_WATCH, FAKE_UNWATCH, FAKE_INTRODUCED };

struct fake_pair { /* a node, a watch or an event (path and token), or a request */
	struct link link;
	char *path, *value;
	enum fake_op op;
};

struct xs_handle {
	struct link link;
	bool dead, told;
	int fd;
	struct link watches, events;
	bool began;		 /* a transaction, number 1 */
	struct link read, write; /* in it: what was said, what is to be said */
};

static struct {
	pthread_mutex_t lock; /* recursive, so that hooks may change nodes */
	pthread_cond_t changed;
	bool stopped, killed;
	struct link nodes, handles;
	struct link log; /* of requests */
	unsigned int open, opened;
	int closed;					 /* why no connection can be opened; 0: one can */
	const char *socket;				 /* NULL: there is none, but a device */
	bool forgets;					 /* to close it, once for each connection */
	uint32_t introduced;				 /* domid, or 0, or FAKE_ALL */
	const char *refused;				 /* requests about paths that end so fail, */
	int refusal;					 /* with this errno */
	void (*hook)(enum fake_op op, const char *path); /* before a request is served */
	void (*written)(const char *path);		 /* after a write, before anybody hears of it */
} fake;

static inline struct fake_pair *fake_pair_of(struct link *l)
{
	return container_of(l, struct fake_pair, link);
}

static inline void fake_pair_free(struct fake_pair *p)
{
	link_remove(&p->link);
	free(p->path);
	free(p->value);
	free(p);
}

static inline void fake_clear(struct link *list)
{
	while (!link_alone(list))
		fake_pair_free(fake_pair_of(list->next));
}

static inline struct fake_pair *fake_find(struct link *list, const char *path, const char *value)
{
	for (struct link *l = list->next; l != list; l = l->next) {
		struct fake_pair *p = fake_pair_of(l);

		if (!strcmp(p->path, path) && (!value || !strcmp(p->value, value)))
			return p;
	}
	return NULL;
}

/* At the end of the list. */
static inline struct fake_pair *fake_add(struct link *list, const char *path, const char *value)
{
	struct fake_pair *p = calloc(1, sizeof(*p));

	if (!p || !(p->path = strdup(path)) || !(p->value = strdup(value)))
		abort();
	link_init(&p->link);
	link_move(&p->link, list);
	return p;
}

static inline void fake_init(void)
{
	pthread_mutexattr_t attr;

	memset(&fake, 0, sizeof(fake));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&fake.lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_cond_init(&fake.changed, NULL);
	link_init(&fake.nodes);
	link_init(&fake.log);
	link_init(&fake.handles);
}

static inline void fake_fini(void)
{
	fake_clear(&fake.nodes);
	fake_clear(&fake.log);
	pthread_cond_destroy(&fake.changed);
	pthread_mutex_destroy(&fake.lock);
}

static inline void fake_lock(void)
{
	pthread_mutex_lock(&fake.lock);
}

static inline void fake_unlock(void)
{
	pthread_mutex_unlock(&fake.lock);
}

/* ---- nodes and events ---- */

static inline void fake_event(struct xs_handle *h, const char *path, const char *token)
{
	if (fake_find(&h->events, path, token))
		return;
	fake_add(&h->events, path, token);
	if (!h->told)
		eventfd_write(h->fd, 1);
	h->told = true;
}

static inline void fake_fire_at(struct xs_handle *h, const char *path, bool below)
{
	for (struct link *l = h->watches.next; l != &h->watches; l = l->next) {
		struct fake_pair *watch = fake_pair_of(l);

		if (xs_path_is_subpath(watch->path, path))
			fake_event(h, path, watch->value);
		else if (below && xs_path_is_subpath(path, watch->path))
			fake_event(h, watch->path, watch->value);
	}
}

/* Of a change at path, and whether all below is gone with it. */
static inline void fake_fire(const char *path, bool below)
{
	for (struct link *l = fake.handles.next; l != &fake.handles; l = l->next) {
		struct xs_handle *h = container_of(l, struct xs_handle, link);

		if (!h->dead)
			fake_fire_at(h, path, below);
	}
}

/* Inside fake_lock() and fake_unlock() several are one transaction. value NULL: remove the node alone. */
static inline void fake_set(const char *path, const char *value)
{
	struct fake_pair *node;

	fake_lock();
	node = fake_find(&fake.nodes, path, NULL);
	if (node && !value)
		fake_pair_free(node);
	if (value) {
		if (!node)
			fake_add(&fake.nodes, path, "");
		node = fake_find(&fake.nodes, path, NULL);
		free(node->value);
		node->value = strdup(value);
	}
	fake_fire(path, false);
	fake_unlock();
}

static inline void fake_remove(const char *path)
{
	fake_lock();
	for (struct link *l = fake.nodes.next, *next; l != &fake.nodes; l = next) {
		next = l->next;
		if (xs_path_is_subpath(path, fake_pair_of(l)->path))
			fake_pair_free(fake_pair_of(l));
	}
	fake_fire(path, true);
	fake_unlock();
}

/* False: no such node. */
static inline bool fake_get(const char *path, char *value, size_t size)
{
	struct fake_pair *node;

	fake_lock();
	node = fake_find(&fake.nodes, path, NULL);
	snprintf(value, size, "%s", node ? node->value : "");
	fake_unlock();
	return node != NULL;
}

/* ---- the server's life ---- */

static inline void fake_stop(bool stop)
{
	fake_lock();
	fake.stopped = stop;
	pthread_cond_broadcast(&fake.changed);
	fake_unlock();
}

static inline void fake_kill(void)
{
	fake_lock();
	fake.killed = true;
	for (struct link *l = fake.handles.next; l != &fake.handles; l = l->next)
		container_of(l, struct xs_handle, link)->dead = true;
	pthread_cond_broadcast(&fake.changed);
	fake_unlock();
}

static inline void fake_start(bool empty)
{
	fake_lock();
	fake.killed = false;
	if (empty)
		fake_clear(&fake.nodes);
	fake.introduced = empty ? 0 : fake.introduced;
	fake_unlock();
}

/* How often that was asked since fake_init() or fake_forget(). path NULL: of any. */
static inline unsigned int fake_asked(enum fake_op op, const char *path)
{
	unsigned int n = 0;

	fake_lock();
	for (struct link *l = fake.log.next; l != &fake.log; l = l->next) {
		struct fake_pair *p = fake_pair_of(l);

		n += p->op == op && (!path || !strcmp(path, p->path));
	}
	fake_unlock();
	return n;
}

static inline void fake_forget(void)
{
	fake_lock();
	fake_clear(&fake.log);
	fake_unlock();
}

#endif
