/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A pseudo-terminal for one console: raw, non-blocking, its slave kept open
 * so that a reader that closes does not hang it up and its settings last.
 */
#ifndef DAEMON_OUTPUT_PTY_H
#define DAEMON_OUTPUT_PTY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#define PTY_READ_MOST 4096 /* of pty_read() */

struct pty {
	int master; /* -1: closed; O_NONBLOCK, for the loop */
	int slave;
	char name[64];	       /* of the slave, "/dev/pts/N" */
	struct timespec wrote; /* when pty_write() last wrote something, CLOCK_MONOTONIC_COARSE */
	size_t unread;	       /* no more of it than this waits to be read */
};

void pty_init(struct pty *p);
/* With ttys_open()'s master, which it owns from now on: 0 or -errno; a failed one is closed. */
int pty_open(struct pty *p, int master);
void pty_close(struct pty *p); /* idempotent; what nobody has read is lost */

/* Non-blocking.  Counts, 0 for "not now", or -errno: the pty is lost. */
ssize_t pty_write(struct pty *p, const struct iovec *v, int n);

/*
 * At most PTY_READ_MOST bytes of what was typed. Also takes the news of what clients have done to the
 * slave (EPOLLPRI), and undoes it; size 0 does only that.
 */
ssize_t pty_read(struct pty *p, void *buf, size_t size);

/*
 * To be called now and then. False: somebody has hung the slave up (vhangup(), as login does), which nothing else
 * tells, and the pty is lost.
 */
bool pty_check(struct pty *p);

/* Bytes that somebody has typed and pty_read() has not taken; 0 where the pty is closed. */
size_t pty_typed(const struct pty *p);

/* Bytes in the slave that no reader has read yet. */
size_t pty_unread(const struct pty *p);

#endif
