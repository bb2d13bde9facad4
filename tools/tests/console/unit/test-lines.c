/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lines: whatever pieces a stream comes in and however small the output is, the log has a stamp at
 * each line's start and nowhere else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "output/lines.h"
#include "random.h"

#define NOW ((time_t)1795468019) /* 2026-11-23 21:06:59 UTC */
#define STAMP "[2026-11-23 21:06:59] "

static int use_utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	return 0;
}

/* Filter a literal, which fits, and compare. */
#define assert_filtered(l, in, out) filtered(l, in, sizeof(in) - 1, out, sizeof(out) - 1)

static void filtered(struct lines *l, const char *in, size_t len, const char *expected, size_t expected_len)
{
	char out[512];
	size_t used, n = lines_filter(l, NOW, in, len, &used, out, sizeof(out));

	assert_int_equal(used, len);
	assert_int_equal(n, expected_len);
	assert_memory_equal(out, expected, n);
}

static void test_plain(void **state)
{
	struct lines l;

	(void)state;
	lines_init(&l, false, false);
	assert_true(lines_plain(&l));
	assert_filtered(&l, "a\nb\0\033[m\n", "a\nb\0\033[m\n");
	lines_init(&l, true, false);
	assert_false(lines_plain(&l));
	lines_init(&l, false, true);
	assert_false(lines_plain(&l));
}

static void test_stamps(void **state)
{
	struct lines l;

	(void)state;
	assert_int_equal(LINES_STAMP_LEN, strlen(STAMP));
	lines_init(&l, true, false);
	assert_filtered(&l, "", "");
	assert_filtered(&l, "one\ntwo\n", STAMP "one\n" STAMP "two\n");
	assert_filtered(&l, "\n\r\n", STAMP "\n" STAMP "\r\n");
	assert_filtered(&l, "par", STAMP "par");
	assert_filtered(&l, "", "");
	assert_filtered(&l, "tial", "tial");
	assert_filtered(&l, "\n", "\n");
	assert_filtered(&l, "next", STAMP "next");
}

/* The defect that this module exists to avoid: one guest's line start taken for another's. */
static void test_streams_do_not_mix(void **state)
{
	struct lines a, b;

	(void)state;
	lines_init(&a, true, false);
	lines_init(&b, true, false);
	assert_filtered(&a, "a is in the mid", STAMP "a is in the mid");
	assert_filtered(&b, "b begins\n", STAMP "b begins\n");
	assert_filtered(&a, "dle\n", "dle\n");
	assert_filtered(&b, "b again", STAMP "b again");
	assert_filtered(&a, "a again", STAMP "a again");
}

static void test_escapes(void **state)
{
	struct lines l;

	(void)state;
	lines_init(&l, false, true);
	assert_filtered(&l, "\033[31mred\033\033[m\n\033", ".[31mred..[m\n.");
	assert_filtered(&l, "\r\t\x7f\x9b\b", "\r\t\x7f\x9b\b");
	lines_init(&l, true, true);
	assert_filtered(&l, "\033c\n\033", STAMP ".c\n" STAMP ".");
	lines_init(&l, true, false);
	assert_filtered(&l, "\033c\n\033", STAMP "\033c\n" STAMP "\033");
}

static void test_nul_bytes(void **state)
{
	struct lines l;

	(void)state;
	lines_init(&l, true, true);
	assert_filtered(&l, "\0a\0\n\0\0", STAMP "\0a\0\n" STAMP "\0\0");
}

/* A piece of the input goes in whole, stamp and first byte together, or waits. */
static void test_output_too_small(void **state)
{
	static const char in[] = "ab\nc\n\nd", whole[] = STAMP "ab\n" STAMP "c\n" STAMP "\n" STAMP "d";

	(void)state;
	for (size_t size = 0; size <= sizeof(whole) - 1; size++) {
		char out[sizeof(whole)];
		struct lines l;
		size_t used, n;

		lines_init(&l, true, false);
		memset(out, '#', sizeof(out));
		n = lines_filter(&l, NOW, in, sizeof(in) - 1, &used, out, size);
		assert_true(n <= size);
		assert_int_equal(out[size], '#');
		assert_memory_equal(out, whole, n);
		/* No stamp stands at the end for which the next call would put another. */
		assert_true(n == 0 || out[n - 1] != ' ');
		assert_true(size <= LINES_STAMP_LEN ? n == 0 && used == 0 : used > 0);
		assert_true(size < sizeof(whole) - 1 ? used < sizeof(in) - 1 : used == sizeof(in) - 1);
		n += lines_filter(&l, NOW, in + used, sizeof(in) - 1 - used, &used, out + n, sizeof(out) - n);
		assert_int_equal(n, sizeof(whole) - 1);
		assert_memory_equal(out, whole, n);
	}
}

/* As it would be written if nothing but being right mattered. */
static size_t model(const char *in, size_t len, bool stamp, bool replace, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (stamp && (i == 0 || in[i - 1] == '\n')) {
			memcpy(out + n, STAMP, LINES_STAMP_LEN);
			n += LINES_STAMP_LEN;
		}
		out[n++] = replace && in[i] == '\033' ? '.' : in[i];
	}
	return n;
}

#define STREAM 2000

static void test_random_pieces(void **state)
{
	static char in[STREAM], out[STREAM * (LINES_STAMP_LEN + 1)], right[sizeof(out)];

	(void)state;
	random_begin();
	for (int run = 0; run < 200; run++) {
		bool stamp = random_below(4), replace = random_below(2);
		struct lines l;
		size_t at = 0, put = 0;

		for (size_t i = 0; i < STREAM; i++)
			in[i] = "\n\033aaaaa\0"[random_below(8)];
		lines_init(&l, stamp, replace);
		while (at < STREAM) {
			size_t len = random_below(STREAM - at + 1), room = sizeof(out) - put, used, n;
			size_t size = random_below(4) ? random_below(100) : room;

			if (size > room)
				size = room;
			n = lines_filter(&l, NOW, in + at, len, &used, out + put, size);
			assert_true(n <= size && used <= len);
			put += n;
			at += used;
		}
		assert_int_equal(put, model(in, STREAM, stamp, replace, right));
		assert_memory_equal(out, right, put);
	}
}

/* The stamp is local time, and one that does not fit its width does not shift the log. */
static void test_clocks(void **state)
{
	struct lines l;
	char out[64];
	size_t used;

	(void)state;
	setenv("TZ", "XYZ-5:30", 1);
	tzset();
	lines_init(&l, true, false);
	assert_int_equal(lines_filter(&l, NOW, "x", 1, &used, out, sizeof(out)), LINES_STAMP_LEN + 1);
	assert_memory_equal(out, "[2026-11-24 02:36:59] x", LINES_STAMP_LEN + 1);
	use_utc(NULL);
	lines_init(&l, true, false); /* past 2038 */
	assert_int_equal(lines_filter(&l, (time_t)2208988800, "x", 1, &used, out, sizeof(out)),
			 LINES_STAMP_LEN + 1);
	assert_memory_equal(out, "[2040-01-01 00:00:00] x", LINES_STAMP_LEN + 1);
	lines_init(&l, true, false);
	assert_int_equal(lines_filter(&l, (time_t)1 << 40, "x", 1, &used, out, sizeof(out)),
			 LINES_STAMP_LEN + 1);
	assert_memory_equal(out, "[0000-00-00 00:00:00] x", LINES_STAMP_LEN + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_streams_do_not_mix),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_output_too_small),
		cmocka_unit_test(test_random_pieces),
		cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, use_utc, NULL);
}
