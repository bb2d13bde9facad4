/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /proc/xen for a machine whose kernel has none: the distribution's init scripts look there
 * whether they run in a dom0, and no directory can be made in /proc. Preloaded into a whole
 * chroot, it shows $STANDIN_DIR under that name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *redirect(const char *path, char buffer[4096])
{
	static const char directory[] = "/proc/xen";
	const size_t len = sizeof(directory) - 1;
	const char *standin = getenv("STANDIN_DIR");

	if (!path || !standin || strncmp(path, directory, len) || (path[len] && path[len] != '/'))
		return path;
	snprintf(buffer, 4096, "%s%s", standin, path + len);
	return buffer;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                                           \
	int name(const char *path, int flags, ...)                                                           \
	{                                                                                                    \
		char buffer[4096];                                                                           \
		va_list arguments;                                                                           \
		mode_t mode;                                                                                 \
                                                                                                             \
		va_start(arguments, flags);                                                                  \
		mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;                      \
		va_end(arguments);                                                                           \
		return REAL(name)(redirect(path, buffer), flags, mode);                                      \
	}
#define OPENAT(name)                                                                                         \
	int name(int dir, const char *path, int flags, ...)                                                  \
	{                                                                                                    \
		char buffer[4096];                                                                           \
		va_list arguments;                                                                           \
		mode_t mode;                                                                                 \
                                                                                                             \
		va_start(arguments, flags);                                                                  \
		mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;                      \
		va_end(arguments);                                                                           \
		return REAL(name)(dir, redirect(path, buffer), flags, mode);                                 \
	}
#define ON_PATH(name, type)                                                                                  \
	int name(const char *path, type argument)                                                            \
	{                                                                                                    \
		char buffer[4096];                                                                           \
		return REAL(name)(redirect(path, buffer), argument);                                         \
	}
#define ON_PATH_AT(name, type)                                                                               \
	int name(int dir, const char *path, type argument, int flags)                                        \
	{                                                                                                    \
		char buffer[4096];                                                                           \
		return REAL(name)(dir, redirect(path, buffer), argument, flags);                             \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
ON_PATH(stat, struct stat *)
ON_PATH(stat64, struct stat64 *)
ON_PATH(lstat, struct stat *)
ON_PATH(lstat64, struct stat64 *)
ON_PATH(access, int)
ON_PATH(euidaccess, int)
ON_PATH_AT(faccessat, int)
ON_PATH_AT(fstatat, struct stat *)
ON_PATH_AT(fstatat64, struct stat64 *)
