/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop must never wait for xenstored, which may be slow, stopped or gone, while
 * guests talk. So all asking is done by workers, threads with a connection each; here
 * is what the loop's thread does: it says what it wants, hands on what the workers have
 * seen, a few consoles in a turn, and feels the pulse of xenstored.
 *
 * Workers come with the consoles, since xenstored answers several connections faster
 * than one. A console stays with its worker, so what is told about it is in order.
 *
 * Promises: no call here blocks (but for the two that say so); nothing is called back
 * for a console that was forgotten; xenstored's absence is said once, ends nothing and
 * is over by itself when xenstored is back.
 */
#define _GNU_SOURCE
#include "store/store.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "store/queue.h"
#include "store/worker.h"

#define TOLD_PER_TURN 16
#define DOUBTS_PER_BEAT 32 /* of all workers together: what nobody waits for should not show */

_Static_assert(DOUBTS_PER_BEAT >= STORE_WORKERS, "each worker has one at least");

static void tell_nodes(struct store *st, struct store_look *look)
{
	st->events->nodes(st->arg, store_nodes_of(look));
	free(look->name);
}

/* One thing to tell, or false when there is none left. */
static bool tell_one(struct store *st)
{
	struct store_follow *f;
	struct store_look look;
	eventfd_t count;
	bool domains, nodes;

	pthread_mutex_lock(&st->lock);
	domains = st->domains;
	st->domains = false;
	nodes = !domains && !link_alone(&st->ready);
	if (nodes) {
		f = container_of(st->ready.next, struct store_follow, ready);
		link_remove(&f->ready);
		look = f->told;
		f->told.name = NULL;
	}
	if (link_alone(&st->ready))
		eventfd_read(st->wake, &count);
	pthread_mutex_unlock(&st->lock);
	if (domains)
		st->events->domains(st->arg);
	else if (nodes)
		tell_nodes(st, &look);
	return domains || nodes;
}

static void told(struct loop_fd *source, uint32_t events)
{
	struct store *st = container_of(source, struct store, source);

	(void)events;
	for (int i = 0; i < TOLD_PER_TURN && tell_one(st); i++)
		;
}

/* A worker that has waited for an answer for too long cannot say so itself. */
static void feel_pulse(struct store *st)
{
	bool stalled = false;

	for (unsigned int i = 0; i < st->workers; i++) {
		int64_t asked = st->worker[i]->conn.asked;

		stalled |= asked && store_now() - asked >= st->stall_ms;
	}
	if (stalled && !st->stalled)
		diag(LOG_WARNING,
		     "xenstored does not answer; consoles that are served go on, new ones wait; is it stopped?");
	if (!stalled && st->stalled)
		diag(LOG_NOTICE, "xenstored answers again");
	st->stalled = stalled;
}

static void beat(struct loop_timer *timer)
{
	struct store *st = container_of(timer, struct store, beat);

	feel_pulse(st);
	pthread_mutex_lock(&st->lock);
	st->worker[0]->probe = true;
	store_wake(st->worker[0]->wake);
	for (unsigned int i = 0; i < st->workers; i++) {
		if (link_alone(&st->worker[i]->todo[0][STORE_DOUBT]))
			continue;
		st->worker[i]->doubts = DOUBTS_PER_BEAT / st->workers;
		store_wake(st->worker[i]->wake);
	}
	pthread_mutex_unlock(&st->lock);
	/* Armed a moment ago, so there is room for it. */
	loop_arm(st->loop, &st->beat, STORE_BEAT_MS);
}

/* Signals are for the loop; SIGPIPE, of a broken connection, is for nobody. */
static int start_thread(struct store_worker *w)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, store_worker_run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

static int start_worker(struct store *st)
{
	struct store_worker *w = calloc(1, sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	w->store = st;
	w->id = st->workers;
	w->silent = -1;
	w->backoff = STORE_BACKOFF_MS;
	link_init(&w->all);
	link_init(&w->resting);
	for (int i = 0; i < 2 * STORE_KINDS; i++)
		link_init(&w->todo[i / STORE_KINDS][i % STORE_KINDS]);
	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->wake < 0) {
		err = -errno;
		free(w);
		return err;
	}
	pthread_mutex_lock(&st->lock);
	err = start_thread(w);
	if (!err) {
		st->worker[st->workers++] = w;
		st->threads++;
	}
	pthread_mutex_unlock(&st->lock);
	if (err) {
		close(w->wake);
		free(w);
	}
	return err;
}

/* Until done(), or ms are over; under the lock. */
static bool wait_until(struct store *st, bool (*done)(const struct store *st), int64_t ms)
{
	int64_t until = store_now() + ms;
	struct timespec t = { until / 1000, until % 1000 * 1000000 };

	while (!done(st))
		if (pthread_cond_timedwait(&st->changed, &st->lock, &t) == ETIMEDOUT)
			return done(st);
	return true;
}

static bool known(const struct store *st)
{
	return st->outcome <= 0;
}

static bool quiet(const struct store *st)
{
	return st->threads == 0;
}

static int first_connection(struct store *st)
{
	int err = start_worker(st);

	if (err)
		return err;
	pthread_mutex_lock(&st->lock);
	err = wait_until(st, known, STORE_CONNECT_MS) ? st->outcome : -ETIMEDOUT;
	pthread_mutex_unlock(&st->lock);
	return err;
}

static struct store *make(struct loop *loop, const struct store_events *events, void *arg, bool names)
{
	struct store *st = calloc(1, sizeof(*st));
	pthread_condattr_t monotonic;

	if (!st)
		return NULL;
	st->loop = loop;
	st->events = events;
	st->arg = arg;
	st->names = names;
	st->stall_ms = STORE_BEAT_MS;
	st->outcome = 1;
	st->source.fd = -1;
	st->source.ready = told;
	st->beat.fire = beat;
	link_init(&st->ready);
	link_init(&st->publish[0]);
	link_init(&st->publish[1]);
	store_way(st->socket);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&st->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&st->lock, NULL);
	st->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return st;
}

int store_new(struct store **out, struct loop *loop, const struct store_events *events, void *arg, bool names)
{
	struct store *st = make(loop, events, arg, names);
	int err;

	if (!st)
		return -ENOMEM;
	loop_arm(loop, &st->beat, STORE_BEAT_MS);
	err = st->wake < 0 ? -errno : loop_add(loop, &st->source, st->wake, EPOLLIN);
	if (!err)
		err = first_connection(st);
	if (err) {
		store_free(st, 0);
		return err;
	}
	*out = st;
	return 0;
}

void store_free(struct store *st, int ms)
{
	bool all; /* workers have ended; if not, the last one that does frees it all */

	if (!st)
		return;
	loop_del(st->loop, &st->source);
	loop_disarm(st->loop, &st->beat);
	pthread_mutex_lock(&st->lock);
	st->ending = true;
	for (unsigned int i = 0; i < st->workers; i++)
		store_wake(st->worker[i]->wake);
	all = wait_until(st, quiet, ms);
	st->abandoned = !all;
	for (unsigned int i = 0; !all && i < st->workers; i++)
		pthread_detach(st->worker[i]->thread);
	pthread_mutex_unlock(&st->lock);
	if (!all)
		return;
	for (unsigned int i = 0; i < st->workers; i++)
		pthread_join(st->worker[i]->thread, NULL);
	store_destroy(st);
}

/* The least busy; a new one when there are consoles enough for it.  Without another thread the old ones do. */
static struct store_worker *choose_worker(struct store *st)
{
	struct store_worker *w;

	if (st->workers < STORE_WORKERS && st->followed >= st->workers * STORE_SHARE)
		start_worker(st);
	w = st->worker[0];
	for (unsigned int i = 1; i < st->workers; i++)
		if (st->worker[i]->followed < w->followed)
			w = st->worker[i];
	return w;
}

int store_follow(struct store *st, const struct store_key *key, bool found)
{
	struct store_follow *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	link_init(&f->all);
	link_init(&f->todo);
	link_init(&f->ready);
	f->key = *key;
	f->later = found;
	f->worker = choose_worker(st);
	pthread_mutex_lock(&st->lock);
	*store_find_locked(st, key) = f;
	link_move(&f->all, &f->worker->all);
	f->worker->followed++;
	st->followed++;
	store_want_locked(f, STORE_SERVICE);
	store_wake(f->worker->wake);
	pthread_mutex_unlock(&st->lock);
	return 0;
}

void store_forget(struct store *st, const struct store_key *key)
{
	struct store_follow **at, *f;

	pthread_mutex_lock(&st->lock);
	at = store_find_locked(st, key);
	f = *at;
	if (f) {
		*at = f->chain;
		link_remove(&f->ready);
		f->worker->followed--;
		st->followed--;
		store_want_locked(f, STORE_FORGET);
		store_wake(f->worker->wake);
	}
	pthread_mutex_unlock(&st->lock);
}

int store_publish(struct store *st, const struct store_key *key, int64_t port, const char *tty)
{
	char *copy = strdup(tty);
	struct store_follow *f;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&st->lock);
	f = *store_find_locked(st, key);
	if (f) {
		free(f->tty);
		f->tty = copy;
		f->port = port;
		store_want_locked(f, STORE_PUBLISH);
		store_wake(f->worker->wake);
	} else {
		free(copy);
	}
	pthread_mutex_unlock(&st->lock);
	return 0;
}

bool store_up(const struct store *st)
{
	return st->up && !st->stalled;
}
