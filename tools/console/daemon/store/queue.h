/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the loop and the workers' threads meet: who has to be told what, and what is to be done.
 */
#ifndef DAEMON_STORE_QUEUE_H
#define DAEMON_STORE_QUEUE_H

#include "store/threads.h"

/* Those named _locked want store->lock held. */
void store_wake(int eventfd);
struct store_follow **store_find_locked(struct store *st, const struct store_key *key); /* in its chain */
void store_want_locked(struct store_follow *f, enum store_work kind);
void store_want(struct store_follow *f, enum store_work kind);
/* What to do next, its bit cleared, or NULL.  Without a connection nothing but forgetting can be done. */
struct store_follow *store_take(struct store_worker *w, enum store_work *kind);
void store_done(struct store_worker *w); /* with what it took */
bool store_idle_locked(struct store_worker *w);
bool store_publishing_locked(const struct store *st); /* are there any that may wait? */
void store_rest(struct store_follow *f, enum store_work kind);
void store_rested(struct store_worker *w);
/* Is tty empty, so that somebody may wait for it?  settled: it is not to be written. */
void store_rank(struct store_follow *f, bool blank, bool settled);
void store_tell(struct store_follow *f);
void store_tell_domains(struct store *st);
void store_follow_free(struct store_follow *f);
void store_destroy(struct store *st);

#endif
