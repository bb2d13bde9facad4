/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Floor 3: one synchronous look at all consoles in xenstore, for what happens before the loop runs or without it: noticing a
 * running incumbent, and the one-shots.
 */
#ifndef DAEMON_SURVEY_H
#define DAEMON_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "hyper.h"
#include "store.h"

typedef bool survey_found(void *arg, const struct hyper_domain *domain, const struct store_nodes *nodes);

/*
 * Call found() for each console of ours (type absent or "xenconsoled") that has a
 * port, domids ascending, until it returns false. nodes has port and type, and if complete is wanted
 * all but tty.  0 or -errno: the domains cannot be listed, xenstored is not there.
 */
int survey(struct hyper *hyper, uint32_t self, bool vuart, bool complete, survey_found *found, void *arg);

/* Our own domid, as /tool/xenconsoled/domid has it; 0 without. -errno: xenstored is not there. */
int survey_self(uint32_t *self);

#endif
