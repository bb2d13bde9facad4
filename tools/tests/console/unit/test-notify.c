/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * notify: a socket in the place of the init system's, and the loop that the daemon has. Messages
 * are waited for by running that loop; only a fault makes a test run into the deadline.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/notify.h"

#define DEADLINE_MS 20000

struct init {
	char dir[64], name[96];
	int fd;
	struct loop *loop;
	struct loop_fd source;
	struct loop_timer deadline;
	struct notify notify;
	size_t served;
	char message[256]; /* the last that came */
	bool came;
};

static void on_message(struct loop_fd *source, uint32_t events)
{
	struct init *i = container_of(source, struct init, source);
	ssize_t n = recv(i->fd, i->message, sizeof(i->message) - 1, MSG_DONTWAIT);

	(void)events;
	assert_true(n > 0);
	i->message[n] = '\0';
	i->came = true;
	loop_stop(i->loop);
}

static void on_deadline(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct init, deadline)->loop);
}

/* Run the loop until a message has come. */
static const char *next(struct init *i)
{
	i->came = false;
	loop_arm(i->loop, &i->deadline, DEADLINE_MS);
	assert_int_equal(loop_run(i->loop), 0);
	loop_disarm(i->loop, &i->deadline);
	if (!i->came)
		fail_msg("no message came");
	return i->message;
}

/* What is there already, without running the loop; NULL: nothing. */
static const char *at_once(struct init *i)
{
	ssize_t n = recv(i->fd, i->message, sizeof(i->message) - 1, MSG_DONTWAIT);

	if (n < 0)
		return NULL;
	i->message[n] = '\0';
	return i->message;
}

static void listen_at(struct init *i, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	i->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(i->fd >= 0);
	assert_int_equal(bind(i->fd, (struct sockaddr *)&address,
			      offsetof(struct sockaddr_un, sun_path) + strlen(name)),
			 0);
	assert_int_equal(loop_add(i->loop, &i->source, i->fd, EPOLLIN), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static int setup(void **state)
{
	struct init *i = calloc(1, sizeof(*i));

	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	snprintf(i->dir, sizeof(i->dir), "/tmp/test-notify.XXXXXX");
	assert_non_null(mkdtemp(i->dir));
	snprintf(i->name, sizeof(i->name), "%s/socket", i->dir);
	i->loop = loop_new();
	assert_non_null(i->loop);
	i->source = (struct loop_fd){ .fd = -1, .ready = on_message };
	i->deadline.fire = on_deadline;
	i->fd = -1;
	*state = i;
	return 0;
}

static int teardown(void **state)
{
	struct init *i = *state;

	notify_fini(&i->notify);
	notify_fini(&i->notify);
	loop_disarm(i->loop, &i->deadline);
	if (i->fd >= 0) {
		loop_del(i->loop, &i->source);
		close(i->fd);
	}
	loop_free(i->loop);
	unlink(i->name);
	rmdir(i->dir);
	free(i);
	return 0;
}

static void tells_nobody(void **state)
{
	struct init *i = *state;

	notify_init(&i->notify, i->loop, &i->served);
	assert_int_equal(i->notify.fd, -1);
	notify_ready(&i->notify);
	notify_reloaded(&i->notify);
	notify_stopping(&i->notify);
}

static void ready_and_stopping(void **state)
{
	struct init *i = *state;

	listen_at(i, i->name);
	i->served = 1;
	notify_init(&i->notify, i->loop, &i->served);
	assert_null(at_once(i));
	notify_ready(&i->notify);
	assert_string_equal(at_once(i), "READY=1");
	assert_string_equal(at_once(i), "STATUS=Serving 1 console");
	assert_null(at_once(i));
	notify_stopping(&i->notify);
	assert_string_equal(at_once(i), "STOPPING=1");
}

static void abstract_address(void **state)
{
	struct init *i = *state;
	char name[64];

	snprintf(name, sizeof(name), "@test-notify.%ld", (long)getpid());
	listen_at(i, name);
	notify_init(&i->notify, i->loop, &i->served);
	notify_ready(&i->notify);
	assert_string_equal(at_once(i), "READY=1");
}

static void reload_carries_its_time(void **state)
{
	struct init *i = *state;
	struct timespec before, after;
	int64_t usec;

	listen_at(i, i->name);
	notify_init(&i->notify, i->loop, &i->served);
	clock_gettime(CLOCK_MONOTONIC, &before);
	notify_reloaded(&i->notify);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_non_null(at_once(i));
	assert_int_equal(sscanf(i->message, "RELOADING=1\nMONOTONIC_USEC=%" SCNd64, &usec), 1);
	assert_true(usec >= before.tv_sec * INT64_C(1000000) + before.tv_nsec / 1000);
	assert_true(usec <= after.tv_sec * INT64_C(1000000) + after.tv_nsec / 1000);
	assert_string_equal(at_once(i), "READY=1");
}

/* The watchdog's pings are the clock here: a status that nothing asks for would come between. */
static void status_when_it_changes(void **state)
{
	struct init *i = *state;
	int64_t begun;

	listen_at(i, i->name);
	setenv("WATCHDOG_USEC", "1000000", 1);
	notify_init(&i->notify, i->loop, &i->served);
	notify_ready(&i->notify);
	assert_string_equal(at_once(i), "READY=1");
	assert_string_equal(at_once(i), "STATUS=Serving 0 consoles");
	for (int pings = 0; pings < 6; pings++)
		assert_string_equal(next(i), "WATCHDOG=1");
	begun = loop_now(i->loop);
	i->served = 3;
	while (strcmp(next(i), "WATCHDOG=1") == 0)
		assert_true(loop_now(i->loop) - begun < DEADLINE_MS);
	assert_string_equal(i->message, "STATUS=Serving 3 consoles");
	for (int pings = 0; pings < 4; pings++)
		assert_string_equal(next(i), "WATCHDOG=1");
}

static void watchdog_at_half_the_interval(void **state)
{
	struct init *i = *state;
	int64_t begun;

	listen_at(i, i->name);
	setenv("WATCHDOG_USEC", "400000", 1);
	notify_init(&i->notify, i->loop, &i->served);
	assert_int_equal(i->notify.watchdog_ms, 200);
	begun = loop_now(i->loop);
	notify_ready(&i->notify);
	at_once(i);
	at_once(i);
	for (int pings = 0; pings < 3; pings++)
		assert_string_equal(next(i), "WATCHDOG=1");
	/* The first comes at once; pings that come too often would be a busy loop. */
	assert_true(loop_now(i->loop) - begun >= 400);
}

static void watchdog_of_others(void **state)
{
	static const char *const none[] = { "", "0", "-5", "20s", "99999999999999999999" };
	struct init *i = *state;
	char pid[24];

	listen_at(i, i->name);
	for (size_t n = 0; n < sizeof(none) / sizeof(none[0]); n++) {
		setenv("WATCHDOG_USEC", none[n], 1);
		notify_init(&i->notify, i->loop, &i->served);
		assert_int_equal(i->notify.watchdog_ms, 0);
		notify_fini(&i->notify);
	}
	setenv("WATCHDOG_USEC", "20000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_init(&i->notify, i->loop, &i->served);
	assert_int_equal(i->notify.watchdog_ms, 0);
	notify_fini(&i->notify);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	notify_init(&i->notify, i->loop, &i->served);
	assert_int_equal(i->notify.watchdog_ms, 10000);
}

static void no_such_address(void **state)
{
	struct init *i = *state;
	char too_long[200];

	memset(too_long, 'x', sizeof(too_long));
	too_long[0] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	for (int n = 0; n < 4; n++) {
		setenv("NOTIFY_SOCKET", (const char *[]){ "relative", "vsock:2:1", "/", too_long }[n], 1);
		notify_init(&i->notify, i->loop, &i->served);
		assert_int_equal(i->notify.fd, -1);
		notify_ready(&i->notify);
	}
	/* An address at which nobody listens is no reason to fail, nor to die of a signal. */
	setenv("NOTIFY_SOCKET", i->name, 1);
	notify_init(&i->notify, i->loop, &i->served);
	assert_true(i->notify.fd >= 0);
	notify_ready(&i->notify);
	notify_stopping(&i->notify);
}

/* A socket that is full for a while costs no state, and nobody waits for it. */
static void full_socket(void **state)
{
	struct init *i = *state;
	int filled = 0;

	listen_at(i, i->name);
	notify_init(&i->notify, i->loop, &i->served);
	while (sendto(i->notify.fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&i->notify.to,
		      i->notify.to_len) == 1)
		filled++;
	assert_int_equal(errno, EAGAIN);
	i->served = 2;
	notify_ready(&i->notify);
	notify_reloaded(&i->notify);
	while (filled--)
		assert_string_equal(at_once(i), "x");
	assert_null(at_once(i));
	next(i);
	assert_ptr_equal(strstr(i->message, "RELOADING=1\n"), i->message);
	assert_string_equal(next(i), "READY=1");
	assert_string_equal(next(i), "STATUS=Serving 2 consoles");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(ready_and_stopping, setup, teardown),
		cmocka_unit_test_setup_teardown(abstract_address, setup, teardown),
		cmocka_unit_test_setup_teardown(reload_carries_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(status_when_it_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog_at_half_the_interval, setup, teardown),
		cmocka_unit_test_setup_teardown(watchdog_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(no_such_address, setup, teardown),
		cmocka_unit_test_setup_teardown(full_socket, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
