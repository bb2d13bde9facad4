/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker: one thread, one connection, and the consoles that are asked for over it.
 *
 * What is due comes from two sides, the loop's requests and the watches' events; both
 * only mark work, and the most urgent is done first. When its connection is made anew
 * (connection.c), everything is watched and looked at again.
 */
#define _GNU_SOURCE
#include "store/worker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/diag.h"
#include "store/connection.h"
#include "store/look.h"
#include "store/queue.h"
#include "store/tty.h"

static void complain(struct store_follow *f, enum store_work kind, int err)
{
	if (f->complained & 1u << kind)
		return;
	f->complained |= 1u << kind;
	diag(LOG_WARNING, "domain %u: xenstored refuses to %s of its %s: %s; trying again every second",
	     f->key.domid, kind == STORE_PUBLISH ? "write the tty" : "tell the nodes",
	     f->key.kind == CONSOLE_VUART ? "vuart" : "console", strerror(-err));
}

static bool ending(struct store_worker *w)
{
	bool ending;

	pthread_mutex_lock(&w->store->lock);
	ending = w->store->ending;
	pthread_mutex_unlock(&w->store->lock);
	return ending;
}

/* In ms, as poll() takes it. */
static int patience(struct store_worker *w)
{
	int64_t until;
	bool idle, resting, publishing;

	pthread_mutex_lock(&w->store->lock);
	idle = !w->store->ending && !w->probe && store_idle_locked(w);
	resting = !link_alone(&w->resting);
	publishing = store_publishing_locked(w->store);
	pthread_mutex_unlock(&w->store->lock);
	if (!idle)
		return 0;
	if (publishing) /* nobody tells when a worker that it waits for has got stuck */
		return STORE_STUCK_MS;
	if (w->conn.xs)
		until = resting ? w->rest_until : -1;
	else
		until = store_link_due(w);
	if (until < 0)
		return -1;
	until -= store_now();
	return until > 0 ? (int)until : 0;
}

/* Did xenstored hang up? */
static bool wait_for_work(struct store_worker *w)
{
	struct pollfd fds[] = {
		{ .fd = w->wake, .events = POLLIN },
		{ .fd = w->conn.xs ? xs_fileno(w->conn.xs) : -1, .events = POLLIN },
		{ .fd = w->silent, .events = POLLRDHUP },
	};
	eventfd_t count;

	if (poll(fds, 3, patience(w)) <= 0)
		return false;
	if (fds[0].revents)
		eventfd_read(w->wake, &count);
	return fds[2].revents;
}

/* xs_check_watch() until EAGAIN: xs_fileno() may fall silent before the last event. */
static void take_events(struct store_worker *w)
{
	char **event;

	while ((event = xs_check_watch(w->conn.xs))) {
		store_event(w, event[XS_WATCH_PATH], event[XS_WATCH_TOKEN]);
		free(event);
	}
	if (errno == ENOMEM)
		w->conn.lost = true; /* with it an event is gone, and only beginning anew tells which */
	else if (errno != EAGAIN)
		store_probe(&w->conn);
}

static void work(struct store_worker *w)
{
	static int (*const doing[STORE_KINDS])(struct store_worker * w, struct store_follow * f) = {
		[STORE_FORGET] = store_do_forget, [STORE_SERVICE] = store_do_service,
		[STORE_LOOK] = store_do_look,	  [STORE_REST] = store_do_rest,
		[STORE_TTY] = store_do_tty,	  [STORE_PUBLISH] = store_do_publish,
		[STORE_DOUBT] = store_do_tty,
	};
	enum store_work kind;
	struct store_follow *f;
	int err;

	f = store_take(w, &kind);
	if (!f)
		return;
	err = doing[kind](w, f);
	if (kind == STORE_FORGET) {
		/* f is gone */
	} else if (!err) {
		f->complained &= ~(1u << kind);
	} else if (w->conn.lost) {
		store_want(f, kind);
	} else {
		complain(f, kind, err);
		store_rest(f, kind);
	}
	store_done(w);
}

static void run(struct store_worker *w)
{
	while (!ending(w)) {
		bool hung_up = wait_for_work(w);

		store_link_again(w);
		store_link_probe(w, hung_up);
		if (w->conn.xs && !w->conn.lost) {
			take_events(w);
			store_rested(w);
		}
		if (!w->conn.lost)
			work(w);
		if (w->conn.lost)
			store_link_lost(w);
	}
}

/* The first connection decides whether there is a store at all; the others are made in their own time, as after a loss. */
static int begin(struct store_worker *w)
{
	struct store *st = w->store;
	int err;

	if (w->id > 0)
		return 0;
	err = store_link_first(w);
	pthread_mutex_lock(&st->lock);
	st->outcome = err;
	pthread_cond_broadcast(&st->changed);
	pthread_mutex_unlock(&st->lock);
	return err;
}

void *store_worker_run(void *worker)
{
	struct store_worker *w = worker;
	struct store *st = w->store;
	char name[16];
	bool last;

	snprintf(name, sizeof(name), "store-%u", w->id);
	pthread_setname_np(pthread_self(), name); /* of another thread it would be written to a file */
	if (!begin(w))
		run(w);
	store_link_close(w);
	pthread_mutex_lock(&st->lock);
	last = --st->threads == 0 && st->abandoned;
	pthread_cond_broadcast(&st->changed);
	pthread_mutex_unlock(&st->lock);
	if (last)
		store_destroy(st);
	return NULL;
}
