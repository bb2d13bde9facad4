/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For xenstored alone: what the kernel would show in /proc/xen comes from STANDIN_DIR. xsd_port
 * holds the number of dom0's own xenstore port, xsd_kva is mapped as its ring.
 */
#include "standin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *redirect(const char *path, char *buffer, size_t size)
{
	static const char directory[] = "/proc/xen/";

	if (!strncmp(path, directory, sizeof(directory) - 1) &&
	    !standin_path(buffer, size, path + sizeof(directory) - 1))
		return buffer;
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
