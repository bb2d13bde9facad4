/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random choices for tests that compare with a model.  The seed is fixed, so that a failure is found
 * again, and printed; UNIT_SEED in the environment takes another.
 */
#ifndef UNIT_RANDOM_H
#define UNIT_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t random_state;

static inline void random_begin(void)
{
	const char *seed = getenv("UNIT_SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : 20261123;
	printf("UNIT_SEED=%llu\n", (unsigned long long)random_state);
}

/* splitmix64 */
static inline uint64_t random_next(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* 0 to n - 1 */
static inline size_t random_below(size_t n)
{
	return random_next() % n;
}

static inline void random_bytes(void *data, size_t len)
{
	unsigned char *p = data;

	while (len--)
		*p++ = random_next();
}

#endif
