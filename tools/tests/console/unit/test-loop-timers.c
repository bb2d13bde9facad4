/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loop: timers against a model that looks at all of them, and the clock they go by.
 */
#include "loop-fixture.h"

#include "random.h"

#define TIMERS 150
#define FIRES 20000

static struct {
	struct loop_timer timer;
	bool armed;
	int64_t due;
} timers[TIMERS];
static int fires;

static void arm(int i, int64_t ms, int64_t soonest)
{
	loop_arm(loop, &timers[i].timer, ms);
	timers[i].armed = true;
	timers[i].due = loop_now(loop) + (ms > soonest ? ms : soonest);
}

static void disarm(int i)
{
	loop_disarm(loop, &timers[i].timer);
	timers[i].armed = false;
}

static int armed_now(void)
{
	int n = 0;

	for (int i = 0; i < TIMERS; i++)
		n += timers[i].armed;
	return n;
}

static void change_timers(int64_t soonest)
{
	for (int n = random_below(6); n; n--) {
		int i = random_below(TIMERS);

		if (random_below(3))
			arm(i, random_below(10) ? random_below(500) : 0, soonest);
		else
			disarm(i);
	}
	if (!armed_now())
		arm(random_below(TIMERS), random_below(100), soonest);
}

static void timer_fired(struct loop_timer *timer)
{
	int i = ((char *)timer - (char *)timers) / (int)sizeof(timers[0]);

	assert_true(timers[i].armed);
	assert_int_equal(timers[i].due, loop_now(loop)); /* not early, and on this clock not late */
	for (int j = 0; j < TIMERS; j++)
		assert_true(!timers[j].armed || timers[j].due >= timers[i].due);
	timers[i].armed = false;
	if (++fires < FIRES) {
		change_timers(1);
		return;
	}
	for (int j = 0; j < TIMERS; j++)
		disarm(j);
	loop_stop(loop);
}

static void test_timers_against_model(void **state)
{
	(void)state;
	random_begin();
	memset(timers, 0, sizeof(timers));
	fires = 0;
	for (int i = 0; i < TIMERS; i++)
		timers[i].timer.fire = timer_fired;
	loop_disarm(loop, &timers[0].timer);
	for (int i = 0; i < TIMERS; i++)
		arm(i, random_below(1000), 0);
	for (int i = 0; i < 50; i++)
		change_timers(0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(fires, FIRES);
	for (int i = 0; i < TIMERS; i++)
		assert_int_equal(timers[i].timer.armed, 0);
}

static void never(struct loop_timer *timer)
{
	(void)timer;
	fail_msg("disarmed, and fired all the same");
}

static void stop_timer(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void test_sleeps_until_the_next(void **state)
{
	struct loop_timer late = { .fire = never }, soon = { .fire = stop_timer };

	(void)state;
	loop_arm(loop, &late, 100000);
	loop_arm(loop, &soon, 30);
	loop_arm(loop, &soon, 1234); /* moved */
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(waits, 1);
	assert_int_equal(last_timeout, 1234);
	loop_disarm(loop, &late);
	loop_disarm(loop, &late);
	loop_arm(loop, &late, INT64_MAX / 2);
	run_turns(1);
	loop_disarm(loop, &late);
}

static int again_fires;

static void fire_again(struct loop_timer *timer)
{
	again_fires++;
	loop_arm(loop, timer, 0);
}

/* A timer that is always due does not keep the turn from ending. */
static void test_timer_arms_itself(void **state)
{
	struct loop_timer timer = { .fire = fire_again };

	(void)state;
	again_fires = 0;
	loop_arm(loop, &timer, 0);
	while (again_fires < 5) {
		int before = again_fires;

		run_turns(1);
		assert_true(again_fires <= before + 1);
		clock_ns += 1000000;
	}
	loop_disarm(loop, &timer);
}

static struct loop_timer pair[2];
static int pair_fires;

static void fire_pair(struct loop_timer *timer)
{
	pair_fires++;
	loop_disarm(loop, timer == &pair[0] ? &pair[1] : &pair[0]);
}

/* Both are due; the first disarms the second. */
static void test_disarmed_while_due(void **state)
{
	(void)state;
	pair_fires = 0;
	for (int i = 0; i < 2; i++) {
		pair[i] = (struct loop_timer){ .fire = fire_pair };
		loop_arm(loop, &pair[i], 10);
	}
	clock_ns += 20000000;
	run_turns(2);
	assert_int_equal(pair_fires, 1);
}

/* ---- the clock ------------------------------------------------------------ */

static void look_at_clock(struct end *end)
{
	int64_t now = loop_now(loop);

	assert_int_equal(now, clock_ns / 1000000);
	clock_ns += 70000000;
	assert_int_equal(loop_now(loop), now);
	remove_self(end);
}

static void test_clock(void **state)
{
	struct end end;

	(void)state;
	assert_int_equal(loop_now(loop), 5000);
	clock_ns += 2000000;
	assert_int_equal(loop_now(loop), 5002); /* it runs before the loop does */
	end_init(&end, look_at_clock);
	run_turns(1);
	assert_int_equal(end.calls, 1);
	assert_int_equal(loop_now(loop), 5072);
	clock_ns += 1000000;
	assert_int_equal(loop_now(loop), 5073); /* and after */
	end_fini(&end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_timers_against_model),
		TEST(test_sleeps_until_the_next),
		TEST(test_timer_arms_itself),
		TEST(test_disarmed_while_due),
		TEST(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
