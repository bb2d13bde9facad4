/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What logqueue.c, which keeps a queue, and logqueue-adopt.c, which takes over a left one, share.
 */
#ifndef DAEMON_OUTPUT_LOGQUEUE_PRIVATE_H
#define DAEMON_OUTPUT_LOGQUEUE_PRIVATE_H

#include <stdatomic.h>

#include "output/logqueue.h"

#define LOGQUEUE_MAGIC "XCLOGQ\r\n" /* 8 bytes, without the NUL */
#define LOGQUEUE_VERSION 1
#define LOGQUEUE_HEADER sizeof(struct logqueue_header)
#define LOGQUEUE_LENGTH (LOGQUEUE_HEADER + LOG_QUEUE_SIZE)

/* A kill may come here: stores before it are done, stores after it are not. */
static inline void logqueue_step(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static inline uint64_t logqueue_put(const struct logqueue *q)
{
	return atomic_load_explicit(&q->header->pos.put, memory_order_relaxed);
}

static inline uint64_t logqueue_got(const struct logqueue *q)
{
	return atomic_load_explicit(&q->header->pos.got, memory_order_relaxed);
}

/* The queue's file: a descriptor or -errno. */
int logqueue_open(const struct logqueue *q, int flags);

/*
 * Pages of it that no later store will find missing; 0 or -errno.  tmpfs gives up, though there is room,
 * when the process is stopped, frozen or traced meanwhile, so this asks again.
 */
int logqueue_reserve(int fd, off_t from, off_t length);

/* Begin to use the mapping. */
void logqueue_use(struct logqueue *q, void *at);

#endif
