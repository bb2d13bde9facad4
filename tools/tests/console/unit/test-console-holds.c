/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who may write the page: to have bound the port once is not enough.
 */
#include "console-fixture.h"

#include <errno.h>
#include <signal.h>

#define SAID 100

static void guest_says(void)
{
	page->out_prod = c.ring.out_cons + SAID;
}

static void assert_untouched(void)
{
	assert_int_equal(page->out_cons, 0);
	assert_int_equal(page->connection, XENCONSOLE_DISCONNECTED);
	assert_int_equal(notified, 0);
}

static void asked_once_in_a_while(void **state)
{
	(void)state;
	assert_true(console_holds(&c));
	assert_int_equal(asked, 1);
	c.stood = INT64_MAX; /* a moment ago, however slow this test is */
	assert_true(console_holds(&c));
	assert_int_equal(asked, 1);
	c.stood = 0;
	assert_true(console_holds(&c));
	assert_int_equal(asked, 2);
}

/* An event says that the port stands. One that may have come before the process was stopped does not. */
static void an_event_counts_unless_it_is_old(void **state)
{
	(void)state;
	guest_says();
	c.evtchn.event(&c.evtchn);
	assert_int_equal(page->out_cons, SAID);
	assert_int_equal(asked, 0);
	raise(SIGCONT);
	guest_says();
	c.evtchn.event(&c.evtchn);
	assert_int_equal(page->out_cons, 2 * SAID);
	assert_int_equal(asked, 1);
	raise(SIGCONT);
	answer = HYPER_PORT_FREE;
	guest_says();
	console_take(&c);
	assert_int_equal(page->out_cons, 2 * SAID);
	assert_int_equal(asked, 2);
	assert_true(c.lost);
}

static void nothing_is_taken_from_a_port_that_is_lost(void **state)
{
	(void)state;
	answer = HYPER_PORT_FREE;
	page->connection = XENCONSOLE_DISCONNECTED;
	guest_says();
	console_take(&c);
	assert_untouched();
	assert_int_equal(c.failed, 1u << EVENT_PORT_LOST);
}

/* Where Xen does not answer, the port is as far as is known. */
static void no_answer_is_no_loss(void **state)
{
	(void)state;
	answer = -ENOMEM;
	raise(SIGCONT); /* nor does it keep the console in the queue for ever */
	guest_says();
	console_take(&c);
	assert_int_equal(page->out_cons, SAID);
	assert_false(c.failed || c.more);
	answer = HYPER_PORT_FREE; /* it answers again, and is asked again */
	assert_false(console_holds(&c));
}

static void the_flag_is_not_asserted_on_a_lost_port(void **state)
{
	(void)state;
	answer = HYPER_PORT_CLOSED;
	page->connection = XENCONSOLE_DISCONNECTED;
	console_assert(&c);
	assert_untouched();
	answer = HYPER_PORT_HELD;
	console_assert(&c);
	assert_int_equal(page->connection, XENCONSOLE_CONNECTED);
}

/* A stop with a port that is lost: only if nobody can hold it, and if this process has run all the time. */
static void a_stop_writes_only_what_nobody_serves(void **state)
{
	static const struct {
		int answer;
		bool stopped, written;
		uint32_t offered_to;
	} cases[] = {
		{ HYPER_PORT_CLOSED, false, true, 0 },
		{ HYPER_PORT_FREE, false, true, 0 },
		{ HYPER_PORT_FREE, false, false, 5 },
		{ HYPER_PORT_OTHER, false, false, 0 },
		{ -ESRCH, true, false, 0 },
		{ HYPER_PORT_CLOSED, true, false, 0 },
		{ HYPER_PORT_FREE, true, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		page->connection = XENCONSOLE_CONNECTED;
		c.stood = 0;
		c.stood_run = loop_absences();
		if (cases[i].stopped)
			raise(SIGCONT);
		c.evtchn.local = -1;
		answer = cases[i].answer;
		offered_to = cases[i].offered_to;
		console_flag_down(&c);
		assert_int_equal(page->connection,
				 cases[i].written ? XENCONSOLE_DISCONNECTED : XENCONSOLE_CONNECTED);
	}
}

static unsigned int strangers;

int __wrap_evtchn_bind(struct evtchn *e, struct evtchn_port *port, uint32_t domid, uint32_t remote);
int __wrap_page_map(struct page *to, struct pages *pages, uint32_t domid, bool grant, int64_t frame);

int __wrap_evtchn_bind(struct evtchn *e, struct evtchn_port *port, uint32_t domid, uint32_t remote)
{
	(void)e;
	(void)domid;
	(void)remote;
	port->local = 0;
	return 0;
}

int __wrap_page_map(struct page *to, struct pages *pages, uint32_t domid, bool grant, int64_t frame)
{
	(void)pages;
	(void)domid;
	(void)grant;
	(void)frame;
	to->at = page;
	return 0;
}

static void stranger(void *arg)
{
	(void)arg;
	strangers++;
}

/* Another domain has come by the domid of one that was let go: it is not served as that one. */
static void a_stranger_is_not_attached_to(void **state)
{
	(void)state;
	env.stranger = stranger;
	for (int strange = 1; strange >= 0; strange--) {
		strangers = 0;
		c.failed = 0;
		c.evtchn.local = -1;
		c.page.at = NULL;
		c.handle[3] = strange;
		page->connection = XENCONSOLE_DISCONNECTED;
		guest_says();
		console_attach(&c);
		assert_int_equal(strangers, strange);
		assert_int_equal(page->connection, strange ? XENCONSOLE_DISCONNECTED : XENCONSOLE_CONNECTED);
		assert_int_equal(page->out_cons, strange ? 0 : SAID);
		assert_int_equal(c.failed, strange ? 1u << EVENT_FAILED_GUEST : 0);
		assert_int_equal(c.evtchn.local, strange ? -1 : 0);
	}
}

/* What a domain said last is taken, also by a process that was stopped when it died, but not what another took. */
static void last_words_are_taken_once(void **state)
{
	(void)state;
	for (int taken = 0; taken < 2; taken++) {
		c.page.at = page;
		assert_int_equal(ring_init(&c.ring, page), 0);
		c.evtchn.local = 0;
		c.bytes_out = 0;
		dying = true;
		answer = HYPER_PORT_CLOSED;
		guest_says();
		page->out_cons += taken ? SAID : 0;
		raise(SIGCONT);
		console_detach(&c);
		assert_int_equal(c.bytes_out, taken ? 0 : SAID);
	}
}

/* A page that was made anew has its indexes, too, and only the flag tells. */
static void indexes_of_a_new_page_count(void **state)
{
	(void)state;
	c.ring.out_cons = 70;
	c.ring.in_prod = 30;
	c.ring.connected = true;
	page->connection = XENCONSOLE_DISCONNECTED;
	page->out_prod = SAID;
	console_take(&c);
	assert_int_equal(c.bytes_out, SAID);
	assert_int_equal(c.ring.in_prod, 0);
	/* A guest that only sets out_cons back changes nothing. */
	page->out_cons = 20;
	console_take(&c);
	assert_int_equal(c.bytes_out, SAID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asked_once_in_a_while, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_event_counts_unless_it_is_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_taken_from_a_port_that_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_answer_is_no_loss, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_flag_is_not_asserted_on_a_lost_port, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stop_writes_only_what_nobody_serves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stranger_is_not_attached_to, set_up, tear_down),
		cmocka_unit_test_setup_teardown(last_words_are_taken_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(indexes_of_a_new_page_count, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}
