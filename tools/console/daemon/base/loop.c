/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One thread serves every console, so it has to be told cheaply what there is to do: one epoll_wait() a turn,
 * whose timeout comes from the nearest timer, and no other system call of the loop's own.  An idle daemon
 * sleeps until something happens.
 *
 * What makes event loops hard is that callbacks remove things.  Here removal is immediate, also from the batch
 * of events in hand, and memory is freed when the turn is over (loop_bury()): so no callback ever runs for
 * what is gone, and nobody has to ask whether it is.
 *
 * No phase of a turn can keep the next from its turn: a task that posts, and a timer that arms itself for now,
 * run in the turn after.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

struct loop {
	int epoll;
	bool stop, running, firing;
	int64_t now; /* while running */

	struct epoll_event batch[BATCH];
	int ready; /* events in batch */

	struct loop_timer *soonest;		/* of a pairing heap of those that are armed */
	struct loop_task *posted, **posted_end; /* since this turn began */
	struct loop_task *due;			/* before */
	struct loop_corpse *corpses;

	struct loop_fd signals;
	sigset_t signals_taken;
	struct {
		void (*handler)(void *arg);
		void *arg;
	} signal[NSIG];
};

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t loop_now(const struct loop *l)
{
	return l->running ? l->now : clock_ms();
}

/* ---- descriptors ---------------------------------------------------------- */

int loop_add(struct loop *l, struct loop_fd *source, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = source };

	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	source->fd = fd;
	source->events = events;
	return 0;
}

void loop_want(struct loop *l, struct loop_fd *source, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = source };
	int err;

	if (source->fd < 0 || source->events == events)
		return;
	source->events = events;
	err = epoll_ctl(l->epoll, EPOLL_CTL_MOD, source->fd, &e);
	assert(!err); /* it needs no memory, and the descriptor is there */
	(void)err;
}

void loop_del(struct loop *l, struct loop_fd *source)
{
	if (source->fd < 0)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
	for (int i = 0; i < l->ready; i++)
		if (l->batch[i].data.ptr == source)
			l->batch[i].data.ptr = NULL;
}

/* Those of the batch to whom at least one of these has happened, once. */
static void run_ready(struct loop *l, uint32_t some)
{
	for (int i = 0; i < l->ready; i++) {
		struct loop_fd *source = l->batch[i].data.ptr;
		uint32_t events;

		if (!source || !(l->batch[i].events & some))
			continue;
		l->batch[i].data.ptr = NULL;
		/* Somebody earlier in the batch may have changed what it wants. */
		events = l->batch[i].events & (source->events | EPOLLERR | EPOLLHUP);
		if (events)
			source->ready(source, events);
	}
}

/* ---- timers --------------------------------------------------------------- */

/* The sooner of two heaps, with the other below it; either may be empty. */
static struct loop_timer *meld(struct loop_timer *a, struct loop_timer *b)
{
	struct loop_timer *later;

	if (!a || !b)
		return a ? a : b;
	later = b->due < a->due ? a : b;
	if (later == a)
		a = b;
	later->prev = a;
	later->next = a->child;
	if (later->next)
		later->next->prev = later;
	a->child = later;
	return a;
}

/* One heap of what stood below a timer that goes: in pairs, and then all the pairs. */
static struct loop_timer *meld_all(struct loop_timer *first)
{
	struct loop_timer *pairs = NULL, *root = NULL;

	while (first) {
		struct loop_timer *a = first, *b = first->next;

		first = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct loop_timer *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		root = meld(root, pair);
	}
	return root;
}

void loop_disarm(struct loop *l, struct loop_timer *timer)
{
	struct loop_timer *below;

	if (!timer->armed)
		return;
	below = meld_all(timer->child);
	if (timer == l->soonest) {
		l->soonest = below;
	} else {
		if (timer->prev->child == timer)
			timer->prev->child = timer->next;
		else
			timer->prev->next = timer->next;
		if (timer->next)
			timer->next->prev = timer->prev;
		l->soonest = meld(l->soonest, below);
	}
	timer->child = timer->next = timer->prev = NULL;
	timer->armed = false;
}

void loop_arm(struct loop *l, struct loop_timer *timer, int64_t ms)
{
	int64_t least = l->firing ? 1 : 0;

	loop_disarm(l, timer);
	timer->due = loop_now(l) + (ms > least ? ms : least);
	timer->child = timer->next = timer->prev = NULL;
	timer->armed = true;
	l->soonest = meld(l->soonest, timer);
}

static void run_timers(struct loop *l)
{
	l->firing = true;
	while (l->soonest && l->soonest->due <= l->now) {
		struct loop_timer *timer = l->soonest;

		loop_disarm(l, timer);
		timer->fire(timer);
	}
	l->firing = false;
}

/* ---- tasks and corpses ---------------------------------------------------- */

void loop_post(struct loop *l, struct loop_task *task)
{
	if (task->prev)
		return;
	task->next = NULL;
	task->prev = l->posted_end;
	*l->posted_end = task;
	l->posted_end = &task->next;
}

void loop_cancel(struct loop *l, struct loop_task *task)
{
	if (!task->prev)
		return;
	*task->prev = task->next;
	if (task->next)
		task->next->prev = task->prev;
	else if (l->posted_end == &task->next)
		l->posted_end = task->prev;
	task->prev = NULL;
}

/* What was posted until now is due in the turn that begins. */
static void take_posted(struct loop *l)
{
	l->due = l->posted;
	if (l->due)
		l->due->prev = &l->due;
	l->posted = NULL;
	l->posted_end = &l->posted;
}

static void run_due(struct loop *l)
{
	while (l->due) {
		struct loop_task *task = l->due;

		loop_cancel(l, task);
		task->run(task);
	}
}

void loop_bury(struct loop *l, struct loop_corpse *corpse, void (*free)(struct loop_corpse *corpse))
{
	corpse->free = free;
	corpse->next = l->corpses;
	l->corpses = corpse;
}

static void free_corpses(struct loop *l)
{
	while (l->corpses) {
		struct loop_corpse *corpse = l->corpses;

		l->corpses = corpse->next;
		corpse->free(corpse);
	}
}

/* ---- signals, and the loop itself ----------------------------------------- */

static void signals_ready(struct loop_fd *source, uint32_t events)
{
	struct loop *l = container_of(source, struct loop, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) == sizeof(info))
		l->signal[info.ssi_signo].handler(l->signal[info.ssi_signo].arg);
}

int loop_signal(struct loop *l, int signo, void (*handler)(void *arg), void *arg)
{
	sigset_t taken = l->signals_taken, old;
	int fd, err;

	if (signo < 1 || signo >= NSIG || sigaddset(&taken, signo) < 0)
		return -EINVAL;
	err = pthread_sigmask(SIG_BLOCK, &taken, &old);
	if (err)
		return -err;
	fd = signalfd(l->signals.fd, &taken, SFD_NONBLOCK | SFD_CLOEXEC);
	err = fd < 0 ? -errno : 0;
	if (!err && l->signals.fd < 0) {
		err = loop_add(l, &l->signals, fd, EPOLLIN);
		if (err)
			close(fd);
	}
	if (err) {
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		return err;
	}
	l->signals_taken = taken;
	l->signal[signo].handler = handler;
	l->signal[signo].arg = arg;
	return 0;
}

/* Only a handler runs before everything else, and it has no other place for its count. */
static volatile sig_atomic_t absences;

static void on_continue(int signo)
{
	(void)signo;
	absences++;
}

unsigned int loop_absences(void)
{
	return absences;
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		free(l);
		return NULL;
	}
	l->posted_end = &l->posted;
	l->signals.fd = -1;
	l->signals.ready = signals_ready;
	sigemptyset(&l->signals_taken);
	signal(SIGCONT, on_continue);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	free_corpses(l);
	if (l->signals.fd >= 0)
		close(l->signals.fd);
	close(l->epoll);
	free(l);
}

/* Milliseconds that may be slept; -1: until a descriptor is ready. */
static int idle_ms(const struct loop *l)
{
	int64_t ms;

	if (l->posted || l->corpses)
		return 0;
	if (!l->soonest)
		return -1;
	ms = l->soonest->due - l->now;
	if (ms < 0)
		return 0;
	return ms < INT32_MAX ? ms : INT32_MAX;
}

static int turn(struct loop *l)
{
	int ms = idle_ms(l), n = epoll_wait(l->epoll, l->batch, BATCH, ms), err = n < 0 ? errno : 0;
	int64_t before = l->now;

	l->now = clock_ms();
	absences += ms >= 0 && l->now - before > ms + LOOP_AWAY_MS;
	if (err) /* EINTR: no timer fires before it is known what has happened */
		return err == EINTR ? 0 : -err;
	l->ready = n;
	take_posted(l);
	run_ready(l, EPOLLPRI); /* before there is more output for a terminal whose modes have changed */
	run_ready(l, ~0u);
	run_timers(l);
	run_due(l);
	free_corpses(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int err = 0;

	l->now = clock_ms();
	l->running = true;
	while (!l->stop && !err)
		err = turn(l);
	l->running = false;
	l->stop = false;
	return err;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
