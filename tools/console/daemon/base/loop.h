/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop that moves bytes: file descriptors (epoll, level triggered),
 * timers (a heap; an idle loop wakes for nothing), tasks for the next
 * turn, signals, and freeing at the end of a turn.
 *
 * Sources are embedded in their owners and found with container_of.  A source may be
 * removed at any time, by its own callback too; it is not called afterwards.
 */
#ifndef DAEMON_BASE_LOOP_H
#define DAEMON_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

struct loop_fd {
	int fd;		 /* -1: not in the loop */
	uint32_t events; /* EPOLLIN, EPOLLOUT wanted; 0 still reports EPOLLERR and EPOLLHUP */
	void (*ready)(struct loop_fd *source, uint32_t events);
};

struct loop_timer {
	void (*fire)(struct loop_timer *timer);
	int64_t due; /* on loop_now()'s clock */
	bool armed;
	struct loop_timer *child, *next, *prev; /* in the heap */
};

/* Runs once, in the turn after the one that posts it, after the descriptors that are ready then. */
struct loop_task {
	void (*run)(struct loop_task *task);
	struct loop_task *next, **prev; /* prev NULL: not queued */
};

/* Embedded in what is to be freed. */
struct loop_corpse {
	struct loop_corpse *next;
	void (*free)(struct loop_corpse *corpse);
};

struct loop *loop_new(void);	/* NULL: errno */
void loop_free(struct loop *l); /* frees what is buried, too; signals taken stay blocked; NULL is fine */

/*
 * Turns until loop_stop(), the one that calls it included.  Each: wait, descriptors,
 * timers, tasks, corpses.  Returns 0 or -errno of epoll.
 */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Milliseconds of CLOCK_MONOTONIC: while the loop runs, as of the turn's beginning. */
int64_t loop_now(const struct loop *l);

/* 0 or -errno (ENOMEM, ENOSPC: fs.epoll.max_user_watches). */
int loop_add(struct loop *l, struct loop_fd *source, int fd, uint32_t events);
/* Change the interest; makes no system call if it is the same or the source is not in the loop. */
void loop_want(struct loop *l, struct loop_fd *source, uint32_t events);
/* Out of the loop; the descriptor stays open, and is to be closed after this, not before.  Idempotent. */
void loop_del(struct loop *l, struct loop_fd *source);

/*
 * Fire once, in ms milliseconds or later, with 0 in this turn or the next; arming
 * again moves it.  Needs no memory, so that a retry can always be had.
 */
void loop_arm(struct loop *l, struct loop_timer *timer, int64_t ms);
void loop_disarm(struct loop *l, struct loop_timer *timer); /* idempotent */

void loop_post(struct loop *l, struct loop_task *task);	  /* idempotent while queued */
void loop_cancel(struct loop *l, struct loop_task *task); /* idempotent */

/* Block the signal in this thread and those started later, and call back in the loop. 0 or -errno. */
int loop_signal(struct loop *l, int signo, void (*handler)(void *arg), void *arg);

#define LOOP_AWAY_MS 1000

/*
 * How often this process has been away, so that what it knew of others may be wrong: stopped and continued (SIGCONT),
 * which is counted before anything else runs in it again, or LOOP_AWAY_MS later in its turn than it had to be, as when
 * it was frozen, which is counted when the turn begins.
 */
unsigned int loop_absences(void);

/* Call corpse->free() when the turn is over. */
void loop_bury(struct loop *l, struct loop_corpse *corpse, void (*free)(struct loop_corpse *corpse));

#endif
