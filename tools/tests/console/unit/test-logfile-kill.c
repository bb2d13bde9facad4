/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A daemon that is killed at any moment, and its successor: together they write every byte to the log, once.
 * Before, in and after a write are looked at one by one; then come two hundred kills at random.
 */
#include "between.h"
#include "log-fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "output/logfile-private.h"
#include "random.h"
#include "stepping.h"

static struct loop *loop;
static struct logs *logs;

static const struct log_origin origin = { 5, 0, { 5 } };

static int setup_loop(void **state)
{
	loop = loop_new();
	return !loop || setup(state);
}

static int teardown_loop(void **state)
{
	disk_heal();
	logs_free(logs, 10000);
	logs = NULL;
	loop_free(loop);
	return teardown(state);
}

static void begin(void)
{
	if (logs_new(&logs, loop, fixture_logs, fixture_queues))
		_exit(2);
}

static struct log *stream(const struct log_origin *o, const char *name)
{
	struct log *log;

	if (log_new(&log, logs, o, name, false))
		_exit(3);
	return log;
}

/* ---- a predecessor -------------------------------------------------------------------- */

static struct {
	pid_t pid;
	int ready;
} child;

/* Run a daemon that does so much and then waits to be killed. */
static void predecessor(void (*life)(void))
{
	int ready[2];
	char c = 0;

	assert_int_equal(pipe(ready), 0);
	child.pid = fork();
	if (child.pid == 0) {
		alarm(0);
		begin();
		life();
		if (write(ready[1], &c, 1) != 1)
			_exit(4);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
}

static void kill_it(void)
{
	int status;

	assert_int_equal(kill(child.pid, SIGKILL), 0);
	assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	disk_heal();
	disk.stuck = 0;
}

static void say_hello(void)
{
	struct log *log = stream(&origin, "guest-a.log");

	log_append(log, "hello\n", 6, 1006);
}

static void say_hello_to_a_stuck_disk(void)
{
	struct log *log = stream(&origin, "guest-a.log");

	until(!access(path_of("guest-a.log"), F_OK));
	log_append(log, "hello\n", 6, 1006);
	until(disk.stuck);
	log_append(log, "later\n", 6, 1012);
}

/* ---- what is left ------------------------------------------------------------------------ */

static void what_was_queued_is_written_first(void **state)
{
	uint32_t position = 0;
	struct log *log;

	(void)state;
	disk.stalled = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_int_equal(log_size("guest-a.log"), 0);
	begin();
	log = stream(&origin, "guest-a.log");
	log_append(log, "next\n", 5, 1017);
	until_log_is("guest-a.log", "hello\nlater\nnext\n");
	assert_true(logs_inherited(logs, &origin, &position));
	assert_int_equal(position, 1012);
	assert_false(logs_inherited(logs, &origin, &position));
	until(queue_files("", NULL) == 1);
	assert_int_equal(said(""), 0);
}

/* Also if the successor's disk fails at first, and new streams are in a hurry. */
static void first_even_if_the_disk_fails(void **state)
{
	struct log *log;

	(void)state;
	disk.stalled = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	disk.write_errno = ENOSPC;
	disk.write_room = 3;
	begin();
	log = stream(&origin, "guest-a.log");
	log_append(log, "next\n", 5, 1017);
	until(said(strerror(ENOSPC)));
	log_append(log, "and on\n", 7, 1024);
	disk_heal();
	until_log_is("guest-a.log", "hello\nlater\nnext\nand on\n");
}

/* Several generations, oldest first. */
static void say_more(void)
{
	struct log *log = stream(&origin, "guest-a.log");
	uint32_t position;

	if (!logs_inherited(logs, &origin, &position) || position != 1012)
		_exit(5);
	log_append(log, "more\n", 5, 1017);
}

static void generations_keep_their_order(void **state)
{
	uint32_t position;
	struct log *log;

	(void)state;
	disk.stalled = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	disk.open_errno = EIO;
	predecessor(say_more);
	kill_it();
	disk.open_errno = EIO;
	begin();
	log = stream(&origin, "guest-a.log");
	log_append(log, "next\n", 5, 1022);
	disk_heal();
	until_log_is("guest-a.log", "hello\nlater\nmore\nnext\n");
	assert_true(logs_inherited(logs, &origin, &position));
	assert_int_equal(position, 1017);
	until(queue_files("", NULL) == 1);
}

static void only_begin(void)
{
}

static void only_open(void)
{
	struct log *log = stream(&origin, NULL);

	(void)log;
}

/* The position outlives successors that are killed before they came to use it. */
static void positions_survive_short_lives(void **state)
{
	uint32_t position;

	(void)state;
	predecessor(say_hello);
	until_log_is("guest-a.log", "hello\n");
	kill_it();
	predecessor(only_begin);
	kill_it();
	predecessor(only_open);
	kill_it();
	predecessor(only_begin);
	kill_it();
	begin();
	assert_true(logs_inherited(logs, &origin, &position));
	assert_int_equal(position, 1006);
	assert_true(log_is("guest-a.log", "hello\n"));
}

static void say_and_leave(void)
{
	struct log *log = stream(&origin, "guest-a.log");

	log_append(log, "bye\n", 4, 1004);
	until_log_is("guest-a.log", "bye\n");
	log_free(log);
	until(!queue_files("", NULL));
}

static void ended_streams_leave_nothing(void **state)
{
	uint32_t position;

	(void)state;
	predecessor(say_and_leave);
	kill_it();
	begin();
	assert_false(logs_inherited(logs, &origin, &position));
	assert_int_equal(queue_files("", NULL), 0);
}

/* Xen's ring goes on while nobody logs it, and keeps what was read: for as long as it takes, its position stays. */
static void xens_position_outlives_an_orderly_end(void **state)
{
	const struct log_origin xen = { 0, 0, { 1 } };
	uint32_t position;
	struct log *log;

	(void)state;
	begin();
	log = stream(&xen, "hypervisor.log");
	log_append(log, "booting\n", 8, 8);
	log_leave(log);
	logs_free(logs, 10000);
	assert_true(log_is("hypervisor.log", "booting\n"));
	for (int i = 0; i < 2; i++) { /* who logs guests only */
		begin();
		logs_expire(logs);
		logs_free(logs, 10000);
	}
	begin();
	log = stream(&xen, "hypervisor.log");
	assert_true(logs_inherited(logs, &xen, &position));
	assert_int_equal(position, 8);
	log_leave(log);
	logs_free(logs, 10000);
	assert_int_equal(queue_files("", NULL), 1);

	begin(); /* after a reboot */
	log_leave(stream(&(struct log_origin){ 0, 0, { 2 } }, "hypervisor.log"));
	logs_expire(logs);
	logs_free(logs, 10000);
	assert_int_equal(queue_files("", NULL), 1);
	begin();
	assert_false(logs_inherited(logs, &xen, &position));
	assert_true(log_is("hypervisor.log", "booting\n"));
}

static void other_origins_are_others(void **state)
{
	struct log_origin other = origin;
	uint32_t position;

	(void)state;
	predecessor(say_hello);
	kill_it();
	begin();
	other.domid++;
	assert_false(logs_inherited(logs, &other, &position));
	other = origin;
	other.kind++;
	assert_false(logs_inherited(logs, &other, &position));
	other = origin;
	other.handle[15]++;
	assert_false(logs_inherited(logs, &other, &position));
	assert_true(logs_inherited(logs, &origin, &position));
	until_log_is("guest-a.log", "hello\n");
}

static void say_without_a_name(void)
{
	struct log *log = stream(&origin, NULL);

	log_append(log, "who\n", 4, 1004);
}

/* It waits for its origin's new stream to get one, through stops and starts; if that never comes, not for ever. */
static void killed_before_the_name_came(void **state)
{
	struct log *log;

	(void)state;
	predecessor(say_without_a_name);
	kill_it();
	begin();
	logs_free(logs, 1000);
	begin();
	log = stream(&origin, NULL);
	log_append(log, "next\n", 5, 1009);
	log_rename(log, "guest-a.log");
	until_log_is("guest-a.log", "who\nnext\n");
	log_free(log);
	logs_free(logs, 1000);
	assert_int_equal(queue_files("", NULL), 0);

	predecessor(say_without_a_name);
	kill_it();
	begin();
	assert_true(logs->nameless);
	stream(&(struct log_origin){ 77, 0, { 0 } }, "guest-c.log");
	assert_true(logs->nameless);
	log = stream(&origin, "guest-b.log");
	assert_false(logs->nameless); /* later streams need not look for them any more */
	until_log_is("guest-b.log", "who\n");
	logs_free(logs, 1000);

	predecessor(say_without_a_name);
	kill_it();
	begin();
	logs_expire(logs);
	until_log_is("guest-domain-5.log", "who\n");
	until(!queue_files("", NULL));
}

/* Overflow, killed, and the gap is still told of. */
static void fill_a_stuck_disk(void)
{
	struct log *log = stream(&origin, "guest-a.log");
	static char text[LOG_QUEUE_SIZE];

	until(!access(path_of("guest-a.log"), F_OK));
	memset(text, '\n', sizeof(text));
	log_append(log, text, sizeof(text), 1);
	until(disk.stuck);
	log_append(log, "lost", 4, 5);
	log_append(log, "lost too", 8, 13);
}

static void gaps_are_left_too(void **state)
{
	uint32_t position;

	(void)state;
	disk.stalled = true;
	predecessor(fill_a_stuck_disk);
	kill_it();
	begin();
	assert_true(logs_inherited(logs, &origin, &position));
	assert_int_equal(position, 13);
	until(log_has("guest-a.log", "\n[xenconsoled: 12 bytes of output lost from "));
	until(!log_queued(stream(&origin, "guest-a.log")));
	assert_true(log_size("guest-a.log") < LOG_QUEUE_SIZE + 200);
}

static void say_much(void)
{
	struct log *log = stream(&origin, "guest-a.log");
	static char text[100000];
	uint32_t position = 0;

	logs_inherited(logs, &origin, &position);
	memset(text, '\n', sizeof(text));
	log_append(log, text, sizeof(text), position + sizeof(text));
}

/* Started again and again while logs can't be written: what waits is bounded, and what is lost is counted. */
static void many_generations_are_too_many(void **state)
{
	const uint32_t each = 100000, lives = 20;
	unsigned int lost = 0;
	uint32_t position;
	size_t bytes;
	char *text, *mark;

	(void)state;
	for (uint32_t i = 0; i < lives; i++) {
		disk.open_errno = EIO;
		predecessor(say_much);
		kill_it();
	}
	queue_files("", &bytes);
	assert_between(bytes, LEFT_MAX / 2, LEFT_MAX + LOG_QUEUE_SIZE + lives * 4096);
	begin();
	stream(&origin, "guest-a.log");
	assert_true(logs_inherited(logs, &origin, &position));
	assert_int_equal(position, lives * each);
	until(queue_files("", NULL) == 1);
	text = read_path(path_of("guest-a.log"), &bytes);
	mark = strstr(text, "[xenconsoled: ");
	assert_non_null(mark);
	assert_int_equal(sscanf(mark, "[xenconsoled: %u bytes of output lost", &lost), 1);
	assert_int_equal(lost % each, 0);
	assert_between(lost, 1, lives * each - LEFT_MAX / 2);
	assert_int_equal(bytes - (strchr(mark, '\n') + 1 - mark) + lost, lives * each);
	free(text);
}

static void damaged_queues_are_set_aside(void **state)
{
	char path[PATH_MAX];
	int fd;

	(void)state;
	predecessor(say_hello);
	kill_it();
	snprintf(path, sizeof(path), "%s/%016x", fixture_queues, 0x77);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "garbage", 7), 7);
	close(fd);
	snprintf(path, sizeof(path), "%s/%016x", fixture_queues, 0x78);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	snprintf(path, sizeof(path), "%s/somebody's", fixture_queues);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	begin();
	until_log_is("guest-a.log", "hello\n");
	assert_int_equal(said("set aside as 0000000000000077.bad"), 1);
	assert_int_equal(said(""), 1);
	assert_int_equal(queue_files("bad", NULL), 1);
	assert_int_equal(queue_files("78", NULL), 0);
	assert_int_equal(queue_files("somebody's", NULL), 1);
	logs_free(logs, 1000);
	begin();
	assert_int_equal(said(""), 1);
}

/* ---- in the middle of a write --------------------------------------------------------------- */

/* What was set aside is evidence: no later one takes its name. */
static void damaged_queues_do_not_replace_each_other(void **state)
{
	char path[PATH_MAX];
	struct log *log;
	FILE *f;

	(void)state;
	for (int i = 0; i < 2; i++) {
		begin();
		log = stream(&origin, "guest-a.log");
		snprintf(path, sizeof(path), "%s/%s", fixture_queues, log->queue.file);
		logs_free(logs, 1000);
		f = fopen(path, "w");
		fputs("garbage", f);
		fclose(f);
		begin();
		logs_free(logs, 1000);
	}
	logs = NULL;
	assert_int_equal(queue_files("bad", NULL), 2);
}

static void a_kill_before_the_write(void **state)
{
	(void)state;
	disk.stalled = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_true(log_is("guest-a.log", ""));
	begin();
	until_log_is("guest-a.log", "hello\nlater\n");
}

static void a_kill_after_the_write(void **state)
{
	(void)state;
	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_true(log_is("guest-a.log", "hello\n"));
	begin();
	until_log_is("guest-a.log", "hello\nlater\n");
}

static void a_kill_after_half_a_write(void **state)
{
	(void)state;
	disk.write_room = 4;
	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_true(log_is("guest-a.log", "hell"));
	begin();
	until_log_is("guest-a.log", "hello\nlater\n");
}

static void append_to_log(const char *text)
{
	FILE *f = fopen(path_of("guest-a.log"), "a");

	fputs(text, f);
	fclose(f);
}

/* Whoever else writes to the log meanwhile, nothing is lost, and what can be told apart is not repeated. */
static void somebody_else_wrote_meanwhile(void **state)
{
	(void)state;
	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	append_to_log("others\n");
	begin();
	until_log_is("guest-a.log", "hello\nothers\nlater\n");
	logs_free(logs, 1000);

	disk.stalled = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	append_to_log("others\n");
	begin();
	until_log_is("guest-a.log", "hello\nothers\nlater\nothers\nhello\nlater\n");
}

/* The file that could tell is looked for under its new name; if it is gone: rather twice than not at all. */
static void rotated_between_kill_and_start(void **state)
{
	(void)state;
	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_int_equal(truncate(path_of("guest-a.log"), 0), 0);
	begin();
	until_log_is("guest-a.log", "hello\nlater\n");
	logs_free(logs, 1000);

	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_int_equal(rename(path_of("guest-a.log"), path_of("guest-a.log.1")), 0);
	begin();
	until_log_is("guest-a.log", "later\n");
	assert_true(log_is("guest-a.log.1", "hello\nlater\nhello\n"));
	logs_free(logs, 1000);

	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	assert_int_equal(unlink(path_of("guest-a.log")), 0);
	begin();
	until_log_is("guest-a.log", "hello\nlater\n");
}

/* Nor can it tell if it can't be read. */
static void unreadable_between_kill_and_start(void **state)
{
	(void)state;
	disk.stalled_after = true;
	predecessor(say_hello_to_a_stuck_disk);
	kill_it();
	append_to_log("others\n");
	disk.read_errno = EMFILE;
	begin();
	until_log_is("guest-a.log", "hello\nothers\nhello\nlater\n");
}

static void rename_in_a_stuck_write(void)
{
	struct log *log = stream(&origin, "guest-a.log");

	until(!access(path_of("guest-a.log"), F_OK));
	log_append(log, "hello\n", 6, 1006);
	until(disk.stuck);
	log_rename(log, "guest-b.log");
	log_append(log, "later\n", 6, 1012);
}

static void renamed_in_the_middle_of_a_write(void **state)
{
	(void)state;
	disk.stalled_after = true;
	predecessor(rename_in_a_stuck_write);
	kill_it();
	begin();
	until_log_is("guest-a.log", "hello\nlater\n");
}

/* ---- after each instruction of a write ------------------------------------------------------- */

static struct {
	struct logs logs;
	struct file *file;
	struct logqueue queue;
	const char *wanted;
	struct logqueue_header seen;
	off_t size;
	int states, unsure;
} step;

static void carry_once(void *arg)
{
	(void)arg;
	file_carry(&step.logs, step.file, &step.queue);
}

/* A successor's view: what the log has, and what it would append. */
static void log_and_rest_are_whole(void *arg)
{
	char *there, whole[200];
	struct logqueue copy = step.queue;
	struct logqueue_header header;
	struct iovec v[2];
	struct stat st;

	(void)arg;
	assert_int_equal(stat(path_of("guest-a.log"), &st), 0);
	if (st.st_size == step.size && !memcmp(&step.seen, step.queue.header, sizeof(step.seen)))
		return;
	step.states++;
	step.size = st.st_size;
	step.seen = header = *step.queue.header;
	copy.header = &header;
	fifo_init(&copy.fifo, &header.pos, step.queue.fifo.data, LOG_QUEUE_SIZE);
	step.unsure += logqueue_unsure(&copy) != NULL;
	file_settle(&step.logs, step.file, &copy);
	there = read_path(path_of("guest-a.log"), NULL);
	snprintf(whole, sizeof(whole), "%s", there);
	free(there);
	for (int i = 0, n = fifo_peek(&copy.fifo, v); i < n; i++)
		snprintf(whole + strlen(whole), sizeof(whole) - strlen(whole), "%.*s", (int)v[i].iov_len,
			 (char *)v[i].iov_base);
	assert_string_equal(whole, step.wanted);
}

static void step_through_a_write(void)
{
	step.states = step.unsure = 0;
	assert_true(step_through(carry_once, log_and_rest_are_whole, NULL) > 100);
	assert_true(step.states >= 4);
	assert_true(step.unsure >= 1);
	/* The child's idea of the file is its own; ours has to follow. */
	step.file->size = step.size;
}

static void killed_after_any_instruction_of_a_write(void **state)
{
	(void)state;
	append_to_log("before, ");
	step.logs.dir = open(fixture_logs, O_RDONLY | O_DIRECTORY);
	link_init(&step.logs.dirty);
	assert_int_equal(logqueue_new(&step.queue, AT_FDCWD, 0, &origin, "guest-a.log", false), 0);
	unlink(step.queue.file);
	fifo_init(&step.queue.fifo, &step.queue.header->pos, step.queue.fifo.data, LOG_QUEUE_SIZE);
	step.file = file_get(&step.logs, "guest-a.log");
	assert_int_equal(file_open(&step.logs, step.file), 0);
	step.wanted = "before, the first chunk, the second";
	logqueue_push(&step.queue, "the first chunk, the second", 27, 1);
	disk.write_room = 5;
	step_through_a_write();
	disk.write_errno = ENOSPC;
	step_through_a_write();
	disk_heal();
	step_through_a_write();
	assert_int_equal(fifo_used(&step.queue.fifo), 0);
	assert_true(log_is("guest-a.log", step.wanted));
	file_put(&step.logs, step.file);
	logqueue_close(&step.queue, false);
	close(step.logs.dir);
}

/* ---- two hundred kills at random ---------------------------------------------------------------- */

#define KILLS 200
#define CONSOLES 4
#define LINE 32
#define MOST 2048 /* bytes taken at a time */

/* What each ring's page has: what its guest printed from here on is still there. */
static _Atomic uint32_t *out_cons;

/* A guest prints numbered lines; its output is a function of the position. */
static void guest_output(int console, uint32_t at, char *out, size_t len)
{
	char line[LINE + 16];

	for (size_t i = 0; i < len; i++, at++) {
		if (i == 0 || at % LINE == 0)
			snprintf(line, sizeof(line), "console %d, line %015u\n", console, at / LINE);
		out[i] = line[at % LINE];
	}
}

static void console_origin(int console, struct log_origin *o)
{
	memset(o, 0, sizeof(*o));
	o->domid = console + 1;
}

/* What the predecessor queued is not taken again. */
static void inherit(int console)
{
	struct log_origin o;
	uint32_t position;

	console_origin(console, &o);
	if (logs_inherited(logs, &o, &position) && position - out_cons[console] <= MOST)
		out_cons[console] = position;
}

/* Every console floods; names come at once or late; now and then there is a SIGHUP. */
static void serve_until_killed(void)
{
	struct log *log[CONSOLES];
	struct log_origin o;
	char name[32], buf[MOST];

	begin();
	for (int i = 0; i < CONSOLES; i++) {
		console_origin(i, &o);
		snprintf(name, sizeof(name), "guest-%d.log", i);
		log[i] = stream(&o, random_below(2) ? NULL : name);
		log_rename(log[i], name);
		inherit(i);
	}
	for (;;) {
		int i = random_below(CONSOLES);
		size_t n = 1 + random_below(sizeof(buf));

		if (log_queued(log[i]) + n > LOG_QUEUE_SIZE / (1 + random_below(20))) {
			usleep(100);
			continue;
		}
		guest_output(i, out_cons[i], buf, n);
		log_append(log[i], buf, n, out_cons[i] + n);
		if (!random_below(30))
			usleep(200);
		out_cons[i] += n;
		if (!random_below(3000))
			logs_reopen(logs);
	}
}

static char summary[200];

struct count {
	unsigned long long bytes, lost, repeated;
};

static void count_lines(int console, const char *text, struct count *count)
{
	unsigned int next = 0, line;
	const char *end;
	int whose;

	for (; (end = strchr(text, '\n')); text = end + 1) {
		if (end - text != LINE - 1 || sscanf(text, "console %d, line %u", &whose, &line) != 2) {
			printf("console %d: a broken line after line %u\n", console, next);
			continue;
		}
		count->lost += line > next ? line - next : 0;
		count->repeated += line < next ? next - line : 0;
		next = line + 1;
	}
}

static bool is_whole(int console, struct count *count)
{
	char name[32], *wanted = malloc(out_cons[console]), *text;
	size_t len;
	bool whole;

	snprintf(name, sizeof(name), "guest-%d.log", console);
	text = read_path(path_of(name), &len);
	guest_output(console, 0, wanted, out_cons[console]);
	whole = len == out_cons[console] && !memcmp(text, wanted, len);
	count->bytes += len;
	if (!whole)
		count_lines(console, text, count);
	free(text);
	free(wanted);
	return whole;
}

static void two_hundred_kills(void **state)
{
	struct count count = { 0, 0, 0 };
	struct log_origin origin_of_one;
	int caught = 0, whole = 0;

	(void)state;
	out_cons = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < KILLS; i++) {
		uint32_t before = out_cons[CONSOLES - 1];

		random_next();
		disk.linger = random_below(2) ? 1000 : 0;
		child.pid = fork();
		if (child.pid == 0) {
			alarm(0);
			srand(i);
			serve_until_killed();
		}
		if (i % 4) /* the others are killed as they adopt; the last console's turn comes last */
			until(out_cons[CONSOLES - 1] != before);
		usleep(random_below(8000));
		caught += disk.stuck != 0;
		kill_it();
	}
	begin();
	for (int i = 0; i < CONSOLES; i++) {
		inherit(i);
		console_origin(i, &origin_of_one);
		log_free(stream(&origin_of_one, NULL));
	}
	logs_free(logs, 10000);
	logs = NULL;
	for (int i = 0; i < CONSOLES; i++)
		whole += is_whole(i, &count);
	snprintf(summary, sizeof(summary),
		 "%d kills, %d of them in a write; %llu lines of %d consoles, %llu lost, %llu repeated",
		 KILLS, caught, count.bytes / LINE, CONSOLES, count.lost, count.repeated);
	assert_int_equal(whole, CONSOLES);
	assert_true(count.bytes > KILLS * 1000);
	assert_int_equal(queue_files("", NULL), 0);
	munmap(out_cons, 4096);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_loop, teardown_loop)
	const struct CMUnitTest tests[] = {
		TEST(what_was_queued_is_written_first),
		TEST(first_even_if_the_disk_fails),
		TEST(generations_keep_their_order),
		TEST(positions_survive_short_lives),
		TEST(ended_streams_leave_nothing),
		TEST(xens_position_outlives_an_orderly_end),
		TEST(other_origins_are_others),
		TEST(killed_before_the_name_came),
		TEST(gaps_are_left_too),
		TEST(many_generations_are_too_many),
		TEST(damaged_queues_are_set_aside),
		TEST(damaged_queues_do_not_replace_each_other),
		TEST(a_kill_before_the_write),
		TEST(a_kill_after_the_write),
		TEST(a_kill_after_half_a_write),
		TEST(somebody_else_wrote_meanwhile),
		TEST(rotated_between_kill_and_start),
		TEST(unreadable_between_kill_and_start),
		TEST(renamed_in_the_middle_of_a_write),
		TEST(killed_after_any_instruction_of_a_write),
		TEST(two_hundred_kills),
	};

	int failed;

	random_begin();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	puts(summary);
	return failed;
}
