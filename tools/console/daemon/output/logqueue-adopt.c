/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a killed daemon left is evidence, not truth: the file may be torn, of another
 * version, or somebody else's.  It is checked before anything of it is used; what does not hold together is
 * refused whole.
 */
#include "output/logqueue-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A name that logname_guest() or the daemon itself can have made, or none. */
static bool sane_name(const char name[LOGQUEUE_NAME])
{
	size_t len = strnlen(name, LOGQUEUE_NAME);

	if (len == LOGQUEUE_NAME || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] > '~' || name[i] == '/')
			return false;
	return true;
}

/* Killed in logqueue_restart(), got may be ahead of put: that is an empty queue. */
static bool sane_positions(const struct logqueue_header *h)
{
	return h->pos.put - h->pos.got <= LOG_QUEUE_SIZE || h->pos.got - h->pos.put < LOG_QUEUE_SIZE;
}

static bool sane_header(const struct logqueue_header *h)
{
	return !memcmp(h->magic, LOGQUEUE_MAGIC, sizeof(h->magic)) && h->version == LOGQUEUE_VERSION &&
	       h->size == LOG_QUEUE_SIZE && h->held <= LOG_QUEUE_SIZE && h->current < 2 &&
	       sane_name(h->names[0]) && sane_name(h->names[1]) && sane_name(h->written) && sane_positions(h);
}

/* Bytes of the file that text lies in. */
static size_t extent(const struct logqueue_header *h)
{
	uint64_t used = h->pos.put - h->pos.got, start = h->pos.got % LOG_QUEUE_SIZE;

	if (used > LOG_QUEUE_SIZE)
		used = 0;
	if (start + used > h->held)
		return LOGQUEUE_HEADER + h->held;
	return LOGQUEUE_HEADER + start + used;
}

/* A whole file of ours, and a header that holds together? */
static int check(int fd)
{
	struct logqueue_header h;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return -EBADMSG;
	n = pread(fd, &h, sizeof(h), 0);
	if (n < 0)
		return -errno;
	if (n == 0 || (n == sizeof(h) && !h.magic[0]))
		return -ENODATA;
	if (n != sizeof(h) || st.st_size != (off_t)LOGQUEUE_LENGTH || !sane_header(&h))
		return -EBADMSG;
	/* Changes nothing in a queue of ours; one with holes must not kill us with SIGBUS either. */
	return logqueue_reserve(fd, 0, extent(&h));
}

/* Count len bytes more as lost, the last of its text so much; the position is what it was. */
static void lose_more(struct logqueue *q, size_t len, size_t text)
{
	uint32_t position;
	bool known = logqueue_position(q, &position);

	atomic_store(&q->header->pos.put, logqueue_put(q) - text);
	logqueue_lose(q, len, position, time(NULL));
	if (!known)
		logqueue_forget(q);
}

/* Text that lay in memory is gone: it becomes part of the gap, with all behind it. */
static void lose_held(struct logqueue *q)
{
	struct logqueue_header *h = q->header;
	size_t start = logqueue_got(q) % LOG_QUEUE_SIZE, used = fifo_used(&q->fifo);
	size_t there = start < h->held ? h->held - start : 0;

	if (h->held < LOG_QUEUE_SIZE && used > there)
		lose_more(q, used - there, used - there);
	h->held = LOG_QUEUE_SIZE;
}

/* Nobody will push to it: what it had reserved beyond its text is of no use. */
static void give_back(struct logqueue *q)
{
	size_t page = sysconf(_SC_PAGESIZE);

	q->reserved = (extent(q->header) + page - 1) / page * page;
	if (q->reserved < LOGQUEUE_LENGTH)
		madvise((char *)q->header + q->reserved, LOGQUEUE_LENGTH - q->reserved, MADV_REMOVE);
}

/* Killed in here, some is counted and then written all the same. */
void logqueue_absorb(struct logqueue *older, struct logqueue *newer)
{
	lose_more(older, fifo_used(&newer->fifo) + newer->header->gap.bytes, 0);
	logqueue_clear(newer);
}

void logqueue_shed(struct logqueue *q)
{
	size_t text = fifo_used(&q->fifo);

	lose_more(q, text, text);
	logqueue_trim(q);
}

int logqueue_adopt(struct logqueue *q, int dir, const char *file)
{
	void *at = MAP_FAILED;
	int fd, err;

	memset(q, 0, sizeof(*q));
	q->dir = dir;
	snprintf(q->file, sizeof(q->file), "%s", file);
	fd = logqueue_open(q, 0);
	if (fd == -ELOOP || fd == -ENXIO || fd == -EISDIR)
		return -EBADMSG;
	if (fd < 0)
		return fd;
	err = check(fd);
	if (!err) {
		at = mmap(NULL, LOGQUEUE_LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED)
			err = -errno;
	}
	close(fd);
	if (err)
		return err;
	logqueue_use(q, at);
	if (logqueue_put(q) - logqueue_got(q) > LOG_QUEUE_SIZE)
		atomic_store(&q->header->pos.put, logqueue_got(q));
	lose_held(q);
	give_back(q);
	return 0;
}
