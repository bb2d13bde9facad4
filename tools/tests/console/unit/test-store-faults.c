/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The store when xenstored is stopped, killed, restarted, restarted empty or refuses
 * single requests: what was served stays untouched, it is said once, and all is put
 * right by itself.
 */
#define _GNU_SOURCE
#include "between.h"
#include "store-fixture.h"

/* Consoles 1 to n, published; enough of them for several workers. */
static void start_with(uint32_t n)
{
	listen_to_messages();
	start(false);
	fx.publishes = true;
	for (uint32_t domid = 1; domid <= n; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	for (uint32_t domid = 1; domid <= n; domid++)
		WAIT_FOR(!tty_is(domid, 0, ""));
}

static void a_restart_is_survived(void **state)
{
	unsigned int domains;

	(void)state;
	start_with(40);
	assert_true(store_up(fx.store));
	domains = fx.domains;
	fake_kill();
	heartbeat();
	WAIT_FOR(!store_up(fx.store));
	fake_set(path_of(3, 0, "/port"), "6"); /* as a toolstack does that was quicker than we */
	fake_set(path_of(4, 0, "/tty"), "/dev/pts/44");
	fake_forget();
	fake_start(false);
	WAIT_FOR(store_up(fx.store) && fx.domains > domains);
	WAIT_FOR(fx.seen[3][0].nodes.port == 6 && tty_is(4, 0, "/dev/pts/4"));
	for (uint32_t domid = 1; domid <= 40; domid++)
		WAIT_FOR(fx.seen[domid][0].complete >= 2);
	settle();
	/* The watches are there again, and what was right is left alone. */
	fake_set(path_of(40, 0, "/port"), "7");
	WAIT_FOR(fx.seen[40][0].nodes.port == 7);
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(1, 0, "/tty")), 0);
	assert_int_equal(heard("the connection to xenstored broke"), 1);
	assert_int_equal(heard("connected to xenstored again"), 1);
}

/* While nothing at all is asked, and by more than one worker. */
static void a_loss_is_found_by_the_heartbeat(void **state)
{
	(void)state;
	listen_to_messages();
	assert_int_equal(open_store(false), 0);
	for (uint32_t domid = 1; domid <= 40; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	for (uint32_t domid = 1; domid <= 40; domid++)
		WAIT_FOR(fx.seen[domid][0].complete);
	fake_kill();
	heartbeat();
	WAIT_FOR(!store_up(fx.store));
	fake_start(false);
	for (uint32_t domid = 1; domid <= 40; domid++)
		WAIT_FOR(fx.seen[domid][0].complete == 2);
}

static void a_loss_is_found_by_any_request(void **state)
{
	(void)state;
	start_with(1);
	fake_kill();
	follow(2);
	WAIT_FOR(!store_up(fx.store));
	make_console(2, "5", NULL);
	fake_start(false);
	WAIT_FOR(fx.seen[2][0].complete);
}

static void what_happens_during_an_absence_is_found_afterwards(void **state)
{
	struct seen *seen;

	(void)state;
	start_with(3);
	fake_kill();
	heartbeat();
	WAIT_FOR(!store_up(fx.store));
	fx.publishes = false;
	forget(1);
	forget(2);
	make_console(2, "9", NULL); /* another incarnation */
	seen = follow(2);
	publish(3, 5, "/dev/pts/33");
	fake_forget();
	fake_start(false);
	WAIT_FOR(seen->complete && tty_is(3, 0, "/dev/pts/33"));
	assert_int_equal(seen->nodes.port, 9);
	settle();
	assert_int_equal(fake_asked(FAKE_READ, path_of(1, 0, "/port")), 0);
	assert_int_equal(fake_asked(FAKE_UNWATCH, NULL), 0);
}

static void an_empty_xenstored_takes_no_console_away(void **state)
{
	(void)state;
	start_with(3);
	fx.publishes = false;
	fake_kill();
	fake_start(true);
	make_console(FENCE, "1", NULL);
	publish(1, 5, "/dev/pts/11"); /* finds the loss, and no port afterwards */
	WAIT_FOR(heard("connected to xenstored again"));
	fake_set("/local/domain/2/name", "renamed"); /* makes the directory, but says nothing of consoles */
	fake_set(path_of(2, 0, "/limit"), "5");
	settle();
	for (uint32_t domid = 1; domid <= 3; domid++)
		assert_int_equal(fx.seen[domid][0].nodes.port, 5);
	assert_int_equal(fake_asked(FAKE_WRITE, path_of(1, 0, "/tty")), 1);
	/* Nodes that are there again are believed, and so is their absence then. */
	make_console(1, "6", "xenconsoled");
	WAIT_FOR(fx.seen[1][0].nodes.port == 6);
	fake_remove("/local/domain/1");
	WAIT_FOR(fx.seen[1][0].nodes.port == -1);
	/* And so it is of a domain that is introduced there. */
	fake_lock();
	fake.introduced = 2;
	fake_unlock();
	fake_set(path_of(2, 0, "/limit"), "6");
	fake_set(path_of(3, 0, "/limit"), "6");
	WAIT_FOR(fx.seen[2][0].nodes.port == -1);
	settle();
	assert_int_equal(fx.seen[3][0].nodes.port, 5);
}

static void a_stopped_xenstored_holds_nobody_up(void **state)
{
	(void)state;
	start_with(40);
	fx.store->stall_ms = 1;
	fake_stop(true);
	for (uint32_t domid = 1; domid <= 40; domid++) {
		publish(domid, 5, "/dev/pts/9");
		follow_kind(domid, CONSOLE_VUART);
	}
	for (uint32_t domid = 1; domid <= 20; domid++)
		forget(domid);
	WAIT_FOR((heartbeat(), !store_up(fx.store)));
	heartbeat();
	assert_int_equal(heard("xenstored does not answer"), 1);
	fake_stop(false);
	fx.store->stall_ms = STORE_BEAT_MS;
	heartbeat();
	assert_true(store_up(fx.store));
	assert_int_equal(heard("xenstored answers again"), 1);
	for (uint32_t domid = 1; domid <= 40; domid++)
		WAIT_FOR((domid <= 20 || tty_is(domid, 0, "/dev/pts/9")) && fx.seen[domid][1].first);
}

static void leaving_does_not_wait_for_a_stopped_xenstored(void **state)
{
	int64_t began;

	(void)state;
	start_with(40);
	fake_stop(true);
	for (uint32_t domid = 1; domid <= 40; domid++)
		publish(domid, 5, "/dev/pts/9");
	began = store_now();
	store_free(fx.store, 50);
	fx.store = NULL;
	assert_true(store_now() - began < DEADLINE_MS / 2);
	assert_int_not_equal(fake.open, 0);
	/* Threads that were left behind end when they can, and take what is left with them. */
	fake_stop(false);
	for (unsigned int open = 1; open; turn()) {
		assert_true(store_now() - began < DEADLINE_MS);
		fake_lock();
		open = fake.open;
		fake_unlock();
	}
}

static void a_refused_request_is_asked_again(void **state)
{
	struct seen *seen;
	char line[200];

	(void)state;
	start_with(1);
	make_console(7, "5", NULL);
	fake_lock();
	fake.refused = "/local/domain/7/console/port";
	fake.refusal = ENOMEM;
	fake_unlock();
	seen = follow(7);
	snprintf(line, sizeof(line), "domain 7: xenstored refuses to tell the nodes of its console: %s;",
		 strerror(ENOMEM));
	WAIT_FOR(heard(line) == 1);
	settle();
	assert_int_equal(seen->first + seen->complete, 0);
	assert_true(store_up(fx.store));
	fake_lock();
	fake.refused = "/local/domain/7/console/limit";
	fake_unlock();
	WAIT_FOR(seen->first);
	assert_int_equal(seen->nodes.port, 5);
	fake_lock();
	fake.refused = NULL;
	fake_unlock();
	WAIT_FOR(seen->complete);
}

static void without_xenstored_there_is_no_store(void **state)
{
	(void)state;
	fake_kill();
	assert_int_equal(open_store(false), -ECONNREFUSED);
	assert_null(fx.store);
}

static void refuse_watches(enum fake_op op, const char *path)
{
	if (op == FAKE_WATCH && !strcmp(path, "@releaseDomain"))
		fake_kill();
}

static void a_xenstored_that_dies_at_once_is_no_store(void **state)
{
	(void)state;
	fake.hook = refuse_watches;
	fake.refused = "@releaseDomain";
	fake.refusal = EINVAL;
	assert_int_equal(open_store(false), -ENOTCONN);
}

/* A socket that is xenstored's door; nobody is behind it unless it listens. */
static struct sockaddr_un door = { .sun_family = AF_UNIX };

static int make_door(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(door.sun_path);
	snprintf(door.sun_path, sizeof(door.sun_path), "/tmp/test-store-%d", (int)getpid());
	assert_int_equal(bind(fd, (struct sockaddr *)&door, sizeof(door)), 0);
	setenv("XENSTORED_PATH", door.sun_path, 1);
	fake.socket = door.sun_path;
	return fd;
}

static void remove_door(int fd)
{
	close(fd);
	unlink(door.sun_path);
	unsetenv("XENSTORED_PATH");
}

/* Where there is a socket, xs_open() is not left to try the kernel's device. */
static void a_dead_socket_is_not_passed_by(void **state)
{
	int fd = make_door();

	(void)state;
	assert_int_equal(open_store(false), -ECONNREFUSED);
	assert_int_equal(fake.opened, 0);
	assert_int_equal(listen(fd, 1), 0);
	loop_free(fx.loop);
	assert_int_equal(open_store(false), 0);
	assert_int_equal(fake.opened, 1);
	remove_door(fd);
}

/* While nothing is asked, and no heart beats. */
static void a_loss_is_told_by_the_silent_connection(void **state)
{
	int fd = make_door(), silent;

	(void)state;
	assert_int_equal(listen(fd, 1), 0);
	listen_to_messages();
	assert_int_equal(open_store(false), 0);
	silent = accept(fd, NULL, NULL);
	assert_true(silent >= 0);
	make_console(1, "5", "xenconsoled");
	follow(1);
	WAIT_FOR(fx.seen[1][0].complete);
	fake_kill();
	remove_door(fd);
	close(silent);
	WAIT_FOR(!store_up(fx.store));
	fd = make_door();
	assert_int_equal(listen(fd, 1), 0);
	fake_start(false);
	WAIT_FOR(fx.seen[1][0].complete == 2);
	assert_int_equal(heard("the connection to xenstored broke"), 1);
	assert_int_equal(heard("connected to xenstored again"), 1);
	remove_door(fd);
}

/* libxenstore's reader thread is cancelled between forgetting it and closing it. */
static void a_socket_that_libxenstore_forgets_is_closed(void **state)
{
	int fd = make_door(), silent, forgotten;
	char none;

	(void)state;
	fake.forgets = !listen(fd, 2);
	listen_to_messages();
	assert_int_equal(open_store(false), 0);
	silent = accept(fd, NULL, NULL);
	forgotten = accept(fd, NULL, NULL);
	assert_true(silent >= 0 && forgotten >= 0);
	fake_kill();
	remove_door(fd);
	assert_int_equal(recv(forgotten, &none, 1, MSG_DONTWAIT), -1);
	close(silent);
	WAIT_FOR(!store_up(fx.store));
	assert_int_equal(recv(forgotten, &none, 1, MSG_DONTWAIT), 0);
	close(forgotten);
}

static unsigned int opened(void)
{
	unsigned int n;

	fake_lock();
	n = fake.opened;
	fake_unlock();
	return n;
}

/* With a pause that doubles there would be ten attempts before the deadline. */
static void a_xenstored_that_is_gone_is_tried_again_and_again(void **state)
{
	(void)state;
	start_with(1);
	fake_kill();
	heartbeat();
	WAIT_FOR(opened() > 15);
	assert_int_equal(heard("xenstored"), 1);
}

static void a_worker_that_cannot_connect_says_so_once(void **state)
{
	unsigned int before;
	char line[200];

	(void)state;
	start_with(10);
	fake_lock();
	fake.closed = EMFILE;
	fake_unlock();
	for (uint32_t domid = 11; domid <= 40; domid++) {
		make_console(domid, "5", "xenconsoled");
		follow(domid);
	}
	assert_int_equal(fx.store->workers, 3);
	snprintf(line, sizeof(line), "cannot open a connection to xenstored: %s; ", strerror(EMFILE));
	WAIT_FOR(heard(line) == 2);
	before = opened();
	for (int i = 0; i < 100; i++)
		turn();
	assert_between(opened() - before, 0, 50); /* two workers, whose pauses double */
	fake_lock();
	fake.closed = 0;
	fake_unlock();
	for (uint32_t domid = 11; domid <= 40; domid++)
		WAIT_FOR(fx.seen[domid][0].complete);
	assert_int_equal(heard("cannot open a connection to xenstored"), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, stop_listening)
	const struct CMUnitTest tests[] = {
		TEST(a_restart_is_survived),
		TEST(a_loss_is_found_by_the_heartbeat),
		TEST(a_loss_is_found_by_any_request),
		TEST(what_happens_during_an_absence_is_found_afterwards),
		TEST(an_empty_xenstored_takes_no_console_away),
		TEST(a_stopped_xenstored_holds_nobody_up),
		TEST(leaving_does_not_wait_for_a_stopped_xenstored),
		TEST(a_refused_request_is_asked_again),
		TEST(without_xenstored_there_is_no_store),
		TEST(a_xenstored_that_dies_at_once_is_no_store),
		TEST(a_dead_socket_is_not_passed_by),
		TEST(a_loss_is_told_by_the_silent_connection),
		TEST(a_socket_that_libxenstore_forgets_is_closed),
		TEST(a_xenstored_that_is_gone_is_tried_again_and_again),
		TEST(a_worker_that_cannot_connect_says_so_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
