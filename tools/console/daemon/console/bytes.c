/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A byte's journey.  Out: copied from the ring, filtered into the log's queue, handed to the
 * reader or kept for him; only then is its place in the ring given back, and the
 * guest notified.  In: read from the pty, at most what the ring has room for, put, notified.
 *
 * Nobody waits for anybody: a reader that is slow has a fifo (and, under --overflow-data=keep, holds his own
 * guest), a guest that floods has its turn and then the next one has.  A log whose writer stands still
 * drops; but while he gets on, a guest that prints faster than he writes has its output left in the
 * ring for that long, so that a healthy disk costs no log a byte.
 * What the loop shall wake up for is derived afresh from what is held after every step.
 */
#include "console/bytes.h"

#include <errno.h>
#include <sys/epoll.h>

#include "console/flag.h"
#include "console/hot.h"
#include "console/reader.h"
#include "console/said.h"
#include "console/whose.h"

/* What one console may take in a turn, then the next has its turn: who fills a ring is looked at again soon. */
#define TURN RING_OUT_SIZE
/* Up to here a log's queue has room for a take, even if each byte is a line of its own, and stamped. */
#define LOG_HIGH (LOG_QUEUE_SIZE - RING_OUT_SIZE * (LINES_STAMP_LEN + 1))
#define LOG_STILL_MS 1000
#define LOG_POLL_MS 5
#define HELD_POLL_MS 20
#define TYPED_FIRST_MS 10
#define TYPED_LAST_MS 250

static void to_log(struct console *c, const char *data, size_t len)
{
	uint32_t position = c->ring.out_cons + len;
	char text[RING_OUT_SIZE * (LINES_STAMP_LEN + 1)];
	size_t used;

	if (lines_plain(&c->lines)) {
		log_append(c->log, data, len, position);
		return;
	}
	len = lines_filter(&c->lines, time(NULL), data, len, &used, text, sizeof(text));
	log_append(c->log, text, len, position);
}

/* One copy from the ring.  Returns what ring_peek() returned. */
static ssize_t take_some(struct console *c, size_t most, size_t over)
{
	char buf[RING_OUT_SIZE];
	ssize_t n = ring_peek(&c->ring, buf, most < sizeof(buf) ? most : sizeof(buf));

	if (n <= 0)
		return n;
	if (c->log)
		to_log(c, buf, n);
	else if (c->env->logs)
		c->unlogged += n;
	console_to_reader(c, buf, n, over);
	ring_taken(&c->ring, n);
	c->bytes_out += n;
	return n;
}

/* The log's queue is nearly full, and its writer has got on within the last second. */
static bool log_busy(struct console *c)
{
	size_t left = c->log ? log_queued(c->log) : 0;
	int64_t now;

	if (left <= LOG_HIGH) {
		c->log_left = 0;
		return false;
	}
	now = loop_now(c->env->loop);
	if (!c->log_left || left < c->log_left) {
		c->log_left = left;
		c->log_progress = now;
	}
	return now - c->log_progress < LOG_STILL_MS;
}

void console_take(struct console *c)
{
	bool log_first = false;
	unsigned int run;
	size_t moved = 0;
	ssize_t n;

	c->more = c->full = false;
	if (!c->ring.page || c->evtchn.local < 0 || !console_touch(c))
		return;
	run = loop_absences();
	console_connect(c);
	do {
		size_t room = c->env->options->keep ? console_keep_room(c) : RING_OUT_SIZE;

		log_first = log_busy(c);
		if (log_first)
			break;
		if (moved && run != loop_absences()) { /* away meanwhile: the next turn asks */
			c->more = true;
			break;
		}
		n = take_some(c, room, 0);
		if (n == -EPROTO) {
			console_broken(c);
			if (c->failed & 1u << EVENT_BROKEN_RING)
				break;
			c->more = true; /* from the new indexes, in the next turn */
		} else {
			moved += n;
			c->full = !room && n == 0;
		}
	} while (n > 0 && moved < TURN);
	console_shed(c);
	if (moved)
		evtchn_notify(c->env->evtchn, &c->evtchn);
	console_heat(c, moved);
	if (c->full)
		console_fail(c, EVENT_FULL);
	c->more |= log_first || moved >= TURN;
	if (log_first)
		loop_arm(c->env->loop, &c->log_wait, LOG_POLL_MS);
	else if (c->more)
		console_queue(c);
}

/* Ring contents at the end: one ring at the most, whatever the reader's limit says. */
void console_last_take(struct console *c)
{
	if (c->ring.page && take_some(c, RING_OUT_SIZE, RING_OUT_SIZE) > 0)
		evtchn_notify(c->env->evtchn, &c->evtchn);
}

static void wait_for_room(struct console *c, unsigned int ms)
{
	c->typed_ms = ms < TYPED_LAST_MS ? ms : TYPED_LAST_MS;
	loop_arm(c->env->loop, &c->typed, c->typed_ms);
}

/* Not all guests tell when they have read (GRUB, unikraft, NetBSD at first), so room is looked for. */
void console_typed_look(struct console *c)
{
	if (ring_room(&c->ring) == 0 && pty_typed(&c->pty))
		wait_for_room(c, c->typed_ms * 2);
}

void console_type(struct console *c)
{
	char buf[RING_IN_SIZE];
	ssize_t room = 0, n;

	if (c->evtchn.local >= 0) {
		if (!console_touch(c))
			return;
		console_connect(c);
		room = ring_room(&c->ring);
	}
	n = pty_read(&c->pty, buf, room > 0 ? room : 0);
	if (n < 0) {
		console_tty_lost(c);
		console_fail(c, EVENT_TTY_LOST);
		return;
	}
	if (n == 0) {
		if (c->evtchn.local >= 0 && room == 0 && pty_typed(&c->pty))
			wait_for_room(c, TYPED_FIRST_MS);
		return;
	}
	ring_put(&c->ring, buf, n);
	c->bytes_in += n;
	evtchn_notify(c->env->evtchn, &c->evtchn);
}

void console_interest(struct console *c)
{
	uint32_t events = EPOLLPRI;

	if (c->pty.master < 0)
		return;
	if (fifo_used(&c->fifo))
		events |= EPOLLOUT;
	if (lifecycle_attached(c->state) && c->evtchn.local >= 0) {
		ssize_t room = ring_room(&c->ring);

		if (room < 0) {
			console_broken(c);
			room = ring_room(&c->ring);
		}
		if (room > 0 && c->typed.armed)
			loop_disarm(c->env->loop, &c->typed);
		if (room >= 0 && !c->typed.armed) /* without room: does anybody type? */
			events |= EPOLLIN;
		/* Without bytes to flush nobody tells when there is memory. */
		if (c->state == STATE_HELD && !fifo_used(&c->fifo) && !c->log_wait.armed)
			loop_arm(c->env->loop, &c->log_wait, HELD_POLL_MS);
	}
	loop_want(c->env->loop, &c->tty, events);
}
