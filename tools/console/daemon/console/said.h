/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is said of a console, and what went wrong with it.
 */
#ifndef DAEMON_CONSOLE_SAID_H
#define DAEMON_CONSOLE_SAID_H

#include "console/held.h"

/* It is fed when the action list has run to its end. */
void console_fail(struct console *c, enum lifecycle_event event);
/* True if this kind of complaint is due: the first, or ten minutes after the last. */
bool console_may_say(struct console *c, enum console_said kind);
const char *console_label(const struct console *c); /* "console of domain 5 (name)", until the next call */

#endif
