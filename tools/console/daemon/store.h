/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Floor 2: what xenstore says, asked on threads of its own.
 *
 * libxenstore blocks for as long as xenstored does, and never tells that
 * xenstored is gone.  So the loop asks nothing directly: it follows consoles,
 * and gets snapshots of their nodes when they matter.  Workers own the
 * connections; one that says nothing tells when xenstored goes, and a heartbeat finds
 * one that hangs; reconnecting puts the watches right and looks at everything again.
 *
 * All functions are for the loop's thread.  None of them waits for xenstored,
 * but for store_new() and store_free(), which say how long.
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct store;

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

/*
 * Connect and start the first worker. Callbacks run in the loop. names: ask for and
 * watch domains' names too (they cost requests, and only guest logs need them). 0 or
 * -errno: xenstored is not there (ENOENT, ECONNREFUSED ...) or has not answered for 10
 * s (ETIMEDOUT), no thread, no memory.
 */
int store_new(struct store **store, struct loop *loop, const struct store_events *events, void *arg,
	      bool names);

/*
 * End the workers; those that a stopped xenstored holds are left behind.  Waits at most ms.
 * store may be NULL.
 */
void store_free(struct store *store, int ms);

/*
 * Watch the console's directory and deliver a snapshot now (incomplete first, then
 * complete) and after each change, until store_forget(). Changes that come in a burst
 * make one snapshot, and one that has not been delivered yet gives way to a newer one.
 * found: with many others at the start, so that nobody is known to wait for it; those
 * that come later go before it. 0 or -ENOMEM.
 *
 * A xenstored that was restarted may have come back empty, which says nothing about a
 * guest that runs: for a console that was followed before, nodes that are absent are
 * delivered only when the new xenstored has been seen to know the console or the
 * domain; until then nothing is, and the console is best served on.
 */
int store_follow(struct store *store, const struct store_key *key, bool found);
void store_forget(struct store *store, const struct store_key *key);

/*
 * Write tty if port is still what the node says and the console ours; if it has gone
 * by then, nothing is written. Cheap to ask at each snapshot: no request is made if the
 * node is known to say so already. Asked again, a newer request replaces an older one. A
 * snapshot follows if nothing was written because the console is another one. What
 * nobody is known to wait for gives way to all else. 0 or -ENOMEM.
 */
int store_publish(struct store *store, const struct store_key *key, int64_t port, const char *tty);

/* Answering at present, as far as is known: seldom wrong for more than 10 s. Told in the report. */
bool store_up(const struct store *store);

#endif
