/* SPDX-License-Identifier: GPL-2.0-only */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "fake-libxenstore.h" /* for the rest of the module, which is linked with it */
#include "store/parse.h"

static void numbers_are_parsed_strictly(void **state)
{
	static const char *const never[] = { "",   " 5",    "5 ", "-1",
					     "+5", "5x",    "0x", "99999999999999999999",
					     "\1", "5\0015" };

	(void)state;
	assert_int_equal(store_parse_port("5"), 5);
	assert_int_equal(store_parse_port("0x1F"), 31);
	assert_int_equal(store_parse_port("010"), 8);
	assert_int_equal(store_parse_port("2147483647"), INT32_MAX);
	assert_int_equal(store_parse_port("2147483648"), -1);
	assert_int_equal(store_parse_port("0"), -1);
	assert_int_equal(store_parse_limit("0"), 0);
	assert_int_equal(store_parse_limit("1099511627776"), INT64_C(1) << 40);
	assert_int_equal(store_parse_limit("1099511627777"), -1);
	assert_int_equal(store_parse_ring_ref("0"), 0);
	assert_int_equal(store_parse_ring_ref("010"), 10);
	assert_int_equal(store_parse_ring_ref("4503599627370496"), INT64_C(1) << 52);
	assert_int_equal(store_parse_ring_ref("4503599627370497"), -1);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		assert_int_equal(store_parse_port(never[i]), -1);
		assert_int_equal(store_parse_limit(never[i]), -1);
		assert_int_equal(store_parse_ring_ref(never[i]), -1);
	}
	assert_int_equal(store_parse_type(NULL), STORE_TYPE_OURS);
	assert_int_equal(store_parse_type("xenconsoled"), STORE_TYPE_OURS);
	assert_int_equal(store_parse_type("ioemu"), STORE_TYPE_OTHER);
	assert_int_equal(store_parse_type(""), STORE_TYPE_OTHER);
}

static void bad_values_are_made_printable_and_cut(void **state)
{
	char to[STORE_PRINTABLE + 1], big[4096];

	(void)state;
	store_printable(to, "a\x1b[2J\\\n\xff");
	assert_string_equal(to, "a\\x1b[2J\\x5c\\x0a\\xff");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	store_printable(to, big);
	assert_int_equal(strlen(to), STORE_PRINTABLE);
	big[STORE_PRINTABLE - 1] = '\n';
	store_printable(to, big);
	assert_int_equal(strlen(to), STORE_PRINTABLE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_parsed_strictly),
		cmocka_unit_test(bad_values_are_made_printable_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
