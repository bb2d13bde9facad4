/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tty that readers open.  Its slave stays open here for two reasons: a
 * reader that goes must not hang the master up, and a slave that nobody holds
 * loses its settings, so that the next reader's echo would be typed into the guest.
 *
 * EXTPROC says that input processing is done elsewhere: whatever modes a client
 * sets, the guest's output is then neither echoed back to it nor cut into lines.
 * A client may clear even that (stty sane does); packet mode tells, and it is set again.  What was written
 * between the two may have been echoed, and cannot be told from what was typed: all of it is dropped, since
 * a guest that obeys its own output does more harm than a client that has to type again.
 */
#define _GNU_SOURCE
#include "pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define DISCARDS 16 /* at most: 4 KiB each, far more than a pty holds, though somebody may go on typing */

void pty_init(struct pty *p)
{
	p->master = p->slave = -1;
	p->name[0] = '\0';
}

/* Sets nothing that is right already: in packet mode our own change would be news, too. */
static int make_raw(int fd)
{
	struct termios t, was;

	if (tcgetattr(fd, &t) < 0)
		return -errno;
	was = t;
	cfmakeraw(&t);
	t.c_lflag |= EXTPROC;
	if (t.c_iflag == was.c_iflag && t.c_oflag == was.c_oflag && t.c_cflag == was.c_cflag &&
	    t.c_lflag == was.c_lflag)
		return 0;
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -errno;
	return 0;
}

int pty_open(struct pty *p)
{
	int err;

	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->master < 0)
		return -errno;
	if (grantpt(p->master) < 0 || unlockpt(p->master) < 0)
		goto fail;
	err = ptsname_r(p->master, p->name, sizeof(p->name));
	if (err) {
		errno = err;
		goto fail;
	}
	p->slave = open(p->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->slave < 0)
		goto fail;
	err = make_raw(p->slave);
	if (!err && ioctl(p->master, TIOCPKT, &(int){ 1 }) < 0)
		err = -errno;
	if (err) {
		errno = -err;
		goto fail;
	}
	return 0;
fail:
	err = -errno;
	pty_close(p);
	return err;
}

void pty_close(struct pty *p)
{
	if (p->slave >= 0)
		close(p->slave);
	if (p->master >= 0)
		close(p->master);
	pty_init(p);
}

/* EAGAIN is a full or an empty pty, never its death. */
static ssize_t count_of(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

ssize_t pty_write(struct pty *p, const struct iovec *v, int n)
{
	return count_of(writev(p->master, v, n));
}

/*
 * The kernel carries bytes from one side to the other in the background; asking a
 * side whether it is readable waits for that, so that none are overlooked.
 */
static size_t unread(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	poll(&p, 1, 0);

	if (fd < 0 || ioctl(fd, FIONREAD, &n) < 0 || n < 0)
		return 0;
	return n;
}

/* A client has set modes. */
static void restore(struct pty *p)
{
	struct termios t;
	bool echoed = tcgetattr(p->slave, &t) < 0 || !(t.c_lflag & EXTPROC);

	make_raw(p->slave);
	for (int i = 0; echoed && i < DISCARDS && unread(p->master); i++)
		tcflush(p->master, TCIFLUSH);
}

/* Each read is headed by a byte that says whether it is data or news of the slave. */
ssize_t pty_read(struct pty *p, void *buf, size_t size)
{
	unsigned char head = TIOCPKT_DATA;
	struct iovec v[2] = { { &head, 1 }, { buf, size } };
	ssize_t n = count_of(readv(p->master, v, 2));

	if (n <= 0)
		return n;
	if (head != TIOCPKT_DATA) {
		if (head & TIOCPKT_IOCTL)
			restore(p);
		return 0;
	}
	return n - 1;
}

size_t pty_typed(const struct pty *p)
{
	return unread(p->master);
}

size_t pty_unread(const struct pty *p)
{
	return unread(p->slave);
}
