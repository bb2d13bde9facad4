/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a reader or a disk has not taken yet waits in a FIFO.  Its bound is its owner's
 * memory, so no guest can make it grow, and when it is full somebody has to
 * decide: fifo_push() refuses the new, fifo_push_over() drops the old, and both say how much.
 *
 * A byte's place is its number in the stream modulo the size.  The pusher publishes
 * bytes by storing put, the reader gives their place back by storing got; each
 * loads the other's with acquire, so that two threads need no lock.
 */
#include "output/fifo.h"

#include <stdatomic.h>
#include <string.h>

void fifo_init(struct fifo *f, struct fifo_pos *pos, void *data, size_t size)
{
	f->pos = pos;
	f->data = data;
	f->size = size;
}

size_t fifo_used(const struct fifo *f)
{
	uint64_t got = atomic_load_explicit(&f->pos->got, memory_order_acquire);

	return atomic_load_explicit(&f->pos->put, memory_order_acquire) - got;
}

size_t fifo_room(const struct fifo *f)
{
	return f->size - fifo_used(f);
}

/* The n bytes that begin at position at, as up to two pieces. */
static int pieces(const struct fifo *f, uint64_t at, size_t n, struct iovec v[2])
{
	size_t first, start;

	if (!n)
		return 0;
	start = at % f->size;
	first = f->size - start;
	v[0].iov_base = f->data + start;
	if (n <= first) {
		v[0].iov_len = n;
		return 1;
	}
	v[0].iov_len = first;
	v[1].iov_base = f->data;
	v[1].iov_len = n - first;
	return 2;
}

/* Copy n bytes to the place that begins at position at. */
static void store(struct fifo *f, uint64_t at, const unsigned char *data, size_t n)
{
	struct iovec v[2];
	int count = pieces(f, at, n, v);

	for (int i = 0; i < count; i++) {
		memcpy(v[i].iov_base, data, v[i].iov_len);
		data += v[i].iov_len;
	}
}

size_t fifo_push(struct fifo *f, const void *data, size_t len)
{
	uint64_t put = atomic_load_explicit(&f->pos->put, memory_order_relaxed);
	size_t room = fifo_room(f);
	size_t n = len < room ? len : room;

	store(f, put, data, n);
	atomic_store_explicit(&f->pos->put, put + n, memory_order_release);
	return len - n;
}

size_t fifo_push_over(struct fifo *f, const void *data, size_t len)
{
	size_t skipped = len > f->size ? len - f->size : 0;
	size_t room = fifo_room(f), old = 0;

	len -= skipped;
	if (len > room) {
		old = len - room;
		fifo_drop(f, old);
	}
	fifo_push(f, (const unsigned char *)data + skipped, len);
	return skipped + old;
}

int fifo_peek(const struct fifo *f, struct iovec v[2])
{
	return pieces(f, atomic_load_explicit(&f->pos->got, memory_order_relaxed), fifo_used(f), v);
}

void fifo_drop(struct fifo *f, size_t n)
{
	uint64_t got = atomic_load_explicit(&f->pos->got, memory_order_relaxed);

	atomic_store_explicit(&f->pos->got, got + n, memory_order_release);
}

void fifo_move(struct fifo *f, void *data, size_t size)
{
	uint64_t at = atomic_load_explicit(&f->pos->got, memory_order_relaxed);
	struct fifo to = { f->pos, data, size };
	struct iovec v[2];
	int count = fifo_peek(f, v);

	for (int i = 0; i < count; i++) {
		store(&to, at, v[i].iov_base, v[i].iov_len);
		at += v[i].iov_len;
	}
	*f = to;
}
