/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the store writes tty: only where the port is still the one it was meant for, not
 * at all where the node is right already, again when somebody else wrote it, and
 * without being led in a circle by its own writes.
 */
#define _GNU_SOURCE
#include "between.h"
#include "store-fixture.h"

/* Domain 7's console, followed and published by an owner who does so at each complete snapshot. */
static struct seen *start_published(void)
{
	struct seen *seen;

	start(false);
	fx.publishes = true;
	make_console(7, "5", "xenconsoled");
	seen = follow(7);
	WAIT_FOR(tty_is(7, 0, "/dev/pts/7"));
	settle();
	return seen;
}

static void our_own_write_leads_to_nothing(void **state)
{
	struct seen *seen = start_published();

	(void)state;
	assert_int_equal(seen->complete, 1);
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 1);
	assert_int_equal(fake_asked(FAKE_READ, path_of(7, 0, "/tty")), 0);
	/* With time to spare the node is looked at once. */
	heartbeat();
	WAIT_FOR(fake_asked(FAKE_READ, path_of(7, 0, "/tty")) == 1);
	heartbeat();
	settle();
	assert_int_equal(fake_asked(FAKE_READ, path_of(7, 0, "/tty")), 1);
	assert_int_equal(seen->complete, 1);
}

static void what_the_node_says_already_is_not_written(void **state)
{
	(void)state;
	start_published();
	fake_forget();
	publish(7, 5, "/dev/pts/7");
	settle();
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 0);
	assert_int_equal(fake_asked(FAKE_READ, path_of(7, 0, "/port")), 0);
	/* A look at a changed console learns what tty says. */
	fake_set(path_of(7, 0, "/limit"), "1");
	WAIT_FOR(fx.seen[7][0].nodes.limit == 1);
	settle();
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 0);
	publish(7, 5, "/dev/pts/8");
	WAIT_FOR(tty_is(7, 0, "/dev/pts/8"));
}

static void anothers_write_is_overwritten(void **state)
{
	struct seen *seen = start_published();

	(void)state;
	fake_set(path_of(7, 0, "/tty"), "/dev/pts/77");
	WAIT_FOR(tty_is(7, 0, "/dev/pts/7"));
	assert_int_equal(seen->complete, 2);
	settle();
	fake_set(path_of(7, 0, "/tty"), NULL);
	WAIT_FOR(tty_is(7, 0, "/dev/pts/7"));
	settle();
	make_console(7, "5", "xenconsoled"); /* blanks it, as a soft reset does */
	WAIT_FOR(tty_is(7, 0, "/dev/pts/7"));
	settle();
	fake_set(path_of(7, 0, "/tty"), "/dev/pts/7"); /* and restores it */
	settle();
	assert_int_equal(seen->complete, 4);
}

static void foreign_write(const char *path)
{
	if (strcmp(path, path_of(7, 0, "/tty")) != 0)
		return;
	fake.written = NULL;
	fake_set(path, "/dev/pts/77");
}

/* Its event is merged with that of our own write, which is still pending. */
static void anothers_write_hidden_behind_our_own_is_found(void **state)
{
	(void)state;
	start(false);
	fx.publishes = true;
	make_console(7, "5", "xenconsoled");
	fake.written = foreign_write;
	follow(7);
	WAIT_FOR(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")));
	settle();
	assert_true(tty_is(7, 0, "/dev/pts/77"));
	heartbeat();
	WAIT_FOR(tty_is(7, 0, "/dev/pts/7"));
}

static uint32_t looked_at[2]; /* the domains whose tty was read, in that order */

static void note_read_of_tty(enum fake_op op, const char *path)
{
	for (uint32_t domid = 7; domid <= 8; domid++)
		if (op == FAKE_READ && !strcmp(path, path_of(domid, 0, "/tty")))
			looked_at[looked_at[0] != 0] = domid;
}

/* A toolstack may still be at work on the newest console, so that one's doubt is settled first. */
static void the_newest_is_looked_at_first(void **state)
{
	(void)state;
	start(false);
	fx.publishes = true;
	for (uint32_t domid = 7; domid <= 8; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
		WAIT_FOR(tty_is(domid, 0, domid == 7 ? "/dev/pts/7" : "/dev/pts/8"));
		settle();
	}
	fake_lock();
	looked_at[0] = looked_at[1] = 0;
	fake.hook = note_read_of_tty;
	fake_unlock();
	heartbeat();
	WAIT_FOR(fake_asked(FAKE_READ, path_of(7, 0, "/tty")) &&
		 fake_asked(FAKE_READ, path_of(8, 0, "/tty")));
	assert_int_equal(looked_at[0], 8);
	assert_int_equal(looked_at[1], 7);
}

static void nothing_is_written_to_another_console(void **state)
{
	struct seen *seen;

	(void)state;
	start(false);
	make_console(7, "6", "xenconsoled");
	seen = follow(7);
	WAIT_FOR(seen->complete);
	publish(7, 5, "/dev/pts/7");
	WAIT_FOR(seen->complete == 2); /* says why */
	settle();
	assert_true(tty_is(7, 0, ""));
	fake_remove("/local/domain/7");
	publish(7, 6, "/dev/pts/7");
	WAIT_FOR(seen->nodes.port == -1);
	settle();
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 0);
}

static enum fake_op moment;
static void (*change)(void);

/* Once, at that request of the transaction that writes domain 7's tty. */
static void meanwhile(enum fake_op op, const char *path)
{
	(void)path;
	if (op != moment)
		return;
	fake.hook = NULL;
	change();
}

static struct seen *publish_meanwhile(enum fake_op when, void (*what)(void))
{
	struct seen *seen;

	start(false);
	make_console(7, "5", "xenconsoled");
	seen = follow(7);
	WAIT_FOR(seen->complete);
	settle();
	fake_forget();
	fake_lock();
	moment = when;
	change = what;
	fake.hook = meanwhile;
	fake_unlock();
	publish(7, 5, "/dev/pts/7");
	return seen;
}

static bool exists(const char *path)
{
	bool any = false;

	fake_lock();
	for (struct link *l = fake.nodes.next; l != &fake.nodes; l = l->next)
		any |= xs_path_is_subpath(path, fake_pair_of(l)->path);
	fake_unlock();
	return any;
}

static void remove_domain(void)
{
	fake_remove("/local/domain/7");
}

static void a_removed_domain_is_not_brought_back_to_life(void **state)
{
	struct seen *seen = publish_meanwhile(FAKE_BEGIN, remove_domain);

	(void)state;
	WAIT_FOR(seen->nodes.port == -1);
	settle();
	assert_false(exists("/local/domain/7"));
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 0);
	assert_int_equal(fake_asked(FAKE_BEGIN, NULL), fake_asked(FAKE_END, NULL));
}

static void nor_is_one_that_goes_a_moment_later(void **state)
{
	struct seen *seen = publish_meanwhile(FAKE_WRITE, remove_domain);

	(void)state;
	WAIT_FOR(seen->nodes.port == -1);
	settle();
	assert_false(exists("/local/domain/7"));
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 1);
}

static void nor_is_one_that_is_forgotten_at_once(void **state)
{
	publish_meanwhile(FAKE_END, remove_domain);

	(void)state;
	forget(7);
	WAIT_FOR(fake_asked(FAKE_UNWATCH, NULL));
	settle();
	assert_false(exists("/local/domain/7"));
}

static void make_another(void)
{
	remove_domain();
	make_console(7, "9", "xenconsoled");
}

static void a_new_domain_of_that_number_is_left_alone(void **state)
{
	static const enum fake_op moments[] = { FAKE_BEGIN, FAKE_WRITE, FAKE_END };

	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		struct seen *seen = publish_meanwhile(moments[i], make_another);

		WAIT_FOR(seen->nodes.port == 9);
		settle();
		assert_true(tty_is(7, 0, ""));
		tear_down(state);
		set_up(state);
	}
}

static void write_port_otherwise(void)
{
	fake_set(path_of(7, 0, "/port"), "0x5");
}

static void a_transaction_that_somebody_came_between_is_made_again(void **state)
{
	(void)state;
	listen_to_messages();
	publish_meanwhile(FAKE_END, write_port_otherwise);
	WAIT_FOR(tty_is(7, 0, "/dev/pts/7"));
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 2);
	assert_int_equal(heard("xenstored"), 0); /* that is no failure */
}

static void one_that_cannot_be_written_does_not_hold_up_the_others(void **state)
{
	(void)state;
	start(false);
	for (uint32_t domid = 1; domid <= 10; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	for (uint32_t domid = 1; domid <= 10; domid++)
		WAIT_FOR(fx.seen[domid][0].complete);
	fake_lock();
	fake.refused = "/local/domain/4/console/tty";
	fake.refusal = ENOSPC;
	fake_unlock();
	fake_stop(true);
	for (uint32_t domid = 1; domid <= 10; domid++)
		publish(domid, 5, "/dev/pts/9");
	fake_stop(false);
	for (uint32_t domid = 1; domid <= 10; domid++)
		if (domid != 4)
			WAIT_FOR(tty_is(domid, 0, "/dev/pts/9"));
	assert_true(tty_is(4, 0, ""));
	fake_lock();
	fake.refused = NULL;
	fake_unlock();
	WAIT_FOR(tty_is(4, 0, "/dev/pts/9"));
}

static void a_newer_request_replaces_an_older_one(void **state)
{
	(void)state;
	start_published();
	fake_forget();
	fake_stop(true);
	publish(FENCE, 1, "busy"); /* so that the next two wait together */
	publish(7, 5, "/dev/pts/8");
	publish(7, 5, "/dev/pts/9");
	fake_stop(false);
	WAIT_FOR(tty_is(7, 0, "/dev/pts/9"));
	settle();
	assert_true(tty_is(7, 0, "/dev/pts/9"));
	assert_between(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")), 1, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, stop_listening)
	const struct CMUnitTest tests[] = {
		TEST(our_own_write_leads_to_nothing),
		TEST(what_the_node_says_already_is_not_written),
		TEST(anothers_write_is_overwritten),
		TEST(anothers_write_hidden_behind_our_own_is_found),
		TEST(the_newest_is_looked_at_first),
		TEST(nothing_is_written_to_another_console),
		TEST(a_removed_domain_is_not_brought_back_to_life),
		TEST(nor_is_one_that_goes_a_moment_later),
		TEST(nor_is_one_that_is_forgotten_at_once),
		TEST(a_new_domain_of_that_number_is_left_alone),
		TEST(a_transaction_that_somebody_came_between_is_made_again),
		TEST(one_that_cannot_be_written_does_not_hold_up_the_others),
		TEST(a_newer_request_replaces_an_older_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
