/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one console may take in a turn. The ring is the real one; its guest writes as soon as there is
 * room, and where bytes go is the test's to say.
 */
#include "between.h"
#include "ring-fixture.h"

#include <signal.h>

#include "console/bytes.h"
#include "console/console.h"
#include "console/hot.h"
#include "console/reader.h"

#define CHUNK 300 /* of the ring is given back at a time: it does not divide it */
#define ENOUGH (16 * RING_OUT_SIZE)

static struct options options;
static struct console_env env;
static struct console c;
static size_t to_reader, notified, room;
static bool stopped; /* and continued, whenever a place is given back */

void __wrap_console_to_reader(struct console *console, const char *data, size_t len, size_t over);
size_t __wrap_console_keep_room(struct console *console);
void __wrap_evtchn_notify(struct evtchn *ec, struct evtchn_port *port);
void __wrap_ring_taken(struct ring *r, size_t n);
void __real_ring_taken(struct ring *r, size_t n);

void __wrap_console_to_reader(struct console *console, const char *data, size_t len, size_t over)
{
	(void)console;
	(void)data;
	assert_int_equal(over, 0);
	to_reader += len;
	assert_true(to_reader < ENOUGH);
}

size_t __wrap_console_keep_room(struct console *console)
{
	(void)console;
	return room;
}

void __wrap_evtchn_notify(struct evtchn *ec, struct evtchn_port *port)
{
	(void)ec;
	(void)port;
	notified++;
}

/* The guest has been waiting for just that. */
void __wrap_ring_taken(struct ring *r, size_t n)
{
	__real_ring_taken(r, n);
	page->out_prod = r->out_cons + RING_OUT_SIZE;
	if (stopped)
		raise(SIGCONT);
}

static int set_up(void **state)
{
	(void)state;
	options = (struct options){ .cpu_share = 50 };
	env = (struct console_env){ .options = &options, .loop = loop_new() };
	console_env_init(&env);
	c = (struct console){ .env = &env };
	fifo_init(&c.fifo, &c.fifo_pos, NULL, 0);
	set_page(0, RING_OUT_SIZE, 0, 0);
	to_reader = notified = 0;
	c.stood = INT64_MAX; /* its port is asked for in test-console-holds.c */
	c.stood_run = loop_absences();
	stopped = false;
	return env.loop && ring_init(&c.ring, page) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	console_unqueue(&c);
	console_env_fini(&env);
	loop_free(env.loop);
	return 0;
}

static void one_ring_then_the_next_guest(void **state)
{
	(void)state;
	for (unsigned int turn = 1; turn <= 3; turn++) {
		console_take(&c);
		assert_int_equal(to_reader, turn * RING_OUT_SIZE);
		assert_int_equal(notified, turn);
		assert_true(c.more);
		assert_ptr_equal(env.hot, &c); /* it has its turn again, after the others */
		console_unqueue(&c);
	}
}

/* Also when the reader, who is to lose nothing, has room for a little at a time. */
static void a_little_at_a_time(void **state)
{
	(void)state;
	options.keep = true;
	room = CHUNK;
	console_take(&c);
	assert_between(to_reader, RING_OUT_SIZE, RING_OUT_SIZE + CHUNK - 1);
	assert_true(c.more && !c.full);
	assert_ptr_equal(env.hot, &c);
}

/* Meanwhile the port may have gone to another daemon: the next turn asks first. */
static void stopped_in_the_midst(void **state)
{
	(void)state;
	options.keep = true;
	room = CHUNK;
	stopped = true;
	console_take(&c);
	assert_int_equal(to_reader, CHUNK);
	assert_true(c.more && !c.full);
	assert_ptr_equal(env.hot, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_ring_then_the_next_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_little_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stopped_in_the_midst, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}
