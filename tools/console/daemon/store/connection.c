/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker's connection to xenstored: made, watched, lost, and made again.
 *
 * libxenstore does not tell that xenstored has gone; only a request that fails does. So
 * beside its own the first worker has a connection that says nothing: xenstored's end of
 * it closes with xenstored. The kernel's device has nothing of that kind; there, and for
 * a xenstored that hangs, a heartbeat asks something. Who finds a loss makes the others
 * try their connections.
 *
 * While xenstored is away the first worker knocks at its socket, which fails at once and
 * costs nothing, so it does so often; it wakes the others. What fails otherwise, or breaks
 * as soon as it is made, is tried again after a pause that grows: it would fill the log,
 * and all would be watched and looked at again each time.
 */
#define _GNU_SOURCE
#include "store/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "store/queue.h"

#define KNOCK_MS 100
#define BACKOFF_LAST_MS 800 /* a new domain has its tty within a second of xenstored's being back */
#define SETTLED_MS 5000	    /* a connection that lasted so long was a good one */

void store_link_close(struct store_worker *w)
{
	store_close(&w->conn);
	if (w->silent >= 0)
		close(w->silent);
	w->silent = -1;
}

static int watch_domains(struct store_worker *w)
{
	int err = store_watch(&w->conn, "@introduceDomain", STORE_DOMAINS);

	return err ? err : store_watch(&w->conn, "@releaseDomain", STORE_DOMAINS);
}

static int connect_all(struct store_worker *w)
{
	int err;

	if (w->id == 0 && w->store->socket[0]) {
		w->conn.asked = store_now();
		w->silent = store_knock(w->store->socket);
		w->conn.asked = 0;
		if (w->silent < 0)
			return w->silent;
	}
	err = store_open(&w->conn);
	if (!err && w->id == 0)
		err = watch_domains(w);
	if (err)
		store_link_close(w);
	else
		w->since = store_now();
	return err;
}

static void set_connected(struct store_worker *w, bool connected)
{
	if (w->id == 0)
		w->store->up = connected;
	pthread_mutex_lock(&w->store->lock);
	w->connected = connected;
	pthread_mutex_unlock(&w->store->lock);
}

int store_link_first(struct store_worker *w)
{
	int err = connect_all(w);

	set_connected(w, !err);
	return err;
}

static void wake_others(struct store_worker *w, bool to_probe)
{
	struct store *st = w->store;

	pthread_mutex_lock(&st->lock);
	for (unsigned int i = 0; i < st->workers; i++) {
		if (st->worker[i] == w)
			continue;
		st->worker[i]->probe |= to_probe;
		store_wake(st->worker[i]->wake);
	}
	pthread_mutex_unlock(&st->lock);
}

static void back_off(struct store_worker *w)
{
	w->retry_at = store_now() + w->backoff;
	w->backoff = w->backoff * 2 < BACKOFF_LAST_MS ? w->backoff * 2 : BACKOFF_LAST_MS;
}

/* A new xenstored knows nothing of our watches, and what we know of its nodes may be wrong. */
static void look_at_all_locked(struct store_worker *w)
{
	for (struct link *l = w->all.next; l != &w->all; l = l->next) {
		struct store_follow *f = container_of(l, struct store_follow, all);

		f->watched = f->first_dir = f->first_name = f->echo = false;
		free(f->node_tty);
		f->node_tty = NULL;
		f->strange = f->strange || f->seen;
		if (!(f->work & 1 << STORE_SERVICE)) {
			f->later = true;
			store_want_locked(f, STORE_LOOK);
		}
	}
}

/* But that xenstored is gone has been said. */
static void complain(struct store_worker *w, int err)
{
	unsigned int waiting;

	if (w->said)
		return;
	w->said = true;
	pthread_mutex_lock(&w->store->lock);
	waiting = w->followed;
	pthread_mutex_unlock(&w->store->lock);
	diag(LOG_WARNING,
	     "cannot open a connection to xenstored: %s; %u consoles wait for it, it is tried again; is "
	     "xenstored healthy, are files or memory short?",
	     strerror(-err), waiting);
}

int64_t store_link_due(struct store_worker *w)
{
	return w->id == 0 || w->store->up ? w->retry_at : -1;
}

void store_link_again(struct store_worker *w)
{
	int64_t due = store_link_due(w);
	int err;

	if (w->conn.xs || due < 0 || store_now() < due)
		return;
	err = connect_all(w);
	if (err == -ENOENT || err == -ECONNREFUSED) {
		w->retry_at = store_now() + KNOCK_MS;
	} else if (err) {
		complain(w, err);
		back_off(w);
	} else {
		w->said = false;
		set_connected(w, true);
	}
	if (err || w->id)
		return;
	diag(LOG_NOTICE, "connected to xenstored again; looking at all consoles anew");
	wake_others(w, false);
}

void store_link_probe(struct store_worker *w, bool hung_up)
{
	bool probe;

	pthread_mutex_lock(&w->store->lock);
	probe = w->probe;
	w->probe = false;
	pthread_mutex_unlock(&w->store->lock);
	w->conn.lost |= hung_up;
	if (probe && w->conn.xs)
		store_probe(&w->conn);
}

void store_link_lost(struct store_worker *w)
{
	store_link_close(w);
	set_connected(w, false);
	if (store_now() - w->since >= SETTLED_MS)
		w->backoff = STORE_BACKOFF_MS;
	back_off(w);
	pthread_mutex_lock(&w->store->lock);
	look_at_all_locked(w);
	pthread_mutex_unlock(&w->store->lock);
	if (w->id == 0)
		diag(LOG_WARNING,
		     "the connection to xenstored broke; consoles that are served go on, new ones wait until it is "
		     "there again; if it is gone, start it");
	wake_others(w, true);
}
