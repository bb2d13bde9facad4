/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host side of a console: its pty, its log, and the fifo that holds for a
 * reader what the pty does not take.
 *
 * The fifo has no memory while it is empty, grows by doubling and never beyond the
 * limit that the toolstack set: an idle console costs nothing here, and no guest can
 * make the daemon hold more.
 */
#include "console-private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "diag.h"

#define FIFO_FIRST 4096
#define BACKOFF_FIRST 500 /* ms */
#define BACKOFF_LAST 8000
#define DRAIN_POLL_MS 10  /* while it gets on, and */
#define DRAIN_FAST_MS 100 /* this long after; then */
#define DRAIN_SLOW_MS 100

/* How long readers of a dying domain may take: in all, and without progress; and when the daemon stops. */
#define DRAIN_MS 5000
#define DRAIN_STILL_MS 1000
#define DRAIN_STILL_STOPPING_MS 250

static void tty_ready(struct loop_fd *source, uint32_t events)
{
	struct console *c = container_of(source, struct console, tty);

	if (events & (EPOLLERR | EPOLLHUP)) {
		console_tty_lost(c);
		console_feed(c, EVENT_TTY_LOST);
		return;
	}
	if (events & (EPOLLIN | EPOLLPRI)) /* first, since what is flushed obeys the modes */
		console_type(c);
	if (events & EPOLLOUT)
		console_flush(c);
	console_settle(c);
}

static void retry_due(struct loop_timer *timer)
{
	console_feed(container_of(timer, struct console, host_retry), EVENT_RETRY_HOST);
}

static void deadline_due(struct loop_timer *timer)
{
	struct console *c = container_of(timer, struct console, deadline);
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
	if (!left)
		console_feed(c, EVENT_FLUSHED);
	else if (now >= end || now - c->drain_progress >= still)
		console_feed(c, EVENT_DEADLINE);
	else
		loop_arm(c->env->loop, timer,
			 now - c->drain_progress > DRAIN_FAST_MS ? DRAIN_SLOW_MS : DRAIN_POLL_MS);
}

void console_host_init(struct console *c)
{
	pty_init(&c->pty);
	link_init(&c->waits);
	c->lost_tty = -1;
	c->tty.fd = -1;
	c->tty.ready = tty_ready;
	c->host_retry.fire = retry_due;
	c->deadline.fire = deadline_due;
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

void console_tty_lost(struct console *c)
{
	loop_disarm(c->env->loop, &c->typed);
	console_close_tty(c);
}

/*
 * An attached console's tty, once all its nodes are known.  The old node is overwritten and
 * never blanked: a reader that sees a new name follows it, one that sees none exits.
 */
void console_publish(struct console *c)
{
	if (!c->complete || c->pty.master < 0 || !c->page.at)
		return;
	if (store_publish(c->env->store, &c->key, c->port, c->pty.name))
		console_fail(c, EVENT_FAILED_HOST); /* no memory: REOPEN publishes again */
}

void console_deadline(struct console *c)
{
	int64_t now = loop_now(c->env->loop);

	c->drain_end = now + DRAIN_MS;
	c->drain_progress = now;
	c->drain_left = 0;
	loop_arm(c->env->loop, &c->deadline, 0);
}

static void drop_fifo(struct console *c)
{
	free(c->fifo.data);
	fifo_init(&c->fifo, &c->fifo_pos, NULL, 0);
}

void console_shed(struct console *c)
{
	if (!fifo_used(&c->fifo))
		drop_fifo(c);
}

void console_close(struct console *c)
{
	loop_disarm(c->env->loop, &c->host_retry);
	loop_disarm(c->env->loop, &c->deadline);
	loop_disarm(c->env->loop, &c->guest_retry);
	console_tty_lost(c);
	fifo_drop(&c->fifo, fifo_used(&c->fifo));
	drop_fifo(c);
	log_free(c->log);
	c->log = NULL;
	c->guest_backoff = 0;
}

/* Memory for need bytes, if it can be had; without it the oldest bytes give way. */
static void grow(struct console *c, size_t need, size_t most)
{
	size_t size = c->fifo.size ? c->fifo.size : FIFO_FIRST;
	void *old = c->fifo.data, *data;

	if (need > most)
		need = most;
	if (need <= c->fifo.size)
		return;
	while (size < need)
		size *= 2;
	if (size > most)
		size = most;
	data = malloc(size);
	if (!data)
		return;
	fifo_move(&c->fifo, data, size);
	free(old);
}

size_t console_keep_room(struct console *c)
{
	size_t used = fifo_used(&c->fifo), room;

	if (used >= c->limit)
		return 0;
	grow(c, used + RING_OUT_SIZE, c->limit);
	room = c->limit - used;
	return room < fifo_room(&c->fifo) ? room : fifo_room(&c->fifo);
}

void console_room(struct console *c)
{
	if (!c->full || fifo_used(&c->fifo) > c->limit / 2)
		return;
	c->full = false;
	console_fail(c, EVENT_ROOM);
}

void console_to_reader(struct console *c, const char *data, size_t len, size_t over)
{
	size_t most = c->limit + over, used = fifo_used(&c->fifo);

	if (!used && c->pty.master >= 0) {
		struct iovec v = { (char *)data, len };
		ssize_t n = pty_write(&c->pty, &v, 1);

		if (n < 0) {
			console_tty_lost(c);
			console_fail(c, EVENT_TTY_LOST);
			n = 0;
		}
		data += n;
		len -= n;
	}
	if (!len)
		return;
	grow(c, used + len, most);
	c->dropped += fifo_push_over(&c->fifo, data, len);
}

/* The limit has shrunk: what is kept beyond it goes, and the memory with it. */
void console_trim(struct console *c)
{
	size_t used = fifo_used(&c->fifo);
	void *old = c->fifo.data, *data;

	if (c->fifo.size <= c->limit)
		return;
	if (used > c->limit) {
		fifo_drop(&c->fifo, used - c->limit);
		c->dropped += used - c->limit;
	}
	data = malloc(c->limit);
	if (!data)
		return;
	fifo_move(&c->fifo, data, c->limit);
	free(old);
}

void console_flush(struct console *c)
{
	struct iovec v[2];
	int pieces = fifo_peek(&c->fifo, v);
	ssize_t n;

	if (!pieces || c->pty.master < 0)
		return;
	n = pty_write(&c->pty, v, pieces);
	if (n < 0) {
		console_tty_lost(c);
		console_fail(c, EVENT_TTY_LOST);
		return;
	}
	fifo_drop(&c->fifo, n);
	console_shed(c);
	console_room(c);
}
