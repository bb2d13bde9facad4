/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flag of a page that is ours to write, and its indexes where they are not what we left there.
 */
#include "console/flag.h"

#include "base/diag.h"
#include "console/said.h"
#include "console/whose.h"

#define RESYNC_MS 1000

/* Whoever took the flag may have made the page anew: go on from the indexes that are there now. */
void console_connect(struct console *c)
{
	if (c->ring.connected && ring_flag(&c->ring) == XENCONSOLE_CONNECTED)
		return;
	ring_remade(&c->ring);
	if (ring_connect(&c->ring))
		diag(LOG_DEBUG, "%s: the flag had gone, set to connected again", console_label(c));
}

void console_assert(struct console *c)
{
	if (c->page.at && console_holds(c))
		console_connect(c);
}

void console_flag_down(struct console *c)
{
	if (!lifecycle_attached(c->state) || c->env->keep_flag || !console_may_write(c))
		return;
	ring_remade(&c->ring);
	ring_disconnect(&c->ring);
}

/*
 * Nothing is stored after a check has failed.  A page that a builder, a restore or a
 * resuming guest has cleared is in range by itself: go on from there, though not more
 * often than once a second, or a guest could make us its clock.
 */
void console_broken(struct console *c)
{
	const volatile struct xencons_interface *p = c->ring.page;
	int64_t now = loop_now(c->env->loop);

	if ((!c->resynced || now - c->resynced >= RESYNC_MS) && ring_resync(&c->ring)) {
		c->resynced = now ? now : 1;
		diag(LOG_DEBUG, "%s: its ring was cleared; going on from there", console_label(c));
		return;
	}
	if (console_may_say(c, SAID_RING))
		diag(LOG_WARNING,
		     "%s: ring indexes out of range (out %u to %u, in %u to %u, ours out %u, in %u); "
		     "fenced off, looked at again every %d s",
		     console_label(c), p->out_cons, p->out_prod, p->in_cons, p->in_prod, c->ring.out_cons,
		     c->ring.in_prod, GUEST_BACKOFF_LAST / 1000);
	console_fail(c, EVENT_BROKEN_RING);
}
