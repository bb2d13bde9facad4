/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is watched, and when it is looked at. What a look reads is in nodes.c.
 *
 * A watch begins with an event of its own, which is swallowed, since a look follows the
 * watch anyway. It may have swallowed an identical one in turn, of the directory's
 * removal; that came before the look's second reply, and the second look at port that
 * an absent type causes finds it.
 *
 * Each console costs nine requests at first: watch, port, type, ring-ref, limit, and
 * four for tty; names cost two more, and one that is found at the start another, which
 * tells whether its creator still waits for tty. One that is nobody's or another's
 * stops after two or three.
 */
#define _GNU_SOURCE
#include "store/look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/queue.h"

#define TOKEN 64

static void make_token(char token[TOKEN], const struct store_key *key)
{
	snprintf(token, TOKEN, "%" PRIu32 ":%u:%" PRIu64, key->domid, (unsigned int)key->kind, key->cookie);
}

/* What an event asks for, or -1. */
static int work_of(struct store_follow *f, const char *path)
{
	static const char *const asked_for[] = { "/port", "/type", "/ring-ref", "/limit" };
	char own[STORE_PATH];
	size_t len = store_path(own, &f->key, "");
	bool *first = NULL;

	if (!strcmp(path, own)) {
		first = &f->first_dir;
	} else if (strncmp(path, own, len) != 0) {
		store_name_path(own, &f->key);
		if (!strcmp(path, own))
			first = &f->first_name;
	} else if (!strcmp(path + len, "/tty")) {
		if (!f->node_tty)
			return -1;
		if (!f->echo)
			return STORE_TTY;
		f->echo = false;
		return STORE_DOUBT;
	} else {
		for (size_t i = 0; i < sizeof(asked_for) / sizeof(asked_for[0]); i++)
			if (!strcmp(path + len, asked_for[i]))
				return STORE_LOOK;
		return -1; /* nothing of ours, as "output" */
	}
	if (!first || !*first)
		return STORE_LOOK;
	*first = false;
	return -1;
}

void store_event(struct store_worker *w, const char *path, const char *token)
{
	struct store *st = w->store;
	struct store_follow *f;
	struct store_key key;
	unsigned int kind;
	int work;

	if (!strcmp(token, STORE_DOMAINS)) {
		store_tell_domains(st);
		return;
	}
	if (sscanf(token, "%" SCNu32 ":%u:%" SCNu64, &key.domid, &kind, &key.cookie) != 3)
		return;
	key.kind = kind;
	pthread_mutex_lock(&st->lock);
	f = *store_find_locked(st, &key);
	work = f ? work_of(f, path) : -1;
	if (work >= 0)
		store_want_locked(f, work);
	pthread_mutex_unlock(&st->lock);
}

static int watch(struct store_worker *w, struct store_follow *f)
{
	char path[STORE_PATH], token[TOKEN];
	int err;

	if (f->watched)
		return 0;
	make_token(token, &f->key);
	if (w->store->names) {
		store_name_path(path, &f->key);
		err = store_watch(&w->conn, path, token);
		if (err && err != -EEXIST) /* it is there when the other one failed last time */
			return err;
		f->first_name |= !err;
	}
	store_path(path, &f->key, "");
	err = store_watch(&w->conn, path, token);
	if (err)
		return err;
	f->first_dir = true;
	f->watched = true;
	return 0;
}

int store_do_forget(struct store_worker *w, struct store_follow *f)
{
	char path[STORE_PATH], token[TOKEN];

	if (w->conn.xs && f->watched) {
		make_token(token, &f->key);
		store_path(path, &f->key, "");
		store_unwatch(&w->conn, path, token);
		store_name_path(path, &f->key);
		if (w->store->names)
			store_unwatch(&w->conn, path, token);
	}
	pthread_mutex_lock(&w->store->lock);
	link_remove(&f->all);
	pthread_mutex_unlock(&w->store->lock);
	store_follow_free(f);
	return 0;
}

/*
 * One of many: does somebody wait for it after all? What a predecessor has written is written again even if our
 * terminal has got the same name: who reads it is told by the write.
 */
static void look_at_tty(struct store_worker *w, struct store_follow *f)
{
	char *tty;

	if (!store_read_leaf(&w->conn, XBT_NULL, &f->key, "/tty", &tty)) {
		store_rank(f, !tty || !*tty, false);
		f->look.nodes.tty = store_parse_tty(tty);
		store_tell(f);
	}
	free(tty);
}

int store_do_service(struct store_worker *w, struct store_follow *f)
{
	int err = watch(w, f);

	if (!err)
		err = store_read_whose(&w->conn, &f->key, &f->look);
	if (err == -ESTALE) {
		store_want(f, STORE_SERVICE);
		return 0;
	}
	if (err)
		return err;
	f->seen = f->look.nodes.port >= 0;
	store_tell(f);
	if (!store_ours(&f->look)) {
		store_rank(f, true, true);
		return 0;
	}
	store_want(f, STORE_REST);
	if (f->later)
		look_at_tty(w, f);
	return 0;
}

int store_do_rest(struct store_worker *w, struct store_follow *f)
{
	int err = store_read_rest(&w->conn, &f->look, w->store->names);

	if (!err)
		store_tell(f);
	return err;
}

/*
 * A restarted xenstored that knows nothing of the domain has nothing to say about it.
 * Only one that has it introduced does: its toolstack is at work there.
 */
static bool believed(struct store_worker *w, struct store_follow *f)
{
	if (!f->strange)
		return true;
	if (f->look.nodes.port >= 0 || f->look.nodes.bad || store_introduced(&w->conn, f->key.domid))
		f->strange = false;
	return !f->strange;
}

int store_do_look(struct store_worker *w, struct store_follow *f)
{
	char *tty = NULL;
	int err = watch(w, f);

	if (!err)
		err = store_read_whose(&w->conn, &f->key, &f->look);
	if (!err && store_ours(&f->look)) {
		err = store_read_rest(&w->conn, &f->look, w->store->names);
		if (!err)
			err = store_read_leaf(&w->conn, XBT_NULL, &f->key, "/tty", &tty);
	}
	if (err == -ESTALE) {
		store_want(f, STORE_LOOK);
		return 0;
	}
	if (err)
		return err;
	free(f->node_tty);
	f->node_tty = tty;
	f->look.nodes.tty = store_parse_tty(tty);
	store_rank(f, !tty || !*tty, !store_ours(&f->look));
	if (f->look.nodes.port >= 0)
		f->seen = true;
	if (believed(w, f))
		store_tell(f);
	return 0;
}
