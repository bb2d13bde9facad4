/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ttys, with a kernel whose ptys are these: the lowest free number is taken, its descriptor is 100 more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#include "output/ttys.h"

#define PTYS 1000

static bool taken[PTYS];
static int most, opened; /* how many there may be; how often one was */
static struct ttys *ttys;
static const char a, b, c; /* whoever has them */

int __wrap_posix_openpt(int flags);
int __wrap_posix_openpt(int flags)
{
	(void)flags;
	opened++;
	for (int n = 0; n < most; n++)
		if (!taken[n]) {
			taken[n] = true;
			return 100 + n;
		}
	errno = ENOSPC;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, unsigned int *number);
int __wrap_ioctl(int fd, unsigned long request, unsigned int *number)
{
	assert_int_equal(request, TIOCGPTN);
	*number = fd - 100;
	return 0;
}

/* What ioctl() is where time is 64 bits wide and all else 32. */
int __wrap___ioctl_time64(int fd, unsigned long request, unsigned int *number);
int __wrap___ioctl_time64(int fd, unsigned long request, unsigned int *number)
{
	return __wrap_ioctl(fd, request, number);
}

int __wrap_close(int fd);
int __wrap_close(int fd)
{
	assert_true(taken[fd - 100]);
	taken[fd - 100] = false;
	return 0;
}

static int in_use(void)
{
	int n = 0;

	for (int i = 0; i < PTYS; i++)
		n += taken[i];
	return n;
}

static long opens(const void *owner, long lost)
{
	int fd = ttys_open(ttys, owner, lost);

	return fd < 0 ? fd : fd - 100;
}

static int set_up(void **state)
{
	(void)state;
	for (int i = 0; i < PTYS; i++)
		taken[i] = false;
	most = PTYS;
	opened = 0;
	ttys = ttys_new();
	return !ttys;
}

static int tear_down(void **state)
{
	(void)state;
	ttys_free(ttys);
	return 0;
}

/* Three guests on 0, 1 and 2; the first is destroyed; a restart. */
static void former_numbers_come_back(void **state)
{
	(void)state;
	ttys_claim(ttys, 1, PTYS, &b);
	ttys_claim(ttys, 2, PTYS, &c);
	assert_int_equal(opens(&c, -1), 2);
	assert_int_equal(opens(&b, -1), 1);
	assert_int_equal(in_use(), 3);
	ttys_settle(ttys);
	assert_int_equal(in_use(), 2);
	assert_int_equal(opens(&a, -1), 0);
}

/* Each number is taken once, in whatever order they are wanted. */
static void many_come_back_at_the_cost_of_their_number(void **state)
{
	static const char many[500];

	(void)state;
	for (int n = 0; n < 500; n++)
		ttys_claim(ttys, n, PTYS, &many[n]);
	for (int n = 0; n < 500; n += 2)
		assert_int_equal(opens(&many[499 - n], -1), 499 - n);
	for (int n = 0; n < 500; n += 2)
		assert_int_equal(opens(&many[n], -1), n);
	assert_int_equal(opened, 500);
}

/* Somebody else has it by now, and gives it back later: it is still nobody else's. */
static void a_number_that_was_anothers_is_passed_over(void **state)
{
	(void)state;
	taken[1] = true;
	ttys_claim(ttys, 1, PTYS, &a);
	assert_int_equal(opens(&a, -1), 0);
	ttys_settle(ttys);
	taken[1] = false;
	assert_int_equal(opens(&b, -1), 2);
	assert_int_equal(in_use(), 2);
	ttys_release(ttys, &a);
	assert_int_equal(opens(&c, -1), 1);
}

/* Who still looks at the old one is to see that there is another. */
static void a_lost_one_is_replaced_by_another(void **state)
{
	(void)state;
	ttys_settle(ttys);
	assert_int_equal(opens(&a, -1), 0);
	taken[0] = false;
	assert_int_equal(opens(&a, 0), 1);
	taken[1] = false;
	assert_int_equal(opens(&a, 1), 0);
	assert_int_equal(opens(&b, -1), 2);
}

static void claims_that_are_not_believed(void **state)
{
	(void)state;
	ttys_claim(ttys, -1, PTYS, &a);
	ttys_claim(ttys, 3, PTYS, &b);
	ttys_claim(ttys, 3, PTYS, &a);
	assert_int_equal(opens(&a, -1), 0);
	assert_int_equal(opens(&b, -1), 3);
}

/* As many are not taken for it, but it is nobody else's. */
static void a_number_too_high(void **state)
{
	(void)state;
	ttys_claim(ttys, 3, 3, &a);
	assert_int_equal(opens(&a, -1), 0);
	assert_int_equal(opens(&b, -1), 1);
	assert_int_equal(opens(&c, -1), 2);
	assert_int_equal(opens(&c, 2), 4);
}

static void no_ptys_left(void **state)
{
	(void)state;
	most = 2;
	ttys_claim(ttys, 7, PTYS, &a);
	assert_int_equal(opens(&a, -1), 0);
	assert_int_equal(opens(&b, -1), 1);
	assert_int_equal(opens(&c, -1), -ENOSPC);
	ttys_settle(ttys);
	assert_int_equal(in_use(), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(former_numbers_come_back),
		TEST(many_come_back_at_the_cost_of_their_number),
		TEST(a_number_that_was_anothers_is_passed_over),
		TEST(a_lost_one_is_replaced_by_another),
		TEST(claims_that_are_not_believed),
		TEST(a_number_too_high),
		TEST(no_ptys_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
