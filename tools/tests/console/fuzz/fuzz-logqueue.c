/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a killed daemon left: a queue of ours with some bytes changed, or any file at all.  It is refused,
 * or all that is in it can be read, counted and struck off.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output/logqueue.h"

#define FILE_NAME "0000000000000001" /* as logqueue_new() calls number 1 */

static char place[] = "/dev/shm/fuzz-logqueue.XXXXXX";

static void tidy(void)
{
	rmdir(place);
}

static int directory(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	require(mkdtemp(place));
	atexit(tidy);
	fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	require(fd >= 0);
	return fd;
}

static void make_queue(struct input *in, int dir)
{
	struct log_origin origin = { 7, 0, { 1, 2, 3 } };
	struct logqueue q;
	uint8_t lines = take_byte(in);
	int fd;

	require(logqueue_new(&q, dir, 1, &origin, "guest-web.log", false) == 0 && !q.fault);
	for (int i = 0; i < lines; i++)
		logqueue_push(&q, "a line of some length\n", 22, 22 * (i + 1));
	logqueue_bind(&q, "guest-web.log");
	logqueue_begin(&q, 1, 2, 3, lines ? 22 : 0);
	logqueue_close(&q, false);
	fd = openat(dir, FILE_NAME, O_WRONLY | O_CLOEXEC);
	require(fd >= 0);
	while (in->left) {
		uint16_t at;
		uint8_t byte;

		take(in, &at, sizeof(at));
		byte = take_byte(in);
		require(pwrite(fd, &byte, 1, at % sizeof(struct logqueue_header)) == 1);
	}
	close(fd);
}

static void make_file(struct input *in, int dir)
{
	int fd = openat(dir, FILE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	require(fd >= 0 && write(fd, in->at, in->left) == (ssize_t)in->left);
	close(fd);
}

static void use(struct logqueue *q)
{
	size_t used = fifo_used(&q->fifo), seen = 0;
	const struct logqueue_journal *j = logqueue_unsure(q);
	struct iovec v[2];
	uint32_t position;
	int pieces = fifo_peek(&q->fifo, v);

	require(used <= LOG_QUEUE_SIZE);
	require(strlen(logqueue_name(q)) < LOGQUEUE_NAME && !strchr(logqueue_name(q), '/'));
	for (int i = 0; i < pieces; i++)
		for (size_t n = 0; n < v[i].iov_len; n++, seen++)
			(void)((volatile char *)v[i].iov_base)[n];
	require(seen == used);
	logqueue_position(q, &position);
	logqueue_marked(q);
	logqueue_end(q, j && j->length < used ? j->length : used);
	logqueue_end(q, fifo_used(&q->fifo));
	require(!fifo_used(&q->fifo) && !logqueue_unsure(q));
	logqueue_reported(q, &(struct logqueue_gap){ .bytes = q->header->gap.bytes });
	require(!q->header->gap.bytes);
	logqueue_trim(q);
	require(logqueue_push(q, "more\n", 5, 1) == 0 && fifo_used(&q->fifo) == 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	int dir = directory(), err;
	struct logqueue q;

	if (take_byte(&in) & 1)
		make_queue(&in, dir);
	else
		make_file(&in, dir);
	err = logqueue_adopt(&q, dir, FILE_NAME);
	require(err <= 0);
	if (err) {
		unlinkat(dir, FILE_NAME, 0);
		return 0;
	}
	use(&q);
	logqueue_close(&q, true);
	return 0;
}
