/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A full disk fails thousands of logs at once, again at each attempt.  The administrator is
 * told twice: when it begins and when it is over.  What concerns one log alone, because something
 * else lies in its place, is told for that log.
 */
#include "output/logfile-private.h"

#include <errno.h>
#include <string.h>

#include "base/diag.h"

/* The file's own fault, not the directory's? */
static bool own_fault(int err)
{
	return err == -EEXIST || err == -EPERM || err == -ETXTBSY || err == -ENAMETOOLONG;
}

static void meet_file(struct logs *logs, struct file *f, int err)
{
	if (f->refused)
		return;
	f->refused = true;
	if (err == -EEXIST)
		diag(LOG_WARNING,
		     "log %s/%s: what has this name is not a regular file and is not written to; move it away, "
		     "no restart is needed",
		     logs->path, f->name);
	else
		diag(LOG_WARNING, "log %s/%s cannot be written: %s; it is tried again", logs->path, f->name,
		     strerror(-err));
}

/* Each reason is worth a word, once, until all is well again. */
static bool is_new(struct logs *logs, int err)
{
	for (size_t i = 0; i < sizeof(logs->said) / sizeof(logs->said[0]); i++) {
		if (logs->said[i] == err)
			return false;
		if (!logs->said[i]) {
			logs->said[i] = err;
			return true;
		}
	}
	return false;
}

static void meet_directory(struct logs *logs, struct file *f, int err)
{
	if (!f) {
		logs->starved = true;
	} else if (!f->failing) {
		f->failing = true;
		logs->failing++;
	}
	if (!is_new(logs, err))
		return;
	diag(LOG_WARNING,
	     "logs in %s cannot be written (%s: %s); consoles go on, each log keeps %u KiB waiting and marks what "
	     "is lost beyond; once this is repaired they resume, no restart is needed",
	     logs->path, f ? f->name : "all", strerror(-err), LOG_QUEUE_SIZE / 1024);
}

void trouble_met(struct logs *logs, struct file *f, int err)
{
	int64_t now = logs_clock();

	atomic_store(&logs->troubled, true);
	logs->recovered = false;
	if (f && own_fault(err))
		meet_file(logs, f, err);
	else
		meet_directory(logs, f, err);
	if (!logs->backoff || now - logs->last_failure > 2 * BACKOFF_LAST)
		logs->backoff = BACKOFF_FIRST;
	logs->last_failure = now;
	if (logs->said[0])
		logs->settle_at = now + SETTLE_MS;
	if (logs->retry_at)
		return;
	logs->retry_at = now + logs->backoff;
	logs->backoff = logs->backoff * 2 < BACKOFF_LAST ? logs->backoff * 2 : BACKOFF_LAST;
}

void trouble_over(struct logs *logs, struct file *f)
{
	if (f->failing)
		logs->failing--;
	logs->recovered |= f->failing || logs->starved;
	logs->starved = f->failing = false;
	if (logs->recovered && logs->said[0] && !logs->settle_at)
		logs->settle_at = logs_clock() + SETTLE_MS;
	if (f->refused)
		diag(LOG_NOTICE, "log %s/%s is written again", logs->path, f->name);
	f->refused = false;
}

/* That the last stream which failed has ended proves nothing: a file has to be written. */
void trouble_settled(struct logs *logs)
{
	logs->settle_at = 0;
	if (logs->failing || logs->starved) {
		logs->settle_at = logs_clock() + SETTLE_MS;
		return;
	}
	if (!logs->recovered)
		return; /* until trouble_over() */
	memset(logs->said, 0, sizeof(logs->said));
	pthread_mutex_lock(&logs->lock);
	logs->said_orphans = false;
	pthread_mutex_unlock(&logs->lock);
	diag(LOG_NOTICE, "logs in %s are written again", logs->path);
}

void trouble_watch(struct logs *logs)
{
	atomic_store(&logs->busy_since, logs_clock());
}

bool trouble_unwatch(struct logs *logs)
{
	int64_t took = logs_clock() - atomic_exchange(&logs->busy_since, 0);

	if (atomic_load(&logs->said_stall) && atomic_exchange(&logs->said_stall, false))
		diag(LOG_NOTICE, "log directory %s answers again", logs->path);
	return took >= STALL_MS;
}

void trouble_look(struct logs *logs)
{
	int64_t since = atomic_load(&logs->busy_since);

	if (!since || loop_now(logs->loop) - since < STALL_MS || atomic_exchange(&logs->said_stall, true))
		return;
	diag(LOG_WARNING,
	     "log directory %s does not answer; consoles go on, each log keeps %u KiB waiting and marks what is "
	     "lost beyond; is its disk or server well?",
	     logs->path, LOG_QUEUE_SIZE / 1024);
}
