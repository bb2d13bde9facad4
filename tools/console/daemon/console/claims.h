/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a console's tty is opened, and which numbers it may have.
 */
#ifndef DAEMON_CONSOLE_CLAIMS_H
#define DAEMON_CONSOLE_CLAIMS_H

#include "console/held.h"

void console_claims_init(struct console_env *env);
void console_claims_fini(struct console_env *env);
/* From now on ttys are opened at once. One that waits for its own, or NULL. For the task open_ttys, which is the owner's. */
struct console *console_next_waiting(struct console_env *env);
/* The timer claims_end, likewise the owner's, has fired. */
void console_claims_late(const struct console_env *env);

int console_open_tty(struct console *c);	    /* or it is opened later; -errno */
void console_close_tty(struct console *c);	    /* idempotent */
void console_claim(struct console *c, long number); /* its tty was this, as xenstore says; -1: it had none */

/* It was found at the start: its former tty is waited for. */
void console_found(struct console *c);
/* And is not any more: it has none, or its domain has gone. Idempotent. */
void console_claimed(struct console *c);
/* All those have been named: when each is claimed, or some seconds have gone, ttys are opened. */
void console_all_found(struct console_env *env);

#endif
