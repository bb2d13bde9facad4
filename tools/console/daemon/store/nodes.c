/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is read of a console, and in which order: by the workers as by a survey.
 *
 * A toolstack writes a console's nodes in one transaction. So port is read first and
 * type after it: where port was there, a type that was written with it is there too,
 * and no transaction of ours is needed. Only a type that is absent is doubtful, since
 * the directory may have been removed in between: then port is read once more and must
 * say the same. Taking a console for ours that is not would grab it from a device
 * model.
 */
#define _GNU_SOURCE
#include "store/nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

size_t store_path(char path[STORE_PATH], const struct store_key *key, const char *leaf)
{
	const char *dir = key->kind == CONSOLE_VUART ? "vuart/0" : "console";

	return (size_t)snprintf(path, STORE_PATH, "/local/domain/%" PRIu32 "/%s%s", key->domid, dir, leaf);
}

void store_name_path(char path[STORE_PATH], const struct store_key *key)
{
	snprintf(path, STORE_PATH, "/local/domain/%" PRIu32 "/name", key->domid);
}

int store_read_leaf(struct store_connection *c, xs_transaction_t t, const struct store_key *key,
		    const char *leaf, char **value)
{
	char path[STORE_PATH];
	int err;

	store_path(path, key, leaf);
	err = store_read(c, t, path, value);
	return err == -ENOENT ? 0 : err;
}

int store_read_port(struct store_connection *c, xs_transaction_t t, const struct store_key *key,
		    int64_t *port)
{
	char *value;
	int err = store_read_leaf(c, t, key, "/port", &value);

	*port = value ? store_parse_port(value) : -1;
	free(value);
	return err;
}

/* A bad one is noted; the first of several. */
static int read_number(struct store_connection *c, struct store_look *look, const char *leaf,
		       int64_t (*parse)(const char *s), int64_t *number)
{
	char *value;
	int err = store_read_leaf(c, XBT_NULL, &look->nodes.key, leaf, &value);

	*number = value ? parse(value) : -1;
	if (value && *number < 0 && !look->nodes.bad) {
		look->nodes.bad = leaf + 1;
		store_printable(look->bad_value, value);
	}
	free(value);
	return err;
}

int store_read_whose(struct store_connection *c, const struct store_key *key, struct store_look *look)
{
	struct store_nodes *n = &look->nodes;
	int64_t again;
	char *type;
	int err;

	free(look->name);
	*look = (struct store_look){
		.nodes = { .key = *key, .ring_ref = -1, .limit = -1, .tty = STORE_TTY_UNREAD }
	};
	err = read_number(c, look, "/port", store_parse_port, &n->port);
	if (err || n->port < 0)
		return err;
	err = store_read_leaf(c, XBT_NULL, key, "/type", &type);
	if (err)
		return err;
	n->type = store_parse_type(type);
	if (!type) {
		err = store_read_port(c, XBT_NULL, key, &again);
		if (!err && again != n->port)
			err = -ESTALE;
	}
	free(type);
	return err;
}

bool store_ours(const struct store_look *look)
{
	return look->nodes.port >= 0 && look->nodes.type == STORE_TYPE_OURS;
}

int store_read_rest(struct store_connection *c, struct store_look *look, bool name)
{
	struct store_nodes *n = &look->nodes;
	char path[STORE_PATH];
	int err = read_number(c, look, "/ring-ref", store_parse_ring_ref, &n->ring_ref);

	if (!err)
		err = read_number(c, look, "/limit", store_parse_limit, &n->limit);
	if (!err && name) {
		free(look->name);
		store_name_path(path, &n->key);
		err = store_read(c, XBT_NULL, path, &look->name);
		if (err == -ENOENT)
			err = 0;
	}
	n->complete = !err;
	return err;
}

const struct store_nodes *store_nodes_of(struct store_look *look)
{
	look->nodes.name = look->name;
	look->nodes.bad_value = look->nodes.bad ? look->bad_value : NULL;
	return &look->nodes;
}
