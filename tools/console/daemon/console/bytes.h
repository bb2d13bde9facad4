/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A byte's journey, both ways.
 */
#ifndef DAEMON_CONSOLE_BYTES_H
#define DAEMON_CONSOLE_BYTES_H

#include "console/held.h"

void console_take(struct console *c);
void console_last_take(struct console *c);
void console_type(struct console *c);	    /* from the pty to the guest */
void console_typed_look(struct console *c); /* its timer, which is the owner's, fires */
void console_interest(struct console *c);

#endif
