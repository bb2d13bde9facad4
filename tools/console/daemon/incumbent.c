/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An incumbent takes no lock of ours, but it holds its guests' ports, and its name is known.  A guest
 * can make its own port look held, too: that alone must not keep us from serving the others.
 */
#include "incumbent.h"

#include <errno.h>
#include <stdbool.h>

#include <xen/xen.h>

#include "base/diag.h"
#include "base/lock.h"
#include "store/survey.h"

#define SAMPLE 16 /* consoles looked at */

struct sample {
	struct hyper *hyper;
	uint32_t self;
	unsigned int seen, held;
};

/* One whose nodes cannot be read is tried again by the store, which also says so. */
static bool sample_port(void *arg, const struct hyper_domain *domain, const struct store_nodes *nodes,
			int err)
{
	struct sample *s = arg;
	uint32_t peer;
	int port;

	if (err)
		return true;
	port = hyper_port(s->hyper, domain->domid, nodes->port, &peer);
	if ((port == HYPER_PORT_HELD || port == HYPER_PORT_FREE) && peer != s->self)
		return true; /* another domain's console */
	s->seen++;
	s->held += port == HYPER_PORT_HELD;
	return s->seen < SAMPLE;
}

/* Where there is no guest to hold a port of, an incumbent that logs Xen's messages holds their VIRQ. */
static bool virq_held(struct evtchn *evtchn)
{
	struct evtchn_port port = { .local = -1 };
	int err = evtchn_bind_virq(evtchn, &port, VIRQ_CON_RING);

	evtchn_unbind(evtchn, &port);
	return err == -EEXIST;
}

int incumbent_check(struct hyper *hyper, struct evtchn *evtchn, uint32_t self)
{
	struct sample s = { .hyper = hyper, .self = self };
	int err = survey(hyper, self, false, false, sample_port, &s);

	if (err)
		return err;
	if (s.seen ? !s.held : !virq_held(evtchn))
		return 0;
	if (!lock_namesake_runs()) {
		diag(LOG_WARNING, "somebody holds %u of %u guests' consoles; they are tried again", s.held,
		     s.seen);
		return 0;
	}
	if (s.seen)
		diag(LOG_ERR, "another console daemon holds %u of %u guests' consoles; stop it first", s.held,
		     s.seen);
	else
		diag(LOG_ERR, "another console daemon holds the hypervisor's console; stop it first");
	return -EBUSY;
}
