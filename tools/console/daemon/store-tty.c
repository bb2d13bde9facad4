/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing tty, the one node that is ours.
 *
 * xenstored makes the directories of a node that is written, so a write that comes too
 * late would bring the console of a domain that was just removed back to life. A
 * transaction that reads port first would prevent it. But xenstored (4.17) looks at the
 * node's parent for each domain that is connected, at a cost that grows with their
 * number too, and in a transaction at the node as well: with a thousand domains some
 * 10 ms for each tty instead of 3. So it is written plainly, and taken back if it came
 * too late, which is always found out: the event of the removal came before the answer
 * to the write, and leads to a look at the console.
 *
 * Our own write fires our own watch. The event cannot be told apart from that of
 * somebody else's write, which xenstored may even have merged into it; but nearly
 * always it is our own. So the first event after a write is taken for it, and the node
 * is looked at between two heartbeats, some at a time, instead of at once when
 * everything starts.
 */
#define _GNU_SOURCE
#include "store-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All events have been seen, and the console looked at if there was one. */
int store_do_publish(struct store_worker *w, struct store_follow *f)
{
	char path[STORE_PATH], *tty;
	bool stale;
	int err;

	pthread_mutex_lock(&w->store->lock);
	tty = f->tty;
	f->tty = NULL;
	stale = f->port != f->look.nodes.port || f->look.nodes.type != STORE_TYPE_OURS;
	pthread_mutex_unlock(&w->store->lock);
	if (!tty || stale || (f->node_tty && !strcmp(tty, f->node_tty))) {
		if (stale)
			store_want(f, STORE_LOOK);
		free(tty);
		return 0;
	}
	store_path(path, &f->key, "/tty");
	err = store_write(w, XBT_NULL, path, tty);
	if (!err) {
		free(f->node_tty);
		f->node_tty = tty;
		f->echo = true;
		return 0;
	}
	/* Again, unless a newer request has come. */
	pthread_mutex_lock(&w->store->lock);
	if (f->tty)
		free(tty);
	else
		f->tty = tty;
	pthread_mutex_unlock(&w->store->lock);
	return err;
}

int store_do_tty(struct store_worker *w, struct store_follow *f)
{
	char path[STORE_PATH], *tty;
	int err;

	store_path(path, &f->key, "/tty");
	err = store_read(w, XBT_NULL, path, &tty);
	if (err && err != -ENOENT)
		return err;
	if (!tty || !f->node_tty || strcmp(tty, f->node_tty) != 0)
		store_want(f, STORE_LOOK);
	free(tty);
	return 0;
}

/* The console's directory, if it holds nothing but our tty, and those above it that are left empty. */
static int remove_all(struct store_worker *w, xs_transaction_t t, struct store_follow *f)
{
	char path[STORE_PATH], *tty;
	unsigned int children;
	int err;

	store_path(path, &f->key, "/tty");
	err = store_read(w, t, path, &tty);
	if (!err && strcmp(tty, f->node_tty) != 0)
		err = -ENOENT;
	free(tty);
	if (err)
		return err;
	store_path(path, &f->key, "");
	err = store_children(w, t, path, &children);
	if (!err && children > 1)
		err = -ENOENT;
	while (!err) {
		err = store_remove(w, t, path);
		*strrchr(path, '/') = '\0';
		if (err || !strcmp(path, "/local/domain"))
			break;
		err = store_children(w, t, path, &children);
		if (err || children)
			break;
	}
	return err;
}

int store_take_back(struct store_worker *w, struct store_follow *f)
{
	char path[STORE_PATH], *tty;
	xs_transaction_t t;
	int err;

	if (!f->node_tty)
		return 0;
	store_path(path, &f->key, "/tty");
	err = store_read(w, XBT_NULL, path, &tty);
	free(tty);
	if (!err)
		err = store_begin(w, &t);
	if (err)
		return err == -ENOENT ? 0 : err;
	err = remove_all(w, t, f);
	if (!err)
		return store_end(w, t, true);
	store_end(w, t, false);
	return err == -ENOENT ? 0 : err;
}
