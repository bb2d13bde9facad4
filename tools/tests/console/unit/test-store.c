/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store in its everyday life: what is asked, how often, in which order, and what is
 * told. What it does when things fail is in test-store-faults.c.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "between.h"
#include "store-fixture.h"

static void a_console_is_told_at_once_and_then_completely(void **state)
{
	struct seen *seen;

	(void)state;
	start(true);
	make_console(7, "0x11", "xenconsoled");
	fake_set("/local/domain/7/name", "seven");
	seen = follow(7);
	WAIT_FOR(seen->complete);
	assert_between(seen->first, 0, 1); /* it may have given way to the complete one */
	assert_int_equal(seen->nodes.port, 17);
	assert_int_equal(seen->nodes.type, STORE_TYPE_OURS);
	assert_int_equal(seen->nodes.ring_ref, 1234);
	assert_int_equal(seen->nodes.limit, 65536);
	assert_string_equal(seen->name, "seven");
	assert_null(seen->nodes.bad);
	settle();
	assert_int_equal(seen->complete, 1);
	fake_set("/local/domain/7/name", "eight");
	WAIT_FOR(seen->complete == 2);
	assert_string_equal(seen->name, "eight");
	settle();
	assert_int_equal(seen->complete, 2);
}

/* The answer to ring-ref is held back until the loop has been told of port. */
static void hold_ring_ref(enum fake_op op, const char *path)
{
	if (op == FAKE_READ && !strcmp(path, path_of(7, 0, "/ring-ref")))
		fake.stopped = true;
}

static void service_does_not_wait_for_the_rest(void **state)
{
	struct seen *seen;

	(void)state;
	start(true);
	fake.hook = hold_ring_ref;
	make_console(7, "17", NULL);
	seen = follow(7);
	WAIT_FOR(seen->first);
	assert_int_equal(seen->nodes.port, 17);
	assert_int_equal(seen->nodes.type, STORE_TYPE_OURS);
	assert_false(seen->nodes.complete);
	assert_int_equal(seen->nodes.ring_ref, -1);
	assert_int_equal(seen->nodes.limit, -1);
	assert_null(seen->nodes.name);
	assert_int_equal(fake_asked(FAKE_READ, path_of(7, 0, "/limit")), 0);
	fake_lock();
	fake.hook = NULL;
	fake_unlock();
	fake_stop(false);
	WAIT_FOR(seen->complete);
}

static unsigned int ports_asked;

static void ports_before_rest(enum fake_op op, const char *path)
{
	const char *leaf = strrchr(path, '/');

	if (op != FAKE_READ || !leaf)
		return;
	ports_asked += !strcmp(leaf, "/port");
	if (!strcmp(leaf, "/ring-ref") && ports_asked < 12)
		ports_asked = 1000;
}

static void every_console_is_served_before_any_is_asked_about_further(void **state)
{
	(void)state;
	start(false);
	ports_asked = 0;
	fake.hook = ports_before_rest;
	fake_stop(true);
	for (uint32_t domid = 1; domid <= 12; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	fake_stop(false);
	for (uint32_t domid = 1; domid <= 12; domid++)
		WAIT_FOR(fx.seen[domid][0].complete);
	assert_int_equal(ports_asked, 12);
}

static void a_console_costs_nine_requests(void **state)
{
	(void)state;
	assert_int_equal(open_store(false), 0);
	fx.publishes = true;
	for (uint32_t domid = 1; domid <= 100; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	for (uint32_t domid = 1; domid <= 100; domid++)
		WAIT_FOR(!tty_is(domid, 0, ""));
	assert_int_equal(fake_asked(FAKE_WATCH, NULL), 100 + 2);
	WAIT_FOR(fake_asked(FAKE_READ, NULL) == 100 * 5); /* of port twice */
	assert_int_equal(fake_asked(FAKE_WRITE, NULL), 100);
	assert_int_equal(fake_asked(FAKE_BEGIN, NULL), 100);
	assert_int_equal(fake_asked(FAKE_END, NULL), 100);
}

static void workers_are_as_many_as_the_consoles_are_worth(void **state)
{
	unsigned int few = -1, many = 0;

	(void)state;
	assert_int_equal(open_store(false), 0);
	for (uint32_t domid = 1; domid < 400; domid++)
		follow(domid);
	assert_int_equal(fx.store->workers, STORE_WORKERS);
	for (int i = 0; i < STORE_WORKERS; i++) {
		unsigned int n = fx.store->worker[i]->followed;

		few = n < few ? n : few;
		many = n > many ? n : many;
	}
	assert_between(many - few, 0, 1);
	for (uint32_t domid = 1; domid < 400; domid++)
		WAIT_FOR(fx.seen[domid][0].first);
}

static void what_is_absent_or_anothers_costs_nothing_further(void **state)
{
	struct seen *none, *other;

	(void)state;
	start(true);
	make_console(8, "5", "ioemu");
	none = follow(7);
	other = follow(8);
	WAIT_FOR(none->first && other->first);
	settle();
	assert_int_equal(none->nodes.port, -1);
	assert_int_equal(other->nodes.port, 5);
	assert_int_equal(other->nodes.type, STORE_TYPE_OTHER);
	assert_int_equal(none->first + other->first, 2);
	assert_int_equal(none->complete + other->complete, 0);
	assert_int_equal(fake_asked(FAKE_READ, path_of(7, 0, "/type")), 0);
	assert_int_equal(fake_asked(FAKE_READ, path_of(8, 0, "/ring-ref")), 0);

	fake_set(path_of(8, 0, "/type"), "xenconsoled");
	make_console(7, "6", NULL);
	WAIT_FOR(other->complete && none->complete);
	assert_int_equal(none->nodes.port, 6);
	fake_set(path_of(8, 0, "/type"), "ioemu");
	fake_remove(path_of(7, 0, ""));
	WAIT_FOR(other->nodes.type == STORE_TYPE_OTHER && none->nodes.port == -1);
}

static void bad_values_are_told(void **state)
{
	struct seen *seen;

	(void)state;
	start(false);
	make_console(7, "-5", "xenconsoled");
	seen = follow(7);
	WAIT_FOR(seen->first);
	assert_int_equal(seen->nodes.port, -1);
	assert_string_equal(seen->bad, "port");
	assert_string_equal(seen->bad_value, "-5");
	fake_lock();
	fake_set(path_of(7, 0, "/port"), "5");
	fake_set(path_of(7, 0, "/limit"), "1\1772"); /* a NUL inside */
	fake_unlock();
	WAIT_FOR(seen->complete && seen->nodes.port == 5);
	assert_int_equal(seen->nodes.limit, -1);
	assert_int_equal(seen->nodes.ring_ref, 1234);
	assert_string_equal(seen->bad, "limit");
	assert_string_equal(seen->bad_value, "1\\x012");
	fake_set(path_of(7, 0, "/limit"), "0");
	WAIT_FOR(seen->nodes.limit == 0);
	assert_null(seen->nodes.bad);
}

static void a_burst_of_changes_makes_one_look(void **state)
{
	struct seen *seen;
	char value[16];
	unsigned int asked, complete;

	(void)state;
	start(false);
	make_console(7, "5", "xenconsoled");
	seen = follow(7);
	WAIT_FOR(seen->complete);
	settle();
	asked = fake_asked(FAKE_READ, path_of(7, 0, "/port"));
	complete = seen->complete;
	fake_stop(true);
	for (int i = 0; i < 100; i++) {
		snprintf(value, sizeof(value), "%d", i + 1);
		fake_set(path_of(7, 0, "/port"), value);
		fake_set(path_of(7, 0, "/ring-ref"), value);
		fake_set(path_of(7, 0, "/output"), value);
	}
	fake_stop(false);
	WAIT_FOR(seen->nodes.port == 100 && seen->nodes.ring_ref == 100);
	settle();
	/* The first change may have been looked at before the second came. */
	assert_between(fake_asked(FAKE_READ, path_of(7, 0, "/port")) - asked, 1, 2);
	assert_between(seen->complete - complete, 1, 2);
}

static void changes_that_come_together_are_all_seen(void **state)
{
	(void)state;
	start(false);
	for (uint32_t domid = 1; domid <= 10; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	settle();
	fake_lock();
	for (uint32_t domid = 1; domid <= 10; domid++)
		fake_set(path_of(domid, 0, "/port"), "6");
	fake_unlock();
	for (uint32_t domid = 1; domid <= 10; domid++)
		WAIT_FOR(fx.seen[domid][0].nodes.port == 6);
}

static void type_of_another(enum fake_op op, const char *path)
{
	if (op != FAKE_READ || strcmp(path, path_of(7, 0, "/type")) != 0)
		return;
	fake.hook = NULL;
	fake_remove(path_of(7, 0, ""));
}

static void change_port(enum fake_op op, const char *path)
{
	if (op != FAKE_READ || strcmp(path, path_of(7, 0, "/type")) != 0)
		return;
	type_of_another(op, path);
	make_console(7, "9", "ioemu");
	fake_set(path_of(7, 0, "/type"), NULL);
	fake_set(path_of(7, 0, "/port"), "10");
}

static void a_type_read_from_a_removed_directory_is_not_believed(void **state)
{
	struct seen *seen;

	(void)state;
	start(false);
	make_console(7, "5", "ioemu");
	fake.hook = type_of_another;
	seen = follow(7);
	WAIT_FOR(seen->first);
	assert_int_equal(seen->nodes.port, -1);
	forget(7);
	make_console(7, "5", "ioemu");
	fake.hook = change_port;
	seen = follow(7);
	WAIT_FOR(seen->complete);
	assert_int_equal(seen->nodes.port, 10);
}

static void vuart_and_primary_do_not_disturb_each_other(void **state)
{
	struct seen *primary, *vuart = &fx.seen[7][CONSOLE_VUART];
	struct store_key key;

	(void)state;
	start(false);
	make_console(7, "5", "xenconsoled");
	fake_set(path_of(7, 1, "/port"), "6");
	fake_set(path_of(7, 1, "/ring-ref"), "99");
	primary = follow(7);
	follow_kind(7, CONSOLE_VUART);
	WAIT_FOR(primary->complete && vuart->complete);
	assert_int_equal(primary->nodes.port, 5);
	assert_int_equal(vuart->nodes.port, 6);
	assert_int_equal(vuart->nodes.ring_ref, 99);
	assert_int_equal(vuart->nodes.limit, -1);
	key = key_of(7, CONSOLE_VUART);
	assert_int_equal(store_publish(fx.store, &key, 6, "/dev/pts/3"), 0);
	fake_set(path_of(7, 1, "/ring-ref"), "100");
	WAIT_FOR(vuart->nodes.ring_ref == 100 && tty_is(7, CONSOLE_VUART, "/dev/pts/3"));
	settle();
	assert_int_equal(primary->complete, 1);
	assert_true(tty_is(7, CONSOLE_PRIMARY, ""));
}

static void domains_that_come_and_go_are_told(void **state)
{
	unsigned int before;

	(void)state;
	start(false);
	assert_int_not_equal(fx.domains, 0);
	before = fx.domains;
	fake_set("@introduceDomain", "");
	WAIT_FOR(fx.domains == before + 1);
	fake_set("@releaseDomain", "");
	WAIT_FOR(fx.domains == before + 2);
	settle();
	assert_int_equal(fx.domains, before + 2);
}

static bool something_to_tell(void)
{
	bool something;

	pthread_mutex_lock(&fx.store->lock);
	something = !link_alone(&fx.store->ready);
	pthread_mutex_unlock(&fx.store->lock);
	return something;
}

static void nothing_is_told_of_a_forgotten_console(void **state)
{
	struct seen *seen;

	(void)state;
	start(true);
	make_console(7, "5", "xenconsoled");
	fake_stop(true);
	follow(7);
	forget(7); /* on_nodes() fails if it hears of it */
	fake_stop(false);
	settle();
	/* Nor of one that was about to be told of. */
	seen = follow(7);
	while (!something_to_tell())
		sched_yield();
	forget(7);
	settle();
	seen = follow(7);
	WAIT_FOR(seen->complete);
	fake_set(path_of(7, 0, "/port"), "6");
	forget(7);
	settle();
	fake_forget();
	fake_set(path_of(7, 0, "/port"), "7");
	settle();
	assert_int_equal(fake_asked(FAKE_READ, path_of(7, 0, "/port")), 0);
	assert_int_equal(seen->nodes.port, 5);
	seen = follow(7);
	WAIT_FOR(seen->complete);
	assert_int_equal(seen->nodes.port, 7);
	/* Its watches are gone: that of the console and of the name of two, and two for domains. */
	assert_int_equal(fake_asked(FAKE_UNWATCH, NULL), 0);
	forget(7);
	settle();
	assert_int_equal(fake_asked(FAKE_UNWATCH, NULL), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_console_is_told_at_once_and_then_completely),
		TEST(service_does_not_wait_for_the_rest),
		TEST(every_console_is_served_before_any_is_asked_about_further),
		TEST(a_console_costs_nine_requests),
		TEST(workers_are_as_many_as_the_consoles_are_worth),
		TEST(what_is_absent_or_anothers_costs_nothing_further),
		TEST(bad_values_are_told),
		TEST(a_burst_of_changes_makes_one_look),
		TEST(changes_that_come_together_are_all_seen),
		TEST(a_type_read_from_a_removed_directory_is_not_believed),
		TEST(vuart_and_primary_do_not_disturb_each_other),
		TEST(domains_that_come_and_go_are_told),
		TEST(nothing_is_told_of_a_forgotten_console),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
