/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bounded byte FIFO on memory its owner supplies.
 *
 * The two positions are free-running byte counts and lie wherever the owner
 * wants them: beside the FIFO, or in a shared file from which a successor reads
 * what a killed daemon left.  One thread may push while another peeks and
 * drops; fifo_push_over() and fifo_move() want both ends in one thread.
 */
#ifndef DAEMON_OUTPUT_FIFO_H
#define DAEMON_OUTPUT_FIFO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct fifo_pos {
	_Atomic uint64_t put; /* bytes ever stored; release, by the pusher */
	_Atomic uint64_t got; /* bytes ever removed; release, by the reader */
};

struct fifo {
	struct fifo_pos *pos;
	unsigned char *data;
	size_t size; /* bytes at data; 0 is an empty FIFO that is also full */
};

/* Positions are taken as they stand; the owner zeroes those of a new FIFO. */
void fifo_init(struct fifo *f, struct fifo_pos *pos, void *data, size_t size);

size_t fifo_used(const struct fifo *f);
size_t fifo_room(const struct fifo *f);

/* Store what fits of len bytes, the first ones.  Returns how many were refused. */
size_t fifo_push(struct fifo *f, const void *data, size_t len);

/*
 * Store all of len bytes, dropping the oldest for room; if len exceeds the
 * size, the last size bytes remain.  Returns how many bytes were dropped, old or new.
 */
size_t fifo_push_over(struct fifo *f, const void *data, size_t len);

/* The stored bytes, oldest first, as up to two pieces.  Returns 0, 1 or 2. */
int fifo_peek(const struct fifo *f, struct iovec v[2]);

/* Remove the n oldest bytes; n must not exceed fifo_used(). */
void fifo_drop(struct fifo *f, size_t n);

/* Go on in other memory, with all that is stored; size must hold it. */
void fifo_move(struct fifo *f, void *data, size_t size);

#endif
