/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flag without a daemon: --disconnect and --reconnect.
 */
#ifndef DAEMON_ONESHOT_H
#define DAEMON_ONESHOT_H

#include "options.h"

/*
 * For every console whose port nobody holds, write the flag; for --disconnect also empty
 * its ring, once, into the log if guests are logged.
 * Returns the exit status, 0 or 1; what was done or failed has been said.
 */
int oneshot_run(const struct options *o);

#endif
