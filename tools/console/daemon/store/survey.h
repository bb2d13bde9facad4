/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One synchronous look at all consoles in xenstore, for what happens before the loop runs or without it: noticing a
 * running incumbent, and the one-shots.
 */
#ifndef DAEMON_STORE_SURVEY_H
#define DAEMON_STORE_SURVEY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/types.h"
#include "xen/hyper.h"

/* err: its nodes could not be read, and this is why; then nodes has its key alone. */
typedef bool survey_found(void *arg, const struct hyper_domain *domain, const struct store_nodes *nodes,
			  int err);

/*
 * Call found() for each console of ours (type absent or "xenconsoled") that has a port, and for each whose
 * nodes cannot be read, domids ascending, until it returns false. nodes has port and type, and if complete
 * is wanted all but tty.  0 or -errno: the domains cannot be listed, xenstored is not there or has gone.
 */
int survey(struct hyper *hyper, uint32_t self, bool vuart, bool complete, survey_found *found, void *arg);

/* Our own domid, as xenstored has it for whoever asks; 0 if it does not say. -errno: it is not there. */
int survey_self(uint32_t *self);

#endif
