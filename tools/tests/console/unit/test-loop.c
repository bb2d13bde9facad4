/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * loop: which descriptor's owner is called and which is not, signals, and how it runs and stops.
 */
#include "between.h"
#include "loop-fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>

static void test_level_triggered(void **state)
{
	struct end end;
	char byte;

	(void)state;
	end_init(&end, NULL);
	run_turns(3);
	assert_int_equal(end.calls, 3);
	assert_int_equal(end.events, EPOLLIN);
	assert_int_equal(read(end.ends[0], &byte, 1), 1);
	run_turns(3);
	assert_int_equal(end.calls, 3);
	close(end.ends[1]);
	end.ends[1] = -1;
	loop_want(loop, &end.source, 0);
	run_turns(1); /* hanging up is reported to those who want nothing */
	assert_int_equal(end.calls, 4);
	assert_int_equal(end.events, EPOLLHUP);
	end_fini(&end);
	end_fini(&end);
	assert_int_equal(end.source.fd, -1);
	run_turns(2);
	assert_int_equal(end.calls, 4);
}

static void test_one_wait_a_turn(void **state)
{
	struct end a, b;

	(void)state;
	end_init(&a, NULL);
	end_init(&b, NULL);
	changes = 0;
	run_turns(10);
	assert_int_equal(waits, 10);
	loop_want(loop, &a.source, EPOLLIN);
	assert_int_equal(changes, 0);
	loop_want(loop, &a.source, 0);
	assert_int_equal(changes, 1);
	run_turns(5);
	assert_int_equal(a.calls, 10);
	assert_int_equal(b.calls, 15);
	end_fini(&a);
	loop_want(loop, &a.source, EPOLLIN); /* not in the loop: nothing to change */
	assert_int_equal(changes, 2);
	end_fini(&b);
}

static void test_add_fails(void **state)
{
	struct loop_fd source = { .fd = -1 };

	(void)state;
	assert_int_equal(loop_add(loop, &source, -1, EPOLLIN), -EBADF);
	assert_int_equal(source.fd, -1);
	loop_del(loop, &source);
}

static void test_removes_itself(void **state)
{
	struct end end;

	(void)state;
	end_init(&end, remove_self);
	run_turns(3);
	assert_int_equal(end.calls, 1);
	end_fini(&end);
}

static char order[16];

static void note(struct end *end)
{
	strcat(order, end->events & EPOLLPRI ? "urgent " : "x ");
	loop_want(loop, &end->source, 0);
}

/* What a terminal's client has set is news before anything else of the same turn. */
static void test_urgent_first(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct end before, terminal = { .source = { .fd = -1, .ready = end_ready }, .then = note };

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(ioctl(master, TIOCPKT, &(int){ 1 }), 0);
	order[0] = '\0';
	end_init(&before, note);
	assert_int_equal(loop_add(loop, &terminal.source, master, EPOLLIN | EPOLLPRI), 0);
	assert_int_equal(tcflow(slave, TCOOFF), 0);
	waits = 0;
	run_turns(1);
	assert_int_equal(waits, 1);
	assert_string_equal(order, "urgent x ");
	loop_del(loop, &terminal.source);
	end_fini(&before);
	close(slave);
	close(master);
}

static void free_end(struct loop_corpse *corpse)
{
	free(container_of(corpse, struct end, corpse));
}

static void kill_other(struct end *end)
{
	if (!end->other)
		return;
	end_fini(end->other);
	loop_bury(loop, &end->other->corpse, free_end);
	end->other = NULL;
}

/* Both are ready in one batch; the one that is called first ends the other. */
static void test_removes_another_of_the_batch(void **state)
{
	struct end *ends[2] = { malloc(sizeof(struct end)), malloc(sizeof(struct end)) };
	struct end *left;

	(void)state;
	for (int i = 0; i < 2; i++)
		end_init(ends[i], kill_other);
	ends[0]->other = ends[1];
	ends[1]->other = ends[0];
	waits = 0;
	run_turns(1);
	assert_int_equal(waits, 1);
	left = ends[0]->other ? ends[1] : ends[0];
	/* The other one is freed: an address sanitizer also sees if it was called. */
	assert_null(left->other);
	assert_int_equal(left->calls, 1);
	run_turns(2);
	assert_int_equal(left->calls, 3);
	end_fini(left);
	free(left);
}

static void count_not(struct end *end)
{
	loop_del(loop, &end->other->source);
	end->then = end->other->then = NULL;
}

static void test_removed_is_not_called(void **state)
{
	struct end a, b;

	(void)state;
	end_init(&a, count_not);
	end_init(&b, count_not);
	a.other = &b;
	b.other = &a;
	run_turns(1);
	assert_int_equal(a.calls + b.calls, 1);
	end_fini(&a);
	end_fini(&b);
}

/* The place is the same, the descriptor is another, which has nothing to say. */
static void replace_other(struct end *end)
{
	int fds[2];

	end->then = end->other->then = NULL;
	loop_del(loop, &end->other->source);
	close(end->other->ends[0]);
	close(end->other->ends[1]);
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	memcpy(end->other->ends, fds, sizeof(fds));
	assert_int_equal(loop_add(loop, &end->other->source, fds[0], EPOLLIN), 0);
}

static void test_replaced_in_the_batch(void **state)
{
	struct end a, b;

	(void)state;
	end_init(&a, replace_other);
	end_init(&b, replace_other);
	a.other = &b;
	b.other = &a;
	run_turns(2);
	assert_int_equal(a.calls + b.calls, 2); /* one of them twice */
	end_fini(&a);
	end_fini(&b);
}

static void want_nothing_of_other(struct end *end)
{
	loop_want(loop, &end->other->source, 0);
}

static void test_interest_changed_in_the_batch(void **state)
{
	struct end a, b;

	(void)state;
	end_init(&a, want_nothing_of_other);
	end_init(&b, want_nothing_of_other);
	a.other = &b;
	b.other = &a;
	run_turns(1);
	assert_int_equal(a.calls + b.calls, 1);
	end_fini(&a);
	end_fini(&b);
}

#define MANY 200

static void test_many_are_served_alike(void **state)
{
	static struct end ends[MANY];
	int turns = 32;

	(void)state;
	for (int i = 0; i < MANY; i++)
		end_init(&ends[i], NULL);
	run_turns(turns);
	assert_int_equal(waits, turns);
	for (int i = 0; i < MANY; i++) {
		/* 64 of 200 in each turn, by turns */
		assert_between(ends[i].calls, turns * 64 / MANY - 1, turns * 64 / MANY + 1);
		end_fini(&ends[i]);
	}
}

/* ---- signals -------------------------------------------------------------- */

static int signals_seen[2];

static void on_signal(void *arg)
{
	++*(int *)arg;
}

static void *blocked_in_thread(void *arg)
{
	sigset_t blocked;

	(void)arg;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	return sigismember(&blocked, SIGUSR1) && sigismember(&blocked, SIGUSR2) ? loop : NULL;
}

static void test_signals(void **state)
{
	pthread_t thread;
	void *blocked;

	(void)state;
	memset(signals_seen, 0, sizeof(signals_seen));
	assert_int_equal(loop_signal(loop, 0, on_signal, NULL), -EINVAL);
	assert_int_equal(loop_signal(loop, 9999, on_signal, NULL), -EINVAL);
	assert_int_equal(loop_signal(loop, SIGUSR1, on_signal, &signals_seen[0]), 0);
	assert_int_equal(loop_signal(loop, SIGUSR2, on_signal, &signals_seen[1]), 0);
	assert_int_equal(pthread_create(&thread, NULL, blocked_in_thread, NULL), 0);
	pthread_join(thread, &blocked);
	assert_non_null(blocked);
	raise(SIGUSR2);
	run_turns(1);
	assert_int_equal(signals_seen[0], 0);
	assert_int_equal(signals_seen[1], 1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	run_turns(1);
	assert_int_equal(signals_seen[0], 1);
	assert_int_equal(signals_seen[1], 2);
	assert_int_equal(loop_signal(loop, SIGUSR1, on_signal, &signals_seen[1]), 0);
	raise(SIGUSR1);
	run_turns(2);
	assert_int_equal(signals_seen[0], 1);
	assert_int_equal(signals_seen[1], 3);
}

/* ---- running -------------------------------------------------------------- */

static void test_stop_before_run(void **state)
{
	(void)state;
	loop_stop(loop);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(waits, 0);
	run_turns(1); /* it counted once */
	assert_int_equal(waits, 1);
}

static void note_timer(struct loop_timer *timer)
{
	(void)timer;
	strcat(order, "timer ");
}

/* An interrupted wait is no turn: what has happened meanwhile comes before the timers that are due. */
static void test_wait_fails(void **state)
{
	struct loop_timer timer = { .fire = note_timer };
	struct end end;

	(void)state;
	order[0] = '\0';
	end_init(&end, note);
	loop_arm(loop, &timer, 0);
	fail_wait_with = EINTR;
	run_turns(1);
	assert_int_equal(waits, 2);
	assert_string_equal(order, "x timer ");
	end_fini(&end);
	fail_wait_with = ENOMEM;
	assert_int_equal(loop_run(loop), -ENOMEM);
}

static int lowest_free_fd(void)
{
	int fd = dup(STDIN_FILENO), number = fd;

	close(fd);
	return number;
}

static void test_leaves_no_descriptor(void **state)
{
	int before = lowest_free_fd();
	struct loop *other = loop_new();

	(void)state;
	assert_non_null(other);
	assert_int_equal(loop_signal(other, SIGUSR1, on_signal, &signals_seen[0]), 0);
	assert_true(fcntl(before, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(lowest_free_fd() - 1, F_GETFD) & FD_CLOEXEC);
	loop_free(other);
	assert_int_equal(lowest_free_fd(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_level_triggered),
		TEST(test_one_wait_a_turn),
		TEST(test_add_fails),
		TEST(test_urgent_first),
		TEST(test_removes_itself),
		TEST(test_removes_another_of_the_batch),
		TEST(test_removed_is_not_called),
		TEST(test_replaced_in_the_batch),
		TEST(test_interest_changed_in_the_batch),
		TEST(test_many_are_served_alike),
		TEST(test_signals),
		TEST(test_stop_before_run),
		TEST(test_wait_fails),
		TEST(test_leaves_no_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
