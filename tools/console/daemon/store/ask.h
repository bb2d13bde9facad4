/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A connection to xenstored, and single requests over it. Whoever asks waits for the answer.
 */
#ifndef DAEMON_STORE_ASK_H
#define DAEMON_STORE_ASK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <xenstore.h>

struct store_connection {
	struct xs_handle *xs;  /* NULL: not connected */
	int fd;		       /* xs's socket, for store_close(), */
	ino_t inode;	       /* if this is its inode; 0: not known */
	bool lost;	       /* xs is of no use any more */
	_Atomic int64_t asked; /* when the request that is under way was made; 0: none is */
};

int64_t store_now(void); /* CLOCK_MONOTONIC in ms */

/* 0 or -errno, also for those below: as xenstored answered, or -ENOTCONN, with c->lost set, if it did not. */
int store_open(struct store_connection *c);
void store_close(struct store_connection *c);
/* A connection to xenstored's socket that says nothing, and is hung up when xenstored goes: its descriptor. */
int store_knock(const char *path);
bool store_probe(struct store_connection *c); /* false: c->lost */
/* To be freed.  NULs inside have become \1, which no value that means anything has. */
int store_read(struct store_connection *c, xs_transaction_t t, const char *path, char **value);
int store_write(struct store_connection *c, xs_transaction_t t, const char *path, const char *value);
int store_begin(struct store_connection *c, xs_transaction_t *t);
int store_end(struct store_connection *c, xs_transaction_t t, bool commit); /* -EAGAIN: do it all again */
int store_watch(struct store_connection *c, const char *path, const char *token);
int store_unwatch(struct store_connection *c, const char *path, const char *token);
/* False may also mean that the request failed; who asks must take the safe side then. */
bool store_introduced(struct store_connection *c, uint32_t domid);

#endif
