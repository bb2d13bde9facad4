/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of one processor core this process may take on average (--cpu-share).
 * A token bucket of processor time: it fills at the share's rate, and is emptied by what the process has used.
 */
#ifndef DAEMON_BASE_SHARE_H
#define DAEMON_BASE_SHARE_H

#include <stdbool.h>
#include <stdint.h>

struct share {
	int64_t percent;   /* of a core; 100 or more: no bound */
	int64_t credit;	   /* ns of processor time left; negative: overdrawn */
	int64_t wall, cpu; /* ns, at the last look at both clocks */
	int64_t looked;	   /* ms, of the caller's clock */
};

void share_init(struct share *s, unsigned int percent);

/* Is any left?  now: the caller's clock in ms, in each of which the system is asked once at most. */
bool share_left(struct share *s, int64_t now);

/* When it is overdrawn: ms until it no longer is, at least 1. */
int64_t share_wait(const struct share *s);

#endif
