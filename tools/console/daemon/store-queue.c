/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the loop and the workers meet: what is to be done for a console, and what was
 * seen.
 *
 * Work is a set of bits, so asking for the same twice costs nothing and a burst of
 * events makes one look. A console stands in the queue of its most urgent work; queues
 * are served in order of urgency, so that at start-up every console gets what service
 * needs before any gets the rest. Nothing here is allocated when something is seen:
 * what was promised to the loop can always be delivered.
 */
#include "store-private.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a piece of work makes superfluous. */
static const unsigned int covers[STORE_KINDS] = {
	[STORE_FORGET] = ~0u,
	[STORE_SERVICE] = 1 << STORE_SERVICE,
	[STORE_LOOK] = 1 << STORE_LOOK | 1 << STORE_REST | 1 << STORE_TTY | 1 << STORE_DOUBT,
	[STORE_REST] = 1 << STORE_REST,
	[STORE_TTY] = 1 << STORE_TTY | 1 << STORE_DOUBT,
	[STORE_PUBLISH] = 1 << STORE_PUBLISH,
	[STORE_DOUBT] = 1 << STORE_DOUBT,
};

void store_wake(int fd)
{
	eventfd_write(fd, 1); /* fails only when it is awake more than enough */
}

struct store_follow **store_find_locked(struct store *st, const struct store_key *key)
{
	size_t n = sizeof(st->bucket) / sizeof(st->bucket[0]);
	struct store_follow **f = &st->bucket[(key->domid * 2 + key->kind) % n];

	while (*f && ((*f)->key.cookie != key->cookie || (*f)->key.domid != key->domid ||
		      (*f)->key.kind != key->kind))
		f = &(*f)->chain;
	return f;
}

static void line_up(struct store_follow *f)
{
	struct store_worker *w = f->worker;
	int queue = ffs((int)f->work) - 1;

	if (f->resting && queue != STORE_FORGET)
		queue = STORE_RESTING;
	if (queue == f->queue)
		return;
	if (f->queue >= 0)
		TAILQ_REMOVE(&w->todo[f->queue], f, todo);
	f->queue = queue;
	if (queue == STORE_DOUBT) /* a toolstack may still be at work on the newest */
		TAILQ_INSERT_HEAD(&w->todo[queue], f, todo);
	else if (queue >= 0)
		TAILQ_INSERT_TAIL(&w->todo[queue], f, todo);
}

void store_want_locked(struct store_follow *f, enum store_work kind)
{
	f->work |= 1u << kind;
	line_up(f);
}

void store_want(struct store_follow *f, enum store_work kind)
{
	pthread_mutex_lock(&f->worker->store->lock);
	store_want_locked(f, kind);
	pthread_mutex_unlock(&f->worker->store->lock);
}

static struct store_follow *take_kind(struct store_worker *w, enum store_work kind)
{
	struct store_follow *f = TAILQ_FIRST(&w->todo[kind]);

	if (!f || (kind == STORE_DOUBT && !w->doubts))
		return NULL;
	if (kind == STORE_DOUBT)
		w->doubts--;
	f->work &= ~covers[kind];
	line_up(f);
	return f;
}

struct store_follow *store_take(struct store_worker *w, enum store_work *kind)
{
	int kinds = w->conn.xs ? STORE_KINDS : STORE_FORGET + 1;
	struct store_follow *f = NULL;

	pthread_mutex_lock(&w->store->lock);
	for (int k = 0; !f && k < kinds; k++) {
		*kind = k;
		f = take_kind(w, k);
	}
	pthread_mutex_unlock(&w->store->lock);
	return f;
}

bool store_idle_locked(const struct store_worker *w)
{
	int kinds = w->conn.xs ? STORE_DOUBT : STORE_FORGET + 1;

	for (int k = 0; k < kinds; k++)
		if (!TAILQ_EMPTY(&w->todo[k]))
			return false;
	return !w->conn.xs || !w->doubts || TAILQ_EMPTY(&w->todo[STORE_DOUBT]);
}

void store_rest(struct store_follow *f, enum store_work kind)
{
	struct store_worker *w = f->worker;

	pthread_mutex_lock(&w->store->lock);
	if (TAILQ_EMPTY(&w->todo[STORE_RESTING]))
		w->rest_until = store_now() + STORE_REST_MS;
	f->resting = true;
	store_want_locked(f, kind);
	pthread_mutex_unlock(&w->store->lock);
}

void store_rested(struct store_worker *w)
{
	struct store_follow *f;

	if (store_now() < w->rest_until)
		return;
	pthread_mutex_lock(&w->store->lock);
	while ((f = TAILQ_FIRST(&w->todo[STORE_RESTING]))) {
		f->resting = false;
		line_up(f);
	}
	pthread_mutex_unlock(&w->store->lock);
}

/* Before something is added: the loop is awake as long as there is something. */
static void wake_loop(struct store *st)
{
	if (TAILQ_EMPTY(&st->ready) && !st->domains)
		store_wake(st->wake);
}

void store_tell(struct store_follow *f)
{
	struct store *st = f->worker->store;

	pthread_mutex_lock(&st->lock);
	free(f->told.name);
	f->told = f->look;
	f->look.name = NULL;
	if (!f->told_ready && !(f->work & 1 << STORE_FORGET)) {
		wake_loop(st);
		f->told_ready = true;
		TAILQ_INSERT_TAIL(&st->ready, f, ready);
	}
	pthread_mutex_unlock(&st->lock);
}

void store_tell_domains(struct store *st)
{
	pthread_mutex_lock(&st->lock);
	wake_loop(st);
	st->domains = true;
	pthread_mutex_unlock(&st->lock);
}

void store_follow_free(struct store_follow *f)
{
	free(f->tty);
	free(f->node_tty);
	free(f->look.name);
	free(f->told.name);
	free(f);
}

void store_destroy(struct store *st)
{
	for (unsigned int i = 0; i < st->workers; i++) {
		struct store_follow *f;

		while ((f = TAILQ_FIRST(&st->worker[i]->all))) {
			TAILQ_REMOVE(&st->worker[i]->all, f, all);
			store_follow_free(f);
		}
		close(st->worker[i]->wake);
		free(st->worker[i]);
	}
	if (st->wake >= 0)
		close(st->wake);
	pthread_cond_destroy(&st->changed);
	pthread_mutex_destroy(&st->lock);
	pthread_mutex_destroy(&st->opening);
	free(st);
}
