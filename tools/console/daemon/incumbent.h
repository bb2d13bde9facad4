/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does another console daemon, one that knows nothing of our lock, serve this host?
 */
#ifndef DAEMON_INCUMBENT_H
#define DAEMON_INCUMBENT_H

#include <stdint.h>

#include "xen/evtchn.h"
#include "xen/hyper.h"

/*
 * Before the loop runs; self is our own domid.  0: none, or only somebody who holds a few consoles, which is
 * said.  -EBUSY: there is one, which is said.  Another -errno: xenstore or the domains cannot be looked at.
 */
int incumbent_check(struct hyper *hyper, struct evtchn *evtchn, uint32_t self);

#endif
