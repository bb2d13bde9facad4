/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the loop wakes up for.
 */
#ifndef DAEMON_CONSOLE_WAKE_H
#define DAEMON_CONSOLE_WAKE_H

#include "console/held.h"

void console_wake_init(struct console *c);
void console_wake_env_init(struct console_env *env);

#endif
