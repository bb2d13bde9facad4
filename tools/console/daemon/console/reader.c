/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console's reader: the pty, its name in xenstore, and the fifo that holds what the pty does not take.
 *
 * The fifo has no memory while it is empty, grows by doubling and never beyond the
 * limit that the toolstack set: an idle console costs nothing here, and no guest can
 * make the daemon hold more.
 */
#include "console/reader.h"

#include <stdlib.h>

#include "console/claims.h"
#include "console/said.h"

#define FIFO_FIRST 4096

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

static void drop_fifo(struct console *c)
{
	free(c->fifo.data);
	fifo_init(&c->fifo, &c->fifo_pos, NULL, 0);
}

void console_shed(struct console *c)
{
	if (c->fifo.size && !fifo_used(&c->fifo))
		drop_fifo(c);
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

void console_drop_unread(struct console *c)
{
	fifo_drop(&c->fifo, fifo_used(&c->fifo));
	drop_fifo(c);
}
