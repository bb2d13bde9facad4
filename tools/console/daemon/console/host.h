/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host side of a console: its pty, its log, its deadline.
 */
#ifndef DAEMON_CONSOLE_HOST_H
#define DAEMON_CONSOLE_HOST_H

#include "console/held.h"

void console_host_init(struct console *c);
void console_open(struct console *c);
void console_close(struct console *c);
void console_host_retry(struct console *c);
void console_deadline(struct console *c); /* arms its timer, which is the owner's */
/* When that fires: is it over, and how? Else it is armed again. */
bool console_drained(struct console *c, enum lifecycle_event *event);

#endif
