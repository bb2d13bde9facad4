/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A loop whose time is the test's own: epoll_wait() and clock_gettime() are defined here.  Waiting for a
 * timer puts the clock forward instead of taking time, and waiting for ever is a failure.
 */
#ifndef UNIT_LOOP_FIXTURE_H
#define UNIT_LOOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"

static int64_t clock_ns;
static int waits, changes; /* calls of epoll_wait() and epoll_ctl() */
static int last_timeout, fail_wait_with;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC)
		return timespec_get(t, TIME_UTC) == TIME_UTC ? 0 : -1; /* cmocka's */
	t->tv_sec = clock_ns / 1000000000;
	t->tv_nsec = clock_ns % 1000000000;
	return 0;
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
	int n;

	waits++;
	last_timeout = timeout;
	if (fail_wait_with) {
		errno = fail_wait_with;
		fail_wait_with = 0;
		return -1;
	}
	n = syscall(SYS_epoll_pwait, epoll, events, max, 0, NULL, 0);
	if (!n && timeout < 0)
		fail_msg("the loop would sleep for ever");
	if (!n)
		clock_ns += timeout * (int64_t)1000000;
	return n;
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	changes++;
	return syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

static struct loop *loop;

/* Stops the loop some turns from now. */
static struct loop_task stopper;
static int stopper_turns;

static int make_loop(void **state)
{
	(void)state;
	clock_ns = 5000000000 + 999999; /* nearly 5001 ms */
	waits = changes = fail_wait_with = 0;
	stopper = (struct loop_task){ 0 };
	loop = loop_new();
	return loop ? 0 : -1;
}

static int drop_loop(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void run_stopper(struct loop_task *task)
{
	if (--stopper_turns > 0)
		loop_post(loop, task);
	else
		loop_stop(loop);
}

static void run_turns(int n)
{
	stopper_turns = n;
	stopper.run = run_stopper;
	loop_post(loop, &stopper);
	assert_int_equal(loop_run(loop), 0);
}

/* The reading end of a pipe in which there is something to read. */
struct end {
	struct loop_fd source;
	int ends[2];
	int calls;
	uint32_t events;
	void (*then)(struct end *end);
	struct end *other;
	struct loop_corpse corpse;
};

static void end_ready(struct loop_fd *source, uint32_t events)
{
	struct end *end = container_of(source, struct end, source);

	end->calls++;
	end->events = events;
	if (end->then)
		end->then(end);
}

static void end_init(struct end *end, void (*then)(struct end *end))
{
	memset(end, 0, sizeof(*end));
	assert_int_equal(pipe2(end->ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(end->ends[1], "x", 1), 1);
	end->source.fd = -1;
	end->source.ready = end_ready;
	end->then = then;
	assert_int_equal(loop_add(loop, &end->source, end->ends[0], EPOLLIN), 0);
}

static void end_fini(struct end *end)
{
	loop_del(loop, &end->source);
	close(end->ends[0]);
	close(end->ends[1]);
}

static void remove_self(struct end *end)
{
	loop_del(loop, &end->source);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_loop, drop_loop)

#endif
