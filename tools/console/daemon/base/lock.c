/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock is taken in every mode, with a pid file or without, and before
 * anything is touched; it ends at the latest with the process, however that ends.
 */
#include "base/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diag.h"

static int write_pid(int fd)
{
	int n = ftruncate(fd, 0);

	if (n == 0)
		n = dprintf(fd, "%ld\n", (long)getpid());
	return n < 0 ? -errno : 0;
}

static int locked(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return -errno;
	fchmod(fd, 0600); /* who may read it may hold it; it was 0644 once */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int lock_take(const char *dir, pid_t *holder)
{
	char path[PATH_MAX];
	long pid = 0;
	FILE *f;
	int fd;

	*holder = 0;
	if (snprintf(path, sizeof(path), "%s/xenconsoled.lock", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = locked(path);
	if (fd == -EWOULDBLOCK) {
		f = fopen(path, "re");
		if (f && fscanf(f, "%ld", &pid) == 1)
			*holder = pid;
		if (f)
			fclose(f);
	}
	if (fd < 0)
		return fd;
	write_pid(fd); /* only for the message above: a full disk keeps nobody from the lock */
	return fd;
}

/* Its owner may have unlinked it between our open() and our lock: then it is nobody's. */
static bool still_there(int fd, const char *path)
{
	struct stat held, named;

	return fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_dev == named.st_dev &&
	       held.st_ino == named.st_ino;
}

/* As of the lock: at boot /run is empty. */
static void make_directory_of(const char *path)
{
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof(dir), "%s", path) < (int)sizeof(dir) && strrchr(dir, '/') > dir) {
		*strrchr(dir, '/') = '\0';
		mkdir(dir, 0755);
	}
}

int lock_pid_file(const char *path)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd, err;

	make_directory_of(path);
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		if (fcntl(fd, F_SETLK, &whole) < 0) {
			err = -errno;
			close(fd);
			return err;
		}
		if (still_there(fd, path))
			break;
		close(fd);
	}
	err = write_pid(fd);
	if (err)
		diag(LOG_WARNING, "cannot write the pid file %s: %s; going on without", path, strerror(-err));
	return fd;
}

void lock_release(int fd)
{
	int err = ftruncate(fd, 0);

	(void)err; /* its next holder will do it */
	close(fd);
}

bool lock_namesake_runs(void)
{
	DIR *proc = opendir("/proc");
	bool found = !proc; /* without /proc the ports alone must do */
	struct dirent *entry;

	while (proc && !found && (entry = readdir(proc))) {
		char path[64], state = 'Z';
		long pid = strtol(entry->d_name, NULL, 10);
		FILE *f;

		if (pid <= 0 || pid == getpid() || pid == getppid())
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
		f = fopen(path, "re");
		if (!f)
			continue;
		found = fscanf(f, "%*d (xenconsoled) %c", &state) == 1 && state != 'Z';
		fclose(f);
	}
	if (proc)
		closedir(proc);
	return found;
}
