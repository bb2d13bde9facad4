/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same nodes that the store follows, read once and in order by the same rules, by
 * whoever has nothing better to do than wait for xenstored.
 */
#include "store/survey.h"

#include <errno.h>
#include <stdlib.h>

#include "store/nodes.h"
#include "store/way.h"

#define CHANGES 5 /* of a console under the eyes of whoever looks at it, until it counts as unreadable */

static int open_store(struct store_connection *c)
{
	char socket[STORE_SOCKET];

	store_way(socket);
	return store_open(c);
}

/* 1: go on, 0: it was enough, or -errno. */
static int look(struct store_connection *c, const struct hyper_domain *domain, enum console_kind kind,
		bool complete, survey_found *found, void *arg)
{
	struct store_key key = { domain->domid, kind, 0 };
	struct store_look look = { .name = NULL };
	int err = -ESTALE, on = 1;

	for (int i = 0; i < CHANGES && err == -ESTALE; i++) /* it is about to go, or to come */
		err = store_read_whose(c, &key, &look);
	if (!err && complete && store_ours(&look))
		err = store_read_rest(c, &look, true);
	if (c->lost)
		on = -ENOTCONN;
	else if (err || store_ours(&look))
		on = found(arg, domain, store_nodes_of(&look), err);
	free(look.name);
	return on;
}

int survey(struct hyper *hyper, uint32_t self, bool vuart, bool complete, survey_found *found, void *arg)
{
	struct store_connection c = { .xs = NULL };
	struct hyper_domain *list;
	ssize_t n = hyper_list(hyper, 1, &list);
	int on;

	if (n < 0)
		return n;
	on = open_store(&c);
	if (!on)
		on = 1;
	for (ssize_t i = 0; i < n && on > 0; i++) {
		if (list[i].dying || list[i].domid == self)
			continue;
		on = look(&c, &list[i], CONSOLE_PRIMARY, complete, found, arg);
		if (on > 0 && vuart)
			on = look(&c, &list[i], CONSOLE_VUART, complete, found, arg);
	}
	store_close(&c);
	free(list);
	return on < 0 ? on : 0;
}

int survey_self(uint32_t *self)
{
	struct store_connection c = { .xs = NULL };
	unsigned long domid;
	char *value = NULL, *end;
	int err = open_store(&c);

	if (err)
		return err;
	*self = 0;
	err = store_read(&c, XBT_NULL, "domid", &value);
	if (value) {
		domid = strtoul(value, &end, 10);
		if (end != value && !*end && domid < 0x7ff0)
			*self = domid;
	}
	free(value);
	store_close(&c);
	return err == -ENOENT ? 0 : err;
}
