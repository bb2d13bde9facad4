/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one thread that touches the log directory, and the one that may wait for it.
 *
 * A stream that has something for it stands in a list, once, however much it has; each gets one
 * write and goes to the end again, so a guest that floods does not keep its neighbours' lines
 * from the disk.  A stream whose file fails is put aside, and all of these are tried
 * again together, less and less often.  The streams that a killed daemon left come before those that now
 * write to the same file.
 *
 * The loop wakes this thread only when it sleeps.  A lone message costs one wake-up and one write.
 */
#define _GNU_SOURCE
#include "output/logfile-private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum outcome { SERVED, FAILED, BLOCKED };

/* ---- streams and their files ------------------------------------------------ */

static void add_elder(struct file *f, struct log *log)
{
	struct log **at = &f->elders;

	while (*at)
		at = &(*at)->younger;
	*at = log;
}

static void drop_elder(struct logs *logs, struct log *log)
{
	struct log **at = &log->file->elders;

	while (*at && *at != log)
		at = &(*at)->younger;
	if (!*at)
		return;
	*at = log->younger;
	log->younger = NULL;
	pthread_mutex_lock(&logs->lock);
	link_move_all(&logs->parked, &logs->ready); /* some may have waited for this one */
	pthread_mutex_unlock(&logs->lock);
}

static void unbind(struct logs *logs, struct log *log)
{
	struct file *f = log->file;

	if (!f)
		return;
	drop_elder(logs, log);
	if (f->marking == log)
		f->marking = NULL;
	log->file = NULL;
	file_put(logs, f);
}

/*
 * To the file of its name.  A write that a kill interrupted went to another one if the stream
 * had been renamed just then: that one has to be asked, so it gets the rest.
 */
static int bind_file(struct logs *logs, struct log *log)
{
	char name[LOGQUEUE_NAME];
	struct file *f;

	pthread_mutex_lock(&logs->lock);
	strcpy(name, logqueue_unsure(&log->queue) ? log->queue.header->written : logqueue_name(&log->queue));
	pthread_mutex_unlock(&logs->lock);
	log->astray = false;
	if (log->file && !strcmp(log->file->name, name))
		return 0;
	f = file_get(logs, name);
	if (!f) {
		log->astray = true;
		return -ENOMEM;
	}
	unbind(logs, log);
	log->file = f;
	f->stamped |= log->queue.header->stamped;
	if (log->adopted)
		add_elder(f, log);
	if (!logqueue_unsure(&log->queue))
		logqueue_bind(&log->queue, name);
	else if (f->fd >= 0)
		logqueue_end(&log->queue, 0); /* too late to tell what the file had */
	return 0;
}

static void destroy(struct logs *logs, struct log *log, bool remove)
{
	unbind(logs, log);
	logqueue_close(&log->queue, remove);
	free(log);
}

/* ---- a stream's turn --------------------------------------------------------- */

/* The gap that is next to be told of, if any. */
static struct logqueue_gap gap_of(struct logs *logs, struct log *log)
{
	struct logqueue_gap gap;

	pthread_mutex_lock(&logs->lock);
	gap = log->queue.header->gap;
	if (fifo_used(&log->queue.fifo))
		gap.bytes = 0; /* its turn comes when what is before it is written */
	pthread_mutex_unlock(&logs->lock);
	return gap;
}

static int carry(struct logs *logs, struct log *log)
{
	struct file *f = log->file;
	int err = file_open(logs, f);
	struct logqueue_gap gap;

	if (!err) {
		gap = gap_of(logs, log);
		err = gap.bytes ? file_mark(logs, f, log, &gap) : file_carry(logs, f, &log->queue);
	}
	if (!err)
		trouble_over(logs, f);
	else if (err != -ENOSPC && err != -EDQUOT)
		file_close(logs, f);
	return err;
}

static bool empty(struct logs *logs, struct log *log)
{
	return !fifo_used(&log->queue.fifo) && !gap_of(logs, log).bytes;
}

static enum outcome serve(struct logs *logs, struct log *log, bool named, bool freed)
{
	int err;

	if ((freed || log->adopted) && empty(logs, log)) /* no reason to make a file */
		return SERVED;
	err = named ? 0 : bind_file(logs, log);
	if (!err && log->file->elders && log->file->elders != log)
		return BLOCKED;
	if (!err)
		err = carry(logs, log);
	if (err) {
		log->reason = err;
		trouble_met(logs, log->file, err);
		return FAILED;
	}
	if (log->adopted && empty(logs, log))
		drop_elder(logs, log);
	return SERVED;
}

/* Under the lock, but for the end of a stream: where it stands now. */
static void conclude(struct logs *logs, struct log *log, enum outcome outcome)
{
	bool remove = !log->left && !logs->abandoned;

	if (log->condemned && outcome == FAILED && !logs->closing)
		logs_drop(log);
	if (outcome == SERVED && !log->queue.header->gap.bytes)
		log->reason = 0; /* what it waited for has cost it nothing */
	if (outcome != SERVED) {
		link_move(&log->place, log->renamed ? &logs->ready : &logs->parked); /* renamed: just now */
	} else if ((log->renamed && !log->freed) || fifo_used(&log->queue.fifo) ||
		   log->queue.header->gap.bytes) {
		link_move(&log->place, &logs->ready);
	} else if (log->freed) {
		link_remove(&log->all);
		logs_orphan_gone(log);
		pthread_mutex_unlock(&logs->lock);
		trouble_watch(logs);
		destroy(logs, log, remove);
		trouble_unwatch(logs);
		pthread_mutex_lock(&logs->lock);
	} else {
		log->queued = false;
	}
}

static void turn(struct logs *logs, struct log *log)
{
	bool named = log->file && !log->renamed && !log->astray, freed = log->freed;
	enum outcome outcome;

	log->renamed = false;
	link_remove(&log->place);
	logs->serving = log;
	pthread_mutex_unlock(&logs->lock);
	trouble_watch(logs);
	outcome = serve(logs, log, named, freed);
	if (trouble_unwatch(logs))
		log->reason = -ETIME;
	pthread_mutex_lock(&logs->lock);
	logs->serving = NULL;
	conclude(logs, log, outcome);
}

/* ---- all files ---------------------------------------------------------------- */

/* Streams of f, or all, have a turn even if they have nothing to write: their files are to be opened. */
static void queue_streams(struct logs *logs, const struct file *f)
{
	pthread_mutex_lock(&logs->lock);
	for (struct link *l = logs->all.next; l != &logs->all; l = l->next) {
		struct log *log = container_of(l, struct log, all);

		if (log->file && (!f || log->file == f))
			logs_hand_over(log);
	}
	pthread_mutex_unlock(&logs->lock);
}

static void close_all(struct logs *logs)
{
	files_close(logs);
	if (logs->dir >= 0)
		close(logs->dir);
	logs->dir = -1;
}

void logs_follow(struct logs *logs)
{
	files_close(logs);
	pthread_mutex_lock(&logs->lock);
	link_move_all(&logs->parked, &logs->ready);
	pthread_mutex_unlock(&logs->lock);
	queue_streams(logs, NULL);
}

static void reopen(struct logs *logs)
{
	trouble_watch(logs);
	close_all(logs);
	trouble_unwatch(logs);
	logs_follow(logs);
	logs->reopened_at = logs_clock();
}

/* Files that were written to lately: are they still what their names mean? */
static void check(struct logs *logs)
{
	bool moved;

	logs->check_at = 0;
	trouble_watch(logs);
	moved = file_dir_moved(logs);
	while (!moved && !link_alone(&logs->dirty)) {
		struct file *f = container_of(logs->dirty.next, struct file, dirty);

		if (file_moved(logs, f)) {
			file_close(logs, f);
			queue_streams(logs, f);
		}
	}
	trouble_unwatch(logs);
	if (moved)
		reopen(logs);
}

/* ---- when ---------------------------------------------------------------------- */

static void earlier(int64_t *at, int64_t other)
{
	if (other && (!*at || other < *at))
		*at = other;
}

/*
 * Called and returns with the lock.  Sleep until there is something to do.  A writer that is woken in the very
 * millisecond in which it fell asleep is in a flood, and lets it gather.
 */
static void sleep_until_due(struct logs *logs)
{
	int64_t at = 0, began = logs_clock();

	earlier(&at, logs->retry_at);
	earlier(&at, logs->check_at);
	earlier(&at, logs->settle_at);
	if (logs->reopen)
		earlier(&at, logs->reopened_at + REOPEN_MS);
	if (logs->stopping)
		earlier(&at, logs->stop_at);
	logs_sleep(logs, ASLEEP, at);
	if (logs_clock() == began && !logs->stopping)
		logs_sleep(logs, NAPPING, began + NAP_MS);
}

/* Called and returns with the lock; does without it what has come due. */
static void attend(struct logs *logs)
{
	int64_t now = logs_clock();

	if (logs->retry_at && now >= logs->retry_at) {
		logs->retry_at = 0;
		atomic_store(&logs->troubled, false);
		link_move_all(&logs->parked, &logs->ready);
	}
	if (logs->reopen && (!logs->reopened_at || now >= logs->reopened_at + REOPEN_MS)) {
		logs->reopen = false;
		pthread_mutex_unlock(&logs->lock);
		reopen(logs);
		pthread_mutex_lock(&logs->lock);
	}
	if (logs->check_at && now >= logs->check_at) {
		pthread_mutex_unlock(&logs->lock);
		check(logs);
		pthread_mutex_lock(&logs->lock);
	}
	if (logs->settle_at && now >= logs->settle_at) {
		pthread_mutex_unlock(&logs->lock);
		trouble_settled(logs);
		pthread_mutex_lock(&logs->lock);
	}
}

static bool over(struct logs *logs)
{
	return logs->stopping &&
	       ((link_alone(&logs->ready) && link_alone(&logs->parked)) || logs_clock() >= logs->stop_at);
}

void logs_let_go(struct logs *logs)
{
	while (!link_alone(&logs->all)) {
		struct log *log = container_of(logs->all.next, struct log, all);

		link_remove(&log->all);
		link_remove(&log->place);
		destroy(logs, log, false);
	}
	close_all(logs);
}

/* Files of streams that were adopted are known before any is written to. */
static void bind_adopted(struct logs *logs)
{
	pthread_mutex_lock(&logs->lock);
	for (struct link *l = logs->ready.next; l != &logs->ready; l = l->next) {
		struct log *log = container_of(l, struct log, place);

		if (!log->adopted)
			break;
		pthread_mutex_unlock(&logs->lock);
		bind_file(logs, log);
		pthread_mutex_lock(&logs->lock);
	}
	pthread_mutex_unlock(&logs->lock);
}

void *logs_write(void *arg)
{
	struct logs *logs = arg;
	bool abandoned;

	pthread_setname_np(pthread_self(), "log-writer"); /* for whoever looks for what a dead disk holds */
	bind_adopted(logs);
	pthread_mutex_lock(&logs->lock);
	while (!over(logs)) {
		attend(logs);
		if (!link_alone(&logs->ready))
			turn(logs, container_of(logs->ready.next, struct log, place));
		else if (!over(logs))
			sleep_until_due(logs);
	}
	pthread_mutex_unlock(&logs->lock);
	logs_let_go(logs);
	pthread_mutex_lock(&logs->lock);
	logs->ended = true;
	abandoned = logs->abandoned;
	pthread_cond_signal(&logs->ended_now);
	pthread_mutex_unlock(&logs->lock);
	if (abandoned)
		logs_destroy(logs);
	return NULL;
}
