/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flag of a page that is ours to write, and its indexes where they are not what we left there.
 */
#ifndef DAEMON_CONSOLE_FLAG_H
#define DAEMON_CONSOLE_FLAG_H

#include "console/held.h"

void console_connect(struct console *c); /* on a port that stands */
void console_assert(struct console *c);	 /* if it does */
/* Only the flag, and only if the page is ours to write: the first phase of a stop. */
void console_flag_down(struct console *c);
void console_broken(struct console *c); /* indexes out of range: resynchronise, or BROKEN_RING is noted */

#endif
