/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * That a process was away, it sees by the clock, and by SIGCONT. The clock is the test's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <time.h>

#include "base/loop.h"

static int64_t now_ms = 1000, passes; /* in each turn */
static struct loop *loop;
static unsigned int turns;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC)
		return timespec_get(t, TIME_UTC) == TIME_UTC ? 0 : -1; /* cmocka's */
	*t = (struct timespec){ now_ms / 1000, now_ms % 1000 * 1000000 };
	return 0;
}

static void turn(struct loop_task *task)
{
	now_ms += passes;
	if (--turns)
		loop_post(loop, task);
	else
		loop_stop(loop);
}

static unsigned int absences_in(unsigned int count, int64_t ms)
{
	struct loop_task task = { .run = turn };
	unsigned int before = loop_absences();

	turns = count;
	passes = ms;
	loop_post(loop, &task);
	assert_int_equal(loop_run(loop), 0);
	return loop_absences() - before;
}

static void by_the_clock(void **state)
{
	(void)state;
	loop = loop_new();
	assert_non_null(loop);
	assert_int_equal(absences_in(5, LOOP_AWAY_MS), 0);
	/* Each turn but the first one begins after such a pause. */
	assert_int_equal(absences_in(5, LOOP_AWAY_MS + 1), 4);
	loop_free(loop);
}

static void by_the_signal(void **state)
{
	unsigned int before = loop_absences();

	(void)state;
	loop = loop_new();
	assert_non_null(loop);
	raise(SIGCONT);
	assert_int_equal(loop_absences() - before, 1);
	raise(SIGCONT);
	assert_int_equal(loop_absences() - before, 2);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_clock),
		cmocka_unit_test(by_the_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
