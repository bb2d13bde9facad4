/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same nodes that store.c follows, read once and in order, by whoever has
 * nothing better to do than wait for xenstored.
 */
#include "survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <xenstore.h>

#include "store-parse.h"

/* A node below the domain's directory. Absence alone is no error, and leaves *value NULL. */
static int read_node(struct xs_handle *xs, uint32_t domid, const char *dir, const char *node, char **value)
{
	char path[96];

	snprintf(path, sizeof(path), "/local/domain/%" PRIu32 "/%s%s", domid, dir, node);
	errno = 0;
	*value = xs_read(xs, XBT_NULL, path, NULL);
	if (*value || errno == ENOENT)
		return 0;
	return errno ? -errno : -EIO;
}

static int read_number(struct xs_handle *xs, uint32_t domid, const char *dir, const char *node,
		       int64_t (*parse)(const char *s), int64_t *number)
{
	char *value;
	int err = read_node(xs, domid, dir, node, &value);

	*number = value ? parse(value) : -1;
	free(value);
	return err;
}

static int look_further(struct xs_handle *xs, const char *dir, struct store_nodes *nodes)
{
	int err = read_number(xs, nodes->key.domid, dir, "ring-ref", store_parse_ring_ref, &nodes->ring_ref);

	if (!err)
		err = read_number(xs, nodes->key.domid, dir, "limit", store_parse_limit, &nodes->limit);
	if (!err)
		err = read_node(xs, nodes->key.domid, "", "name", (char **)&nodes->name);
	nodes->complete = !err;
	return err;
}

/* Port first, then type, and where there is none, port again: store-look.c says why. */
static int look_whose(struct xs_handle *xs, const char *dir, struct store_nodes *nodes)
{
	int err = read_number(xs, nodes->key.domid, dir, "port", store_parse_port, &nodes->port);
	int64_t port = nodes->port;
	char *type;

	if (err || port < 0)
		return err;
	err = read_node(xs, nodes->key.domid, dir, "type", &type);
	if (!err && !type)
		err = read_number(xs, nodes->key.domid, dir, "port", store_parse_port, &nodes->port);
	if (nodes->port != port)
		nodes->port = -1; /* it is about to go, or to come */
	nodes->type = store_parse_type(type);
	free(type);
	return err;
}

/* 1: go on, 0: it was enough, or -errno. */
static int look(struct xs_handle *xs, const struct hyper_domain *domain, enum console_kind kind,
		bool complete, survey_found *found, void *arg)
{
	static const char *const dirs[] = { [CONSOLE_PRIMARY] = "console/", [CONSOLE_VUART] = "vuart/0/" };
	struct store_nodes nodes = { .key = { domain->domid, kind, 0 }, .ring_ref = -1, .limit = -1 };
	int err = look_whose(xs, dirs[kind], &nodes), on = 1;

	if (err || nodes.port < 0 || nodes.type != STORE_TYPE_OURS)
		return err ? err : 1;
	if (complete)
		err = look_further(xs, dirs[kind], &nodes);
	if (!err)
		on = found(arg, domain, &nodes);
	free((char *)nodes.name);
	return err ? err : on;
}

int survey(struct hyper *hyper, uint32_t self, bool vuart, bool complete, survey_found *found, void *arg)
{
	struct hyper_domain *list;
	struct xs_handle *xs;
	ssize_t n = hyper_list(hyper, 1, &list);
	int on = 1;

	if (n < 0)
		return n;
	xs = xs_open(0);
	if (!xs) {
		int err = errno ? -errno : -EIO;

		free(list);
		return err;
	}
	for (ssize_t i = 0; i < n && on > 0; i++) {
		if (list[i].dying || list[i].domid == self)
			continue;
		on = look(xs, &list[i], CONSOLE_PRIMARY, complete, found, arg);
		if (on > 0 && vuart)
			on = look(xs, &list[i], CONSOLE_VUART, complete, found, arg);
	}
	xs_close(xs);
	free(list);
	return on < 0 ? on : 0;
}

int survey_self(uint32_t *self)
{
	struct xs_handle *xs = xs_open(0);
	unsigned long domid;
	char *value, *end;

	if (!xs)
		return errno ? -errno : -ENOENT;
	*self = 0;
	errno = 0;
	value = xs_read(xs, XBT_NULL, "/tool/xenconsoled/domid", NULL);
	if (!value && errno != ENOENT) {
		int err = errno ? -errno : -EIO;

		xs_close(xs);
		return err;
	}
	if (value) {
		domid = strtoul(value, &end, 10);
		if (end != value && !*end && domid < 0x7ff0)
			*self = domid;
	}
	free(value);
	xs_close(xs);
	return 0;
}
