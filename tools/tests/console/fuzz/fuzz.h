/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the targets share.  Each is one function that is fed bytes, by libFuzzer or, from its corpus, by
 * replay.c, and in which whatever does not hold ends the program.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(what)                                                                                        \
	do {                                                                                                 \
		if (!(what)) {                                                                               \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                   \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* Bytes to be used up from the front; zeros when there are no more. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline void take(struct input *in, void *to, size_t size)
{
	size_t n = size < in->left ? size : in->left;

	memset(to, 0, size);
	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

static inline uint8_t take_byte(struct input *in)
{
	uint8_t byte;

	take(in, &byte, sizeof(byte));
	return byte;
}

/* On the heap, where a sanitizer sees its end. */
static inline char *take_string(struct input *in)
{
	size_t size = in->left;
	char *s = malloc(size + 1);

	require(s);
	take(in, s, size);
	s[size] = '\0';
	return s;
}

#endif
