/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Logs in everyday life: what reaches which file, rotation, renames, and that idle ones cost next to nothing.
 * What happens when the disk fails is in test-logfile-faults.c, when the daemon does in test-logfile-kill.c.
 */
#include "between.h"
#include "log-fixture.h"

#include <regex.h>
#include <sys/mman.h>

#include "output/logfile.h"
#include "base/loop.h"
#include "random.h"

static struct loop *loop;
static struct logs *logs;

static int setup_logs(void **state)
{
	if (setup(state))
		return -1;
	loop = loop_new();
	return !loop || logs_new(&logs, loop, fixture_logs, fixture_queues);
}

static int teardown_logs(void **state)
{
	logs_free(logs, 5000);
	loop_free(loop);
	return teardown(state);
}

static struct log *stream(uint32_t domid, const char *name, bool stamped)
{
	struct log_origin origin = { domid, 0, { domid } };
	struct log *log;

	assert_int_equal(log_new(&log, logs, &origin, name, stamped), 0);
	return log;
}

static void print(struct log *log, const char *text)
{
	assert_int_equal(log_append(log, text, strlen(text), 0), 0);
}

/* Pages that all queues' files hold. */
static size_t queue_pages(void)
{
	size_t bytes;

	queue_files("", &bytes);
	return bytes / sysconf(_SC_PAGESIZE);
}

static void stop_loop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

/* Let the loop turn for so long. */
static void turn_loop(int64_t ms)
{
	struct loop_timer timer = { .fire = stop_loop };

	loop_arm(loop, &timer, ms);
	loop_run(loop);
}

static void matches(const char *name, const char *pattern)
{
	char *text = read_path(path_of(name), NULL);
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED), 0);
	if (regexec(&re, text, 0, NULL, 0))
		fail_msg("%s is not %s:\n%s", name, pattern, text);
	regfree(&re);
	free(text);
}

#define STAMP "\\[[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\] "

/* ---- bytes and files ------------------------------------------------------------- */

static void bytes_reach_their_files(void **state)
{
	struct log *a = stream(1, "guest-a.log", false), *b = stream(2, "guest-b.log", false);
	struct stat st;

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	print(a, "a1\n");
	print(b, "b1\n");
	print(a, "a2");
	print(a, "");
	print(a, " a3\n");
	until_log_is("guest-a.log", "a1\na2 a3\n");
	until_log_is("guest-b.log", "b1\n");
	assert_int_equal(stat(path_of("guest-a.log"), &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0640, 0);
	assert_int_equal(log_dropped(a), 0);
	until(!log_queued(a));
	log_free(a);
	log_free(b);
	log_free(NULL);
}

/* Ten megabytes in pieces of all sizes, as fast as the writer takes them. */
static void many_bytes_come_out_as_they_went_in(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);
	size_t total = 10 << 20, at = 0, len;
	char *text = malloc(total), *there;

	(void)state;
	random_bytes(text, total);
	while (at < total) {
		size_t n = 1 + random_below(random_below(4) ? 3000 : 50000);

		if (n > total - at)
			n = total - at;
		until(log_queued(log) + n <= LOG_QUEUE_SIZE);
		assert_int_equal(log_append(log, text + at, n, 0), 0);
		at += n;
	}
	log_free(log);
	until(!queue_files("", NULL));
	there = read_path(path_of("guest-a.log"), &len);
	assert_int_equal(len, total);
	assert_memory_equal(there, text, total);
	free(there);
	free(text);
}

static void logs_that_exist_are_continued(void **state)
{
	FILE *f = fopen(path_of("guest-a.log"), "w");
	struct log *log;

	(void)state;
	fputs("earlier\n", f);
	fclose(f);
	log = stream(1, "guest-a.log", false);
	print(log, "later\n");
	until_log_is("guest-a.log", "earlier\nlater\n");
	log_free(log);
}

static void streams_of_one_name_share_a_file(void **state)
{
	struct log *one = stream(1, "guest-a.log", false), *two = stream(2, "guest-a.log", false);

	(void)state;
	print(one, "one\n");
	until_log_is("guest-a.log", "one\n");
	print(two, "two\n");
	until_log_is("guest-a.log", "one\ntwo\n");
	log_free(one);
	print(two, "three\n");
	until_log_is("guest-a.log", "one\ntwo\nthree\n");
	log_free(two);
}

static void names_come_late_and_change(void **state)
{
	struct log *log = stream(1, NULL, false);

	(void)state;
	print(log, "early\n");
	assert_int_equal(log_queued(log), 6);
	log_rename(log, "guest-vm--incoming.log");
	until_log_is("guest-vm--incoming.log", "early\n");
	log_rename(log, "guest-vm--incoming.log");
	log_rename(log, "guest-vm.log");
	until(!access(path_of("guest-vm.log"), F_OK));
	print(log, "later\n");
	until_log_is("guest-vm.log", "later\n");
	assert_true(log_is("guest-vm--incoming.log", "early\n"));
	log_free(log);
}

static void who_never_had_a_name_is_called_by_number(void **state)
{
	struct log_origin origin = { 12, 1, { 0 } };
	struct log *log, *silent = stream(3, NULL, false);

	(void)state;
	assert_int_equal(log_new(&log, logs, &origin, NULL, false), 0);
	print(log, "who am I\n");
	log_free(log);
	log_free(silent);
	until_log_is("guest-domain-12-vuart0.log", "who am I\n");
	until(!queue_files("", NULL));
	assert_int_equal(access(path_of("guest-domain-3.log"), F_OK), -1);
}

static void last_words_are_written(void **state)
{
	struct log *log;

	(void)state;
	for (int i = 0; i < 100; i++) {
		log = stream(i, "guest-a.log", false);
		print(log, "x");
		log_free(log);
	}
	until(log_size("guest-a.log") == 100);
	until(!queue_files("", NULL));
}

/* ---- rotation ---------------------------------------------------------------------- */

static void opened_logs_say_so_if_stamped(void **state)
{
	struct log *log = stream(1, "guest-a.log", true);

	(void)state;
	until(log_has("guest-a.log", "Opened\n"));
	matches("guest-a.log", "^" STAMP "Logfile Opened\n$");
	print(log, "half a line");
	until(log_has("guest-a.log", "half"));
	logs_reopen(logs);
	print(log, ", the rest\n");
	until(log_has("guest-a.log", "rest"));
	until(log_has("guest-a.log", "line\n["));
	matches("guest-a.log",
		"^" STAMP "Logfile Opened\nhalf a line\n" STAMP "Logfile Opened\n, the rest\n$");
	log_free(log);
}

static void rotated_by_create(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);

	(void)state;
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	assert_int_equal(rename(path_of("guest-a.log"), path_of("guest-a.log.1")), 0);
	logs_reopen(logs);
	until(!access(path_of("guest-a.log"), F_OK));
	print(log, "two\n");
	until_log_is("guest-a.log", "two\n");
	assert_true(log_is("guest-a.log.1", "one\n"));
	log_free(log);
}

static void rotated_by_copytruncate(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);

	(void)state;
	print(log, "one, and a bit more\n");
	until_log_is("guest-a.log", "one, and a bit more\n");
	assert_int_equal(truncate(path_of("guest-a.log"), 0), 0);
	print(log, "two\n");
	until_log_is("guest-a.log", "two\n");
	log_free(log);
}

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* None loses a byte, and most cost nothing: some five a second are obeyed. */
static void a_storm_of_hangups(void **state)
{
	struct log *log = stream(1, "guest-a.log", true);
	char wanted[6000] = "", line[20], *text, *p;
	int64_t began = clock_ms();
	int lines = 0, opened = 0;

	(void)state;
	while (clock_ms() < began + 700) {
		for (int i = 0; i < 1000; i++)
			logs_reopen(logs);
		if (lines < 500) {
			snprintf(line, sizeof(line), "line %d\n", lines++);
			print(log, line);
			strcat(wanted, line);
		}
	}
	print(log, "end\n");
	strcat(wanted, "end\n");
	until(log_has("guest-a.log", "end\n"));
	text = read_path(path_of("guest-a.log"), NULL);
	while ((p = strstr(text, "["))) {
		char *end = strstr(p, "Logfile Opened\n") + strlen("Logfile Opened\n");

		memmove(p, end, strlen(end) + 1);
		opened++;
	}
	assert_string_equal(text, wanted);
	assert_between(opened, 1, (clock_ms() - began) / 150 + 3);
	free(text);
	log_free(log);
}

/* Where off_t could be 32 bits, it is not. */
static void more_than_two_gigabytes(void **state)
{
	const off_t size = (off_t)3 << 30;
	int fd = open(path_of("guest-a.log"), O_RDWR | O_CREAT | O_EXCL, 0640);
	struct log *log;
	char end[6] = "";

	(void)state;
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, "\n", 1, size - 1), 1);
	log = stream(1, "guest-a.log", false);
	print(log, "more\n");
	until(pread(fd, end, 5, size) == 5);
	assert_string_equal(end, "more\n");
	assert_int_equal(said(""), 0);
	close(fd);
	log_free(log);
}

/* ---- what happens to the files behind our back, without a hangup ----------------------- */

static void moved_away(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);

	(void)state;
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	assert_int_equal(rename(path_of("guest-a.log"), path_of("elsewhere")), 0);
	print(log, "two\n");
	until(!access(path_of("guest-a.log"), F_OK));
	print(log, "three\n");
	until_log_is("guest-a.log", "three\n");
	assert_true(log_is("elsewhere", "one\ntwo\n"));
	log_free(log);
}

static void replaced(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);
	int fd;

	(void)state;
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	assert_int_equal(rename(path_of("guest-a.log"), path_of("elsewhere")), 0);
	fd = open(path_of("guest-a.log"), O_CREAT | O_EXCL | O_WRONLY, 0640);
	assert_true(fd >= 0);
	close(fd);
	print(log, "two\n");
	until(log_is("elsewhere", "one\ntwo\n"));
	for (int tries = 0; !log_size("guest-a.log"); tries++) {
		assert_true(tries < DEADLINE * 10);
		usleep(100000);
		print(log, "more\n");
	}
	assert_true(log_has("elsewhere", "one\ntwo\n"));
	assert_false(log_has("guest-a.log", "one\n"));
	log_free(log);
}

static void deleted(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);

	(void)state;
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	assert_int_equal(unlink(path_of("guest-a.log")), 0);
	print(log, "into the void\n");
	until(log_size("guest-a.log"));
	/* With "one", unless the file was looked for in between. */
	matches("guest-a.log",
		"^\\[xenconsoled: up to (14|18) bytes of output lost from [-0-9]+ [:0-9]+ to [:0-9]+: "
		"the log file was deleted\\]\n$");
	print(log, "two\n");
	until(log_has("guest-a.log", "deleted]\ntwo\n"));
	log_free(log);
}

static void the_directory_is_replaced(void **state)
{
	struct log *a = stream(1, "guest-a.log", false), *b = stream(2, "guest-b.log", false);
	char aside[100];

	(void)state;
	until(!access(path_of("guest-b.log"), F_OK));
	snprintf(aside, sizeof(aside), "%s.old", fixture_logs);
	assert_int_equal(rename(fixture_logs, aside), 0);
	assert_int_equal(mkdir(fixture_logs, 0750), 0);
	print(a, "one\n");
	until(!access(path_of("guest-b.log"), F_OK));
	print(a, "two\n");
	print(b, "one\n");
	until_log_is("guest-a.log", "two\n");
	until_log_is("guest-b.log", "one\n");
	log_free(a);
	log_free(b);
}

/* Nobody has written anything that would have shown it. */
static void the_directory_was_made_anew(void **state)
{
	struct log *a = stream(1, "guest-a.log", false), *b;

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	remove_tree(fixture_logs);
	assert_int_equal(mkdir(fixture_logs, 0750), 0);
	b = stream(2, "guest-b.log", false);
	print(b, "one\n");
	until_log_is("guest-b.log", "one\n");
	until(!access(path_of("guest-a.log"), F_OK));
	print(a, "two\n");
	until_log_is("guest-a.log", "two\n");
	assert_int_equal(said(""), 0);
	log_free(a);
	log_free(b);
}

static void logs_in_another_directory_are_opened_once(void **state)
{
	struct log *a = stream(1, "guest-a.log", true), *b;

	(void)state;
	until(log_has("guest-a.log", "Opened\n"));
	remove_tree(fixture_logs);
	assert_int_equal(mkdir(fixture_logs, 0750), 0);
	b = stream(2, "guest-b.log", true);
	until(log_has("guest-a.log", "Opened\n") && log_has("guest-b.log", "Opened\n"));
	usleep(300000); /* longer than it takes to open all anew once more */
	print(a, "one\n");
	print(b, "two\n");
	until(log_has("guest-a.log", "one\n") && log_has("guest-b.log", "two\n"));
	matches("guest-a.log", "^" STAMP "Logfile Opened\n(\\[xenconsoled: [^\n]*deleted\\]\n)?one\n$");
	matches("guest-b.log", "^" STAMP "Logfile Opened\ntwo\n$");
	log_free(a);
	log_free(b);
}

static void the_directory_vanishes(void **state)
{
	struct log *log = stream(1, "guest-a.log", false);

	(void)state;
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	remove_tree(fixture_logs);
	print(log, "two\n");
	until(said(strerror(ENOENT)));
	print(log, "three\n");
	assert_int_equal(mkdir(fixture_logs, 0750), 0);
	until(log_has("guest-a.log", "\nthree\n"));
	matches("guest-a.log", "^\\[xenconsoled: up to [0-9]+ bytes of output lost .*deleted\\]\nthree\n$");
	until(said("are written again"));
	assert_int_equal(said("xenconsoled: "), 2);
	log_free(log);
}

/* ---- cost -------------------------------------------------------------------------------- */

static void idle_streams_hold_one_page(void **state)
{
	struct log *all[50];
	char burst[100000];

	(void)state;
	memset(burst, 'x', sizeof(burst));
	for (int i = 0; i < 50; i++)
		all[i] = stream(i, "guest-a.log", false);
	assert_int_equal(queue_pages(), 50);
	for (int i = 0; i < 50; i++)
		assert_int_equal(log_append(all[i], burst, sizeof(burst), 0), 0);
	assert_true(queue_pages() > 50 * 20);
	for (int i = 0; i < 50; i++)
		until(!log_queued(all[i]));
	for (int tries = 0; queue_pages() > 50; tries++) {
		assert_true(tries < DEADLINE);
		turn_loop(1000);
	}
	assert_int_equal(queue_pages(), 50);
	for (int i = 0; i < 50; i++) {
		print(all[i], "y");
		log_free(all[i]);
	}
	until(log_size("guest-a.log") == 50 * (sizeof(burst) + 1));
	until(!queue_files("", NULL));
}

/* One write for a message, whoever else is idle. */
static void a_lone_message_is_one_write(void **state)
{
	struct log *all[200];
	char name[32];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "guest-%d.log", i);
		all[i] = stream(i, name, false);
	}
	until(!access(path_of("guest-199.log"), F_OK));
	for (int i = 0; i < 20; i++) {
		print(all[7], "message\n");
		until(!log_queued(all[7]));
	}
	assert_int_equal(disk.writes, 20);
	for (int i = 0; i < 200; i++)
		log_free(all[i]);
}

static void nothing_is_left_open(void **state)
{
	struct log_origin origin = { 1, 0, { 0 } };
	int before = dup(0), after;
	struct log *log;
	char name[32];

	(void)state;
	close(before);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "guest-%d.log", i % 30);
		assert_int_equal(log_new(&log, logs, &origin, name, i % 2), 0);
		print(log, "x");
		log_rename(log, "guest-a.log");
		log_free(log);
	}
	until(!queue_files("", NULL));
	logs_free(logs, 5000);
	after = dup(0);
	close(after);
	assert_true(after <= before);
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_logs, teardown_logs)
	const struct CMUnitTest tests[] = {
		TEST(bytes_reach_their_files),
		TEST(many_bytes_come_out_as_they_went_in),
		TEST(logs_that_exist_are_continued),
		TEST(streams_of_one_name_share_a_file),
		TEST(names_come_late_and_change),
		TEST(who_never_had_a_name_is_called_by_number),
		TEST(last_words_are_written),
		TEST(opened_logs_say_so_if_stamped),
		TEST(rotated_by_create),
		TEST(rotated_by_copytruncate),
		TEST(a_storm_of_hangups),
		TEST(more_than_two_gigabytes),
		TEST(moved_away),
		TEST(replaced),
		TEST(deleted),
		TEST(the_directory_is_replaced),
		TEST(the_directory_was_made_anew),
		TEST(logs_in_another_directory_are_opened_once),
		TEST(the_directory_vanishes),
		TEST(idle_streams_hold_one_page),
		TEST(a_lone_message_is_one_write),
		TEST(nothing_is_left_open),
	};

	random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
