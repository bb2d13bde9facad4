/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console's reader: the pty, and what it does not take.
 */
#ifndef DAEMON_CONSOLE_READER_H
#define DAEMON_CONSOLE_READER_H

#include "console/held.h"

void console_tty_lost(struct console *c);
void console_publish(struct console *c);
/* Under keep: what can be taken now and surely kept, so that nothing is lost for want of memory. */
size_t console_keep_room(struct console *c);
void console_room(struct console *c); /* a console that is full may go on if there is room again */
/* To the pty, the rest to the fifo; over: the fifo may exceed its limit by this much. */
void console_to_reader(struct console *c, const char *data, size_t len, size_t over);
void console_trim(struct console *c);  /* to the limit */
void console_shed(struct console *c);  /* an empty fifo holds no memory */
void console_flush(struct console *c); /* from the fifo to the pty, what it takes now */
void console_drop_unread(struct console *c);

#endif
