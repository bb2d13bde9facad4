/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who comes first when many consoles are found at a start: a new domain passes them
 * all, whoever's worker has them; few of their ttys are written at once; and first the
 * empty ones, since a creator may wait for them. Most of it is tried without threads:
 * what a worker would take next is asked in its place.
 */
#define _GNU_SOURCE
#include "between.h"
#include "store-fixture.h"

#define WORKERS 3
#define MANY 200
#define NEW 900

static struct store st;
static struct store_follow follows[16];

static int set_up_queues(void **state)
{
	(void)state;
	memset(&st, 0, sizeof(st));
	memset(follows, 0, sizeof(follows));
	for (size_t i = 0; i < sizeof(follows) / sizeof(follows[0]); i++)
		link_init(&follows[i].todo);
	pthread_mutex_init(&st.lock, NULL);
	link_init(&st.publish[0]);
	link_init(&st.publish[1]);
	for (; st.workers < WORKERS; st.workers++) {
		struct store_worker *w = calloc(1, sizeof(*w));

		assert_non_null(w);
		st.worker[st.workers] = w;
		w->store = &st;
		w->connected = true;
		w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		link_init(&w->resting);
		for (int i = 0; i < 2 * STORE_KINDS; i++)
			link_init(&w->todo[i / STORE_KINDS][i % STORE_KINDS]);
	}
	return 0;
}

static int tear_down_queues(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < WORKERS; i++) {
		close(st.worker[i]->wake);
		free(st.worker[i]);
	}
	pthread_mutex_destroy(&st.lock);
	return 0;
}

/* Console i is worker w's, found at the start or new, and this is to be done for it. */
static struct store_follow *want(unsigned int i, unsigned int w, bool found, enum store_work work)
{
	struct store_follow *f = &follows[i];

	f->worker = st.worker[w];
	f->later = found;
	store_want(f, work);
	return f;
}

static struct store_follow *take(unsigned int w)
{
	enum store_work kind;

	return store_take(st.worker[w], &kind);
}

static bool woken(unsigned int w)
{
	eventfd_t n;

	return eventfd_read(st.worker[w]->wake, &n) == 0;
}

static void no_tty_is_written_again_while_anything_is_urgent(void **state)
{
	static const enum store_work urgent[] = { STORE_SERVICE, STORE_LOOK, STORE_PUBLISH, STORE_REST,
						  STORE_TTY };
	struct store_follow *again, *new;

	(void)state;
	for (size_t i = 0; i < sizeof(urgent) / sizeof(urgent[0]); i++) {
		again = want(0, 0, true, STORE_PUBLISH);
		new = want(1, 1, false, urgent[i]);
		woken(0);
		assert_null(take(0));
		assert_ptr_equal(take(1), new);
		assert_null(take(0)); /* it is under way */
		assert_false(woken(0));
		store_done(st.worker[1]);
		assert_true(woken(0));
		assert_ptr_equal(take(0), again);
		store_done(st.worker[0]);
	}
}

/* Or no tty would ever be written again. */
static void what_is_urgent_for_a_worker_without_connection_holds_up_nobody(void **state)
{
	struct store_follow *again = want(0, 0, true, STORE_PUBLISH);

	(void)state;
	want(1, 1, false, STORE_SERVICE);
	assert_null(take(0));
	st.worker[1]->connected = false;
	assert_ptr_equal(take(0), again);
}

static void a_connection_that_is_not_answered_holds_up_nobody(void **state)
{
	struct store_follow *again = want(0, 0, true, STORE_PUBLISH);

	(void)state;
	want(1, 1, false, STORE_LOOK);
	assert_non_null(take(1));
	st.worker[1]->conn.asked = store_now();
	assert_null(take(0));
	st.worker[1]->conn.asked = store_now() - STORE_STUCK_MS;
	assert_ptr_equal(take(0), again);
}

static void few_are_written_again_at_once(void **state)
{
	struct store_follow *again[WORKERS];

	(void)state;
	for (unsigned int i = 0; i < WORKERS; i++)
		again[i] = want(i, i, true, STORE_PUBLISH);
	for (unsigned int i = 0; i < STORE_PUBLISH_AT_ONCE; i++)
		assert_ptr_equal(take(i), again[i]);
	woken(WORKERS - 1);
	assert_null(take(WORKERS - 1));
	store_done(st.worker[0]);
	assert_true(woken(WORKERS - 1));
	assert_ptr_equal(take(WORKERS - 1), again[WORKERS - 1]);
}

static void an_empty_one_goes_first(void **state)
{
	struct store_follow *again[2], *blank;

	(void)state;
	again[0] = want(0, 0, true, STORE_PUBLISH);
	again[1] = want(1, 0, true, STORE_PUBLISH);
	blank = want(2, 1, true, STORE_PUBLISH);
	store_rank(blank, true, false);
	assert_null(take(0));
	assert_ptr_equal(take(1), blank);
	assert_ptr_equal(take(0), again[0]);
}

static void a_new_console_is_served_first_and_then_the_newest(void **state)
{
	struct store_follow *found[3], *new[2];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		found[i] = want(i, 0, true, i == 0 ? STORE_LOOK : STORE_SERVICE);
	new[0] = want(3, 0, false, STORE_PUBLISH);
	new[1] = want(4, 0, false, STORE_SERVICE);
	assert_ptr_equal(take(0), new[1]);
	assert_ptr_equal(take(0), new[0]);
	assert_ptr_equal(take(0), found[2]);
	assert_ptr_equal(take(0), found[1]);
	assert_ptr_equal(take(0), found[0]);
}

static bool can_wait(uint32_t domid)
{
	struct store_key key = key_of(domid, CONSOLE_PRIMARY);
	bool later;

	pthread_mutex_lock(&fx.store->lock);
	later = (*store_find_locked(fx.store, &key))->later;
	pthread_mutex_unlock(&fx.store->lock);
	return later;
}

/* One that is found is asked whether somebody waits for it, of a new one that is known; once it has its tty it is as any other. */
static void what_is_found_can_wait_until_it_has_its_tty(void **state)
{
	(void)state;
	start(false);
	for (uint32_t domid = 1; domid <= 3; domid++) {
		fx.at_start = domid > 1;
		if (domid < 3)
			make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	WAIT_FOR(fx.seen[1][0].complete && fx.seen[2][0].complete && fx.seen[3][0].first);
	settle();
	assert_int_equal(fake_asked(FAKE_READ, path_of(1, 0, "/tty")), 0);
	assert_int_equal(fake_asked(FAKE_READ, path_of(2, 0, "/tty")), 1);
	assert_false(can_wait(1));
	assert_true(can_wait(2));
	assert_false(can_wait(3)); /* its nodes are still to come, and then somebody waits */
	publish(2, 5, "/dev/pts/2");
	WAIT_FOR(!can_wait(2));
	assert_true(tty_is(2, 0, "/dev/pts/2"));
}

/* Its reader waits for the write, since the predecessor's terminal is gone. */
static void what_a_predecessor_wrote_is_written_again_even_if_it_is_the_same(void **state)
{
	(void)state;
	start(false);
	fx.publishes = fx.at_start = true;
	make_console(7, "5", "xenconsoled");
	fake_set(path_of(7, 0, "/tty"), "/dev/pts/7");
	follow(7);
	WAIT_FOR(fake_asked(FAKE_WRITE, path_of(7, 0, "/tty")) == 1);
}

static void what_is_looked_at_anew_can_wait(void **state)
{
	(void)state;
	start(false);
	fx.publishes = true;
	make_console(1, "5", "xenconsoled");
	follow(1);
	WAIT_FOR(tty_is(1, 0, "/dev/pts/1"));
	assert_false(can_wait(1));
	fake_kill();
	heartbeat();
	WAIT_FOR(!store_up(fx.store));
	WAIT_FOR(can_wait(1));
	follow(2);
	assert_false(can_wait(2));
	fake_start(false);
	WAIT_FOR(!can_wait(1));
}

static unsigned int written, before_new;
static bool stop_at_write;

static void note_writes(enum fake_op op, const char *path)
{
	uint32_t domid;

	if (op != FAKE_WRITE || sscanf(path, "/local/domain/%u/", &domid) != 1)
		return;
	written++;
	if (domid == NEW)
		before_new = written - 1;
	if (stop_at_write)
		fake.stopped = true;
}

static bool stopped(void)
{
	bool is;

	fake_lock();
	is = fake.stopped;
	fake_unlock();
	return is;
}

/* xenstored is stopped while many ttys are written again; then a new domain's is wanted. */
static void a_new_domain_has_its_tty_before_the_others_again(void **state)
{
	(void)state;
	start(false);
	make_console(NEW, "5", "xenconsoled");
	follow(NEW);
	WAIT_FOR(fx.seen[NEW][0].complete);
	settle();
	fake_lock();
	fake.hook = note_writes;
	stop_at_write = true;
	fake_unlock();
	fx.publishes = fx.at_start = true;
	for (uint32_t domid = 1; domid <= MANY; domid++) {
		make_console(domid, "5", "xenconsoled");
		fake_set(path_of(domid, 0, "/tty"), "/dev/pts/old");
		follow(domid);
	}
	WAIT_FOR(stopped());
	publish(NEW, 5, "/dev/pts/900");
	fake_lock();
	stop_at_write = false;
	written = 0;
	fake_unlock();
	fake_stop(false);
	for (uint32_t domid = 1; domid <= MANY; domid++)
		WAIT_FOR(!tty_is(domid, 0, "/dev/pts/old"));
	assert_true(tty_is(NEW, 0, "/dev/pts/900"));
	assert_between(before_new, 0, STORE_PUBLISH_AT_ONCE);
}

int main(void)
{
#define QUEUES(name) cmocka_unit_test_setup_teardown(name, set_up_queues, tear_down_queues)
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		QUEUES(no_tty_is_written_again_while_anything_is_urgent),
		QUEUES(what_is_urgent_for_a_worker_without_connection_holds_up_nobody),
		QUEUES(a_connection_that_is_not_answered_holds_up_nobody),
		QUEUES(few_are_written_again_at_once),
		QUEUES(an_empty_one_goes_first),
		QUEUES(a_new_console_is_served_first_and_then_the_newest),
		TEST(what_is_found_can_wait_until_it_has_its_tty),
		TEST(what_a_predecessor_wrote_is_written_again_even_if_it_is_the_same),
		TEST(what_is_looked_at_anew_can_wait),
		TEST(a_new_domain_has_its_tty_before_the_others_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
