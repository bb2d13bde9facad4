/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * diag: what is said, to whom, and that nobody is waited for.  stderr is a pipe here, and sendto() is
 * this file's own, so that nothing reaches the system's log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/diag.h"

static char logged[4096];		   /* the last message to syslog, up to its NUL */
static char logged_before[sizeof(logged)]; /* the one before that */
static int logged_count, logged_flags;
static bool syslog_full;
static char logged_to[128];
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	(void)fd;
	(void)to_len;
	if (syslog_full) {
		errno = EAGAIN;
		return -1;
	}
	pthread_mutex_lock(&logged_lock);
	memcpy(logged_before, logged, sizeof(logged));
	memcpy(logged, data, len);
	logged[len] = '\0';
	logged_count++;
	logged_flags = flags;
	snprintf(logged_to, sizeof(logged_to), "%s", ((const struct sockaddr_un *)to)->sun_path);
	pthread_mutex_unlock(&logged_lock);
	return len;
}

static int old_stderr, pipe_end;

static int redirect(void **state)
{
	int ends[2];

	(void)state;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	old_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	pipe_end = ends[0];
	logged[0] = '\0';
	logged_count = 0;
	unsetenv("JOURNAL_STREAM");
	diag_init(true, LOG_NOTICE);
	return 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(pipe_end);
	return 0;
}

/* What has come out of stderr since the last call. */
static const char *printed(void)
{
	static char text[8192];
	ssize_t n = read(pipe_end, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* What syslog got, without the header. */
static const char *logged_text(void)
{
	const char *text = strstr(logged, "]: ");

	return text ? text + 3 : "";
}

static void test_says_it_once_to_each(void **state)
{
	char header[64];
	int n = -1;

	(void)state;
	diag(LOG_ERR, "cannot open %s: %d", "it", 7);
	assert_string_equal(printed(), "xenconsoled: cannot open it: 7\n");
	assert_int_equal(logged_count, 1);
	assert_string_equal(logged_to, "/dev/log");
	assert_string_equal(logged_text(), "cannot open it: 7");
	assert_int_equal(atoi(logged + 1), LOG_DAEMON | LOG_ERR);
	/* "<27>Nov 23 21:06:59 xenconsoled[1234]: " */
	snprintf(header, sizeof(header), " xenconsoled[%ld]: ", (long)getpid());
	assert_non_null(strstr(logged, header));
	sscanf(logged, "<%*d>%*3[A-Za-z] %*d %*2d:%*2d:%*2d xenconsoled[%*d]: %n", &n);
	assert_ptr_equal(logged + n, logged_text());
}

static void test_levels(void **state)
{
	(void)state;
	diag(LOG_INFO, "not said");
	diag(LOG_DEBUG, "not said");
	assert_string_equal(printed(), "");
	assert_int_equal(logged_count, 0);
	diag_init(true, LOG_DEBUG);
	diag(LOG_DEBUG, "said");
	assert_string_equal(printed(), "xenconsoled: said\n");
	assert_int_equal(atoi(logged + 1), LOG_DAEMON | LOG_DEBUG);
}

static void test_in_the_background(void **state)
{
	(void)state;
	diag_init(false, LOG_NOTICE);
	diag(LOG_NOTICE, "quiet");
	assert_string_equal(printed(), "");
	assert_string_equal(logged_text(), "quiet");
}

static void set_stream(unsigned long long dev, unsigned long long ino)
{
	char stream[64];

	snprintf(stream, sizeof(stream), "%llu:%llu", dev, ino);
	setenv("JOURNAL_STREAM", stream, 1);
	diag_init(true, LOG_NOTICE);
}

/* What goes to the journal by way of syslog does not go there by way of stderr as well. */
static void test_journal(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	set_stream(st.st_dev, st.st_ino);
	diag(LOG_NOTICE, "journal");
	assert_string_equal(printed(), "");
	assert_string_equal(logged_text(), "journal");
	set_stream(st.st_dev, st.st_ino + 1);
	diag(LOG_NOTICE, "a file");
	assert_string_equal(printed(), "xenconsoled: a file\n");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	diag_init(true, LOG_NOTICE);
	diag(LOG_NOTICE, "a file");
	assert_string_equal(printed(), "xenconsoled: a file\n");
}

static void test_control_characters(void **state)
{
	(void)state;
	diag(LOG_ERR, "name '%s'", "a\nb\033[31m\r\t\x7f\x01 \xc3\xa9");
	assert_string_equal(logged_text(), "name 'a?b?[31m???? \xc3\xa9'");
	assert_string_equal(printed(), "xenconsoled: name 'a?b?[31m???? \xc3\xa9'\n");
}

static void test_no_format_twice(void **state)
{
	(void)state;
	diag(LOG_ERR, "%s", "100%s %n");
	assert_string_equal(logged_text(), "100%s %n");
}

static void test_too_long(void **state)
{
	static char text[5000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	diag(LOG_ERR, "%s", text);
	assert_int_equal(strlen(logged_text()), 2047);
	assert_int_equal(strlen(printed()), strlen("xenconsoled: ") + 2047 + 1);
}

static void test_keeps_errno(void **state)
{
	(void)state;
	errno = EXDEV;
	diag(LOG_ERR, "%m");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(logged_text(), strerror(EXDEV));
	close(pipe_end);
	pipe_end = open("/dev/null", O_RDONLY | O_CLOEXEC);
	errno = EXDEV;
	diag(LOG_ERR, "to nobody");
	assert_int_equal(errno, EXDEV);
}

/* This test does not return if diag() waits. */
static void test_waits_for_nobody(void **state)
{
	char junk[4096] = { 0 };
	int flags = fcntl(STDERR_FILENO, F_GETFL);

	(void)state;
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDERR_FILENO, junk, sizeof(junk)) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, flags);
	alarm(20);
	diag(LOG_ERR, "nobody reads");
	alarm(0);
	assert_string_equal(logged_text(), "nobody reads");
	assert_int_equal(logged_flags & (MSG_DONTWAIT | MSG_NOSIGNAL), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (read(pipe_end, junk, sizeof(junk)) > 0)
		;
	diag(LOG_ERR, "again");
	assert_string_equal(printed(), "xenconsoled: again\n");
}

static void test_lost_are_counted(void **state)
{
	(void)state;
	diag_init(false, LOG_NOTICE);
	syslog_full = true;
	diag(LOG_ERR, "one");
	diag(LOG_ERR, "two");
	syslog_full = false;
	diag(LOG_ERR, "three");
	assert_int_equal(logged_count, 2);
	assert_non_null(strstr(logged_before, "]: 2 messages before this one are lost"));
	assert_string_equal(logged_text(), "three");
	diag(LOG_ERR, "four");
	assert_int_equal(logged_count, 3);
}

/* SIGPIPE would end this test, and the daemon. */
static void test_reader_gone(void **state)
{
	(void)state;
	close(pipe_end);
	diag(LOG_ERR, "to nobody");
	assert_string_equal(logged_text(), "to nobody");
	pipe_end = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

#define THREADS 4
#define LINES 200

static void *say(void *arg)
{
	for (int i = 0; i < LINES; i++)
		diag(LOG_ERR, "thread %d line %d of %d", *(int *)arg, i, LINES);
	return NULL;
}

static void *gather(void *arg)
{
	size_t len = 0, size = 1 << 20;
	char *text = malloc(size);
	ssize_t n;

	(void)arg;
	while ((n = read(pipe_end, text + len, size - len - 1)) > 0)
		len += n;
	text[len] = '\0';
	return text;
}

/* Lines of several threads do not run into each other. */
static void test_threads(void **state)
{
	static const char *const end = "end\n";
	pthread_t threads[THREADS], gatherer;
	int id[THREADS], seen[THREADS] = { 0 };
	char *save;
	void *text;

	(void)state;
	fcntl(pipe_end, F_SETFL, 0);
	assert_int_equal(pthread_create(&gatherer, NULL, gather, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		id[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, say, &id[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(write(STDERR_FILENO, end, strlen(end)), strlen(end));
	dup2(old_stderr, STDERR_FILENO); /* the pipe's last writer */
	pthread_join(gatherer, &text);
	for (char *line = strtok_r(text, "\n", &save); strcmp(line, "end");
	     line = strtok_r(NULL, "\n", &save)) {
		int thread, number, tail = 0;

		assert_int_equal(
			sscanf(line, "xenconsoled: thread %d line %d of 200%n", &thread, &number, &tail), 2);
		assert_int_equal(line[tail], '\0');
		/* A full pipe costs lines, not their order. */
		assert_true(number >= seen[thread]);
		seen[thread] = number + 1;
	}
	free(text);
	assert_int_equal(logged_count, THREADS * LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_says_it_once_to_each, redirect, restore),
		cmocka_unit_test_setup_teardown(test_levels, redirect, restore),
		cmocka_unit_test_setup_teardown(test_in_the_background, redirect, restore),
		cmocka_unit_test_setup_teardown(test_journal, redirect, restore),
		cmocka_unit_test_setup_teardown(test_control_characters, redirect, restore),
		cmocka_unit_test_setup_teardown(test_no_format_twice, redirect, restore),
		cmocka_unit_test_setup_teardown(test_too_long, redirect, restore),
		cmocka_unit_test_setup_teardown(test_keeps_errno, redirect, restore),
		cmocka_unit_test_setup_teardown(test_waits_for_nobody, redirect, restore),
		cmocka_unit_test_setup_teardown(test_lost_are_counted, redirect, restore),
		cmocka_unit_test_setup_teardown(test_reader_gone, redirect, restore),
		cmocka_unit_test_setup_teardown(test_threads, redirect, restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
