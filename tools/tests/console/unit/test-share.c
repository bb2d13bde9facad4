/* SPDX-License-Identifier: GPL-2.0-only */
/* The share of processor time, with clocks that are the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>
#include <unistd.h>

#include "between.h"
#include "base/share.h"

#define MS 1000000
#define STEP_NS 100000 /* of work between two questions */

static int64_t wall_ns, cpu_ns;
static int looks; /* at the processor time */

int clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t ns = clock == CLOCK_MONOTONIC ? wall_ns : cpu_ns;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_PROCESS_CPUTIME_ID)
		return timespec_get(t, TIME_UTC) == TIME_UTC ? 0 : -1; /* cmocka's */
	looks += clock == CLOCK_PROCESS_CPUTIME_ID;
	t->tv_sec = ns / 1000000000;
	t->tv_nsec = ns % 1000000000;
	return 0;
}

static void make(struct share *s, unsigned int percent)
{
	wall_ns = 5000000000;
	cpu_ns = 700 * MS;
	share_init(s, percent);
	looks = 0;
}

static bool left(struct share *s)
{
	return share_left(s, wall_ns / MS);
}

static void sleep_ms(int64_t ms)
{
	wall_ns += ms * MS;
}

/* So much work, of `threads` at once. */
static void work(int64_t ns, int threads)
{
	wall_ns += ns;
	cpu_ns += ns * threads;
}

/* Work for ms, as long as there is a share left, and wait as told when there is none; percent used. */
static int64_t flood(struct share *s, int64_t ms, int threads)
{
	int64_t begun = wall_ns, used = cpu_ns;

	while (wall_ns - begun < ms * MS) {
		if (left(s))
			work(STEP_NS, threads);
		else
			sleep_ms(share_wait(s));
	}
	return 100 * (cpu_ns - used) / (wall_ns - begun);
}

/* Whatever the percentage, and however many threads spend it. */
static void test_bounds_work(void **state)
{
	static const unsigned int percent[] = { 1, 10, 50, 90, 99 };
	struct share s;

	(void)state;
	for (size_t i = 0; i < sizeof(percent) / sizeof(*percent); i++)
		for (int threads = 1; threads <= 3; threads++) {
			make(&s, percent[i]);
			assert_between(flood(&s, 10000, threads), percent[i] > 2 ? percent[i] - 2 : 0,
				       percent[i] + 2);
		}
}

static void test_a_hundred_is_no_bound(void **state)
{
	struct share s;

	(void)state;
	make(&s, 100);
	assert_int_equal(flood(&s, 1000, 1), 100);
	assert_int_equal(looks, 0);
}

/* An idle hour does not buy more than a moment of all the core. */
static void test_unused_time_is_not_saved_up(void **state)
{
	int64_t begun;
	struct share s;

	(void)state;
	make(&s, 50);
	sleep_ms(3600 * 1000);
	for (begun = wall_ns; left(&s);)
		work(STEP_NS, 1);
	assert_between((wall_ns - begun) / MS, 10, 30);
}

/* Nor is more owed than that, by somebody who had no choice. */
static void test_debts_are_forgotten(void **state)
{
	struct share s;

	(void)state;
	make(&s, 50);
	work(3600 * INT64_C(1000000000), 2);
	while (left(&s))
		work(STEP_NS, 1);
	assert_between(share_wait(&s), 1, 20);
	sleep_ms(21);
	assert_true(left(&s));
}

static void test_wait_is_enough_and_not_nothing(void **state)
{
	static const unsigned int percent[] = { 1, 33, 50, 99 };
	struct share s;

	(void)state;
	for (size_t i = 0; i < sizeof(percent) / sizeof(*percent); i++) {
		make(&s, percent[i]);
		while (left(&s))
			work(STEP_NS, 1);
		assert_true(share_wait(&s) >= 1);
		sleep_ms(share_wait(&s) + 1);
		assert_true(left(&s));
	}
}

/* A look at the processor time is a system call. */
static void test_looks_once_a_millisecond(void **state)
{
	struct share s;

	(void)state;
	make(&s, 50);
	for (int i = 0; i < 100000; i++) {
		wall_ns += 1000;
		left(&s);
	}
	assert_between(looks, 100, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds_work),
		cmocka_unit_test(test_a_hundred_is_no_bound),
		cmocka_unit_test(test_unused_time_is_not_saved_up),
		cmocka_unit_test(test_debts_are_forgotten),
		cmocka_unit_test(test_wait_is_enough_and_not_nothing),
		cmocka_unit_test(test_looks_once_a_millisecond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
