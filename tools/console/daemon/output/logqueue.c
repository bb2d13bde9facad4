/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whoever takes bytes off a ring frees their place there, and from then on the daemon has the only
 * copy.  So it lies in a file that outlives the daemon, and each step below leaves a
 * state in which a kill does no harm.  Stores reach the shared page in program order, as
 * far as a process of the same machine can tell; only the compiler must be kept from moving them.
 *
 * Taking: the mark, "with this put the ring had been taken up to there", is written before put
 * moves, and the one before is kept until then.  Killed before put has moved, the older mark is the truth;
 * killed after, the newer one.
 *
 * Writing: the journal, "the log had this size, I append so much", is written before the
 * write and is void once got has moved.  Killed between, the log's size, and what is in it, tell.
 *
 * A tmpfs that is full answers a store with SIGBUS, and others need it too.  So pages are reserved before
 * they are used, in ever larger steps, and where that fails, or would leave too little, memory takes their
 * place: what lies there is lost if the daemon is killed, and nothing else changes.
 *
 * An empty queue begins again at its first page, which also holds the header; what a burst took beyond it is given back.
 */
#include "output/logqueue-private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STEP 8 /* each reservation is so many times the last */
#define KEPT_FREE (16u << 20)

/* mark_put when there is no mark */
#define NEVER UINT64_MAX
#define FORGOTTEN (UINT64_MAX - 1)

_Static_assert(LOGQUEUE_HEADER == 1024, "the header leaves most of its page to text");

static size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* All of it, zeroed on demand; MAP_SHARED so that pages can be given back one by one. */
static void *memory(void *at, size_t len)
{
	return mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1,
		    0);
}

int logqueue_open(const struct logqueue *q, int flags)
{
	int fd = openat(q->dir, q->file, flags | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

int logqueue_reserve(int fd, off_t from, off_t length)
{
	int err;

	do
		err = posix_fallocate(fd, from, length);
	while (err == EINTR);
	return -err;
}

/* The run directory is others' too: bursts leave them the last quarter of it, or of a large one KEPT_FREE. */
static int reserve_if_spared(int fd, off_t from, off_t length)
{
	struct statvfs v;
	uint64_t kept;

	if (fstatvfs(fd, &v) < 0)
		return -errno;
	kept = (uint64_t)v.f_blocks * v.f_frsize / 4;
	if (kept > KEPT_FREE)
		kept = KEPT_FREE;
	if (v.f_blocks && (uint64_t)v.f_bavail * v.f_frsize < kept + length)
		return -ENOSPC;
	return logqueue_reserve(fd, from, length);
}

static int allocate(const struct logqueue *q, size_t from, size_t to)
{
	int fd = logqueue_open(q, 0), err;

	if (fd < 0)
		return fd;
	if (to > LOGQUEUE_LENGTH) /* within the last page: its size is part of what makes it a queue */
		to = LOGQUEUE_LENGTH;
	err = reserve_if_spared(fd, from, to - from);
	close(fd);
	return err;
}

static void *map_new_file(struct logqueue *q)
{
	void *at = MAP_FAILED;
	int fd = logqueue_open(q, O_CREAT | O_EXCL);

	if (fd < 0) {
		q->fault = fd;
		return MAP_FAILED;
	}
	if (ftruncate(fd, LOGQUEUE_LENGTH) < 0)
		q->fault = -errno;
	else
		q->fault = logqueue_reserve(fd, 0, page_size());
	if (!q->fault) {
		at = mmap(NULL, LOGQUEUE_LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (at == MAP_FAILED)
			q->fault = -errno;
	}
	if (q->fault)
		unlinkat(q->dir, q->file, 0);
	close(fd);
	return at;
}

void logqueue_use(struct logqueue *q, void *at)
{
	q->header = at;
	q->reserved = page_size();
	fifo_init(&q->fifo, &q->header->pos, (char *)at + LOGQUEUE_HEADER, LOG_QUEUE_SIZE);
}

int logqueue_new(struct logqueue *q, int dir, uint64_t number, const struct log_origin *origin,
		 const char *name, bool stamped)
{
	struct logqueue_header *h;
	void *at;

	memset(q, 0, sizeof(*q));
	q->dir = dir;
	snprintf(q->file, sizeof(q->file), "%016" PRIx64, number);
	at = map_new_file(q);
	if (at == MAP_FAILED) {
		q->file[0] = '\0';
		at = memory(NULL, LOGQUEUE_LENGTH);
		if (at == MAP_FAILED)
			return -ENOMEM;
	}
	logqueue_use(q, at);
	h = q->header;
	h->version = LOGQUEUE_VERSION;
	h->size = LOG_QUEUE_SIZE;
	h->origin = *origin;
	h->stamped = stamped;
	h->held = LOG_QUEUE_SIZE;
	h->mark_put = h->older_put = NEVER;
	snprintf(h->names[0], sizeof(h->names[0]), "%s", name);
	logqueue_step();
	memcpy(h->magic, LOGQUEUE_MAGIC, sizeof(h->magic));
	return 0;
}

/* From the first page on that can't be had in the file; no text lies there yet. */
static bool reserve_memory(struct logqueue *q)
{
	if (memory((char *)q->header + q->reserved, LOGQUEUE_LENGTH - q->reserved) == MAP_FAILED)
		return false;
	q->header->held = q->reserved - LOGQUEUE_HEADER;
	return true;
}

/* Make sure that the first bytes of the mapping can be stored to. */
static bool reserve(struct logqueue *q, size_t bytes)
{
	size_t page = page_size(), whole = (LOGQUEUE_LENGTH + page - 1) / page * page, to = q->reserved;

	if (bytes <= q->reserved)
		return true;
	while (to < bytes)
		to *= STEP;
	if (to > whole)
		to = whole;
	if (q->file[0] && q->header->held == LOG_QUEUE_SIZE) {
		int err = allocate(q, q->reserved, to);

		if (err) {
			q->fault = err;
			if (!reserve_memory(q))
				return false;
		}
	}
	q->reserved = to;
	return true;
}

/* Once put is there, the ring has been taken up to position. */
static void mark(struct logqueue *q, uint64_t put, uint32_t position)
{
	struct logqueue_header *h = q->header;

	atomic_store_explicit(&h->older_position, h->mark_position, memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&h->older_put, h->mark_put, memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&h->mark_put, put, memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&h->mark_position, position, memory_order_relaxed);
	logqueue_step();
}

int logqueue_push(struct logqueue *q, const void *data, size_t len, uint32_t position)
{
	uint64_t put = logqueue_put(q);
	size_t start = put % LOG_QUEUE_SIZE;

	if (len > fifo_room(&q->fifo) ||
	    !reserve(q, start + len <= LOG_QUEUE_SIZE ? LOGQUEUE_HEADER + start + len : LOGQUEUE_LENGTH))
		return -ENOSPC;
	mark(q, put + len, position);
	fifo_push(&q->fifo, data, len);
	return 0;
}

void logqueue_lose(struct logqueue *q, size_t len, uint32_t position, int64_t now)
{
	struct logqueue_header *h = q->header;

	if (!h->gap.bytes)
		h->gap.first = now;
	h->gap.last = now;
	logqueue_step();
	h->gap.bytes += len;
	logqueue_step();
	mark(q, logqueue_put(q), position);
}

/* Killed between the two stores, got is ahead of put: logqueue_adopt() knows that as empty. */
void logqueue_restart(struct logqueue *q)
{
	uint64_t put = logqueue_put(q), next = (put + LOG_QUEUE_SIZE - 1) / LOG_QUEUE_SIZE * LOG_QUEUE_SIZE;
	uint32_t position;

	if (logqueue_position(q, &position))
		mark(q, next, position);
	atomic_store_explicit(&q->header->pos.got, next, memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&q->header->pos.put, next, memory_order_relaxed);
}

bool logqueue_fat(const struct logqueue *q)
{
	return q->reserved > page_size();
}

/* Where memory had to take the file's place, try the file again. */
static void return_to_file(struct logqueue *q)
{
	size_t from = q->header->held + LOGQUEUE_HEADER;
	int fd = logqueue_open(q, 0);

	if (fd < 0)
		return;
	if (mmap((char *)q->header + from, LOGQUEUE_LENGTH - from, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, from) != MAP_FAILED) {
		q->header->held = LOG_QUEUE_SIZE;
		q->fault = 0;
	}
	close(fd);
}

void logqueue_trim(struct logqueue *q)
{
	size_t page = page_size();

	logqueue_restart(q);
	if (q->reserved <= page)
		return;
	madvise((char *)q->header + page, q->reserved - page, MADV_REMOVE);
	q->reserved = page;
	if (q->file[0] && q->header->held < LOG_QUEUE_SIZE)
		return_to_file(q);
}

void logqueue_clear(struct logqueue *q)
{
	q->header->gap.bytes = 0;
	fifo_drop(&q->fifo, fifo_used(&q->fifo));
	logqueue_trim(q);
}

bool logqueue_position(const struct logqueue *q, uint32_t *position)
{
	const struct logqueue_header *h = q->header;
	uint64_t put = logqueue_put(q);

	if (atomic_load_explicit(&h->mark_put, memory_order_relaxed) == put) {
		*position = atomic_load_explicit(&h->mark_position, memory_order_relaxed);
		return true;
	}
	*position = atomic_load_explicit(&h->older_position, memory_order_relaxed);
	return atomic_load_explicit(&h->older_put, memory_order_relaxed) == put;
}

bool logqueue_marked(const struct logqueue *q)
{
	return atomic_load_explicit(&q->header->mark_put, memory_order_relaxed) != NEVER;
}

void logqueue_inherit(struct logqueue *q, uint32_t position)
{
	atomic_store_explicit(&q->header->mark_position, position, memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&q->header->mark_put, logqueue_put(q), memory_order_relaxed);
}

void logqueue_forget(struct logqueue *q)
{
	atomic_store_explicit(&q->header->older_put, NEVER, memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&q->header->mark_put, FORGOTTEN, memory_order_relaxed);
}

void logqueue_set_handle(struct logqueue *q, const uint8_t handle[16])
{
	memcpy(q->header->origin.handle, handle, sizeof(q->header->origin.handle));
}

const char *logqueue_name(const struct logqueue *q)
{
	return q->header->names[atomic_load_explicit(&q->header->current, memory_order_relaxed) & 1];
}

void logqueue_rename(struct logqueue *q, const char *name)
{
	unsigned int other = !(atomic_load_explicit(&q->header->current, memory_order_relaxed) & 1);

	snprintf(q->header->names[other], LOGQUEUE_NAME, "%s", name);
	logqueue_step();
	atomic_store_explicit(&q->header->current, other, memory_order_relaxed);
}

void logqueue_bind(struct logqueue *q, const char *name)
{
	atomic_store_explicit(&q->header->journal.length, 0, memory_order_relaxed);
	logqueue_step();
	snprintf(q->header->written, LOGQUEUE_NAME, "%s", name);
}

void logqueue_begin(struct logqueue *q, uint64_t dev, uint64_t ino, uint64_t size, size_t length)
{
	struct logqueue_journal *j = &q->header->journal;

	atomic_store_explicit(&j->length, 0, memory_order_relaxed);
	logqueue_step();
	j->dev = dev;
	j->ino = ino;
	j->size = size;
	atomic_store_explicit(&j->got, logqueue_got(q), memory_order_relaxed);
	logqueue_step();
	atomic_store_explicit(&j->length, length, memory_order_relaxed);
	logqueue_step();
}

void logqueue_end(struct logqueue *q, size_t n)
{
	logqueue_step();
	fifo_drop(&q->fifo, n);
	logqueue_step();
	atomic_store_explicit(&q->header->journal.length, 0, memory_order_relaxed);
}

const struct logqueue_journal *logqueue_unsure(const struct logqueue *q)
{
	const struct logqueue_journal *j = &q->header->journal;

	return j->length && j->got == logqueue_got(q) ? j : NULL;
}

void logqueue_reported(struct logqueue *q, const struct logqueue_gap *gap)
{
	struct logqueue_gap *left = &q->header->gap;

	left->first = gap->last;
	logqueue_step();
	left->bytes = left->bytes > gap->bytes ? left->bytes - gap->bytes : 0;
}

void logqueue_close(struct logqueue *q, bool remove)
{
	if (!q->header)
		return;
	if (remove && q->file[0])
		unlinkat(q->dir, q->file, 0);
	munmap(q->header, LOGQUEUE_LENGTH);
	q->header = NULL;
}
