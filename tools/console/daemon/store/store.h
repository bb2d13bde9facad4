/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What xenstore says, asked on threads of its own.
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
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include <stdbool.h>

#include "store/types.h"

struct loop;
struct store;

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
