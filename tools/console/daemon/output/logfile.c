/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop's side of the logs: it appends to queues and goes on.  It makes no system call for that but one
 * to wake the writer if he sleeps, and, in a burst, one to reserve room on the tmpfs.
 *
 * A queue that overflows stays shut until the writer has emptied it and told of the gap.  So a log that cannot keep up
 * has a few large gaps, each with a line, rather than thousands of small ones.
 */
#include "output/logfile-private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/diag.h"
#include "output/logname.h"

#define TRIM_MS 2000 /* how often queues that had a burst are looked at */

int64_t logs_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void logs_unnamed(char name[LOGQUEUE_NAME], const struct log_origin *origin)
{
	logname_console(name, origin->domid, NULL, origin->kind);
}

bool logs_content(const struct log *log)
{
	return fifo_used(&log->queue.fifo) || log->queue.header->gap.bytes;
}

bool logs_hand_over(struct log *log)
{
	struct logs *logs = log->logs;

	if (log->queued)
		return false;
	log->queued = true;
	link_move(&log->place, &logs->ready);
	return logs_rouse(logs, ASLEEP);
}

static void unlock(struct logs *logs, bool wake)
{
	pthread_mutex_unlock(&logs->lock);
	if (wake)
		logs_wake(logs);
}

struct log *logs_add(struct logs *logs, struct logqueue *queue)
{
	struct log *log = calloc(1, sizeof(*log));

	if (!log)
		return NULL;
	log->logs = logs;
	log->queue = *queue;
	fifo_init(&log->queue.fifo, &log->queue.header->pos, log->queue.fifo.data, log->queue.fifo.size);
	link_init(&log->all);
	link_init(&log->place);
	link_init(&log->fat);
	link_init(&log->live);
	pthread_mutex_lock(&logs->lock);
	link_move(&log->all, &logs->all);
	pthread_mutex_unlock(&logs->lock);
	return log;
}

static void look_at_queue(struct log *log)
{
	struct logs *logs = log->logs;

	if (log->queue.fault && !logs->said_memory) {
		logs->said_memory = true;
		diag(LOG_WARNING,
		     "output that waits for logs is kept in memory, since its file cannot be had: %s; it would be "
		     "lost if this daemon were killed; is there room in its run directory?",
		     strerror(-log->queue.fault));
	}
	if (!logqueue_fat(&log->queue) || !link_alone(&log->fat))
		return;
	link_move(&log->fat, &logs->fat);
	if (!logs->trim.armed)
		loop_arm(logs->loop, &logs->trim, TRIM_MS);
}

void logs_trim(struct logs *logs)
{

	for (struct link *l = logs->fat.next, *next; l != &logs->fat; l = next) {
		struct log *log = container_of(l, struct log, fat);
		bool idle;

		next = l->next;
		/* Under the lock: the writer may hand a stream to itself, to open its file anew. */
		pthread_mutex_lock(&logs->lock);
		idle = !log->queued && !fifo_used(&log->queue.fifo);
		if (idle)
			logqueue_trim(&log->queue);
		pthread_mutex_unlock(&logs->lock);
		if (idle)
			link_remove(l);
	}
	if (!link_alone(&logs->fat))
		loop_arm(logs->loop, &logs->trim, TRIM_MS);
}

int log_new(struct log **out, struct logs *logs, const struct log_origin *origin, const char *name,
	    bool stamped)
{
	struct logqueue queue;
	struct log *log;
	bool wake = false;

	*out = NULL;
	if (logqueue_new(&queue, logs->queues, logs->next_number++, origin, name ? name : "", stamped))
		return -ENOMEM;
	log = logs_add(logs, &queue);
	if (!log) {
		logqueue_close(&queue, true);
		return -ENOMEM;
	}
	link_move(&log->live, &logs->live);
	logs->hypervisor |= !origin->domid;
	look_at_queue(log);
	logs_pass_on(logs, log, origin);
	if (name)
		logs_name(logs, origin, name);
	pthread_mutex_lock(&logs->lock);
	if (name)
		wake = logs_hand_over(log);
	unlock(logs, wake);
	*out = log;
	return 0;
}

/* Under the lock: output of many ended domains and a log that can't be written must not fill the memory. */
static bool is_one_too_many(const struct log *log)
{
	const struct logs *logs = log->logs;
	bool many = logs->orphans > ORPHANS_MAX;
	bool much = logqueue_fat(&log->queue) && logs->orphan_bytes + log->queue.reserved > ORPHANS_BYTES;

	return (many || much) && !logs->closing && !log->adopted;
}

/* Under the lock: the youngest ended stream of the same log that has yet to be written. */
static struct log *elder_of(const struct log *log)
{
	for (struct link *l = log->logs->all.prev; l != &log->logs->all; l = l->prev) {
		struct log *elder = container_of(l, struct log, all);

		if (elder != log && elder->freed && logs_content(elder) &&
		    !strcmp(logqueue_name(&elder->queue), logqueue_name(&log->queue)))
			return elder;
	}
	return NULL;
}

/* Under the lock: its log can't be written, or nobody's can; the writer is not at it. */
static bool is_waiting(const struct log *log)
{
	const struct logs *logs = log->logs;

	return atomic_load(&logs->said_stall) ||
	       (atomic_load(&logs->troubled) && (log->reason || elder_of(log)));
}

/* Under the lock. */
static void count_orphan(struct log *log)
{
	size_t bytes = log->adopted ? 0 : log->queue.reserved;

	log->logs->orphan_bytes += bytes - log->orphaned;
	log->orphaned = bytes;
}

void logs_orphan_gone(struct log *log)
{
	log->logs->orphans--;
	log->logs->orphan_bytes -= log->orphaned;
}

void logs_drop(struct log *log)
{
	struct log *elder = logs_content(log) ? elder_of(log) : NULL;

	log->condemned = false;
	if (elder)
		logqueue_absorb(&elder->queue, &log->queue);
	else if (log->logs->orphans > ORPHANS_MAX)
		logqueue_clear(&log->queue);
	else
		logqueue_shed(&log->queue);
	count_orphan(log);
}

/* Under the lock: the writer has never looked at it, and has no reason to. */
static bool is_ours_alone(const struct log *log)
{
	return !logs_content(log) && !log->left && log->logs->serving != log && !log->file;
}

static void let_go(struct log *log, bool leave)
{
	struct logs *logs;
	char name[LOGQUEUE_NAME];
	unsigned int waiting;
	size_t bytes;
	bool wake = false, dropped, say, ours;

	if (!log)
		return;
	logs = log->logs;
	link_remove(&log->fat);
	link_remove(&log->live);
	if (!leave)
		logqueue_forget(&log->queue);
	logs_unnamed(name, &log->queue.header->origin);
	pthread_mutex_lock(&logs->lock);
	log->freed = true;
	log->left = leave;
	logs->orphans++;
	if (logs_nameless(log)) {
		pthread_mutex_unlock(&logs->lock);
		return;
	}
	if (!*logqueue_name(&log->queue))
		logqueue_rename(&log->queue, name);
	log->condemned = is_one_too_many(log);
	dropped = log->condemned && logs->serving != log && is_waiting(log);
	say = dropped && !logs->said_orphans;
	logs->said_orphans |= dropped;
	waiting = logs->orphans - 1;
	bytes = logs->orphan_bytes;
	count_orphan(log);
	if (dropped)
		logs_drop(log);
	ours = is_ours_alone(log);
	if (ours) {
		link_remove(&log->all);
		link_remove(&log->place);
		logs_orphan_gone(log);
	} else {
		wake = logs_hand_over(log);
	}
	unlock(logs, wake);
	if (ours) { /* a writer that is stuck must not let them pile up */
		logqueue_close(&log->queue, true);
		free(log);
	}
	if (say)
		diag(LOG_WARNING,
		     "logs in %s: output of %u ended domains waits (%zu KiB); that of further ones is dropped until "
		     "logs can be written again",
		     logs->path, waiting, bytes / 1024);
}

void log_free(struct log *log)
{
	let_go(log, false);
}

void log_leave(struct log *log)
{
	let_go(log, true);
}

void log_rename(struct log *log, const char *name)
{
	struct logs *logs = log->logs;
	bool wake = false;

	if (!*logqueue_name(&log->queue))
		logs_name(logs, &log->queue.header->origin, name);
	pthread_mutex_lock(&logs->lock);
	if (strcmp(logqueue_name(&log->queue), name)) {
		logqueue_rename(&log->queue, name);
		log->renamed = true;
		wake = logs_hand_over(log);
		if (logs->serving != log) /* it may have been put aside because of its old file */
			link_move(&log->place, &logs->ready);
	}
	unlock(logs, wake);
}

void log_set_handle(struct log *log, const uint8_t handle[16])
{
	logqueue_set_handle(&log->queue, handle);
}

/* Under the lock. */
static bool lose(struct log *log, size_t len, uint32_t position)
{
	logqueue_lose(&log->queue, len, position, time(NULL));
	log->dropped += len;
	return *logqueue_name(&log->queue) && logs_hand_over(log);
}

size_t log_append(struct log *log, const void *data, size_t len, uint32_t position)
{
	struct logs *logs = log->logs;
	bool shut, wake = false;

	pthread_mutex_lock(&logs->lock);
	shut = log->queue.header->gap.bytes;
	if (shut)
		wake = lose(log, len, position);
	else if (!log->queued && !fifo_used(&log->queue.fifo))
		logqueue_restart(&log->queue);
	unlock(logs, wake);
	if (!shut) {
		shut = logqueue_push(&log->queue, data, len, position);
		pthread_mutex_lock(&logs->lock);
		if (shut)
			wake = lose(log, len, position);
		else
			wake = *logqueue_name(&log->queue) && logs_hand_over(log);
		if (fifo_used(&log->queue.fifo) >= NAP_BYTES)
			wake |= logs_rouse(logs, NAPPING);
		unlock(logs, wake);
		look_at_queue(log);
	}
	trouble_look(logs);
	return shut ? len : 0;
}

void log_lose(struct log *log, size_t len, uint32_t position)
{
	bool wake;

	pthread_mutex_lock(&log->logs->lock);
	wake = lose(log, len, position);
	unlock(log->logs, wake);
}

size_t log_queued(const struct log *log)
{
	return fifo_used(&log->queue.fifo);
}

uint64_t log_dropped(const struct log *log)
{
	return log->dropped;
}

void logs_reopen(struct logs *logs)
{
	bool wake;

	pthread_mutex_lock(&logs->lock);
	logs->reopen = true;
	wake = logs_rouse(logs, ASLEEP);
	unlock(logs, wake);
}
