/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One log file, as the writer thread sees it.
 *
 * Others may rename, truncate, delete or replace it at any time; logrotate does most of these by design.
 * Everything is appended (O_APPEND), so a truncated file simply begins anew.  A file that was moved away or
 * deleted is noticed by its name, looked for once in a while after something was written, never at each
 * write; what had gone into a deleted one meanwhile is owned up to in the new one.
 *
 * Nothing but a regular file is written to: what else is found in its place is not even opened, since
 * opening a device can have effects of its own.
 */
#include "output/logfile-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "a log of 2 GiB is appended to");

/* FNV-1a */
static struct file **bucket(struct logs *logs, const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return &logs->buckets[h % BUCKETS];
}

struct file *file_get(struct logs *logs, const char *name)
{
	struct file **head = bucket(logs, name), *f;
	size_t len = strlen(name) + 1;

	for (f = *head; f; f = f->next)
		if (!strcmp(f->name, name))
			break;
	if (!f) {
		f = calloc(1, sizeof(*f) + len);
		if (!f)
			return NULL;
		memcpy(f->name, name, len);
		f->fd = -1;
		link_init(&f->dirty);
		f->next = *head;
		*head = f;
	}
	f->users++;
	return f;
}

void file_put(struct logs *logs, struct file *f)
{
	struct file **at = bucket(logs, f->name);

	if (--f->users)
		return;
	if (f->failing)
		logs->failing--;
	file_close(logs, f);
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	free(f);
}

static ssize_t append(struct logs *logs, struct file *f, struct iovec *v, int count)
{
	ssize_t n = writev(f->fd, v, count);
	struct logqueue_gap *u = &f->unchecked;

	if (n < 0)
		return -errno;
	if (n == 0)
		return -EIO;
	logs->recovered = true;
	f->size += n;
	u->last = time(NULL);
	if (!u->bytes)
		u->first = u->last;
	u->bytes += n;
	link_move(&f->dirty, &logs->dirty);
	if (!logs->check_at)
		logs->check_at = logs_clock() + CHECK_MS;
	for (size_t left = n; left; v++) {
		const char *text = v->iov_base;

		if (left <= v->iov_len) {
			f->mid_line = text[left - 1] != '\n';
			break;
		}
		left -= v->iov_len;
	}
	return n;
}

/* ---- lines of our own ----------------------------------------------------- */

static void stamp(char *out, size_t size, const char *format, int64_t when)
{
	time_t t = when;
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, size, format, &tm))
		snprintf(out, size, "?");
}

/* Add to the line that is to be written; it begins on a line of its own. */
static void __attribute__((format(printf, 2, 3))) say(struct file *f, const char *fmt, ...)
{
	size_t room = sizeof(f->line) - f->line_len;
	va_list args;
	int n;

	if (!f->line_len && f->mid_line) {
		f->line[f->line_len++] = '\n';
		room--;
	}
	va_start(args, fmt);
	n = vsnprintf(f->line + f->line_len, room, fmt, args);
	va_end(args);
	if (n > 0)
		f->line_len += (size_t)n < room ? (size_t)n : room - 1;
}

static void say_lost(struct file *f, const char *what, const struct logqueue_gap *gap, const char *why,
		     const char *reason)
{
	char first[24], last[24], day[2][16];

	stamp(first, sizeof(first), "%Y-%m-%d %H:%M:%S", gap->first);
	stamp(day[0], sizeof(day[0]), "%Y-%m-%d", gap->first);
	stamp(day[1], sizeof(day[1]), "%Y-%m-%d", gap->last);
	stamp(last, sizeof(last), strcmp(day[0], day[1]) ? "%Y-%m-%d %H:%M:%S" : "%H:%M:%S", gap->last);
	say(f, "[xenconsoled: %s%llu bytes of output lost from %s to %s: %s%s%s%s]\n", what,
	    (unsigned long long)gap->bytes, first, last, why, *reason ? " (" : "", reason,
	    *reason ? ")" : "");
}

static int flush_line(struct logs *logs, struct file *f)
{
	while (f->line_done < f->line_len) {
		struct iovec v = { f->line + f->line_done, f->line_len - f->line_done };
		ssize_t n = append(logs, f, &v, 1);

		if (n < 0)
			return n;
		f->line_done += n;
	}
	f->line_len = f->line_done = 0;
	if (f->marking) {
		pthread_mutex_lock(&logs->lock);
		if (!logs->abandoned)
			logqueue_reported(&f->marking->queue, &f->marked);
		pthread_mutex_unlock(&logs->lock);
		f->marking = NULL;
	}
	return 0;
}

int file_mark(struct logs *logs, struct file *f, struct log *log, const struct logqueue_gap *gap)
{
	char reason[80] = "";
	int err;

	if (log->reason == -ETIME) {
		snprintf(reason, sizeof(reason), "the log directory did not answer");
	} else if (log->reason) {
		errno = -log->reason;
		snprintf(reason, sizeof(reason), "%m");
	}
	say_lost(f, "", gap, "log queue full", reason);
	f->marking = log;
	f->marked = *gap;
	err = flush_line(logs, f);
	if (err && !f->line_done) { /* it may have grown by the next attempt */
		f->line_len = 0;
		f->marking = NULL;
	}
	return err;
}

/* ---- opening ---------------------------------------------------------------- */

static bool ends_mid_line(struct logs *logs, struct file *f)
{
	int fd = f->size ? file_reader(logs, f) : -1;
	char last = '\n';

	if (fd < 0)
		return false;
	if (pread(fd, &last, 1, f->size - 1) != 1)
		last = '\n';
	close(fd);
	return last != '\n';
}

static int open_dir(struct logs *logs)
{
	if (logs->dir < 0)
		logs->dir = open(logs->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return logs->dir < 0 ? -errno : 0;
}

/* A guest's output can hold what its users typed, so others may not read it; the directory's group may. */
static int open_fd(struct logs *logs, struct file *f, struct stat *st)
{
	int fd;

	if (fstatat(logs->dir, f->name, st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st->st_mode))
		return -EEXIST;
	fd = openat(logs->dir, f->name,
		    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EEXIST : -errno;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	return -EEXIST;
}

/* The directory was deleted; if another one has its name now, all logs belong there.  This one is still closed. */
static int open_anew(struct logs *logs, struct file *f, struct stat *st)
{
	int fd;

	close(logs->dir);
	logs->dir = -1;
	fd = open_dir(logs);
	if (!fd)
		fd = open_fd(logs, f, st);
	if (fd < 0)
		return fd;
	logs_follow(logs);
	return fd;
}

static int open_file(struct logs *logs, struct file *f)
{
	struct stat st;
	int err = open_dir(logs), fd;

	if (err)
		return err;
	fd = open_fd(logs, f, &st);
	if (fd == -ENOENT || fd == -ESTALE)
		fd = open_anew(logs, f, &st);
	if (fd < 0)
		return fd;
	f->fd = fd;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	f->size = st.st_size;
	for (struct log *log = f->elders; log; log = log->younger)
		file_settle(logs, f, &log->queue);
	f->mid_line = ends_mid_line(logs, f);
	if (f->stamped) {
		char when[24];

		stamp(when, sizeof(when), "%Y-%m-%d %H:%M:%S", time(NULL));
		say(f, "[%s] Logfile Opened\n", when);
	}
	if (f->deleted.bytes)
		say_lost(f, "up to ", &f->deleted, "the log file was deleted", "");
	f->deleted.bytes = 0;
	return 0;
}

int file_open(struct logs *logs, struct file *f)
{
	int err = f->fd < 0 ? open_file(logs, f) : 0;

	return err ? err : flush_line(logs, f);
}

/* Its bytes went nowhere if nobody but us knows it any more. */
static void note_deleted(struct file *f)
{
	struct logqueue_gap *d = &f->deleted;
	struct stat st;

	if (!f->unchecked.bytes || fstat(f->fd, &st) < 0 || st.st_nlink)
		return;
	if (!d->bytes)
		d->first = f->unchecked.first;
	d->bytes += f->unchecked.bytes;
	d->last = f->unchecked.last;
}

void file_close(struct logs *logs, struct file *f)
{
	(void)logs;
	if (f->fd < 0)
		return;
	note_deleted(f);
	close(f->fd);
	f->fd = -1;
	f->unchecked.bytes = 0;
	f->line_len = f->line_done = 0;
	f->marking = NULL;
	link_remove(&f->dirty);
}

void files_close(struct logs *logs)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct file *f = logs->buckets[i]; f; f = f->next)
			file_close(logs, f);
}

int file_carry(struct logs *logs, struct file *f, struct logqueue *q)
{
	struct iovec v[2];
	int count = fifo_peek(&q->fifo, v);
	size_t len = 0;
	ssize_t n;

	for (int i = 0; i < count; i++)
		len += v[i].iov_len;
	if (!len)
		return 0;
	logqueue_begin(q, f->dev, f->ino, f->size, len);
	n = append(logs, f, v, count);
	pthread_mutex_lock(&logs->lock);
	if (!logs->abandoned) /* else a successor has it, and finds out for himself */
		logqueue_end(q, n > 0 ? n : 0);
	pthread_mutex_unlock(&logs->lock);
	return n < 0 ? n : 0;
}

/* ---- is it still there? ------------------------------------------------------ */

bool file_dir_moved(struct logs *logs)
{
	struct stat ours, theirs;

	if (logs->dir < 0 || fstat(logs->dir, &ours) < 0)
		return true;
	if (stat(logs->path, &theirs) < 0)
		return errno == ENOENT;
	return ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino;
}

bool file_moved(struct logs *logs, struct file *f)
{
	struct stat st;

	link_remove(&f->dirty);
	if (fstatat(logs->dir, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	if (st.st_dev != f->dev || st.st_ino != f->ino)
		return true;
	f->size = st.st_size;
	f->unchecked.bytes = 0;
	return false;
}
