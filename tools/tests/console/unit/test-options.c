/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * options: every option with every value, and every mistake with the line that is said of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define ARGS_MAX 8

#if defined(__arm__) || defined(__aarch64__)
#define VUART_AUTO true
#else
#define VUART_AUTO false
#endif

static struct options o;
static char *said;

static int forget_said(void **state)
{
	(void)state;
	free(said);
	said = NULL;
	return 0;
}

/* Parse words, NULL at the end; what is written to err is in said. */
static int parse_words(char *const words[])
{
	char name[] = "xenconsoled", *argv[ARGS_MAX + 2] = { name };
	size_t len;
	FILE *err;
	int argc = 1, result;

	forget_said(NULL);
	err = open_memstream(&said, &len);
	while (*words)
		argv[argc++] = *words++;
	memset(&o, 0x5a, sizeof(o));
	result = options_parse(&o, argc, argv, err);
	fclose(err);
	return result;
}

/* Words may be permuted and are pointed into, so they are not literals. */
#define parse(...) parse_words((char *[]){ __VA_ARGS__, NULL })

static void assert_defaults(void)
{
	assert_int_equal(o.mode, OPTIONS_SERVE);
	assert_false(o.verbose || o.interactive || o.replace_escape || o.keep);
	assert_false(o.log_guest || o.log_hv || o.stamp_guest || o.stamp_hv);
	assert_int_equal(o.vuart, VUART_AUTO);
	assert_int_equal(o.buffer_limit, 1 << 20);
	assert_int_equal(o.cpu_share, 50);
	assert_string_equal(o.log_dir, LOG_DIR);
	assert_string_equal(o.run_dir, RUN_DIR);
	assert_string_equal(o.pid_file, RUN_DIR "/xenconsoled.pid");
}

/* Refused with one line that has each of the parts. */
static void assert_refused(int result, const char *const parts[])
{
	assert_int_equal(result, -EINVAL);
	assert_memory_equal(said, "xenconsoled: ", 13);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	for (; *parts; parts++)
		if (!strstr(said, *parts))
			fail_msg("no '%s' in: %s", *parts, said);
}

#define refused(result, ...) assert_refused(result, (const char *[]){ __VA_ARGS__, NULL })

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(parse_words((char *[]){ NULL }), 0);
	assert_defaults();
	assert_string_equal(said, "");
}

static void test_empty_is_default(void **state)
{
	(void)state;
	assert_int_equal(parse("--log=", "--log-dir=", "--timestamp=", "--overflow-data=", "--buffer-limit=",
			       "--pid-file=", "--run-dir=", "--vuart="),
			 0);
	assert_defaults();
	assert_int_equal(parse("--log=all", "--log=", "--log-dir=/x", "--log-dir=", "-o", "keep", "-o", ""),
			 0);
	assert_defaults();
	assert_int_equal(parse("-tall", "-t", "", "--buffer-limit=2K", "--buffer-limit=", "--cpu-share=7",
			       "--cpu-share="),
			 0);
	assert_defaults();
}

static void test_switches(void **state)
{
	(void)state;
	assert_int_equal(parse("-v"), 0);
	assert_true(o.verbose && !o.interactive);
	assert_int_equal(parse("-i"), 0);
	assert_true(o.interactive && !o.verbose);
	assert_int_equal(parse("--verbose", "--interactive", "--replace-escape"), 0);
	assert_true(o.interactive && o.verbose && o.replace_escape);
	assert_int_equal(parse("-vi"), 0);
	assert_true(o.interactive && o.verbose);
}

static void test_which_logs(void **state)
{
	static const struct {
		char *log, *stamp, *letter;
		bool guest, hv;
	} values[] = {
		{ "--log=none", "--timestamp=none", "-tnone", false, false },
		{ "--log=guest", "--timestamp=guest", "-tguest", true, false },
		{ "--log=hv", "--timestamp=hv", "-thv", false, true },
		{ "--log=all", "--timestamp=all", "-tall", true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(parse(values[i].log), 0);
		assert_int_equal(o.log_guest, values[i].guest);
		assert_int_equal(o.log_hv, values[i].hv);
		assert_false(o.stamp_guest || o.stamp_hv);
		for (int letter = 0; letter < 2; letter++) {
			assert_int_equal(parse(letter ? values[i].letter : values[i].stamp), 0);
			assert_int_equal(o.stamp_guest, values[i].guest);
			assert_int_equal(o.stamp_hv, values[i].hv);
			assert_false(o.log_guest || o.log_hv);
		}
	}
	refused(parse("--log=Guest"), "--log=Guest", "none, guest, hv, all");
	refused(parse("--log=guest,hv"), "--log=guest,hv", "none, guest, hv, all");
	refused(parse("--log=al"), "--log=al");
	refused(parse("-t", "yes"), "--timestamp=yes", "none, guest, hv, all");
}

static void test_overflow(void **state)
{
	(void)state;
	assert_int_equal(parse("--overflow-data=keep"), 0);
	assert_true(o.keep);
	assert_int_equal(parse("-o", "keep"), 0);
	assert_true(o.keep);
	assert_int_equal(parse("-okeep", "--overflow-data", "discard"), 0);
	assert_false(o.keep);
	refused(parse("-o", "drop"), "--overflow-data=drop", "discard, keep");
}

static void test_vuart(void **state)
{
	(void)state;
	assert_int_equal(parse("--vuart=yes"), 0);
	assert_true(o.vuart);
	assert_int_equal(parse("--vuart=no"), 0);
	assert_false(o.vuart);
	assert_int_equal(parse("--vuart=no", "--vuart=auto"), 0);
	assert_int_equal(o.vuart, VUART_AUTO);
	refused(parse("--vuart=1"), "--vuart=1", "auto, yes, no");
}

static void test_buffer_limit(void **state)
{
	static const struct {
		char *word;
		size_t bytes;
	} right[] = {
		{ "--buffer-limit=2048", 2048 },	 { "--buffer-limit=2K", 2048 },
		{ "--buffer-limit=65536", 65536 },	 { "--buffer-limit=64k", 65536 },
		{ "--buffer-limit=64M", 64 << 20 },	 { "--buffer-limit=3m", 3 << 20 },
		{ "--buffer-limit=67108864", 64 << 20 }, { "--buffer-limit=0004096", 4096 },
	};
	static char *const wrong[] = { "0",
				       "2047",
				       "1K",
				       "65M",
				       "67108865",
				       "-1",
				       "+4096",
				       " 4096",
				       "4096 ",
				       "4 K",
				       "0x1000",
				       "1e6",
				       "K",
				       "4KB",
				       "4G",
				       "18446744073709551616",
				       "18446744073709555712", /* 2^64 + 4096 */
				       "36028797018963972K",   /* 2^65 + 4096 */
				       "17592186044417M" };

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		assert_int_equal(parse(right[i].word), 0);
		assert_int_equal(o.buffer_limit, right[i].bytes);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(parse("--buffer-limit", wrong[i]), "--buffer-limit=", wrong[i], "2K to 64M");
}

static void test_cpu_share(void **state)
{
	static char *const wrong[] = {
		"0", "101", "-1", "50%", "1K", "0K", " 5", "1844674407370955166", "all"
	};

	(void)state;
	assert_int_equal(parse("--cpu-share=1"), 0);
	assert_int_equal(o.cpu_share, 1);
	assert_int_equal(parse("--cpu-share=100"), 0);
	assert_int_equal(o.cpu_share, 100);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		refused(parse("--cpu-share", wrong[i]), "--cpu-share=", wrong[i], "1 to 100");
}

static void test_paths(void **state)
{
	char longest[OPTIONS_PATH_MAX + 2];

	(void)state;
	assert_int_equal(parse("--log-dir=/var/log", "--pid-file=/run/pid"), 0);
	assert_string_equal(o.log_dir, "/var/log");
	assert_string_equal(o.pid_file, "/run/pid");
	assert_string_equal(o.run_dir, RUN_DIR);
	assert_int_equal(parse("--pid-file", "/a", "--run-dir=/srv"), 0);
	assert_string_equal(o.pid_file, "/a");
	assert_int_equal(parse("--run-dir=/srv"), 0);
	assert_string_equal(o.run_dir, "/srv");
	assert_string_equal(o.pid_file, "/srv/xenconsoled.pid");
	refused(parse("--log-dir=logs"), "--log-dir=logs", "absolute");
	refused(parse("--run-dir=./run"), "--run-dir=./run", "absolute");
	refused(parse("--pid-file=pid"), "--pid-file=pid", "absolute");

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[OPTIONS_PATH_MAX] = '\0';
	assert_int_equal(parse("--pid-file", longest, "--run-dir", longest), 0);
	assert_string_equal(o.pid_file, longest);
	assert_int_equal(parse("--run-dir", longest), 0);
	assert_int_equal(strlen(o.pid_file), OPTIONS_PATH_MAX + strlen("/xenconsoled.pid"));
	longest[OPTIONS_PATH_MAX] = 'x';
	longest[OPTIONS_PATH_MAX + 1] = '\0';
	refused(parse("--pid-file", longest), "--pid-file", "at most");
	refused(parse("--log-dir", longest), "--log-dir", "at most");
}

static void test_modes(void **state)
{
	(void)state;
	assert_int_equal(parse("--disconnect", "--log=guest"), 0);
	assert_int_equal(o.mode, OPTIONS_DISCONNECT);
	assert_true(o.log_guest);
	assert_int_equal(parse("--reconnect", "--reconnect"), 0);
	assert_int_equal(o.mode, OPTIONS_RECONNECT);
	refused(parse("--reconnect", "--disconnect"), "--disconnect", "--reconnect");
	refused(parse("--disconnect", "--reconnect"), "--disconnect", "--reconnect");
}

static void test_help_and_version(void **state)
{
	(void)state;
	assert_int_equal(parse("-h"), 0);
	assert_int_equal(o.mode, OPTIONS_HELP);
	assert_int_equal(parse("--help"), 0);
	assert_int_equal(o.mode, OPTIONS_HELP);
	assert_int_equal(parse("-V"), 0);
	assert_int_equal(o.mode, OPTIONS_VERSION);
	assert_int_equal(parse("--version", "--bad"), 0);
	assert_int_equal(o.mode, OPTIONS_VERSION);
	refused(parse("--bad", "--help"), "--bad");
}

static void test_mistakes(void **state)
{
	(void)state;
	refused(parse("--lof"), "unknown", "--lof", "--help");
	refused(parse("--lo=guest"), "ambiguous", "--lo=guest");
	refused(parse("-v", "-x"), "-x");
	refused(parse("--verbose", "-xv"), "option -x");
	refused(parse("-vx"), "option -x");
	refused(parse("-:"), "option -:");
	refused(parse("--verbose=3"), "--verbose takes no value");
	refused(parse("--disconnect=now"), "--disconnect takes no value");
	refused(parse("--log"), "--log wants a value");
	refused(parse("-vt"), "--timestamp wants a value");
	refused(parse("guest"), "unexpected argument guest");
	refused(parse("-v", "--", "-v"), "unexpected argument -v");
	refused(parse("stray", "--log=bad"), "stray");
	/* Parsing begins anew each time. */
	assert_int_equal(parse("-i"), 0);
	assert_true(o.interactive);
}

/* In a service file the administrator wrote a variable, so that is what the line has to name. */
static void test_names_the_variable(void **state)
{
	(void)state;
	setenv("XENCONSOLED_TRACE", "gest", 1);
	setenv("XENCONSOLED_ARGS", "-v --timestamp=al -x", 1);
	refused(parse("--log=gest"), "--log=gest (set by XENCONSOLED_TRACE)", "none, guest, hv, all");
	refused(parse("--timestamp=al"), "--timestamp=al (set by XENCONSOLED_ARGS)");
	refused(parse("-x"), "-x (set by XENCONSOLED_ARGS)");
	refused(parse("--log=ges"), "--log=ges:");
	refused(parse("--log=est"), "--log=est:");
	refused(parse("-p"), "option -p;");
	unsetenv("XENCONSOLED_TRACE");
	unsetenv("XENCONSOLED_ARGS");
	refused(parse("--log=gest"), "--log=gest:");
}

static void test_help_text(void **state)
{
	static const char *const words[] = { "--help",
					     "--version",
					     "--verbose",
					     "--interactive",
					     "--log=",
					     "--log-dir=",
					     "--pid-file=",
					     "--run-dir=",
					     "--timestamp=",
					     "--overflow-data=",
					     "--replace-escape",
					     "--buffer-limit=",
					     "--cpu-share=",
					     "--vuart=",
					     "--disconnect",
					     "--reconnect",
					     "none (default), guest, hv or all",
					     "discard (default) or keep",
					     "2K to 64M, default 1M",
					     LOG_DIR,
					     RUN_DIR };
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	options_help(f);
	fclose(f);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strstr(text, words[i]))
			fail_msg("--help does not mention %s", words[i]);
	assert_int_equal(text[len - 1], '\n');
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_empty_is_default),
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_which_logs),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_vuart),
		cmocka_unit_test(test_buffer_limit),
		cmocka_unit_test(test_cpu_share),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_help_and_version),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_names_the_variable),
		cmocka_unit_test(test_help_text),
	};

	return cmocka_run_group_tests(tests, NULL, forget_said);
}
