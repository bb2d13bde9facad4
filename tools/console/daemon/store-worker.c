/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker: one thread, one connection, and the consoles that are asked for over it.
 *
 * What is due comes from two sides, the loop's requests and the watches' events; both
 * only mark work, and the most urgent is done first. A connection that breaks is made
 * anew, after a growing pause, and then everything is watched and looked at again. That
 * it broke is known only from a request that fails, so the first worker to find out
 * makes the others try theirs, and the first of all has a heartbeat for times when
 * nothing is asked.
 */
#define _GNU_SOURCE
#include "store-private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "diag.h"

#define KNOCK_S 5
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS 5000

/*
 * xs_open() falls back to the kernel's device when the socket is dead, and there
 * requests to a xenstored that is gone wait for ever. So knock at the socket first, if
 * that is the way in. xenstored lets one or two wait at its door, so that several
 * workers queue up here; when it is stopped, not for ever.
 */
static int knock(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = KNOCK_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
	close(fd);
	return err;
}

static int connect_worker(struct store_worker *w)
{
	struct store *st = w->store;
	int err = 0;

	w->conn.asked = store_now();
	pthread_mutex_lock(&st->opening);
	if (st->socket[0])
		err = knock(st->socket);
	if (!err)
		err = store_open(&w->conn);
	pthread_mutex_unlock(&st->opening);
	w->conn.asked = 0;
	if (err || w->id)
		return err;
	err = store_watch(&w->conn, "@introduceDomain", STORE_DOMAINS);
	if (!err)
		err = store_watch(&w->conn, "@releaseDomain", STORE_DOMAINS);
	if (err)
		store_close(&w->conn);
	return err;
}

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
	int64_t until = 0;
	bool idle, resting;

	pthread_mutex_lock(&w->store->lock);
	idle = !w->store->ending && !w->probe && store_idle_locked(w);
	resting = !TAILQ_EMPTY(&w->todo[STORE_RESTING]);
	pthread_mutex_unlock(&w->store->lock);
	if (!idle)
		return 0;
	if (w->conn.xs && !resting)
		return -1;
	until = (w->conn.xs ? w->rest_until : w->retry_at) - store_now();
	return until > 0 ? (int)until : 0;
}

static void wait_for_work(struct store_worker *w)
{
	struct pollfd fds[] = {
		{ .fd = w->wake, .events = POLLIN },
		{ .fd = w->conn.xs ? xs_fileno(w->conn.xs) : -1, .events = POLLIN },
	};
	eventfd_t count;

	if (poll(fds, 2, patience(w)) > 0 && fds[0].revents)
		eventfd_read(w->wake, &count);
}

static void probe_all(struct store *st, const struct store_worker *but)
{
	pthread_mutex_lock(&st->lock);
	for (unsigned int i = 0; i < st->workers; i++) {
		if (st->worker[i] == but)
			continue;
		st->worker[i]->probe = true;
		store_wake(st->worker[i]->wake);
	}
	pthread_mutex_unlock(&st->lock);
}

static void back_off(struct store_worker *w)
{
	w->retry_at = store_now() + w->backoff;
	w->backoff = w->backoff * 2 < BACKOFF_LAST_MS ? w->backoff * 2 : BACKOFF_LAST_MS;
}

/* One that breaks again and again is not made again at once, so as not to fill the log. */
static void disconnect(struct store_worker *w)
{
	store_close(&w->conn);
	if (store_now() - w->since >= BACKOFF_LAST_MS)
		w->backoff = BACKOFF_FIRST_MS;
	back_off(w);
	if (w->id == 0) {
		w->store->up = false;
		diag(LOG_WARNING,
		     "the connection to xenstored broke; consoles that are served go on, new ones wait until it is "
		     "there again; if it is gone, start it");
	}
	probe_all(w->store, w);
}

/* A new xenstored knows nothing of our watches, and what we know of its nodes may be wrong. */
static void look_at_all(struct store_worker *w)
{
	struct store_follow *f;

	pthread_mutex_lock(&w->store->lock);
	for (f = TAILQ_FIRST(&w->all); f; f = TAILQ_NEXT(f, all)) {
		f->watched = f->first_dir = f->first_name = f->echo = false;
		free(f->node_tty);
		f->node_tty = NULL;
		f->strange = f->strange || f->seen;
		if (!(f->work & 1 << STORE_SERVICE))
			store_want_locked(f, STORE_LOOK);
	}
	pthread_mutex_unlock(&w->store->lock);
}

static void reconnect(struct store_worker *w)
{
	if (store_now() < w->retry_at)
		return;
	if (connect_worker(w) < 0) {
		back_off(w);
		return;
	}
	w->since = store_now();
	look_at_all(w);
	if (w->id == 0) {
		w->store->up = true;
		diag(LOG_NOTICE, "connected to xenstored again; looking at all consoles anew");
	}
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

static void probe_if_asked(struct store_worker *w)
{
	bool probe;

	pthread_mutex_lock(&w->store->lock);
	probe = w->probe;
	w->probe = false;
	pthread_mutex_unlock(&w->store->lock);
	if (probe && w->conn.xs)
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
	if (kind == STORE_FORGET)
		return; /* f is gone */
	if (!err) {
		f->complained &= ~(1u << kind);
	} else if (w->conn.lost) {
		store_want(f, kind);
	} else {
		complain(f, kind, err);
		store_rest(f, kind);
	}
}

static void run(struct store_worker *w)
{
	while (!ending(w)) {
		wait_for_work(w);
		if (!w->conn.xs)
			reconnect(w);
		probe_if_asked(w);
		if (w->conn.xs && !w->conn.lost) {
			take_events(w);
			store_rested(w);
		}
		if (!w->conn.lost)
			work(w);
		if (w->conn.xs && w->conn.lost)
			disconnect(w);
	}
}

/* The first connection decides whether there is a store at all. */
static int begin(struct store_worker *w)
{
	struct store *st = w->store;
	int err;

	if (w->id > 0)
		return 0; /* in its own time, as after a loss */
	err = connect_worker(w);
	w->since = store_now();
	st->up = !err;
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
	bool last;

	w->backoff = BACKOFF_FIRST_MS;
	if (!begin(w))
		run(w);
	store_close(&w->conn);
	pthread_mutex_lock(&st->lock);
	last = --st->threads == 0 && st->abandoned;
	pthread_cond_broadcast(&st->changed);
	pthread_mutex_unlock(&st->lock);
	if (last)
		store_destroy(st);
	return NULL;
}
