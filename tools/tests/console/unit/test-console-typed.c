/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Typed bytes that find no room: how often room is looked for, and that nobody looks when nobody types.
 */
#include "console-fixture.h"

#include <sys/epoll.h>

#include "console/reader.h"

static size_t typed; /* bytes that wait in the pty */
static uint32_t wanted;
static int64_t armed; /* ms that the timer was armed for last; 0: not since */

ssize_t __wrap_pty_read(struct pty *p, void *buf, size_t size);
size_t __wrap_pty_typed(const struct pty *p);
void __wrap_loop_arm(struct loop *l, struct loop_timer *timer, int64_t ms);
void __real_loop_arm(struct loop *l, struct loop_timer *timer, int64_t ms);
void __wrap_loop_want(struct loop *l, struct loop_fd *source, uint32_t events);

ssize_t __wrap_pty_read(struct pty *p, void *buf, size_t size)
{
	size_t n = size < typed ? size : typed;

	(void)p;
	memset(buf, 'x', n);
	typed -= n;
	return n;
}

size_t __wrap_pty_typed(const struct pty *p)
{
	(void)p;
	return typed;
}

void __wrap_loop_arm(struct loop *l, struct loop_timer *timer, int64_t ms)
{
	if (timer == &c.typed)
		armed = ms;
	__real_loop_arm(l, timer, ms);
}

void __wrap_loop_want(struct loop *l, struct loop_fd *source, uint32_t events)
{
	(void)l;
	(void)source;
	wanted = events;
}

static int begin(void **state)
{
	int err = set_up(state);

	c.pty.master = 0; /* never touched */
	typed = wanted = armed = 0;
	console_interest(&c);
	return err;
}

static int end(void **state)
{
	loop_disarm(env.loop, &c.typed);
	return tear_down(state);
}

/* The pty is readable, as when somebody has typed or a client has set its modes; if the loop wants to know. */
static void readable(void)
{
	if (wanted & EPOLLIN) {
		console_type(&c);
		console_settle(&c);
	}
}

static void look(void)
{
	assert_true(c.typed.armed);
	loop_disarm(env.loop, &c.typed);
	armed = 0;
	c.typed.fire(&c.typed);
}

static void fill(void)
{
	typed = 3 * RING_IN_SIZE;
	readable();
	assert_int_equal(page->in_prod - page->in_cons, RING_IN_SIZE);
	assert_false(c.typed.armed); /* nobody is known to have typed more */
	readable();
}

static void rarer_and_rarer(void **state)
{
	static const int64_t waits[] = { 20, 40, 80, 160, 250, 250, 250 };

	(void)state;
	fill();
	assert_int_equal(armed, 10);
	assert_false(wanted & EPOLLIN);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		look();
		assert_int_equal(armed, waits[i]);
		assert_false(wanted & EPOLLIN);
	}
}

static void room_without_an_event(void **state)
{
	(void)state;
	fill();
	look();
	page->in_cons += 5; /* the guest has read, and tells nobody */
	look();
	assert_false(c.typed.armed);
	assert_true(wanted & EPOLLIN);
	readable();
	assert_int_equal(page->in_prod, RING_IN_SIZE + 5);
	readable();
	assert_int_equal(armed, 10); /* from the beginning */
}

/* An event is quicker: the timer is not needed any more. */
static void room_with_an_event(void **state)
{
	(void)state;
	fill();
	page->in_cons += RING_IN_SIZE;
	console_feed(&c, EVENT_LOOK);
	assert_false(c.typed.armed);
	assert_true(wanted & EPOLLIN);
}

static void nobody_types(void **state)
{
	(void)state;
	assert_true(wanted & EPOLLIN);
	assert_false(c.typed.armed);
	typed = RING_IN_SIZE; /* fills the ring, and is all */
	readable();
	console_feed(&c, EVENT_LOOK);
	readable(); /* a client's modes */
	assert_false(c.typed.armed);
	assert_true(wanted & EPOLLIN);
}

/* What was typed was dropped again, by a client that flushes, say. */
static void nobody_types_any_more(void **state)
{
	(void)state;
	fill();
	typed = 0;
	look();
	assert_false(c.typed.armed);
	assert_true(wanted & EPOLLIN);
}

static void the_pty_is_lost(void **state)
{
	(void)state;
	fill();
	c.pty.master = -1;
	console_tty_lost(&c);
	assert_false(c.typed.armed);
}

static void the_page_was_made_anew(void **state)
{
	(void)state;
	ring_connect(&c.ring);
	typed = 5;
	readable();
	assert_int_equal(page->in_prod, 5);
	set_page(0, 0, 0, 0);
	page->connection = XENCONSOLE_DISCONNECTED;
	typed = 3;
	readable();
	assert_int_equal(page->in_prod, 3);
	assert_int_equal(page->connection, XENCONSOLE_CONNECTED);
}

static void nothing_is_typed_into_a_lost_port(void **state)
{
	(void)state;
	c.stood = 0;
	answer = HYPER_PORT_FREE;
	typed = 10;
	console_type(&c);
	assert_int_equal(typed, 10);
	assert_int_equal(page->in_prod, 0);
	assert_int_equal(c.failed, 1u << EVENT_PORT_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rarer_and_rarer, begin, end),
		cmocka_unit_test_setup_teardown(room_without_an_event, begin, end),
		cmocka_unit_test_setup_teardown(room_with_an_event, begin, end),
		cmocka_unit_test_setup_teardown(nobody_types, begin, end),
		cmocka_unit_test_setup_teardown(nobody_types_any_more, begin, end),
		cmocka_unit_test_setup_teardown(the_pty_is_lost, begin, end),
		cmocka_unit_test_setup_teardown(the_page_was_made_anew, begin, end),
		cmocka_unit_test_setup_teardown(nothing_is_typed_into_a_lost_port, begin, end),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}
