/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What readers do to their tty, step by step: nothing of what is written for them comes back.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "output/pty.h"

static struct pty pty;
static int reader;

static int64_t now; /* ms, for the pty; it does not pass by itself */

int clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_MONOTONIC_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, t);
	t->tv_sec = now / 1000;
	t->tv_nsec = now % 1000 * 1000000;
	return 0;
}

static int set_up(void **unused)
{
	(void)unused;
	pty_init(&pty);
	assert_int_equal(pty_open(&pty, posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)), 0);
	reader = open(pty.name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	return reader < 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	close(reader);
	pty_close(&pty);
	assert_int_equal(pty.master, -1);
	return 0;
}

static void say(const char *text)
{
	struct iovec v = { (char *)text, strlen(text) };

	assert_int_equal(pty_write(&pty, &v, 1), strlen(text));
}

/* All that is there for the reader, once it is at least size. */
static size_t heard(char *buf, size_t size, size_t room)
{
	struct pollfd p = { .fd = reader, .events = POLLIN };
	size_t got = 0;
	ssize_t n;

	while (got < size && poll(&p, 1, 10000) == 1 && (n = read(reader, buf + got, room - got)) > 0)
		got += n;
	poll(&p, 1, 0); /* finds nothing, and so waits for what the kernel has still to do, an echo say */
	return got;
}

static void expect(const char *text)
{
	char buf[256];

	assert_int_equal(heard(buf, strlen(text), sizeof(buf)), strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void type(const char *text)
{
	assert_int_equal(write(reader, text, strlen(text)), strlen(text));
}

/* As the daemon does it: whenever there is something to read, until the text has come. */
static void typed(const char *text)
{
	struct pollfd p = { .fd = pty.master, .events = POLLIN | POLLPRI };
	char buf[256];
	size_t got = 0;

	while (got < strlen(text) && poll(&p, 1, 10000) == 1) {
		ssize_t n = pty_read(&pty, buf + got, sizeof(buf) - got);

		assert_true(n >= 0);
		got += n;
	}
	assert_int_equal(got, strlen(text));
	assert_memory_equal(buf, text, got);
}

static void set_modes(tcflag_t add, tcflag_t remove)
{
	struct termios t;

	assert_int_equal(tcgetattr(reader, &t), 0);
	t.c_iflag |= ICRNL | IXON;
	t.c_lflag = (t.c_lflag | add) & ~remove;
	assert_int_equal(tcsetattr(reader, TCSANOW, &t), 0);
}

static void test_bytes_pass(void **unused)
{
	(void)unused;
	say("login: \003\004\023\r\n");
	expect("login: \003\004\023\r\n");
	type("root\003\004\r\n");
	typed("root\003\004\r\n");
	assert_int_equal(pty_unread(&pty), 0);
	say("unread");
	assert_int_equal(pty_unread(&pty), 6);
}

/* Cooked and echoing, as a client that was killed leaves it, but for what is not his to set. */
static void test_cooked(void **unused)
{
	(void)unused;
	set_modes(ECHO | ICANON | ISIG, 0);
	say("password? \003\004\023\n");
	expect("password? \003\004\023\n");
	type("mine\n");
	typed("mine\n");
}

/* stty sane: the daemon is told, but may have written already when it looks. */
static void test_sane(void **unused)
{
	struct termios t;

	(void)unused;
	for (int i = 0; i < 20; i++) {
		char buf[256];

		set_modes(ECHO | ICANON | ISIG, EXTPROC);
		say("echoed\n");
		assert_int_equal(heard(buf, 7, sizeof(buf)), 7); /* so it has been, if it is going to be */
		assert_int_equal(pty_read(&pty, buf, sizeof(buf)), 0);
		assert_int_equal(tcgetattr(reader, &t), 0);
		assert_false(t.c_lflag & (ECHO | ICANON | ISIG));
		assert_true(t.c_lflag & EXTPROC);
		type("mine\n");
		typed("mine\n");
	}
}

/* Who sets modes that cannot make it echo loses nothing of what he typed. */
static void test_harmless_modes(void **unused)
{
	char buf[256];

	(void)unused;
	type("before, ");
	set_modes(ECHO | ICANON, 0);
	assert_int_equal(pty_read(&pty, buf, sizeof(buf)), 0);
	type("after\n");
	typed("before, after\n");
}

/* expect, socat and conserver clear all local modes: nothing can have come back, so nothing is lost. */
static void test_no_local_modes(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++) {
		say("login: ");
		expect("login: ");
		set_modes(0, ~(tcflag_t)0);
		type("mine\n");
		typed("mine\n");
	}
}

/* Echo is on, but there was nothing to come back. */
static void test_sane_and_silent(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		now += 1000;
		assert_true(pty_check(&pty));
		say("more than the slave can hold, but it has all been read: login: ");
		expect("more than the slave can hold, but it has all been read: login: ");
		now += 1000;
		set_modes(ECHO | ICANON | ISIG, EXTPROC);
		type("mine\n");
		typed("mine\n");
	}
}

/* What nobody reads is on its way for as long as that: a client reads some, and in its place the next comes and is echoed. */
static void test_sane_and_full(void **unused)
{
	char buf[8192], line[64];
	struct iovec v = { line, sizeof(line) };

	(void)unused;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\n';
	while (pty_write(&pty, &v, 1) > 0 || pty_unread(&pty) < 4095)
		;
	now += 1000;
	assert_true(pty_check(&pty));
	set_modes(ECHO | ICANON, EXTPROC);
	while (!pty_typed(&pty))
		assert_true(read(reader, buf, sizeof(buf)) > 0);
	assert_int_equal(pty_read(&pty, buf, sizeof(buf)), 0);
	assert_int_equal(pty_typed(&pty), 0);
	type("mine\n");
	typed("mine\n");
}

/* How a read waits is for the reader to say, whatever else it sets. */
static void test_waiting(void **unused)
{
	struct termios t;
	char buf[1];

	(void)unused;
	assert_int_equal(tcgetattr(reader, &t), 0);
	t.c_lflag = 0;
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 7;
	assert_int_equal(tcsetattr(reader, TCSANOW, &t), 0);
	assert_int_equal(pty_read(&pty, buf, sizeof(buf)), 0);
	assert_int_equal(tcgetattr(reader, &t), 0);
	assert_true(t.c_lflag & EXTPROC);
	assert_int_equal(t.c_cc[VMIN], 0);
	assert_int_equal(t.c_cc[VTIME], 7);
}

static void test_stopped(void **unused)
{
	char buf[1];

	(void)unused;
	assert_int_equal(tcflow(reader, TCOOFF), 0);
	assert_int_equal(write(reader, "x", 1), -1);
	assert_int_equal(pty_read(&pty, buf, sizeof(buf)), 0);
	type("mine\n");
	typed("mine\n");
}

/* As vhangup() does it, for which a session is needed. What is typed into it then may be an echo. */
static void test_hung_up(void **unused)
{
	char buf[16];
	int status;
	pid_t pid;

	(void)unused;
	type("x");
	assert_true(pty_check(&pty));
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int fd;

		signal(SIGHUP, SIG_IGN);
		setsid();
		fd = open(pty.name, O_RDWR);
		_exit(fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0 || vhangup() < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == EPERM)
		skip(); /* only root may hang terminals up */
	assert_int_equal(status, 0);
	assert_false(pty_check(&pty));
	assert_int_equal(pty_read(&pty, buf, sizeof(buf)), -EIO);
}

static void test_failures(void **unused)
{
	struct pty none;
	struct iovec v = { "x", 1 };
	char buf[4];

	(void)unused;
	pty_init(&none);
	assert_int_equal(pty_write(&none, &v, 1), -EBADF);
	assert_int_equal(pty_read(&none, buf, sizeof(buf)), -EBADF);
	assert_int_equal(pty_unread(&none), 0);
	pty_close(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_pass, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cooked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sane, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_harmless_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_local_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sane_and_silent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sane_and_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_waiting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hung_up, set_up, tear_down),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
