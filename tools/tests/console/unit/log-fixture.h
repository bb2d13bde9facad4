/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of logs: a directory of their own, what the daemon says in them, and a disk that can be told to fail.
 *
 * The disk is libc's writev(), openat() and posix_fallocate(), which a program may define itself.
 */
#ifndef UNIT_LOG_FIXTURE_H
#define UNIT_LOG_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE 20 /* seconds; what has not happened by then does not */

/* Where diag()'s words go, instead of stderr. */
static int fixture_said = -1;

/* ---- the disk --------------------------------------------------------------- */

struct fixture_disk {
	atomic_int write_errno;	   /* writev() to a log fails with this ... */
	atomic_long write_room;	   /* ... once so many bytes were written; LONG_MAX: never */
	atomic_int open_errno;	   /* openat() that could create a log fails with this */
	atomic_int read_errno;	   /* openat() to read one does */
	atomic_int reserve_errno;  /* posix_fallocate() does */
	atomic_long total, left;   /* what fstatvfs() says of the queues' file system; total 0: the truth */
	atomic_int reserve_again;  /* so often it only says EINTR */
	atomic_bool stalled;	   /* writev() to a log does not begin until this is false */
	atomic_bool stalled_after; /* it writes, and then does not return */
	atomic_int stuck;	   /* calls that wait for one of these */
	atomic_int linger;	   /* most microseconds that each takes, before and after */
	atomic_int writes;	   /* to logs */
};

/* Shared with children. */
static struct fixture_disk *fixture_disk;
#define disk (*fixture_disk)

static void __attribute__((constructor)) disk_init(void)
{
	fixture_disk = mmap(NULL, sizeof(struct fixture_disk), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	disk.write_room = LONG_MAX;
}

static void disk_heal(void)
{
	disk.write_room = LONG_MAX; /* before write_errno: see writev() */
	disk.write_errno = disk.open_errno = disk.read_errno = 0;
	disk.reserve_errno = disk.reserve_again = 0;
	disk.total = 0;
	disk.stalled = disk.stalled_after = false;
	disk.linger = 0;
}

static void disk_wait(atomic_bool *stalled)
{
	disk.stuck++;
	while (*stalled)
		usleep(1000);
	if (disk.linger)
		usleep(rand() % disk.linger);
	disk.stuck--;
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
	struct iovec one = v[0];
	ssize_t n;
	long room;
	int err;

	if (fd == STDERR_FILENO)
		return syscall(SYS_writev, fixture_said, v, count);
	disk_wait(&disk.stalled);
	disk.writes++;
	err = disk.write_errno;
	room = disk.write_room;
	if (err && room <= 0) {
		errno = err;
		return -1;
	}
	if (room == LONG_MAX) {
		n = syscall(SYS_writev, fd, v, count);
	} else {
		if (one.iov_len > (size_t)room)
			one.iov_len = room;
		disk.write_room -= one.iov_len;
		n = syscall(SYS_writev, fd, &one, 1);
	}
	disk_wait(&disk.stalled_after);
	return n;
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	if (disk.open_errno && (flags & O_APPEND)) {
		errno = disk.open_errno;
		return -1;
	}
	if (disk.read_errno && !(flags & (O_RDWR | O_WRONLY | O_DIRECTORY))) {
		errno = disk.read_errno;
		return -1;
	}
	return syscall(SYS_openat, dir, path, flags | O_LARGEFILE, mode); /* as libc's does, by off_t */
}

int posix_fallocate(int fd, off_t from, off_t len)
{
	if (disk.reserve_again) {
		disk.reserve_again--;
		return EINTR;
	}
	if (disk.reserve_errno)
		return disk.reserve_errno;
	return fallocate(fd, 0, from, len) < 0 ? errno : 0;
}

int fstatvfs(int fd, struct statvfs *v)
{
	struct statfs real;

	if (fstatfs(fd, &real) < 0)
		return -1;
	memset(v, 0, sizeof(*v));
	v->f_frsize = disk.total ? 1 : real.f_bsize;
	v->f_blocks = disk.total ? (fsblkcnt_t)disk.total : real.f_blocks;
	v->f_bavail = disk.total ? (fsblkcnt_t)disk.left : real.f_bavail;
	return 0;
}

/* ---- directories -------------------------------------------------------------- */

static char fixture_dir[64], fixture_logs[80], fixture_queues[80];

/* How often something with this text was said since the test began. */
static inline int said(const char *text)
{
	char path[128], line[2048];
	int count = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/said", fixture_dir);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		count += strstr(line, text) != NULL;
	fclose(f);
	return count;
}

static inline int setup(void **state)
{
	const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	char path[128];

	(void)state;
	alarm(10 * DEADLINE);
	snprintf(fixture_dir, sizeof(fixture_dir), "%s/xenconsoled-unit-XXXXXX", base);
	if (!mkdtemp(fixture_dir))
		return -1;
	snprintf(fixture_logs, sizeof(fixture_logs), "%s/logs", fixture_dir);
	snprintf(fixture_queues, sizeof(fixture_queues), "%s/queues", fixture_dir);
	mkdir(fixture_logs, 0750);
	mkdir(fixture_queues, 0700);
	snprintf(path, sizeof(path), "%s/said", fixture_dir);
	fixture_said = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	disk_heal();
	disk.writes = 0;
	return 0;
}

static inline void remove_tree(const char *path)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command))
		fprintf(stderr, "cannot remove %s\n", path);
}

static inline int teardown(void **state)
{
	(void)state;
	close(fixture_said);
	remove_tree(fixture_dir);
	return 0;
}

/* ---- files ------------------------------------------------------------------- */

static inline const char *path_of(const char *name)
{
	static char path[8][PATH_MAX];
	static unsigned int turn;
	char *p = path[turn++ % 8];

	snprintf(p, PATH_MAX, "%s/%s", fixture_logs, name);
	return p;
}

/* The whole file with a NUL behind, "" if there is none; freed by the caller. */
static inline char *read_path(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	size_t size = 0, room = 1 << 16;
	char *text = malloc(room);
	ssize_t n;

	assert_non_null(text);
	while (fd >= 0 && (n = read(fd, text + size, room - size - 1)) > 0) {
		size += n;
		if (size + 1 == room)
			text = realloc(text, room *= 2);
	}
	if (fd >= 0)
		close(fd);
	text[size] = '\0';
	if (len)
		*len = size;
	return text;
}

static inline bool log_is(const char *name, const char *text)
{
	char *there = read_path(path_of(name), NULL);
	bool is = !strcmp(there, text);

	free(there);
	return is;
}

static inline size_t log_size(const char *name)
{
	struct stat st;

	return stat(path_of(name), &st) ? 0 : st.st_size;
}

static inline bool log_has(const char *name, const char *text)
{
	char *there = read_path(path_of(name), NULL);
	bool has = strstr(there, text) != NULL;

	free(there);
	return has;
}

/* Files in the queues' directory whose names end so; *bytes, unless NULL, is the memory that they take. */
static inline int queue_files(const char *suffix, size_t *bytes)
{
	DIR *d = opendir(fixture_queues);
	struct dirent *e;
	struct stat st;
	int count = 0;

	assert_non_null(d);
	if (bytes)
		*bytes = 0;
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name), tail = strlen(suffix);

		if (e->d_name[0] == '.' || len < tail || strcmp(e->d_name + len - tail, suffix))
			continue;
		count++;
		if (bytes && !fstatat(dirfd(d), e->d_name, &st, 0))
			*bytes += st.st_blocks * 512;
	}
	closedir(d);
	return count;
}

/* Wait until the condition holds; fail, saying it, if it never does. */
#define until(condition)                                                                                     \
	do {                                                                                                 \
		for (int tries_ = 0; !(condition); tries_++) {                                               \
			if (tries_ > DEADLINE * 500)                                                         \
				fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition);                \
			usleep(2000);                                                                        \
		}                                                                                            \
	} while (0)

#define until_log_is(name, text)                                                                             \
	do {                                                                                                 \
		for (int tries_ = 0; !log_is(name, text); tries_++) {                                        \
			if (tries_ > DEADLINE * 500)                                                         \
				assert_string_equal(read_path(path_of(name), NULL), text);                   \
			usleep(2000);                                                                        \
		}                                                                                            \
	} while (0)

#endif
