/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One event channel handle for everything, from local port to owner in
 * one step.  A port that was delivered stays masked until evtchn_unmask(): not
 * unmasking is how a guest is throttled.
 *
 * Entries for an unbound port may still come, and ports are reused, so
 * events of unknown ports are ignored.  A handle that fails for good (EFBIG: its ring overflowed) is
 * replaced, and the owners are told to bind anew.
 */
#ifndef DAEMON_XEN_EVTCHN_H
#define DAEMON_XEN_EVTCHN_H

#include <stdbool.h>
#include <stdint.h>

#include <xenevtchn.h>

#include "base/loop.h"

struct evtchn;

/* One bound port, embedded in its owner. */
struct evtchn_port {
	int64_t local;				 /* -1: not bound */
	void (*event)(struct evtchn_port *port); /* the port is masked until evtchn_unmask() */
};

/*
 * Open the handle.  lost(arg) is called, in the loop, when it was replaced: every port is then unbound and its owner
 * must bind again.  0 or -errno.
 */
int evtchn_new(struct evtchn **e, struct loop *loop, void (*lost)(void *arg), void *arg);
void evtchn_free(struct evtchn *e);

/* Bind to a domain's port; exclusive. event must be set.  0 or -errno (EINVAL: nobody offers it, or somebody holds it). */
int evtchn_bind(struct evtchn *e, struct evtchn_port *port, uint32_t domid, uint32_t remote);
int evtchn_bind_virq(struct evtchn *e, struct evtchn_port *port, unsigned int virq);
/* The binding of from becomes that of to, which must be unbound; events go to to->event from now on. */
void evtchn_adopt(struct evtchn *e, struct evtchn_port *to, struct evtchn_port *from);
void evtchn_unbind(struct evtchn *e, struct evtchn_port *port); /* idempotent */

void evtchn_notify(struct evtchn *e, struct evtchn_port *port);
void evtchn_unmask(struct evtchn *e, struct evtchn_port *port);

#endif
