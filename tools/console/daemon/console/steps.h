/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the lifecycle's table says is done here.
 */
#ifndef DAEMON_CONSOLE_STEPS_H
#define DAEMON_CONSOLE_STEPS_H

#include "console/held.h"

/* Something happened. */
void console_feed(struct console *c, enum lifecycle_event event);
/* After work outside of an action list: derive the interest, feed what failed. */
void console_settle(struct console *c);

#endif
