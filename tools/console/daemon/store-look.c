/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is asked for a console, and in which order.
 *
 * A toolstack writes a console's nodes in one transaction. So port is read first and
 * type after it: where port was there, a type that was written with it is there too,
 * and no transaction of ours is needed. Only a type that is absent is doubtful, since
 * the directory may have been removed in between: then port is read once more and must
 * say the same. Taking a console for ours that is not would grab it from a device
 * model.
 *
 * A watch begins with an event of its own, which is swallowed, since a look follows the
 * watch anyway. It may have swallowed an identical one in turn, of the directory's
 * removal; that came before the look's second reply, and the second look at port that
 * an absent type causes finds it.
 *
 * Each console costs nine requests at first: watch, port, type, ring-ref, limit, and
 * four for tty; names cost two more. One that is nobody's or another's stops after two
 * or three.
 */
#define _GNU_SOURCE
#include "store-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN 64

size_t store_path(char path[STORE_PATH], const struct store_key *key, const char *leaf)
{
	const char *dir = key->kind == CONSOLE_VUART ? "vuart/0" : "console";

	return (size_t)snprintf(path, STORE_PATH, "/local/domain/%" PRIu32 "/%s%s", key->domid, dir, leaf);
}

static void name_path(char path[STORE_PATH], const struct store_key *key)
{
	snprintf(path, STORE_PATH, "/local/domain/%" PRIu32 "/name", key->domid);
}

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
		name_path(own, &f->key);
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
		name_path(path, &f->key);
		err = store_watch(w, path, token);
		if (err && err != -EEXIST) /* it is there when the other one failed last time */
			return err;
		f->first_name |= !err;
	}
	store_path(path, &f->key, "");
	err = store_watch(w, path, token);
	if (err)
		return err;
	f->first_dir = true;
	f->watched = true;
	return 0;
}

int store_do_forget(struct store_worker *w, struct store_follow *f)
{
	char path[STORE_PATH], token[TOKEN];

	if (w->xs && f->watched) {
		make_token(token, &f->key);
		store_path(path, &f->key, "");
		store_unwatch(w, path, token);
		name_path(path, &f->key);
		if (w->store->names)
			store_unwatch(w, path, token);
	}
	pthread_mutex_lock(&w->store->lock);
	TAILQ_REMOVE(&w->all, f, all);
	pthread_mutex_unlock(&w->store->lock);
	store_follow_free(f);
	return 0;
}

static void bad(struct store_follow *f, const char *node, const char *value)
{
	if (f->look.nodes.bad)
		return;
	f->look.nodes.bad = node;
	store_printable(f->look.bad_value, value);
}

/* Anything else than absence is an error. */
static int read_node(struct store_worker *w, struct store_follow *f, const char *leaf, char **value)
{
	char path[STORE_PATH];
	int err;

	store_path(path, &f->key, leaf);
	err = store_read(w, XBT_NULL, path, value);
	return err == -ENOENT ? 0 : err;
}

static int read_number(struct store_worker *w, struct store_follow *f, const char *leaf,
		       int64_t (*parse)(const char *s), int64_t *number)
{
	char *value;
	int err = read_node(w, f, leaf, &value);

	*number = value ? parse(value) : -1;
	if (value && *number < 0)
		bad(f, leaf + 1, value);
	free(value);
	return err;
}

/* -ESTALE: it changes under our eyes. */
static int read_service(struct store_worker *w, struct store_follow *f)
{
	struct store_nodes *n = &f->look.nodes;
	char *type;
	int64_t again;
	int err;

	free(f->look.name);
	f->look = (struct store_look){ .nodes = { .key = f->key, .ring_ref = -1, .limit = -1 } };
	err = read_number(w, f, "/port", store_parse_port, &n->port);
	if (err || n->port < 0)
		return err;
	err = read_node(w, f, "/type", &type);
	if (err)
		return err;
	n->type = store_parse_type(type);
	if (!type) {
		err = read_number(w, f, "/port", store_parse_port, &again);
		if (!err && again != n->port)
			err = -ESTALE;
	}
	free(type);
	return err;
}

static bool to_be_served(const struct store_follow *f)
{
	return f->look.nodes.port >= 0 && f->look.nodes.type == STORE_TYPE_OURS;
}

static int read_rest(struct store_worker *w, struct store_follow *f)
{
	struct store_nodes *n = &f->look.nodes;
	char path[STORE_PATH];
	int err = read_number(w, f, "/ring-ref", store_parse_ring_ref, &n->ring_ref);

	if (!err)
		err = read_number(w, f, "/limit", store_parse_limit, &n->limit);
	if (!err && w->store->names) {
		free(f->look.name);
		name_path(path, &f->key);
		err = store_read(w, XBT_NULL, path, &f->look.name);
		if (err == -ENOENT)
			err = 0;
	}
	if (!err)
		n->complete = true;
	return err;
}

int store_do_service(struct store_worker *w, struct store_follow *f)
{
	int err = watch(w, f);

	if (!err)
		err = read_service(w, f);
	if (err == -ESTALE) {
		store_want(f, STORE_SERVICE);
		return 0;
	}
	if (err)
		return err;
	f->seen = f->look.nodes.port >= 0;
	store_tell(f);
	if (to_be_served(f))
		store_want(f, STORE_REST);
	return 0;
}

int store_do_rest(struct store_worker *w, struct store_follow *f)
{
	int err = read_rest(w, f);

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
	if (f->look.nodes.port >= 0 || f->look.nodes.bad || store_introduced(w, f->key.domid))
		f->strange = false;
	return !f->strange;
}

int store_do_look(struct store_worker *w, struct store_follow *f)
{
	char *tty = NULL;
	int err = watch(w, f);

	if (!err)
		err = read_service(w, f);
	if (!err && to_be_served(f)) {
		err = read_rest(w, f);
		if (!err)
			err = read_node(w, f, "/tty", &tty);
	}
	if (err == -ESTALE) {
		store_want(f, STORE_LOOK);
		return 0;
	}
	if (err)
		return err;
	free(f->node_tty);
	f->node_tty = tty;
	if (f->look.nodes.port >= 0)
		f->seen = true;
	if (believed(w, f))
		store_tell(f);
	return 0;
}
