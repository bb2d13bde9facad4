/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is written. For a worker's thread.
 */
#ifndef DAEMON_STORE_TTY_H
#define DAEMON_STORE_TTY_H

#include "store/threads.h"

/* Whole pieces of work; 0, or -errno: to be done again. */
int store_do_tty(struct store_worker *w, struct store_follow *f);
int store_do_publish(struct store_worker *w, struct store_follow *f);

#endif
