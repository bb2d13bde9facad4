/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing tty, the one node that is ours; nothing else is ever written, and nothing removed.
 *
 * xenstored makes the directories of a node that is written, so a write that comes too
 * late would bring the console of a domain that was just removed back to life, or
 * name our pty to a new domain of that number. Hence a transaction that begins with a
 * look at port: if it is no longer the one that is served, nothing is written, and if
 * anybody changes it before the end, xenstored refuses the whole (EAGAIN).
 *
 * Our own write fires our own watch. The event cannot be told apart from that of
 * somebody else's write, which xenstored may even have merged into it; but nearly
 * always it is our own. So the first event after a write is taken for it, and the node
 * is looked at between two heartbeats, some at a time, instead of at once.
 */
#define _GNU_SOURCE
#include "store/tty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/queue.h"

/* -ESTALE: it is another port now.  -EAGAIN: somebody came between. */
static int write_if_port(struct store_connection *c, const struct store_key *key, int64_t port,
			 const char *tty)
{
	char path[STORE_PATH];
	xs_transaction_t t;
	int64_t there;
	int err = store_begin(c, &t);

	if (err)
		return err;
	err = store_read_port(c, t, key, &there);
	if (!err && there != port)
		err = -ESTALE;
	store_path(path, key, "/tty");
	if (!err)
		err = store_write(c, t, path, tty);
	if (!err)
		return store_end(c, t, true);
	store_end(c, t, false);
	return err;
}

/* It was not written; but perhaps a newer request has come. */
static void ask_again(struct store_worker *w, struct store_follow *f, char *tty)
{
	pthread_mutex_lock(&w->store->lock);
	if (f->tty)
		free(tty);
	else
		f->tty = tty;
	pthread_mutex_unlock(&w->store->lock);
}

int store_do_publish(struct store_worker *w, struct store_follow *f)
{
	int64_t port;
	char *tty;
	bool right;
	int err;

	pthread_mutex_lock(&w->store->lock);
	tty = f->tty;
	f->tty = NULL;
	port = f->port;
	pthread_mutex_unlock(&w->store->lock);
	if (!tty)
		return 0;
	right = f->node_tty && !strcmp(tty, f->node_tty);
	if (!store_ours(&f->look))
		err = -ESTALE;
	else
		err = right ? 0 : write_if_port(&w->conn, &f->key, port, tty);
	if (!err) {
		f->echo |= !right;
		free(f->node_tty);
		f->node_tty = tty;
		store_rank(f, false, true);
		return 0;
	}
	if (err == -ESTALE)
		free(tty);
	else
		ask_again(w, f, tty);
	if (err != -ESTALE && err != -EAGAIN)
		return err;
	store_want(f, err == -ESTALE ? STORE_LOOK : STORE_PUBLISH);
	return 0;
}

int store_do_tty(struct store_worker *w, struct store_follow *f)
{
	char *tty;
	int err = store_read_leaf(&w->conn, XBT_NULL, &f->key, "/tty", &tty);

	if (err)
		return err;
	if (!tty || !f->node_tty || strcmp(tty, f->node_tty) != 0)
		store_want(f, STORE_LOOK);
	free(tty);
	return 0;
}
