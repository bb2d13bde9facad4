/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is asked of xenstore, and what comes back.
 */
#ifndef DAEMON_STORE_TYPES_H
#define DAEMON_STORE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

enum console_kind {
	CONSOLE_PRIMARY, /* /local/domain/N/console */
	CONSOLE_VUART,	 /* /local/domain/N/vuart/0, where the architecture has one */
};

enum store_type {
	STORE_TYPE_OURS,  /* "xenconsoled", or absent: xenopsd writes none */
	STORE_TYPE_OTHER, /* another backend's, as "ioemu" is QEMU's */
};

/* Who is followed.  cookie tells incarnations of a domid apart; chosen by the follower, never reused. */
struct store_key {
	uint32_t domid;
	enum console_kind kind;
	uint64_t cookie;
};

/* Of store_nodes.tty: it names no pty; it has not been read yet. */
#define STORE_NO_TTY (-1)
#define STORE_TTY_UNREAD (-2)

/*
 * The nodes of one console. Strings live until the callback returns. Of tty they say
 * little: store_publish() sees to it that the node is right, and a node that others
 * change comes as a snapshot like any other change.
 */
struct store_nodes {
	struct store_key key;
	bool complete; /* false: only port and type were asked; if it is to be served, the rest follows */
	int64_t port;  /* the guest's event channel port, 1 to 2^31-1; -1: absent or bad */
	enum store_type type;
	int64_t ring_ref; /* a GFN, 0 to 2^52; -1: absent or bad */
	int64_t limit;	  /* bytes, 0 to 2^40; -1: absent or bad */
	long tty;	  /* N, where tty is "/dev/pts/N" at the first look; STORE_NO_TTY, STORE_TTY_UNREAD */
	const char *name; /* of the domain; NULL: absent or not asked for */
	const char *bad;  /* NULL, or a node whose value could not be used, "port" ... */
	const char *bad_value; /* and its value, made printable and cut */
};

struct store_events {
	/*
	 * A domain came or went, or xenstored came back: list the domains again. Once
	 * soon after store_new() too.
	 */
	void (*domains)(void *arg);
	/* Neither it nor domains may call store_free(). */
	void (*nodes)(void *arg, const struct store_nodes *nodes);
};

#endif
