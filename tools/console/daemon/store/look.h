/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is watched and looked at. For a worker's thread.
 */
#ifndef DAEMON_STORE_LOOK_H
#define DAEMON_STORE_LOOK_H

#include "store/threads.h"

void store_event(struct store_worker *w, const char *path, const char *token);

/* Whole pieces of work; 0, or -errno: to be done again. */
int store_do_forget(struct store_worker *w, struct store_follow *f);
int store_do_service(struct store_worker *w, struct store_follow *f);
int store_do_look(struct store_worker *w, struct store_follow *f);
int store_do_rest(struct store_worker *w, struct store_follow *f);

#endif
