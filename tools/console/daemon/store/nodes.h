/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console's nodes: where they are, and how they are read so that what they say belongs together.
 */
#ifndef DAEMON_STORE_NODES_H
#define DAEMON_STORE_NODES_H

#include "store/ask.h"
#include "store/parse.h"
#include "store/types.h"

#define STORE_PATH 64 /* of any node that is asked for, with its terminator */

/* What was read. It owns name, which nodes.name is to point to when it is told, as nodes.bad_value to bad_value. */
struct store_look {
	struct store_nodes nodes;
	char *name;
	char bad_value[STORE_PRINTABLE + 1];
};

/* leaf "/port" and the like, or "": the directory. Its length. */
size_t store_path(char path[STORE_PATH], const struct store_key *key, const char *leaf);
void store_name_path(char path[STORE_PATH], const struct store_key *key);

/* NULL if there is no such node, which is no error. */
int store_read_leaf(struct store_connection *c, xs_transaction_t t, const struct store_key *key,
		    const char *leaf, char **value);
/* -1 if there is none or it is bad. */
int store_read_port(struct store_connection *c, xs_transaction_t t, const struct store_key *key,
		    int64_t *port);
/* Begin *look anew: port, and whose it is. -ESTALE: it changes under our eyes. */
int store_read_whose(struct store_connection *c, const struct store_key *key, struct store_look *look);
/* Is there a port to be served by us?  If so, the rest is worth reading. */
bool store_ours(const struct store_look *look);
int store_read_rest(struct store_connection *c, struct store_look *look, bool name);
/* With the pointers set: valid as long as look is neither changed nor moved. */
const struct store_nodes *store_nodes_of(struct store_look *look);

#endif
