/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has to wait when guests say more than their turn allows.
 */
#ifndef DAEMON_CONSOLE_HOT_H
#define DAEMON_CONSOLE_HOT_H

#include "console/held.h"

/* An event of its port: true if it is to be visited now; else it has its turn. */
bool console_has_turn(struct console *c);
void console_heat(struct console *c, size_t bytes); /* a visit that moved so many */
void console_queue(struct console *c);		    /* a later turn; idempotent */
void console_unqueue(struct console *c);	    /* idempotent */

/*
 * For the task hot_turn, which is the owner's: whose turn it is in this slice, taken from the queue; NULL when the slice is
 * over, and then the next one is seen to.
 */
struct console *console_next_turn(struct console_env *env);
void console_hot_init(struct console_env *env);
void console_hot_fini(struct console_env *env);

#endif
