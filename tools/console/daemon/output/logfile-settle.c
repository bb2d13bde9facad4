/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A daemon that was killed in a write cannot say how much of it happened; the file can.
 */
#include "output/logfile-private.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* name, if it is a certain file; -1 if not, or if it can't be had. */
static int open_known(struct logs *logs, const char *name, dev_t dev, ino_t ino)
{
	int fd = openat(logs->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		return fd;
	close(fd);
	return -1;
}

int file_reader(struct logs *logs, struct file *f)
{
	return open_known(logs, f->name, f->dev, f->ino);
}

/* A log that was given another name within its directory, as rotation does it. */
static int open_rotated(struct logs *logs, dev_t dev, ino_t ino)
{
	int fd = openat(logs->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = -1;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (found < 0 && (entry = readdir(dir)))
		if (entry->d_ino == ino)
			found = open_known(logs, entry->d_name, dev, ino);
	closedir(dir);
	return found;
}

/* The length of what n bytes at text and a file at offset at have in common, from the start. */
static size_t common(int fd, off_t at, const char *text, size_t n)
{
	char buf[4096];
	size_t same = 0;

	while (same < n) {
		size_t want = n - same < sizeof(buf) ? n - same : sizeof(buf), i = 0;
		ssize_t got = pread(fd, buf, want, at + same);

		while (got > 0 && i < (size_t)got && buf[i] == text[same + i])
			i++;
		same += i;
		if (got <= 0 || i < (size_t)got)
			break;
	}
	return same;
}

/* How many of the first n queued bytes has a file at offset at? */
static size_t count_there(int fd, const struct logqueue *q, off_t at, size_t n)
{
	struct iovec v[2];
	size_t there = 0;
	int count = fifo_peek(&q->fifo, v);

	for (int i = 0; i < count; i++) {
		size_t want = n - there < v[i].iov_len ? n - there : v[i].iov_len;
		size_t same = common(fd, at + there, v[i].iov_base, want);

		there += same;
		if (same < want)
			break;
	}
	return there;
}

/*
 * The daemon was killed in a write to this log, or near it.  What of it is there is not written again.
 * If that can't be told, since the log was written to by others meanwhile, is gone or can't be read, it is: rather
 * twice than not at all.
 */
void file_settle(struct logs *logs, struct file *f, struct logqueue *q)
{
	const struct logqueue_journal *j = logqueue_unsure(q);
	size_t n = 0;
	int fd;

	if (!j)
		return;
	if (j->dev == f->dev && j->ino == f->ino)
		fd = file_reader(logs, f);
	else
		fd = open_rotated(logs, j->dev, j->ino);
	if (fd >= 0) {
		n = j->length < fifo_used(&q->fifo) ? j->length : fifo_used(&q->fifo);
		n = count_there(fd, q, j->size, n);
		close(fd);
	}
	logqueue_end(q, n);
}
