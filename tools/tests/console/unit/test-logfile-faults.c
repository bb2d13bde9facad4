/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A log directory that is full, read-only, stuck, or has strange things in it: what is said, how often, what
 * is lost and how the log tells; and that nobody ever waits.
 */
#define _GNU_SOURCE
#include "between.h"
#include "log-fixture.h"

#include <poll.h>
#include <regex.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "output/logfile-private.h"
#include "base/loop.h"

static struct loop *loop;
static struct logs *logs;
static time_t began; /* the test */

/* ---- a heap that can be told to fail ------------------------------------------------ */

static atomic_int fail_calloc; /* the n-th fails; 0: none */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	if (fail_calloc && --fail_calloc == 0) {
		errno = ENOMEM;
		return NULL;
	}
	return __real_calloc(n, size);
}

static int setup_logs(void **state)
{
	if (setup(state))
		return -1;
	began = time(NULL);
	loop = loop_new();
	return !loop || logs_new(&logs, loop, fixture_logs, fixture_queues);
}

static int teardown_logs(void **state)
{
	disk_heal();
	logs_free(logs, 10000);
	logs = NULL;
	loop_free(loop);
	return teardown(state);
}

static struct log *stream(uint32_t domid, const char *name)
{
	struct log_origin origin = { domid, 0, { domid } };
	struct log *log;

	assert_int_equal(log_new(&log, logs, &origin, name, false), 0);
	return log;
}

static size_t print(struct log *log, const char *text)
{
	return log_append(log, text, strlen(text), 0);
}

static void stop_loop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void turn_loop(int64_t ms)
{
	struct loop_timer timer = { .fire = stop_loop };

	loop_arm(loop, &timer, ms);
	loop_run(loop);
}

/* Fill the queue and what follows; returns the bytes that were queued. */
static size_t overflow(struct log *log, size_t more)
{
	char line[1024];
	size_t kept = 0;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	while (!log_append(log, line, sizeof(line), 0))
		kept += sizeof(line);
	for (; more; more--)
		assert_int_equal(log_append(log, line, sizeof(line), 0), sizeof(line));
	return kept;
}

/* The times in a gap's line are of this test, in order. */
static void has_times(const char *line)
{
	struct tm first = { .tm_isdst = -1 }, last;
	const char *rest = strptime(strstr(line, " from ") + 6, "%Y-%m-%d %H:%M:%S to ", &first);

	assert_non_null(rest);
	last = first;
	if (!strptime(rest, "%Y-%m-%d %H:%M:%S:", &last)) { /* on the same day */
		last = first;
		assert_non_null(strptime(rest, "%H:%M:%S:", &last));
	}
	assert_between(mktime(&first), began, mktime(&last));
	assert_between(mktime(&last), began, time(NULL));
}

/* A gap's reason, as has_gap() takes it. */
static const char *because(int err)
{
	static char reason[100];

	snprintf(reason, sizeof(reason), " \\(%s\\)", strerror(err));
	return reason;
}

/* The log is size bytes, then a line about lost bytes for this reason, then rest. */
static void has_gap(const char *name, size_t size, size_t lost, const char *reason, const char *rest)
{
	char *text = read_path(path_of(name), NULL), pattern[400];
	regex_t re;

	snprintf(pattern, sizeof(pattern),
		 "^\\[xenconsoled: %zu bytes of output lost from [0-9]{4}-[0-9]{2}-[0-9]{2} [:0-9]{8} to "
		 "([-0-9]+ )?[:0-9]{8}: log queue full%s\\]\n%s$",
		 lost, reason, rest);
	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED), 0);
	assert_true(strlen(text) > size);
	if (regexec(&re, text + size, 0, NULL, 0))
		fail_msg("not %s: %s", pattern, text + size);
	has_times(text + size);
	regfree(&re);
	free(text);
}

/* ---- full ------------------------------------------------------------------------------ */

static void a_full_disk_is_told_once_and_resumes(void **state)
{
	struct log *all[60];
	char name[32];

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "guest-%d.log", i);
		all[i] = stream(i, name);
	}
	until(!access(path_of("guest-59.log"), F_OK));
	disk.write_room = 0;
	disk.write_errno = ENOSPC;
	for (int i = 0; i < 60; i++)
		assert_int_equal(print(all[i], "one\n"), 0);
	until(said(strerror(ENOSPC)));
	for (int i = 0; i < 60; i++)
		assert_int_equal(print(all[i], "two\n"), 0);
	disk_heal();
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "guest-%d.log", i);
		until_log_is(name, "one\ntwo\n");
	}
	until(said("are written again"));
	assert_int_equal(said("xenconsoled: "), 2);
	assert_int_equal(log_dropped(all[0]), 0);
}

/* Bytes, times and reason, in the very place, and whether or not anything follows. */
static void what_is_lost_is_marked_where_it_was(void **state)
{
	struct log *log = stream(1, "guest-a.log");
	size_t kept;

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	disk.write_room = 0;
	disk.write_errno = ENOSPC;
	kept = overflow(log, 9);
	assert_between(kept, LOG_QUEUE_SIZE - 1023, LOG_QUEUE_SIZE);
	assert_int_equal(log_dropped(log), 10 * 1024);
	until(said(strerror(ENOSPC)));
	disk_heal();
	until(log_has("guest-a.log", "device)]\n"));
	has_gap("guest-a.log", kept, 10 * 1024, because(ENOSPC), "");
	assert_int_equal(print(log, "and on\n"), 0);
	until(log_has("guest-a.log", "and on"));
	has_gap("guest-a.log", kept, 10 * 1024, because(ENOSPC), "and on\n");

	/* A second one is a new one. */
	disk.write_room = 0;
	disk.write_errno = EIO;
	print(log, "half");
	until(said(strerror(EIO)));
	assert_int_equal(log_append(log, "\n", LOG_QUEUE_SIZE, 0), LOG_QUEUE_SIZE);
	disk_heal();
	until(log_has("guest-a.log", "error)]\n"));
	has_gap("guest-a.log", kept, 10 * 1024, because(ENOSPC),
		"and on\nhalf\n\\[xenconsoled: 262144 bytes .* \\(.* error\\)\\]\n");
}

/* Lost before there was a queue. */
static void what_could_not_be_queued_is_marked(void **state)
{
	struct log *log = stream(1, "guest-a.log");

	(void)state;
	log_lose(log, 77, 77);
	until(log_has("guest-a.log", "]\n"));
	has_gap("guest-a.log", 0, 77, "", "");
	assert_int_equal(log_dropped(log), 77);
}

static void a_disk_that_fills_bit_by_bit(void **state)
{
	struct log *log = stream(1, "guest-a.log");
	size_t kept, len;
	char *text;

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	disk.write_room = 100;
	disk.write_errno = ENOSPC;
	kept = overflow(log, 0);
	until(said(strerror(ENOSPC)));
	for (int i = 0; i < 3; i++) {
		disk.write_room += 1000;
		until(!disk.write_room);
	}
	until(log_size("guest-a.log") == 3100); /* the room goes a moment before the bytes come */
	disk.write_room += kept - 3100 + 20;	/* into the mark */
	until(!disk.write_room);
	disk_heal();
	until(log_has("guest-a.log", "device)]\n"));
	has_gap("guest-a.log", kept, 1024, because(ENOSPC), "");
	text = read_path(path_of("guest-a.log"), &len);
	for (size_t i = 0; i < kept; i++)
		assert_int_equal(text[i], i % 1024 == 1023 ? '\n' : 'x');
	free(text);
	until(said("are written again"));
	assert_int_equal(said("xenconsoled: "), 2);
}

/* ---- cannot be opened ---------------------------------------------------------------------- */

static void a_read_only_directory(void **state)
{
	struct log *a, *b;

	(void)state;
	disk.open_errno = EROFS;
	a = stream(1, "guest-a.log");
	b = stream(2, "guest-b.log");
	print(a, "one\n");
	until(said(strerror(EROFS)));
	print(b, "one\n");
	disk_heal();
	until_log_is("guest-a.log", "one\n");
	until_log_is("guest-b.log", "one\n");
	until(said("are written again"));
	assert_int_equal(said("xenconsoled: "), 2);
}

/* Several things can go wrong in one night; each is told, and the end when all is well. */
/* Whoever fails and ends is no sign that the disk is well again. */
static void the_end_is_not_told_before_it_comes(void **state)
{
	struct log *log;

	(void)state;
	disk.open_errno = EROFS;
	for (int round = 0; round < 2; round++) {
		log = stream(round, "guest-a.log");
		until(said(strerror(EROFS)));
		log_free(log);
		turn_loop(1500); /* longer than it takes to believe in an end */
	}
	assert_int_equal(said(""), 1);
	disk_heal();
	log = stream(1, "guest-b.log");
	print(log, "well\n");
	until(said("are written again"));
	assert_int_equal(said(""), 2);
}

/* Had the log caught up since, a later gap has another reason. */
static void an_old_failure_is_no_reason(void **state)
{
	struct log *log = stream(1, "guest-a.log");
	size_t kept;

	(void)state;
	disk.write_room = 0;
	disk.write_errno = EIO;
	print(log, "first\n");
	until(said(strerror(EIO)));
	disk_heal();
	until_log_is("guest-a.log", "first\n");
	until(said("are written again")); /* by then the writer has done with it */
	disk.stalled = true;
	kept = overflow(log, 1);
	disk.stalled = false;
	until(!log_queued(log) && log_has("guest-a.log", "log queue full"));
	has_gap("guest-a.log", 6 + kept, 2048, "", "");
}

static void one_failure_follows_another(void **state)
{
	struct log *log;

	(void)state;
	disk.open_errno = EMFILE;
	log = stream(1, "guest-a.log");
	until(said(strerror(EMFILE)));
	disk.open_errno = EROFS;
	until(said(strerror(EROFS)));
	disk.write_errno = ENOSPC;
	disk.write_room = 0;
	disk.open_errno = 0;
	print(log, "one\n");
	until(said(strerror(ENOSPC)));
	disk_heal();
	until_log_is("guest-a.log", "one\n");
	until(said("are written again"));
	assert_int_equal(said("xenconsoled: "), 4);
}

static void make_link(const char *path)
{
	assert_int_equal(symlink("../said", path), 0);
}

static void make_dangling(const char *path)
{
	assert_int_equal(symlink("../made", path), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_socket(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
}

/* Only regular files: anything else is left as it is, told once, and gone round when it has gone. */
static void strange_things_in_the_way(void **state)
{
	static void (*const make[])(const char *) = { make_link, make_dangling, make_fifo, make_directory,
						      make_socket };
	char made[100], what[100];
	struct log *neighbour = stream(100, "guest-b.log");

	(void)state;
	snprintf(made, sizeof(made), "%s/made", fixture_dir);
	for (size_t i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
		char name[32];
		struct log *log;

		snprintf(name, sizeof(name), "guest-a%zu.log", i);
		make[i](path_of(name));
		log = stream(i, name);
		print(log, "one\n");
		snprintf(what, sizeof(what), "%s: what has this name is not a regular file", name);
		until(said(what));
		print(neighbour, "x");
		until(log_size("guest-b.log") == i + 1);
		assert_int_equal(remove(path_of(name)), 0);
		until_log_is(name, "one\n");
		snprintf(what, sizeof(what), "%s is written again", name);
		until(said(what));
		assert_int_equal(said(name), 2);
	}
	assert_int_equal(access(made, F_OK), -1);
	assert_int_equal(said("one"), 0);
	assert_int_equal(said("logs in"), 0);
}

/* Not even opened, since that is what a device may act upon: here a FIFO whose reader would notice. */
static void strange_things_are_left_alone(void **state)
{
	struct pollfd reader;
	struct log *log;

	(void)state;
	make_fifo(path_of("guest-a.log"));
	reader.fd = open(path_of("guest-a.log"), O_RDONLY | O_NONBLOCK);
	reader.events = POLLIN;
	log = stream(1, "guest-a.log");
	print(log, "one\n");
	until(said("not a regular file"));
	assert_int_equal(poll(&reader, 1, 0), 0);
	assert_int_equal(remove(path_of("guest-a.log")), 0);
	until_log_is("guest-a.log", "one\n");
	assert_int_equal(poll(&reader, 1, 0), 0);
	close(reader.fd);
}

/* A rename does not wait for the old name's file. */
static void a_rename_leaves_a_refused_file_behind(void **state)
{
	struct log *log;

	(void)state;
	make_fifo(path_of("guest-old.log"));
	log = stream(1, "guest-old.log");
	print(log, "one\n");
	until(said("not a regular file"));
	log_rename(log, "guest-new.log");
	until_log_is("guest-new.log", "one\n");
}

/* ---- stalled --------------------------------------------------------------------------------- */

static void a_stuck_disk_holds_nobody(void **state)
{
	struct log *log = stream(1, "guest-a.log"), *other;
	size_t kept;

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	disk.stalled = true;
	print(log, "first\n");
	until(disk.stuck);
	kept = overflow(log, 4);
	other = stream(2, "guest-b.log");
	log_rename(other, "guest-c.log");
	print(other, "other\n");
	logs_reopen(logs);
	log_free(other);
	for (int tries = 0; !said("does not answer"); tries++) {
		assert_true(tries < DEADLINE * 10);
		turn_loop(100);
		print(log, "tick\n");
	}
	for (int i = 0; i < 5; i++) {
		turn_loop(10);
		print(log, "tick\n");
	}
	disk.stalled = false;
	until(said("answers again"));
	until_log_is("guest-c.log", "other\n");
	until(log_has("guest-a.log", "answer)]\n"));
	has_gap("guest-a.log", 6 + kept, log_dropped(log), " \\(the log directory did not answer\\)", "");
	assert_int_equal(said("xenconsoled: "), 2);
	assert_int_equal(access(path_of("guest-b.log"), F_OK), -1);
}

/* The daemon can stop; what the disk did not take is there for the next one. */
static void a_stuck_disk_holds_not_even_the_end(void **state)
{
	struct log *log = stream(1, "guest-a.log");

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	disk.stalled = true;
	print(log, "in the write, ");
	until(disk.stuck);
	print(log, "and queued\n");
	log_free(log);
	logs_free(logs, 100);
	assert_int_equal(disk.stuck, 1);
	disk.stalled = false;
	until(!disk.stuck);
	until_log_is("guest-a.log", "in the write, ");
	usleep(1000); /* for the sanitizers' sake: the thread that was left frees what it holds and ends */
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);
	until_log_is("guest-a.log", "in the write, and queued\n");
}

/* Ended domains' output waits, but not without end. */
/* Should it go on after all, what it was at is its successor's, who has found out by himself what the log has. */
static void a_writer_left_behind_keeps_off(void **state)
{
	struct log *log = stream(5, "guest-a.log");

	(void)state;
	until(!access(path_of("guest-a.log"), F_OK));
	disk.stalled_after = true;
	print(log, "hello\n");
	until(disk.stuck == 1);
	print(log, "later\n");
	logs_free(logs, 1);
	disk.write_room = 0;
	disk.write_errno = ENOSPC;
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);
	print(stream(5, "guest-a.log"), "next\n");
	until(said(strerror(ENOSPC)));
	disk.stalled_after = false;
	until(!disk.stuck);
	usleep(1000);
	disk_heal();
	until_log_is("guest-a.log", "hello\nlater\nnext\n");
}

static void many_domains_end_while_the_disk_is_full(void **state)
{
	struct log *log;
	char name[32], *text, *mark;
	int lines = 0, lost = 0, len;

	(void)state;
	disk.write_room = 0;
	disk.write_errno = ENOSPC;
	log = stream(999, "guest-b.log");
	print(log, "x");
	until(said(strerror(ENOSPC)));
	for (int i = 0; i < 400; i++) {
		len = snprintf(name, sizeof(name), "domain %d\n", i);
		log = stream(i, "guest-a.log");
		assert_int_equal(log_append(log, name, len, 0), 0);
		log_free(log);
	}
	disk_heal();
	until(said("are written again"));
	until_log_is("guest-b.log", "x");
	until(log_has("guest-a.log", "[xenconsoled: ")); /* comes last */
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "domain %d\n", i);
		lines += log_has("guest-a.log", name);
		assert_true(i >= 256 || lines == i + 1);
	}
	assert_true(lines < 400);
	assert_int_equal(said("output of 256 ended domains waits"), 1);
	/* All that was dropped is counted: these are one log's, and one line says it. */
	text = read_path(path_of("guest-a.log"), NULL);
	for (int i = lines; i < 400; i++)
		lost += snprintf(NULL, 0, "domain %d\n", i);
	assert_non_null(mark = strstr(text, "[xenconsoled: "));
	assert_int_equal(strtol(mark + strlen("[xenconsoled: "), NULL, 10), lost);
	assert_null(strstr(mark + 1, "[xenconsoled: "));
	free(text);
}

/* One that is started again and again, and fills its queue each time; and then others do. */
static void full_queues_of_domains_that_ended(void **state)
{
	struct log *log = stream(999, "guest-b.log");
	size_t kept = 0, waiting, each = 200 * 1024, page = sysconf(_SC_PAGESIZE);
	size_t count, full = ORPHANS_BYTES / (LOG_QUEUE_SIZE + page);
	char *text = calloc(1, each), *whole, name[32];

	(void)state;
	memset(text, 'x', each - 1);
	text[each - 1] = '\n';
	disk.write_room = 0;
	disk.write_errno = ENOSPC;
	print(log, "x");
	until(said(strerror(ENOSPC)));
	for (int i = 0; i < 250; i++) {
		snprintf(name, sizeof(name), "guest-%d.log", i < 150 ? 0 : i);
		log = stream(i, name);
		assert_int_equal(log_append(log, text, each, 0), 0);
		log_free(log);
	}
	/* When the writer has tried the last one too, so many are left that hold more than a page. */
	until((count = queue_files("", &waiting),
	       waiting - count * page <= full * (LOG_QUEUE_SIZE / page) * page));
	assert_true(waiting >= ORPHANS_BYTES / 2);
	assert_int_equal(said("is dropped until"), 1);
	disk_heal();
	until(said("are written again"));
	until(log_has("guest-0.log", "]\n"));
	whole = read_path(path_of("guest-0.log"), NULL);
	kept = strcspn(whole, "[");
	free(whole);
	assert_int_equal(kept % each, 0);
	assert_between(kept, ORPHANS_BYTES / 2, ORPHANS_BYTES);
	has_gap("guest-0.log", kept, 150 * each - kept, ".*", "");
	until(log_has("guest-249.log", "]\n"));
	has_gap("guest-249.log", 0, each, ".*", "");
	free(text);
}

/* If the writer is stuck, who ends meanwhile leaves nothing either. */
static void many_domains_end_while_the_disk_is_stuck(void **state)
{
	struct log *log = stream(999, "guest-b.log"), *other;

	(void)state;
	until(!access(path_of("guest-b.log"), F_OK));
	disk.stalled = true;
	print(log, "in the write\n");
	until(disk.stuck);
	while (!said("does not answer")) {
		turn_loop(100);
		print(log, ".");
	}
	for (int i = 0; i < 1000; i++) {
		other = stream(i, "guest-a.log");
		print(other, "bye\n");
		log_free(other);
	}
	assert_int_equal(queue_files("", NULL), 257);
	assert_int_equal(said("output of 256 ended domains waits"), 1);
	disk_heal();
	until(log_has("guest-a.log", "]\n")); /* the other 744 said so much as well */
	has_gap("guest-a.log", 256 * 4, 744 * 4, ".*", "");
	until(queue_files("", NULL) == 1);
}

/* ---- memory, and the directory of the queues ------------------------------------------------- */

static void no_memory_for_a_stream(void **state)
{
	struct log_origin origin = { 1, 0, { 0 } };
	struct log *log;

	(void)state;
	fail_calloc = 1;
	assert_int_equal(log_new(&log, logs, &origin, "guest-a.log", false), -ENOMEM);
	assert_null(log);

	logs_free(logs, 1000);
	fail_calloc = 1;
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), -ENOMEM);
	assert_null(logs);
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);

	fail_calloc = 2; /* the writer's, for the file */
	log = stream(1, "guest-a.log");
	until(said(strerror(ENOMEM)));
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	until(said("are written again"));
	assert_int_equal(said("xenconsoled: "), 2);

	fail_calloc = 1; /* for that of its new name */
	log_rename(log, "guest-b.log");
	until(said(strerror(ENOMEM)) == 2);
	print(log, "two\n");
	until_log_is("guest-b.log", "two\n");
	assert_true(log_is("guest-a.log", "one\n"));
}

static void no_room_for_queues(void **state)
{
	struct log *log;
	char text[100000];

	(void)state;
	memset(text, '\n', sizeof(text));
	disk.reserve_errno = ENOSPC;
	for (int i = 0; i < 10; i++) {
		log = stream(i, "guest-a.log");
		assert_int_equal(log_append(log, text, sizeof(text), 0), 0);
		log_free(log);
	}
	until(log_size("guest-a.log") == 10 * sizeof(text));
	assert_int_equal(said("kept in memory"), 1);
	assert_int_equal(said("xenconsoled: "), 1);
}

/* As tmpfs does when the process is stopped and goes on, and a freezer or a tracer do as well. */
static void reserving_is_interrupted(void **state)
{
	struct log *log;
	char text[100000];

	(void)state;
	memset(text, '\n', sizeof(text));
	disk.reserve_again = 3;
	log = stream(1, "guest-a.log");
	assert_int_equal(disk.reserve_again, 0);
	disk.reserve_again = 3;
	assert_int_equal(log_append(log, text, sizeof(text), 0), 0);
	assert_int_equal(disk.reserve_again, 0);
	until(log_size("guest-a.log") == sizeof(text));
	assert_int_equal(said("kept in memory"), 0);
}

static void no_directory_for_queues(void **state)
{
	struct log *log;

	(void)state;
	logs_free(logs, 1000);
	assert_int_equal(chmod(fixture_queues, 0777), 0);
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);
	assert_int_equal(said("others may write to it"), 1);
	log = stream(1, "guest-a.log");
	print(log, "one\n");
	until_log_is("guest-a.log", "one\n");
	assert_int_equal(said("memory"), 1);
	logs_free(logs, 1000);

	remove_tree(fixture_queues);
	make_link(fixture_queues);
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);
	logs_free(logs, 1000);
	assert_int_equal(remove(fixture_queues), 0);
	assert_int_equal(logs_new(&logs, loop, fixture_logs, fixture_queues), 0);
	assert_int_equal(access(fixture_queues, W_OK), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_logs, teardown_logs)
	const struct CMUnitTest tests[] = {
		TEST(a_full_disk_is_told_once_and_resumes),
		TEST(what_is_lost_is_marked_where_it_was),
		TEST(what_could_not_be_queued_is_marked),
		TEST(a_disk_that_fills_bit_by_bit),
		TEST(a_read_only_directory),
		TEST(the_end_is_not_told_before_it_comes),
		TEST(an_old_failure_is_no_reason),
		TEST(one_failure_follows_another),
		TEST(strange_things_in_the_way),
		TEST(strange_things_are_left_alone),
		TEST(a_rename_leaves_a_refused_file_behind),
		TEST(a_stuck_disk_holds_nobody),
		TEST(a_stuck_disk_holds_not_even_the_end),
		TEST(a_writer_left_behind_keeps_off),
		TEST(many_domains_end_while_the_disk_is_full),
		TEST(full_queues_of_domains_that_ended),
		TEST(many_domains_end_while_the_disk_is_stuck),
		TEST(no_memory_for_a_stream),
		TEST(no_room_for_queues),
		TEST(reserving_is_interrupted),
		TEST(no_directory_for_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
