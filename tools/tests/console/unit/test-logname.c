/* SPDX-License-Identifier: GPL-2.0-only */
/* Whatever a domain is called, its log lies in the log directory, can be listed on a terminal, and is its own. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "output/logname.h"
#include "random.h"

static void is(const char *name, const char *suffix, const char *file)
{
	char out[LOGNAME_MAX];

	logname_guest(out, name, suffix);
	assert_string_equal(out, file);
}

static void plain_names_stay(void **state)
{
	(void)state;
	is("web", "", "guest-web.log");
	is("web", "-vuart0", "guest-web-vuart0.log");
	is("vuart0", "", "guest-vuart0.log");
	is("web-vuart0b", "", "guest-web-vuart0b.log");
	is("Web-1.2_x~y vm--incoming", "", "guest-Web-1.2_x~y vm--incoming.log");
	is("", "", "guest-.log");
	is("a.b..", "", "guest-a.b...log");
}

static void dangerous_bytes_are_spelled_out(void **state)
{
	(void)state;
	is("pre/../../x", "", "guest-pre%2F..%2F..%2Fx.log");
	is(".hidden", "", "guest-%2Ehidden.log");
	is("..", "", "guest-%2E..log");
	is("50%", "", "guest-50%25.log");
	is("%2F", "", "guest-%252F.log");
	is("a\x1b[2J\n\t\x7f", "", "guest-a%1B[2J%0A%09%7F.log");
	is("web-vuart0", "", "guest-web%2Dvuart0.log"); /* not web's */
	is("web-vuart0", "-vuart0", "guest-web%2Dvuart0-vuart0.log");
	is("\xfc\xff\x80", "-vuart0", "guest-%FC%FF%80-vuart0.log");
}

static void names_too_long_are_cut_and_told_apart(void **state)
{
	char name[600], one[LOGNAME_MAX], other[LOGNAME_MAX];
	size_t most = NAME_MAX - strlen("guest-.log");

	(void)state;
	memset(name, 'x', sizeof(name));
	name[most] = '\0';
	logname_guest(one, name, "");
	assert_int_equal(strlen(one), NAME_MAX);
	assert_null(strchr(one, '~'));

	name[most] = 'x';
	name[most + 1] = '\0';
	logname_guest(one, name, "");
	assert_int_equal(strlen(one), NAME_MAX);
	assert_int_equal(one[NAME_MAX - strlen(".log") - 9], '~');
	assert_int_equal(strspn(one + NAME_MAX - strlen(".log") - 8, "0123456789abcdef"), 8);

	name[most + 1] = 'x';
	name[sizeof(name) - 2] = 'y';
	name[sizeof(name) - 1] = '\0';
	logname_guest(one, name, "");
	name[sizeof(name) - 2] = 'z';
	logname_guest(other, name, "");
	assert_string_not_equal(one, other);
	logname_guest(other, name, "-vuart0");
	assert_int_equal(strlen(other), NAME_MAX);
	assert_non_null(strstr(other, "-vuart0.log"));
}

/* The other way round; with a tail it can't be. */
static size_t decode(const char *file, char *name)
{
	const char *end = file + strlen(file) - strlen(".log"), *p = file + strlen("guest-");
	size_t len = 0;

	while (p < end) {
		unsigned int byte;

		if (*p != '%') {
			name[len++] = *p++;
			continue;
		}
		assert_true(p + 3 <= end);
		assert_int_equal(sscanf(p + 1, "%2X", &byte), 1);
		name[len++] = byte;
		p += 3;
	}
	name[len] = '\0';
	return len;
}

static void any_name_is_safe_and_its_own(void **state)
{
	char name[400], back[400], out[LOGNAME_MAX];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		size_t len = random_below(i % 2 ? 60 : sizeof(name));
		bool cut;

		for (size_t j = 0; j < len; j++)
			name[j] = 1 + random_below(255);
		name[len] = '\0';
		memset(out, '\n', sizeof(out));
		logname_guest(out, name, "");
		assert_non_null(memchr(out, '\0', sizeof(out)));
		for (const char *p = out; *p; p++)
			assert_true(*p >= ' ' && *p <= '~' && *p != '/');
		assert_memory_equal(out, "guest-", 6);
		assert_true(out[6] != '.' || !len);
		cut = strlen(out) >= NAME_MAX - 2 && out[strlen(out) - strlen(".log") - 9] == '~';
		if (cut) {
			out[strlen(out) - strlen(".log") - 9] = '\0';
			strcat(out, ".log");
		}
		len = decode(out, back);
		assert_memory_equal(back, name, len);
		assert_true(cut || !name[len]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_names_stay),
		cmocka_unit_test(dangerous_bytes_are_spelled_out),
		cmocka_unit_test(names_too_long_are_cut_and_told_apart),
		cmocka_unit_test(any_name_is_safe_and_its_own),
	};

	random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
