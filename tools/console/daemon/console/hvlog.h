/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hypervisor's own console ring into hypervisor.log: first all that is there and no predecessor
 * has taken since Xen started, then on each VIRQ_CON_RING what is new, within the daemon's share of the processor.
 */
#ifndef DAEMON_CONSOLE_HVLOG_H
#define DAEMON_CONSOLE_HVLOG_H

#include <stdint.h>

#include "base/loop.h"
#include "base/share.h"
#include "options.h"
#include "output/lines.h"
#include "output/logfile.h"
#include "xen/evtchn.h"
#include "xen/hyper.h"

struct hvlog {
	struct loop *loop;
	struct share *share;
	struct evtchn *evtchn;
	struct hyper *hyper;
	struct log *log;
	struct lines lines;
	struct evtchn_port port;
	struct loop_task turn;
	struct loop_timer retry;  /* the share was used up, the queue full, or the read or the bind failed */
	uint32_t index;		  /* in Xen's ring */
	int said_read, said_bind; /* -errno last complained of */
};

/* Begin.  0 or -errno: nothing is held then. */
int hvlog_init(struct hvlog *h, const struct options *options, struct loop *loop, struct share *share,
	       struct evtchn *evtchn, struct hyper *hyper, struct logs *logs);
void hvlog_fini(struct hvlog *h); /* after a last read; harmless if h is all zeroes */

/* The event channel handle was replaced. */
void hvlog_rebind(struct hvlog *h);

#endif
