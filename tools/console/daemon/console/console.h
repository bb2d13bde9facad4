/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One guest's console, where bytes move between its page, its log and its reader.
 */
#ifndef DAEMON_CONSOLE_CONSOLE_H
#define DAEMON_CONSOLE_CONSOLE_H

#include "console/held.h"

/* options and loop must be set; the rest is the owner's to fill in. */
void console_env_init(struct console_env *env);
void console_env_fini(struct console_env *env);

/* A console that holds nothing yet; NULL: no memory. */
struct console *console_new(struct console_env *env, const struct store_key *key, const uint8_t handle[16]);

/* In STATE_GONE or STATE_IDLE only. */
void console_free(struct console *c);

/* A snapshot of its nodes. */
void console_nodes(struct console *c, const struct store_nodes *nodes);

/*
 * The slow check, every ten seconds or so, and when its domain has shut down: what nobody tells. Has the guest closed
 * its end of the port, or printed or read without an event? Has somebody set the flag, or hung the tty up?
 */
void console_check(struct console *c);

/* The same, if the flag does not read CONNECTED: a glance at the page, to be cast at many. */
void console_glance(struct console *c);

/* The toolstack gave the living domain another handle. */
void console_set_handle(struct console *c, const uint8_t handle[16]);

/* One line about it to the log (SIGUSR1). */
void console_report(struct console *c);

#endif
