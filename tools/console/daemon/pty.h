/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Floor 2: a pseudo-terminal for one console: raw, non-blocking, its slave kept open
 * so that a reader that closes does not hang it up and its settings last.
 */
#ifndef DAEMON_PTY_H
#define DAEMON_PTY_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct pty {
	int master; /* -1: closed; O_NONBLOCK, for the loop */
	int slave;
	char name[64]; /* of the slave, "/dev/pts/N" */
};

void pty_init(struct pty *p);
int pty_open(struct pty *p);   /* 0 or -errno; a failed one is closed */
void pty_close(struct pty *p); /* idempotent; what nobody has read is lost */

/* Non-blocking.  Counts, 0 for "not now", or -errno: the pty is lost. */
ssize_t pty_write(struct pty *p, const struct iovec *v, int n);

/*
 * Also takes news of the slave's settings (EPOLLPRI) and puts them right; size 0 does only that.
 */
ssize_t pty_read(struct pty *p, void *buf, size_t size);

/* Bytes that somebody has typed and pty_read() has not taken; 0 where the pty is closed. */
size_t pty_typed(const struct pty *p);

/* Bytes in the slave that no reader has read yet. */
size_t pty_unread(const struct pty *p);

#endif
