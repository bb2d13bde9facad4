/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How logs begin and end.  The end is bounded: a writer that a dead disk holds is left behind with all that
 * he may still touch, and what he did not write is there for the next daemon.
 */
#include "output/logfile-private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"

#define EXPIRE_MS 60000 /* how long a killed daemon's positions are kept for the next kill */
#define GRACE_MS 20	/* a writer that is about to end is waited for */

void logs_destroy(struct logs *logs)
{
	if (logs->queues >= 0)
		close(logs->queues);
	pthread_cond_destroy(&logs->ended_now);
	pthread_mutex_destroy(&logs->lock);
	free(logs->inherited);
	free(logs->path);
	free(logs);
}

/* A directory of ours that others can't write to, or -1: queues are then kept in memory. */
static int open_queues(const char *path)
{
	int fd, err = mkdir(path, 0700) < 0 && errno != EEXIST ? errno : 0;
	struct stat st;

	fd = err ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return fd;
	if (fd >= 0)
		close(fd);
	diag(LOG_WARNING,
	     "cannot use %s, where output waits for logs: %s; it is kept in memory and would be lost if "
	     "this daemon were killed",
	     path, fd >= 0 ? "others may write to it" : strerror(err ? err : errno));
	return -1;
}

static void trim_due(struct loop_timer *timer)
{
	logs_trim(container_of(timer, struct logs, trim));
}

static void expire_due(struct loop_timer *timer)
{
	logs_expire(container_of(timer, struct logs, expire));
}

/* Signals are the loop's; SIGXFSZ too must not end the daemon for a log's sake. */
static int start(struct logs *logs)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&logs->thread, NULL, logs_write, logs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int logs_new(struct logs **out, struct loop *loop, const char *log_dir, const char *queue_dir)
{
	struct logs *logs = calloc(1, sizeof(*logs));
	pthread_condattr_t monotonic;
	int err = -ENOMEM;

	*out = NULL;
	if (!logs)
		return -ENOMEM;
	logs->loop = loop;
	logs->trim.fire = trim_due;
	logs->expire.fire = expire_due;
	logs->dir = -1;
	link_init(&logs->fat);
	link_init(&logs->live);
	link_init(&logs->all);
	link_init(&logs->ready);
	link_init(&logs->parked);
	link_init(&logs->dirty);
	pthread_mutex_init(&logs->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&logs->ended_now, &monotonic);
	pthread_condattr_destroy(&monotonic);
	logs->path = strdup(log_dir);
	logs->queues = open_queues(queue_dir);
	logs->said_memory = logs->queues < 0;
	if (logs->path)
		err = logs_adopt(logs);
	if (!err)
		err = start(logs);
	if (err) {
		logs_let_go(logs);
		logs_destroy(logs);
		return err;
	}
	if (logs->inherited_count)
		loop_arm(loop, &logs->expire, EXPIRE_MS);
	*out = logs;
	return 0;
}

/* Wait until the writer has ended, at its time or a moment later.  True if it did. */
static bool await_end(struct logs *logs)
{
	int64_t until = logs->stop_at + GRACE_MS;
	struct timespec t = { until / 1000, until % 1000 * 1000000 };
	bool ended;

	pthread_mutex_lock(&logs->lock);
	logs->stopping = true;
	link_move_all(&logs->parked, &logs->ready); /* a last attempt, at once */
	if (logs_rouse(logs, ASLEEP) || logs_rouse(logs, NAPPING))
		logs_wake(logs);
	while (!logs->ended && pthread_cond_timedwait(&logs->ended_now, &logs->lock, &t) != ETIMEDOUT)
		;
	ended = logs->ended;
	logs->abandoned = !ended;
	pthread_mutex_unlock(&logs->lock);
	return ended;
}

void logs_stop(struct logs *logs)
{
	pthread_mutex_lock(&logs->lock);
	logs->closing = true;
	pthread_mutex_unlock(&logs->lock);
}

bool logs_free(struct logs *logs, int ms)
{
	pthread_t thread;
	bool ended;

	if (!logs)
		return true;
	loop_disarm(logs->loop, &logs->trim);
	loop_disarm(logs->loop, &logs->expire);
	logs_stop(logs);
	logs->stop_at = logs_clock() + ms;
	while (!link_alone(&logs->live))
		log_free(container_of(logs->live.next, struct log, live));
	thread = logs->thread;
	ended = await_end(logs);
	if (ended) {
		pthread_join(thread, NULL);
		logs_destroy(logs);
	} else {
		pthread_detach(thread); /* it frees logs, should it ever return */
	}
	return ended;
}
