/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the loop and the workers meet: what is to be done for a console, and what was
 * seen.
 *
 * Work is a set of bits, so asking for the same twice costs nothing and a burst of
 * events makes one look. A console stands in the queue of its most urgent work. The
 * many that are found at a start, or looked at anew after a loss, have queues of their
 * own, served after the others': so a new domain, whose creator waits for its tty,
 * passes them all. xenstored is nobody's own, so their ttys, whose writes take it long,
 * wait for whatever is urgent anywhere. Nothing here is allocated when something is
 * seen: what was promised to the loop can always be delivered.
 */
#include "store/queue.h"

#include <stdlib.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a piece of work makes superfluous. */
static const unsigned int covers[STORE_KINDS] = {
	[STORE_FORGET] = ~0u,
	[STORE_SERVICE] = 1 << STORE_SERVICE,
	[STORE_LOOK] = 1 << STORE_LOOK | 1 << STORE_REST | 1 << STORE_TTY | 1 << STORE_DOUBT,
	[STORE_PUBLISH] = 1 << STORE_PUBLISH,
	[STORE_REST] = 1 << STORE_REST,
	[STORE_TTY] = 1 << STORE_TTY | 1 << STORE_DOUBT,
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

/* The first in a queue, or NULL. */
static struct store_follow *first_in(const struct link *queue)
{
	return link_alone(queue) ? NULL : container_of(queue->next, struct store_follow, todo);
}

static bool hurry(const struct store_worker *w)
{
	bool any = w->hurrying;

	for (int kind = STORE_SERVICE; w->connected && !any && kind < STORE_DOUBT; kind++)
		any = !link_alone(&w->todo[0][kind]);
	return any;
}

/* Its connection is not answered, whatever the others' are: nobody else is to wait for it. */
static bool stuck(const struct store_worker *w)
{
	int64_t asked = w->conn.asked;

	return asked && store_now() - asked >= STORE_STUCK_MS;
}

/* The next whose tty may be written though nobody is known to wait for it, or NULL. */
static struct store_follow *next_to_publish(struct store *st)
{
	struct store_follow *f = first_in(&st->publish[0]);
	unsigned int busy = 0;

	if (!f)
		f = first_in(&st->publish[1]);
	for (unsigned int i = 0; f && i < st->workers; i++) {
		if (stuck(st->worker[i]))
			continue;
		busy += st->worker[i]->publishing;
		if (hurry(st->worker[i]) || busy == STORE_PUBLISH_AT_ONCE)
			f = NULL;
	}
	return f;
}

/* Whenever that may be another one: its worker may be asleep. */
static void wake_publisher(struct store *st)
{
	struct store_follow *f = next_to_publish(st);

	if (f)
		store_wake(f->worker->wake);
}

static struct link *queue_of(struct store_follow *f)
{
	struct store_worker *w = f->worker;
	int kind = ffs((int)f->work) - 1;

	if (kind < 0)
		return NULL;
	if (f->resting && kind != STORE_FORGET)
		return &w->resting;
	if (f->later && kind == STORE_PUBLISH)
		return &w->store->publish[!f->blank];
	return &w->todo[f->later && kind != STORE_FORGET && kind != STORE_DOUBT][kind];
}

/* Of those to be served the newest domid first, for the reason that the newest has most likely a creator who waits. */
static bool newest_first(const struct store_follow *f)
{
	int kind = ffs((int)f->work) - 1;

	return !f->resting && (kind == STORE_SERVICE || kind == STORE_DOUBT);
}

static void line_up(struct store_follow *f)
{
	struct link *queue = queue_of(f);

	if (queue == f->queue)
		return;
	f->queue = queue;
	if (!queue)
		link_remove(&f->todo);
	else if (newest_first(f))
		link_move_first(&f->todo, queue);
	else
		link_move(&f->todo, queue);
	wake_publisher(f->worker->store);
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

static struct store_follow *first(struct store_worker *w, bool later, enum store_work kind)
{
	struct store_follow *f;

	if (kind == STORE_DOUBT && !w->doubts)
		return NULL;
	if (!later || kind != STORE_PUBLISH)
		return first_in(&w->todo[later][kind]);
	f = next_to_publish(w->store);
	return f && f->worker == w ? f : NULL;
}

static struct store_follow *choose(struct store_worker *w, bool *later, enum store_work *kind)
{
	int kinds = w->connected ? STORE_KINDS : STORE_FORGET + 1;
	struct store_follow *f = NULL;

	for (int i = 0; !f && i < 2 * kinds; i++) {
		*later = i >= kinds;
		*kind = i % kinds;
		f = first(w, *later, *kind);
	}
	return f;
}

struct store_follow *store_take(struct store_worker *w, enum store_work *kind)
{
	struct store_follow *f;
	bool later;

	pthread_mutex_lock(&w->store->lock);
	f = choose(w, &later, kind);
	if (f) {
		w->hurrying = !later && *kind > STORE_FORGET && *kind < STORE_DOUBT;
		w->publishing = later && *kind == STORE_PUBLISH;
		w->doubts -= *kind == STORE_DOUBT;
		f->work &= ~covers[*kind];
		line_up(f);
	}
	pthread_mutex_unlock(&w->store->lock);
	return f;
}

void store_done(struct store_worker *w)
{
	pthread_mutex_lock(&w->store->lock);
	w->hurrying = w->publishing = false;
	wake_publisher(w->store);
	pthread_mutex_unlock(&w->store->lock);
}

bool store_publishing_locked(const struct store *st)
{
	return !link_alone(&st->publish[0]) || !link_alone(&st->publish[1]);
}

bool store_idle_locked(struct store_worker *w)
{
	enum store_work kind;
	bool later;

	return !choose(w, &later, &kind);
}

void store_rest(struct store_follow *f, enum store_work kind)
{
	struct store_worker *w = f->worker;

	pthread_mutex_lock(&w->store->lock);
	if (link_alone(&w->resting))
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
	while ((f = first_in(&w->resting))) {
		f->resting = false;
		line_up(f);
	}
	pthread_mutex_unlock(&w->store->lock);
}

void store_rank(struct store_follow *f, bool blank, bool settled)
{
	pthread_mutex_lock(&f->worker->store->lock);
	f->blank = blank;
	f->later = f->later && !settled;
	line_up(f);
	pthread_mutex_unlock(&f->worker->store->lock);
}

/* Before something is added: the loop is awake as long as there is something. */
static void wake_loop(struct store *st)
{
	if (link_alone(&st->ready) && !st->domains)
		store_wake(st->wake);
}

void store_tell(struct store_follow *f)
{
	struct store *st = f->worker->store;

	pthread_mutex_lock(&st->lock);
	free(f->told.name);
	f->told = f->look;
	f->look.name = NULL;
	if (link_alone(&f->ready) && !(f->work & 1 << STORE_FORGET)) {
		wake_loop(st);
		link_move(&f->ready, &st->ready);
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
		struct link *all = &st->worker[i]->all;

		while (!link_alone(all)) {
			struct store_follow *f = container_of(all->next, struct store_follow, all);

			link_remove(&f->all);
			store_follow_free(f);
		}
		close(st->worker[i]->wake);
		free(st->worker[i]);
	}
	if (st->wake >= 0)
		close(st->wake);
	pthread_cond_destroy(&st->changed);
	pthread_mutex_destroy(&st->lock);
	free(st);
}
