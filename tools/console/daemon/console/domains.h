/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which domains there are, and their consoles.  xenstore only says that something
 * came or went; the hypervisor's list says what.
 */
#ifndef DAEMON_CONSOLE_DOMAINS_H
#define DAEMON_CONSOLE_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console/console.h"

struct domains;

/* An empty set; env->gone, stranger and arg become this module's.  NULL: no memory. */
struct domains *domains_new(struct console_env *env);
void domains_free(struct domains *d); /* after domains_stop() and its stopped() */

/* List again, at the end of this turn; however often it is asked for, once a turn. */
void domains_refresh(struct domains *d);

/* A snapshot for whom it concerns. */
void domains_nodes(struct domains *d, const struct store_nodes *nodes);

/* The event channel handle was replaced: every console binds anew. */
void domains_rebind(struct domains *d);

#define DOMAINS_STOP_MS 550 /* what readers have in all when the daemon stops */

/*
 * Stop: first every flag, then every last take; readers then have their time.
 * stopped(arg) is called when the last console is gone, perhaps at once.
 */
void domains_stop(struct domains *d, void (*stopped)(void *arg), void *arg);

void domains_report(struct domains *d); /* a line for each console (SIGUSR1) */

#endif
