/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest side of a console: its event channel port, its page, and the flag in it.
 *
 * Binding comes first, because it is exclusive: the page is written only while
 * the port is held here, or while nobody can hold it.  So neither a second daemon nor an
 * attach that fails half way ever touches a console that somebody else serves.  The one
 * exception is the flag of a console that QEMU serves: console_on_behalf().
 */
#include "console/guest.h"

#include <errno.h>
#include <string.h>

#include "base/diag.h"
#include "console/bytes.h"
#include "console/flag.h"
#include "console/hot.h"
#include "console/reader.h"
#include "console/said.h"
#include "console/whose.h"

#define BACKOFF_FIRST 200  /* ms */
#define ON_BEHALF_MS 10000 /* a backend that is later than this is found by the slow check */

void console_guest_init(struct console *c)
{
	c->evtchn.local = -1;
	c->bound_port = c->bound_ring_ref = -1;
}

void console_guest_retry(struct console *c, bool slow)
{
	unsigned int ms = c->guest_backoff ? c->guest_backoff : BACKOFF_FIRST;

	if (slow || ms > GUEST_BACKOFF_LAST)
		ms = GUEST_BACKOFF_LAST;
	c->guest_backoff = ms * 2;
	loop_arm(c->env->loop, &c->guest_retry, ms);
}

static void refused(struct console *c, const char *what, const char *hint, int err)
{
	/* Of one that has just died nobody wants to hear. */
	if (!console_is_over(c) && console_may_say(c, SAID_GUEST))
		diag(LOG_WARNING, "%s: cannot %s: %s; %s", console_label(c), what, strerror(-err), hint);
	console_fail(c, EVENT_FAILED_GUEST);
}

static void bind_refused(struct console *c, const char *what, const char *hint, int err)
{
	if (console_elsewhere(c))
		console_fail(c, EVENT_TYPE_OTHER);
	else
		refused(c, what, hint, err);
}

static int map(struct console *c, struct page *page)
{
	return page_map(page, c->env->pages, c->key.domid, c->key.kind == CONSOLE_PRIMARY, c->ring_ref);
}

static void let_go(struct console *c)
{
	c->ring.page = NULL;
	page_unmap(&c->page, c->env->pages);
	evtchn_unbind(c->env->evtchn, &c->evtchn);
	c->bound_port = c->bound_ring_ref = -1;
	c->owed = true; /* what was said on a port whose other end had gone was said to nobody */
	c->lost = c->more = c->full = false;
	console_unqueue(c);
	loop_disarm(c->env->loop, &c->log_wait);
	loop_disarm(c->env->loop, &c->typed);
}

/*
 * A killed predecessor may have queued bytes for the log that it had not yet
 * freed in the ring; they are not to be logged again.  Or it had, and had no time to tell the guest.
 */
static void skip_inherited(struct console *c)
{
	struct log_origin origin = { c->key.domid, c->key.kind, { 0 } };
	uint32_t position;

	if (!c->env->logs)
		return;
	memcpy(origin.handle, c->handle, sizeof(origin.handle));
	if (!logs_inherited(c->env->logs, &origin, &position) || ring_new(&c->ring))
		return;
	ring_skip(&c->ring, position);
	c->owed = true;
}

/* On a mapped page whose port was just bound: this is where the guest learns that it is served. */
static void begin(struct console *c)
{
	console_stood(c);
	if (ring_init(&c->ring, c->page.at)) {
		console_broken(c);
		if (c->failed & 1u << EVENT_BROKEN_RING)
			return;
	}
	skip_inherited(c);
	ring_connect(&c->ring);
	c->guest_backoff = 0;
	if (c->owed)
		evtchn_notify(c->env->evtchn, &c->evtchn);
	c->owed = false;
	console_take(c);
	console_publish(c);
}

void console_attach(struct console *c)
{
	int err;

	if (!c->complete && c->key.kind == CONSOLE_VUART) { /* its frame number follows */
		console_fail(c, EVENT_FAILED_GUEST);
		return;
	}
	err = evtchn_bind(c->env->evtchn, &c->evtchn, c->key.domid, c->port);
	if (err) {
		bind_refused(c, "bind its event channel port",
			     "does another daemon serve it? it is tried again", err);
		return;
	}
	err = map(c, &c->page);
	if (err && c->complete) {
		refused(c, "map its page", "is there a ring-ref in xenstore? it is tried again", err);
	} else if (err) {
		console_fail(c, EVENT_FAILED_GUEST); /* the frame number follows */
	}
	if (!err && console_is_strangers(c)) {
		c->env->stranger(c->env->arg);
		console_fail(c, EVENT_FAILED_GUEST);
		err = -ESRCH;
	}
	if (err) {
		let_go(c);
		return;
	}
	c->bound_port = c->port;
	c->bound_ring_ref = c->ring_ref;
	begin(c);
}

/*
 * A reader who is to lose nothing could not be given any more what is taken at a hand-over, so the successor finds it in
 * the ring; but of a domain that is over there will be none.
 */
void console_detach(struct console *c)
{
	bool leave = c->env->keep_flag && c->env->options->keep && !console_is_over(c);

	if (!leave && console_may_write(c)) {
		ring_remade(&c->ring);
		if (!c->env->keep_flag)
			ring_disconnect(&c->ring);
		console_last_take(c);
	}
	let_go(c);
}

void console_release(struct console *c)
{
	if (console_may_write(c)) {
		ring_remade(&c->ring);
		console_last_take(c);
	}
	let_go(c);
}

/*
 * The new port is bound and its page mapped before the old is let go, and the flag stays as it is.
 * If that cannot be done, FAILED_GUEST detaches. A lost one goes first: the new one may have its number.
 */
static void move_port(struct console *c)
{
	struct evtchn_port port = { .local = -1, .event = c->evtchn.event };
	struct page page = { NULL, PAGE_NONE };
	int err;

	if (c->lost)
		evtchn_unbind(c->env->evtchn, &c->evtchn);
	err = evtchn_bind(c->env->evtchn, &port, c->key.domid, c->port);
	if (err) {
		bind_refused(c, "bind its new event channel port", "it is tried again", err);
		return;
	}
	err = map(c, &page);
	if (err) {
		evtchn_unbind(c->env->evtchn, &port);
		refused(c, "map its page anew", "it is tried again", err);
		return;
	}
	/* The new port is ours, so nobody else is the backend; the old page may be another one. */
	if (console_holds(c) || ring_as_left(&c->ring))
		console_last_take(c);
	let_go(c);
	c->page = page;
	evtchn_adopt(c->env->evtchn, &c->evtchn, &port);
	c->bound_port = c->port;
	c->bound_ring_ref = c->ring_ref;
	begin(c);
}

void console_move(struct console *c)
{
	if (c->lost || c->port != c->bound_port) {
		move_port(c);
	} else {
		console_detach(c);
		console_attach(c);
	}
}

void console_rebind(struct console *c)
{
	int err = evtchn_bind(c->env->evtchn, &c->evtchn, c->key.domid, c->bound_port);

	if (err) {
		bind_refused(c, "bind its event channel port again", "it is tried again", err);
		return;
	}
	console_stood(c);
	evtchn_notify(c->env->evtchn, &c->evtchn); /* the old handle may have taken one with it */
}

/*
 * QEMU does not know the flag, but libxenguest sets DISCONNECTED whoever will serve the page, and a guest that obeys
 * would drop all that it says. The page is another's, so nothing else of it is touched, and it is not kept.
 */
void console_on_behalf(struct console *c)
{
	struct page page = { NULL, PAGE_NONE };
	struct ring ring = { 0 };
	uint32_t peer;

	if (!c->others || c->key.kind != CONSOLE_PRIMARY)
		return;
	if (hyper_port(c->env->hyper, c->key.domid, c->port, &peer) != HYPER_PORT_HELD) {
		if (c->guest_backoff <= ON_BEHALF_MS)
			console_guest_retry(c, false);
		return;
	}
	c->guest_backoff = 0;
	if (peer != c->env->self || map(c, &page))
		return;
	ring.page = page.at;
	if (ring_connect(&ring))
		diag(LOG_DEBUG, "%s: set to connected for the backend that holds it", console_label(c));
	page_unmap(&page, c->env->pages);
}
