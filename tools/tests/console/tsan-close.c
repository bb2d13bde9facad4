/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Part of the daemon where the thread sanitizer is in it, and nowhere else: what libxenstore closes, the
 * sanitizer does not see.
 *
 * When xenstored goes, libxenstore's reader thread closes the socket while another thread may be writing to it,
 * which is a race to report, or to pass over (tsan-suppressions). Either way the sanitizer first looks for the
 * source lines, by way of open() and close(), at which a thread can be cancelled. And just then it is cancelled,
 * by xs_close(): it never gives back the sanitizer's locks, cannot end without them, and xs_close() waits for
 * its end for ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int close(int fd)
{
	int (*seen)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
	Dl_info who;

	if (dladdr(__builtin_return_address(0), &who) && strstr(who.dli_fname, "/libxenstore.so"))
		return (int)syscall(SYS_close, fd);
	return seen(fd);
}
