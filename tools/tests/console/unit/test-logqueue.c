/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queues: against a model, with a successor who looks in at any time; and with a kill after every single
 * instruction of every step, of which a successor must be able to make sense.
 */
#include "between.h"
#include "log-fixture.h"

#include <sys/mman.h>
#include <sys/statfs.h>

#include "output/logqueue.h"
#include "random.h"
#include "stepping.h"

static const struct log_origin origin = { 7, 1, { 1, 2, 3 } };
static int dir = -1;

static int setup_dir(void **state)
{
	if (setup(state))
		return -1;
	dir = open(fixture_queues, O_RDONLY | O_DIRECTORY);
	return dir < 0;
}

static int teardown_dir(void **state)
{
	close(dir);
	return teardown(state);
}

static struct logqueue fresh(void)
{
	static uint64_t number;
	struct logqueue q;

	assert_int_equal(logqueue_new(&q, dir, number++, &origin, "guest-a.log", true), 0);
	fifo_init(&q.fifo, &q.header->pos, q.fifo.data, q.fifo.size);
	return q;
}

static const char *queue_path(const char *file)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fixture_queues, file);
	return path;
}

/* The queued text, copied out. */
static size_t text_of(const struct logqueue *q, char *out)
{
	struct iovec v[2];
	int count = fifo_peek(&q->fifo, v);
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		memcpy(out + len, v[i].iov_base, v[i].iov_len);
		len += v[i].iov_len;
	}
	return len;
}

/* ---- what a successor sees -------------------------------------------------- */

struct view {
	char text[LOG_QUEUE_SIZE];
	size_t len;
	bool known;
	uint32_t position;
	uint64_t gap;
};

/* Of a copy, as adopting changes what is adopted. */
static void look_at(const char *file, struct view *view)
{
	size_t len;
	char *whole = read_path(queue_path(file), &len);
	struct logqueue q;
	int fd = open(queue_path("copy"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, whole, len), len);
	close(fd);
	free(whole);
	assert_int_equal(logqueue_adopt(&q, dir, "copy"), 0);
	view->len = text_of(&q, view->text);
	view->known = logqueue_position(&q, &view->position);
	view->gap = q.header->gap.bytes;
	assert_memory_equal(&q.header->origin, &origin, sizeof(origin));
	assert_string_equal(logqueue_name(&q), "guest-a.log");
	logqueue_close(&q, true);
}

/* ---- pushing ------------------------------------------------------------------ */

static void all_or_nothing(void **state)
{
	struct logqueue q = fresh();
	char *big = calloc(1, LOG_QUEUE_SIZE + 1), *text = malloc(LOG_QUEUE_SIZE);
	uint32_t position;

	(void)state;
	assert_false(logqueue_position(&q, &position));
	assert_int_equal(logqueue_push(&q, big, LOG_QUEUE_SIZE + 1, 1), -ENOSPC);
	assert_false(logqueue_position(&q, &position));
	assert_int_equal(logqueue_push(&q, "abc", 3, 11), 0);
	assert_true(logqueue_position(&q, &position));
	assert_int_equal(position, 11);
	assert_int_equal(logqueue_push(&q, big, LOG_QUEUE_SIZE - 2, 12), -ENOSPC);
	assert_int_equal(logqueue_push(&q, big, LOG_QUEUE_SIZE - 3, 13), 0);
	assert_int_equal(logqueue_push(&q, "", 1, 14), -ENOSPC);
	assert_int_equal(logqueue_push(&q, "", 0, 15), 0);
	assert_true(logqueue_position(&q, &position));
	assert_int_equal(position, 15);
	assert_int_equal(text_of(&q, text), LOG_QUEUE_SIZE);
	assert_memory_equal(text, "abc", 4);
	logqueue_close(&q, true);
	assert_int_equal(access(queue_path(q.file), F_OK), -1);
	free(big);
	free(text);
}

/* A page or what the system has for one, and less than that of text: the file of an idle console. */
static long pages(const struct logqueue *q)
{
	struct stat st;

	assert_int_equal(stat(queue_path(q->file), &st), 0);
	return st.st_blocks * 512 / sysconf(_SC_PAGESIZE);
}

static void idle_queues_are_one_page(void **state)
{
	struct logqueue q = fresh();
	char burst[100000];

	(void)state;
	memset(burst, 'x', sizeof(burst));
	assert_int_equal(pages(&q), 1);
	for (int i = 0; i < 1000; i++) {
		logqueue_restart(&q);
		assert_int_equal(logqueue_push(&q, burst, 2048, i), 0);
		logqueue_end(&q, 2048);
	}
	assert_int_equal(pages(&q), 1);
	assert_false(logqueue_fat(&q));
	assert_int_equal(logqueue_push(&q, burst, sizeof(burst), 1), 0);
	assert_true(logqueue_fat(&q));
	assert_true(pages(&q) > 1);
	logqueue_end(&q, sizeof(burst));
	logqueue_trim(&q);
	assert_false(logqueue_fat(&q));
	assert_int_equal(pages(&q), 1);
	logqueue_close(&q, true);
}

/* ---- against a model -------------------------------------------------------------- */

static void random_operations(void **state)
{
	struct logqueue q = fresh();
	char *model = malloc(2 * LOG_QUEUE_SIZE), *chunk = malloc(LOG_QUEUE_SIZE);
	struct view *view = malloc(sizeof(*view));
	size_t used = 0, len, looks = 0;
	uint32_t position = 0;
	int first = 0;
	bool pushed = false;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint64_t gap = q.header->gap.bytes;

		switch (random_below(8)) {
		case 0 ... 2:
			len = random_below(random_below(50) ? 3000 : LOG_QUEUE_SIZE);
			random_bytes(chunk, len);
			position += len;
			pushed = true;
			if (used + len > LOG_QUEUE_SIZE) {
				assert_int_equal(logqueue_push(&q, chunk, len, position), -ENOSPC);
				logqueue_lose(&q, len, position, i);
				assert_int_equal(q.header->gap.bytes, gap + len);
				first = gap ? first : i;
				assert_int_equal(q.header->gap.first, first);
				assert_int_equal(q.header->gap.last, i);
				break;
			}
			assert_int_equal(logqueue_push(&q, chunk, len, position), 0);
			memcpy(model + used, chunk, len);
			used += len;
			break;
		case 3 ... 5:
			len = random_below(5) ? random_below(used + 1) : used;
			logqueue_begin(&q, 1, 2, 3, used);
			assert_true(!used || logqueue_unsure(&q)->length == used);
			logqueue_end(&q, len);
			assert_null(logqueue_unsure(&q));
			memmove(model, model + len, used - len);
			used -= len;
			break;
		case 6:
			if (!used && random_below(2))
				logqueue_restart(&q);
			else if (!used)
				logqueue_trim(&q);
			break;
		default:
			if (random_below(50))
				break;
			look_at(q.file, view);
			assert_int_equal(view->len, used);
			assert_memory_equal(view->text, model, used);
			assert_int_equal(view->known, pushed);
			assert_true(!view->known || view->position == position);
			looks++;
		}
		assert_int_equal(fifo_used(&q.fifo), used);
	}
	assert_true(looks > 10);
	logqueue_close(&q, true);
	free(view);
	free(chunk);
	free(model);
}

/* ---- killed after each instruction ------------------------------------------------- */

/*
 * A console that has queued "before" and given it back to the ring; it was at position 1000 then.  With the
 * next step it comes to 1000 and the length of "after".
 */
static struct {
	struct logqueue q;
	struct logqueue_header seen;
	struct view *view;
	const char *after;
	uint64_t gap;
	int states, done;
} kill_test;

static void begin_stepping(const char *after)
{
	memset(&kill_test, 0, sizeof(kill_test));
	kill_test.q = fresh();
	fifo_init(&kill_test.q.fifo, &kill_test.q.header->pos, kill_test.q.fifo.data, LOG_QUEUE_SIZE);
	kill_test.view = malloc(sizeof(*kill_test.view));
	kill_test.after = after;
}

static void end_stepping(void)
{
	logqueue_close(&kill_test.q, true);
	free(kill_test.view);
}

/* What the log will have: the queue, and from the ring what the recorded position does not exclude. */
static void nothing_lost_nothing_twice(void *arg)
{
	struct view *v = kill_test.view;
	const char *queued = arg, *after = kill_test.after;
	char whole[200], wanted[200];
	uint32_t from;

	if (!memcmp(&kill_test.seen, kill_test.q.header, sizeof(kill_test.seen)))
		return;
	kill_test.seen = *kill_test.q.header;
	kill_test.states++;
	look_at(kill_test.q.file, v);
	assert_between(v->len, 0, 100);
	assert_true(v->known); /* where there is no ring that knows it too, all would be taken again */
	from = v->position;
	assert_between(from, 1000, 1000 + strlen(after));
	kill_test.done += from != 1000;
	if (v->gap) {
		/* Counted as lost before the ring's place is given back; a kill between may count and log it. */
		assert_int_equal(v->gap, strlen(after));
		snprintf(wanted, sizeof(wanted), "%s%s", queued, from == 1000 ? after : "");
	} else {
		snprintf(wanted, sizeof(wanted), "%s%s", queued, after);
	}
	snprintf(whole, sizeof(whole), "%.*s%s", (int)v->len, v->text, after + (from - 1000));
	assert_string_equal(whole, wanted);
}

static void push_after(void *arg)
{
	(void)arg;
	logqueue_push(&kill_test.q, kill_test.after, strlen(kill_test.after), 1000 + strlen(kill_test.after));
}

static void killed_in_a_push(void **state)
{
	(void)state;
	begin_stepping("the next chunk");
	logqueue_push(&kill_test.q, "before, ", 8, 1000);
	assert_true(step_through(push_after, nothing_lost_nothing_twice, "before, ") > 50);
	assert_true(kill_test.states >= 4);
	assert_int_equal(kill_test.done, 1);
	end_stepping();
}

static void lose_after(void *arg)
{
	(void)arg;
	logqueue_lose(&kill_test.q, strlen(kill_test.after), 1000 + strlen(kill_test.after), 1);
}

static void killed_while_it_counts_a_loss(void **state)
{
	(void)state;
	begin_stepping("what is lost");
	logqueue_push(&kill_test.q, "before, ", 8, 1000);
	assert_true(step_through(lose_after, nothing_lost_nothing_twice, "before, ") > 10);
	assert_true(kill_test.states >= 3);
	assert_int_equal(kill_test.done, 1);
	end_stepping();
}

static void restart_and_push(void *arg)
{
	logqueue_restart(&kill_test.q);
	push_after(arg);
}

static void killed_in_a_restart(void **state)
{
	(void)state;
	begin_stepping("the next chunk");
	logqueue_push(&kill_test.q, "written", 7, 1000);
	logqueue_end(&kill_test.q, 7);
	assert_true(step_through(restart_and_push, nothing_lost_nothing_twice, "") > 50);
	assert_true(kill_test.states >= 6);
	assert_int_equal(kill_test.done, 1);
	end_stepping();
}

/* ---- names ---------------------------------------------------------------------- */

static void rename_it(void *arg)
{
	(void)arg;
	logqueue_rename(&kill_test.q, "guest-b.log");
}

static void look_at_name(void *arg)
{
	const char *name = logqueue_name(&kill_test.q);

	(void)arg;
	kill_test.states += !strcmp(name, "guest-a.log");
	kill_test.done += !strcmp(name, "guest-b.log");
	assert_true(!strcmp(name, "guest-a.log") || !strcmp(name, "guest-b.log"));
}

static void killed_in_a_rename(void **state)
{
	(void)state;
	begin_stepping("");
	assert_true(step_through(rename_it, look_at_name, NULL) > 10);
	assert_true(kill_test.states > 1 && kill_test.done >= 1);
	end_stepping();
}

static void positions_pass_to_the_heir(void **state)
{
	struct logqueue q = fresh();
	struct view *view = malloc(sizeof(*view));
	uint32_t position;

	(void)state;
	assert_false(logqueue_marked(&q));
	logqueue_inherit(&q, 4711);
	look_at(q.file, view);
	assert_true(view->known);
	assert_int_equal(view->position, 4711);
	logqueue_forget(&q);
	assert_false(logqueue_position(&q, &position));
	assert_true(logqueue_marked(&q));
	logqueue_close(&q, true);
	free(view);
}

/* ---- left files that are not what they should be ------------------------------------- */

static void spoil(const char *file, off_t at, uint64_t value, size_t len, int wanted)
{
	int fd = open(queue_path(file), O_RDWR);
	struct logqueue q;
	char before[8];

	assert_int_equal(pread(fd, before, len, at), len);
	assert_int_equal(pwrite(fd, &value, len, at), len);
	assert_int_equal(logqueue_adopt(&q, dir, file), wanted);
	if (!wanted)
		logqueue_close(&q, false);
	assert_int_equal(pwrite(fd, before, len, at), len);
	close(fd);
}

#define SPOIL(file, member, value, wanted)                                                                   \
	spoil(file, offsetof(struct logqueue_header, member), value,                                         \
	      sizeof(((struct logqueue_header *)0)->member) > 8                                              \
		      ? 8                                                                                    \
		      : sizeof(((struct logqueue_header *)0)->member),                                       \
	      wanted)

static void headers_are_checked(void **state)
{
	struct logqueue q = fresh();
	const char *file = q.file;
	uint64_t dots = 0;

	(void)state;
	logqueue_push(&q, "text", 4, 1);
	memcpy(&dots, "../../x", 8);
	SPOIL(file, version, 1, 0);
	SPOIL(file, magic, 0, -ENODATA);
	SPOIL(file, magic, 1, -EBADMSG);
	SPOIL(file, version, 2, -EBADMSG);
	SPOIL(file, size, 4096, -EBADMSG);
	SPOIL(file, held, LOG_QUEUE_SIZE + 1, -EBADMSG);
	SPOIL(file, current, 2, -EBADMSG);
	SPOIL(file, names[0], dots, -EBADMSG);
	SPOIL(file, names[1], '\n', -EBADMSG);
	SPOIL(file, written, dots, -EBADMSG);
	SPOIL(file, pos.put, LOG_QUEUE_SIZE, 0);
	SPOIL(file, pos.put, LOG_QUEUE_SIZE + 1, -EBADMSG);
	SPOIL(file, pos.got, UINT64_MAX, 0);
	SPOIL(file, pos.got, (uint64_t)-LOG_QUEUE_SIZE, -EBADMSG);
	memset(q.header->names[0], 'x', sizeof(q.header->names[0]));
	SPOIL(file, version, 1, -EBADMSG);
	logqueue_close(&q, true);
}

static int try_adopt(const char *file)
{
	struct logqueue q;
	int err = logqueue_adopt(&q, dir, file);

	if (!err)
		logqueue_close(&q, false);
	return err;
}

static void only_whole_files_of_ours_are_adopted(void **state)
{
	struct logqueue q = fresh();
	char whole[PATH_MAX], other[PATH_MAX];

	(void)state;
	snprintf(whole, sizeof(whole), "%s", queue_path(q.file));
	snprintf(other, sizeof(other), "%s", queue_path("other"));
	assert_int_equal(try_adopt(q.file), 0);
	assert_int_equal(try_adopt("absent"), -ENOENT);

	assert_int_equal(symlink(whole, other), 0);
	assert_int_equal(try_adopt("other"), -EBADMSG);
	unlink(other);
	assert_int_equal(link(whole, other), 0);
	assert_int_equal(try_adopt("other"), -EBADMSG);
	unlink(other);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(try_adopt("other"), -EBADMSG);
	unlink(other);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(try_adopt("other"), -EBADMSG);
	rmdir(other);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(try_adopt("other"), -ENODATA);
	unlink(other);

	if (geteuid() == 0) {
		assert_int_equal(chown(whole, 12345, -1), 0);
		assert_int_equal(try_adopt(q.file), -EBADMSG);
		assert_int_equal(chown(whole, 0, -1), 0);
	}
	assert_int_equal(truncate(whole, 5000), 0);
	assert_int_equal(try_adopt(q.file), -EBADMSG);
	assert_int_equal(truncate(whole, 500), 0);
	assert_int_equal(try_adopt(q.file), -EBADMSG);
	logqueue_close(&q, true);
}

static void any_header_is_survived(void **state)
{
	struct logqueue q = fresh(), left;
	struct logqueue_header good = *q.header, bad;
	char *text = malloc(LOG_QUEUE_SIZE);
	int fd = open(queue_path(q.file), O_RDWR), adopted = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		bad = good;
		for (size_t n = 1 + random_below(3); n; n--)
			((unsigned char *)&bad)[random_below(sizeof(bad))] = random_next();
		assert_int_equal(pwrite(fd, &bad, sizeof(bad), 0), sizeof(bad));
		if (logqueue_adopt(&left, dir, q.file))
			continue;
		adopted++;
		assert_true(text_of(&left, text) <= LOG_QUEUE_SIZE);
		assert_null(strchr(logqueue_name(&left), '/'));
		logqueue_close(&left, false);
	}
	assert_between(adopted, 100, 4900);
	close(fd);
	free(text);
	logqueue_close(&q, true);
}

/* ---- a tmpfs that is full ------------------------------------------------------------- */

static void no_room_for_the_file(void **state)
{
	char text[100000], back[100000];
	struct logqueue q;

	(void)state;
	memset(text, 'x', sizeof(text));
	disk.reserve_errno = ENOSPC;
	q = fresh();
	assert_int_equal(q.fault, -ENOSPC);
	assert_string_equal(q.file, "");
	assert_int_equal(logqueue_push(&q, text, sizeof(text), 1), 0);
	assert_int_equal(text_of(&q, back), sizeof(text));
	assert_memory_equal(text, back, sizeof(text));
	logqueue_end(&q, sizeof(text));
	logqueue_trim(&q);
	logqueue_close(&q, true);

	assert_int_equal(logqueue_new(&q, -1, 1, &origin, "", false), 0);
	assert_int_equal(q.fault, -EBADF);
	logqueue_close(&q, true);
}

static void no_room_for_a_burst(void **state)
{
	struct view *view = malloc(sizeof(*view));
	struct logqueue q = fresh();
	char text[60000], back[60000];

	(void)state;
	random_bytes(text, sizeof(text));
	disk.reserve_errno = ENOSPC;
	assert_int_equal(logqueue_push(&q, text, 1000, 1000), 0);
	assert_int_equal(q.fault, 0);
	assert_int_equal(logqueue_push(&q, text + 1000, sizeof(text) - 1000, sizeof(text)), 0);
	assert_int_equal(q.fault, -ENOSPC);
	assert_int_equal(text_of(&q, back), sizeof(text));
	assert_memory_equal(text, back, sizeof(text));

	/* A successor has what lay in the file, and knows how much did not. */
	disk.reserve_errno = 0;
	look_at(q.file, view);
	assert_between(view->len, 1000, sysconf(_SC_PAGESIZE));
	assert_memory_equal(view->text, text, view->len);
	assert_int_equal(view->len + view->gap, sizeof(text));
	assert_true(view->known);
	assert_int_equal(view->position, sizeof(text));

	/* When there is room again the file serves again. */
	logqueue_end(&q, sizeof(text));
	logqueue_trim(&q);
	assert_int_equal(q.fault, 0);
	assert_int_equal(pages(&q), 1);
	assert_int_equal(logqueue_push(&q, text, sizeof(text), 7), 0);
	look_at(q.file, view);
	assert_int_equal(view->len, sizeof(text));
	assert_memory_equal(view->text, text, view->len);
	logqueue_close(&q, true);
	free(view);
}

/* The last quarter of the run directory, or of a large one 16 MiB, is no burst's to take. */
static void what_is_left_to_others(void **state)
{
	static const struct {
		long total, kept;
	} sizes[] = { { 40 << 20, 10 << 20 }, { 1 << 30, 16 << 20 } };
	long burst = 7 * sysconf(_SC_PAGESIZE); /* the first reservation is eight pages in all */
	char text[5000] = "";

	(void)state;
	for (size_t i = 0; i < 2; i++)
		for (int spared = 0; spared < 2; spared++) {
			struct logqueue q;

			disk.total = sizes[i].total;
			disk.left = sizes[i].kept + burst - !spared;
			q = fresh();
			assert_int_equal(q.fault, 0); /* a page for each console there is */
			assert_int_equal(logqueue_push(&q, text, sizeof(text), 1), 0);
			assert_int_equal(q.fault, spared ? 0 : -ENOSPC);
			assert_int_equal(pages(&q), spared ? 8 : 1);
			logqueue_close(&q, true);
		}
	disk_heal();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_or_nothing, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(idle_queues_are_one_page, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(random_operations, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(killed_in_a_push, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(killed_while_it_counts_a_loss, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(killed_in_a_restart, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(killed_in_a_rename, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(positions_pass_to_the_heir, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(headers_are_checked, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(only_whole_files_of_ours_are_adopted, setup_dir,
						teardown_dir),
		cmocka_unit_test_setup_teardown(any_header_is_survived, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(no_room_for_the_file, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(no_room_for_a_burst, setup_dir, teardown_dir),
		cmocka_unit_test_setup_teardown(what_is_left_to_others, setup_dir, teardown_dir),
	};

	random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
