/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's whole life, from open handles to exit status.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "options.h"

/*
 * Serve until told to stop.  ready(arg) is called when consoles are about to be served.
 * Returns the exit status, 0 or 1, when a successor may start; what failed has been said.  The pid file, if there
 * is to be one, is the caller's to make; it has been removed.
 */
int daemon_run(const struct options *o, void (*ready)(void *arg), void *arg);

#endif
