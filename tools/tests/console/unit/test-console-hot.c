/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has to wait, and that nobody waits for ever. The loop and the queue are the real ones; whether a share is left
 * is the test's to say, and a visit only counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "console/console.h"
#include "console/hot.h"
#include "console/steps.h"

#define CONSOLES 5
#define ENOUGH 50 /* visits */

static struct options options = { .cpu_share = 50 };
static struct console_env env;
static struct console consoles[CONSOLES];
static int visits[CONSOLES], visited;
static bool left, insatiable;

bool __wrap_share_left(struct share *s, int64_t now);
int64_t __wrap_share_wait(const struct share *s);
void __wrap_console_feed(struct console *c, enum lifecycle_event event);

bool __wrap_share_left(struct share *s, int64_t now)
{
	(void)s;
	(void)now;
	return left;
}

int64_t __wrap_share_wait(const struct share *s)
{
	(void)s;
	return 1;
}

void __wrap_console_feed(struct console *c, enum lifecycle_event event)
{
	assert_int_equal(event, EVENT_PORT);
	if (visited == ENOUGH)
		return; /* the turn goes on to its end */
	visits[c - consoles]++;
	if (++visited == ENOUGH)
		loop_stop(env.loop);
	else if (insatiable)
		console_queue(c);
}

static int set_up(void **state)
{
	(void)state;
	memset(consoles, 0, sizeof(consoles));
	memset(visits, 0, sizeof(visits));
	visited = 0;
	left = insatiable = true;
	env = (struct console_env){ .options = &options, .loop = loop_new() };
	console_env_init(&env);
	for (int i = 0; i < CONSOLES; i++)
		consoles[i].env = &env;
	alarm(60); /* a test that waits for ever fails */
	return env.loop ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	alarm(0);
	for (int i = 0; i < CONSOLES; i++)
		console_unqueue(&consoles[i]);
	console_env_fini(&env);
	loop_free(env.loop);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < CONSOLES; i++)
		console_queue(&consoles[i]);
	assert_int_equal(loop_run(env.loop), 0);
	assert_int_equal(visited, ENOUGH);
}

static void each_in_its_turn(void **state)
{
	(void)state;
	run();
	for (int i = 0; i < CONSOLES; i++)
		assert_int_equal(visits[i], ENOUGH / CONSOLES);
}

/* Guests that are not hot can use up the share, and go on doing so. */
static void with_nothing_left_for_good(void **state)
{
	(void)state;
	left = false;
	run();
	for (int i = 0; i < CONSOLES; i++)
		assert_int_equal(visits[i], ENOUGH / CONSOLES);
}

static void only_the_hot_wait(void **state)
{
	(void)state;
	left = insatiable = false;
	console_heat(&consoles[0], 4 * RING_OUT_SIZE);
	console_heat(&consoles[1], 16);
	assert_false(console_has_turn(&consoles[0]));
	assert_true(console_has_turn(&consoles[1]));
	left = true;
	assert_false(console_has_turn(&consoles[0])); /* it has its place in the queue already */
	console_unqueue(&consoles[0]);
	assert_true(console_has_turn(&consoles[0]));
}

static void one_place_each(void **state)
{
	(void)state;
	console_queue(&consoles[0]);
	console_queue(&consoles[1]);
	console_queue(&consoles[0]);
	console_unqueue(&consoles[0]);
	assert_ptr_equal(env.hot, &consoles[1]);
	assert_null(consoles[1].hot_next);
	console_unqueue(&consoles[1]);
	console_unqueue(&consoles[1]);
	assert_null(env.hot);
	assert_ptr_equal(env.hot_end, &env.hot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_in_its_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(with_nothing_left_for_good, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_the_hot_wait, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_place_each, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
