/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host side of a console: its pty and its log opened and closed, and how long its readers have at its end.
 */
#include "console/host.h"

#include <string.h>

#include "base/diag.h"
#include "console/claims.h"
#include "console/reader.h"
#include "console/said.h"

#define BACKOFF_FIRST 500 /* ms */
#define BACKOFF_LAST 8000
#define DRAIN_POLL_MS 10  /* while it gets on, and */
#define DRAIN_FAST_MS 100 /* this long after; then */
#define DRAIN_SLOW_MS 100

/* How long readers of a dying domain may take: in all, and without progress; and when the daemon stops. */
#define DRAIN_MS 5000
#define DRAIN_STILL_MS 1000
#define DRAIN_STILL_STOPPING_MS 250

void console_host_init(struct console *c)
{
	pty_init(&c->pty);
	link_init(&c->waits);
	c->lost_tty = -1;
	c->tty.fd = -1;
	fifo_init(&c->fifo, &c->fifo_pos, NULL, 0);
	lines_init(&c->lines, c->env->options->stamp_guest, c->env->options->replace_escape);
}

static int open_log(struct console *c)
{
	struct log_origin origin = { c->key.domid, c->key.kind, { 0 } };
	int err;

	if (c->log || !c->env->logs)
		return 0;
	memcpy(origin.handle, c->handle, sizeof(origin.handle));
	/* Until the name is known bytes wait in the queue for it. */
	err = log_new(&c->log, c->env->logs, &origin, *c->file ? c->file : NULL,
		      c->env->options->stamp_guest);
	if (!err && c->unlogged) {
		log_lose(c->log, c->unlogged, c->ring.out_cons);
		c->unlogged = 0;
	}
	return err;
}

void console_open(struct console *c)
{
	int tty_err = console_open_tty(c);
	int log_err = open_log(c);

	if (!tty_err && !log_err) {
		c->host_backoff = 0;
		loop_disarm(c->env->loop, &c->host_retry);
		return;
	}
	if (console_may_say(c, SAID_HOST))
		diag(LOG_WARNING,
		     "%s: cannot open %s: %s; its output is taken all the same, and it is tried again",
		     console_label(c), tty_err ? "a pty" : "its log",
		     strerror(tty_err ? -tty_err : -log_err));
	console_fail(c, EVENT_FAILED_HOST);
}

void console_host_retry(struct console *c)
{
	unsigned int ms = c->host_backoff ? c->host_backoff : BACKOFF_FIRST;

	c->host_backoff = ms * 2 > BACKOFF_LAST ? BACKOFF_LAST : ms * 2;
	loop_arm(c->env->loop, &c->host_retry, ms);
}

void console_deadline(struct console *c)
{
	int64_t now = loop_now(c->env->loop);

	c->drain_end = now + DRAIN_MS;
	c->drain_progress = now;
	c->drain_left = 0;
	loop_arm(c->env->loop, &c->deadline, 0);
}

void console_close(struct console *c)
{
	loop_disarm(c->env->loop, &c->host_retry);
	loop_disarm(c->env->loop, &c->deadline);
	loop_disarm(c->env->loop, &c->guest_retry);
	console_tty_lost(c);
	console_drop_unread(c);
	log_free(c->log);
	c->log = NULL;
	c->guest_backoff = 0;
}

bool console_drained(struct console *c, enum lifecycle_event *event)
{
	int64_t now = loop_now(c->env->loop);
	size_t left = fifo_used(&c->fifo) + pty_unread(&c->pty);
	int64_t still = c->env->stopping ? DRAIN_STILL_STOPPING_MS : DRAIN_STILL_MS;
	int64_t end = c->drain_end;

	if (c->env->stopping && c->env->stop_end < end)
		end = c->env->stop_end;
	if (left != c->drain_left) {
		c->drain_left = left;
		c->drain_progress = now;
	}
	*event = left ? EVENT_DEADLINE : EVENT_FLUSHED;
	if (!left || now >= end || now - c->drain_progress >= still)
		return true;
	loop_arm(c->env->loop, &c->deadline,
		 now - c->drain_progress > DRAIN_FAST_MS ? DRAIN_SLOW_MS : DRAIN_POLL_MS);
	return false;
}
