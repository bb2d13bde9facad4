/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which way to xenstored: in dom0 the socket alone, but where xenstored is a domain.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "store/way.h"

/* A file with this text; NULL: none. */
static const char *file(const char *text)
{
	static char path[2][32];
	static unsigned int next;
	char *at = path[next++ % 2];
	int fd;

	strcpy(at, "/tmp/test-store-XXXXXX");
	fd = mkstemp(at);
	assert_true(fd >= 0);
	if (text)
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	else
		unlink(at);
	close(fd);
	return at;
}

/* Where libxenstore is kept from the device, it is by the variable. */
static bool has_device(const char *capabilities, const char *pid)
{
	const char *files[] = { file(capabilities), file(pid) };
	char path[STORE_SOCKET];
	bool only;

	unsetenv("XENSTORED_PATH");
	only = store_way_by(path, files[0], files[1]);
	assert_string_equal(path, only ? xs_daemon_socket() : "");
	assert_int_equal(getenv("XENSTORED_PATH") != NULL, only);
	if (only)
		assert_string_equal(getenv("XENSTORED_PATH"), path);
	unlink(files[0]);
	unlink(files[1]);
	return !only;
}

static void in_dom0_the_device_is_only_for_a_xenstored_that_is_a_domain(void **state)
{
	(void)state;
	assert_false(has_device("control_d\n", NULL)); /* it comes, but is not there yet */
	assert_false(has_device("control_d\n", ""));
	assert_false(has_device("control_d\n", "1234\n"));
	assert_true(has_device("control_d\n", "domid:1\n"));
	assert_true(has_device("", NULL));
	assert_true(has_device("", "1234\n"));
	assert_true(has_device(NULL, NULL));
}

static void what_is_set_is_taken_and_nothing_else(void **state)
{
	char path[STORE_SOCKET];

	(void)state;
	setenv("XENSTORED_PATH", "/nonexistent/socket", 1);
	assert_true(store_way(path));
	assert_string_equal(path, "/nonexistent/socket");
	setenv("XENSTORED_PATH", "/dev/null", 1);
	assert_false(store_way(path));
	assert_string_equal(path, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_dom0_the_device_is_only_for_a_xenstored_that_is_a_domain),
		cmocka_unit_test(what_is_set_is_taken_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
