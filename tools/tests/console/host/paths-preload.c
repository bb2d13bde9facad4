/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For programs that know one place only: what the kernel would show xenstored in /proc/xen comes from STANDIN_DIR
 * (xsd_port holds the number of dom0's own xenstore port, xsd_kva is mapped as its ring), and if STANDIN_RUN is set,
 * since there is no mount namespace to be had, /run (/var/run, /var/lock) is STANDIN_DIR/run.
 */
#include "standin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static const struct {
	const char *from, *to;
} places[] = {
	{ "/proc/xen/", "" }, { "/run/", "run/" }, { "/var/run/", "run/" }, { "/var/lock/", "run/lock/" }
};

static const char *redirect(const char *path, char *buffer, size_t size)
{
	char name[4096];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t len = strlen(places[i].from);

		if (strncmp(path, places[i].from, len) != 0 || (i > 0 && !getenv("STANDIN_RUN")))
			continue;
		snprintf(name, sizeof(name), "%s%s", places[i].to, path + len);
		if (!standin_path(buffer, size, name))
			return buffer;
	}
	return path;
}

static int open_real(const char *name, const char *path, int flags, va_list arguments)
{
	int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
	char buffer[4096];

	return real(redirect(path, buffer, sizeof(buffer)), flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	int fd;

	va_start(arguments, flags);
	fd = open_real("open", path, flags, arguments);
	va_end(arguments);
	return fd;
}

int open64(const char *path, int flags, ...)
{
	va_list arguments;
	int fd;

	va_start(arguments, flags);
	fd = open_real("open64", path, flags, arguments);
	va_end(arguments);
	return fd;
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return open64(path, flags);
}

FILE *fopen(const char *path, const char *mode)
{
	char buffer[4096];

	return REAL(fopen)(redirect(path, buffer, sizeof(buffer)), mode);
}

DIR *opendir(const char *path)
{
	char buffer[4096];

	return REAL(opendir)(redirect(path, buffer, sizeof(buffer)));
}

int mkdir(const char *path, mode_t mode)
{
	char buffer[4096];

	return REAL(mkdir)(redirect(path, buffer, sizeof(buffer)), mode);
}

int stat(const char *path, struct stat *st)
{
	char buffer[4096];

	return REAL(stat)(redirect(path, buffer, sizeof(buffer)), st);
}

int unlink(const char *path)
{
	char buffer[4096];

	return REAL(unlink)(redirect(path, buffer, sizeof(buffer)));
}
