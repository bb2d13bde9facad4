/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest side of a console. All of it is idempotent and accepts what is half there.
 */
#ifndef DAEMON_CONSOLE_GUEST_H
#define DAEMON_CONSOLE_GUEST_H

#include "console/held.h"

void console_guest_init(struct console *c);
void console_attach(struct console *c);
void console_detach(struct console *c);
void console_release(struct console *c);
void console_move(struct console *c);
void console_rebind(struct console *c);
void console_on_behalf(struct console *c);
void console_guest_retry(struct console *c, bool slow);

#endif
