/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What flooding guests may cost dom0 is a share of processor time, not a
 * number of events: it holds whatever they do, and an honest guest's boot has all of it.
 * All threads count, since what a guest floods costs the logs' writer as much as the loop.
 */
#include "base/share.h"

#include <time.h>

#define NS_PER_MS 1000000
#define BURST_MS 10 /* of unused time is kept, at most, and as much may be owed */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 * NS_PER_MS + t.tv_nsec;
}

void share_init(struct share *s, unsigned int percent)
{
	s->percent = percent;
	s->credit = BURST_MS * NS_PER_MS;
	s->wall = clock_ns(CLOCK_MONOTONIC);
	s->cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	s->looked = 0;
}

static void look(struct share *s)
{
	int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	s->credit += (wall - s->wall) * s->percent / 100 - (cpu - s->cpu);
	if (s->credit > BURST_MS * NS_PER_MS)
		s->credit = BURST_MS * NS_PER_MS;
	if (s->credit < -BURST_MS * NS_PER_MS)
		s->credit = -BURST_MS * NS_PER_MS;
	s->wall = wall;
	s->cpu = cpu;
}

bool share_left(struct share *s, int64_t now)
{
	if (s->percent >= 100)
		return true;
	if (now != s->looked) {
		look(s);
		s->looked = now;
	}
	return s->credit > 0;
}

int64_t share_wait(const struct share *s)
{
	int64_t ms = s->credit < 0 ? -s->credit * 100 / s->percent / NS_PER_MS : 0;

	return ms > 1 ? ms : 1;
}
