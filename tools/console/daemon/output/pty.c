/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tty that readers open.  Its slave stays open here for two reasons: a
 * reader that goes must not hang the master up, and a slave that nobody holds
 * loses its settings, so that the next reader's echo would be typed into the guest.
 *
 * EXTPROC says that input processing is done elsewhere: whatever modes a client
 * sets, the guest's output is then neither echoed back to it nor cut into lines.
 * Many clients clear even that; packet mode tells, and it is set again.
 *
 * If such a client asks for echo (stty sane), what was written a moment before may have come back, and cannot
 * be told from what was typed. Then all that is there is dropped, since a guest that obeys its own output does
 * more harm than a client that has to type again; otherwise nothing is.
 */
#define _GNU_SOURCE
#include "output/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define DISCARDS 16	/* at most: 4 KiB each, far more than a pty holds, though somebody may go on typing */
#define CARRIED_MS 20	/* how long it takes the kernel to carry bytes to the slave, */
#define SLAVE_FULL 4095 /* unless so many are unread there: then they wait */

void pty_init(struct pty *p)
{
	p->master = p->slave = -1;
	p->name[0] = '\0';
	p->unread = 0;
}

/*
 * Sets nothing that is right already: in packet mode our own change would be news, too. How long a read waits
 * (VMIN, VTIME) is the reader's own affair.
 */
static int make_raw(int fd)
{
	struct termios t, was;

	if (tcgetattr(fd, &t) < 0)
		return -errno;
	was = t;
	cfmakeraw(&t);
	memcpy(t.c_cc, was.c_cc, sizeof(t.c_cc));
	t.c_lflag |= EXTPROC;
	if (t.c_iflag == was.c_iflag && t.c_oflag == was.c_oflag && t.c_cflag == was.c_cflag &&
	    t.c_lflag == was.c_lflag)
		return 0;
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return -errno;
	return 0;
}

int pty_open(struct pty *p, int master)
{
	int err;

	p->master = master;
	if (grantpt(p->master) < 0 || unlockpt(p->master) < 0)
		goto fail;
	err = ptsname_r(p->master, p->name, sizeof(p->name));
	if (err) {
		errno = err;
		goto fail;
	}
	p->slave = open(p->name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
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

/* EAGAIN is a full or an empty pty, never its death. */
static ssize_t count_of(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

ssize_t pty_write(struct pty *p, const struct iovec *v, int n)
{
	ssize_t wrote;

	if (p->unread + v[0].iov_len >= SLAVE_FULL)
		p->unread = unread(p->slave);
	wrote = writev(p->master, v, n);
	if (wrote <= 0)
		return count_of(wrote);
	/* Not the turn's beginning, which may be long ago.  Some milliseconds late, and cheap. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &p->wrote);
	p->unread += wrote;
	return wrote;
}

/* Has the kernel had no time yet to carry what was written last? */
static bool just_written(const struct pty *p)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (t.tv_sec - p->wrote.tv_sec) * 1000 + (t.tv_nsec - p->wrote.tv_nsec) / 1000000 <= CARRIED_MS;
}

static bool hung_up(const struct pty *p)
{
	struct termios t;

	return tcgetattr(p->slave, &t) < 0 && errno == EIO;
}

bool pty_check(struct pty *p)
{
	if (!just_written(p))
		p->unread = unread(p->slave);
	return !hung_up(p);
}

/*
 * An echo that found no place waits for the next write to the slave, which may be none at all. It cannot be had while
 * a client is stuck in a write of its own, which ends when there is place.
 */
static void drop_typed(struct pty *p)
{
	for (int i = 0; i < DISCARDS; i++) {
		bool all = write(p->slave, "", 0) == 0;

		if (!unread(p->master) && all)
			break;
		tcflush(p->master, TCIFLUSH);
	}
}

/* A client has set modes. */
static void restore(struct pty *p)
{
	struct termios t;
	bool echo = tcgetattr(p->slave, &t) == 0 && !(t.c_lflag & EXTPROC) && t.c_lflag & (ECHO | ECHONL);

	make_raw(p->slave);
	/* Where all has been read, nothing was waiting. */
	if (echo && (just_written(p) || (p->unread >= SLAVE_FULL && unread(p->slave))))
		drop_typed(p);
}

/*
 * Each read is headed by a byte that says whether it is data or news of the slave. One read() into one buffer:
 * before Linux 5.11 readv() would be several, and each piece would have such a head.
 */
ssize_t pty_read(struct pty *p, void *buf, size_t size)
{
	struct {
		unsigned char head;
		char data[PTY_READ_MOST];
	} packet;
	ssize_t n = count_of(read(p->master, &packet, 1 + (size < PTY_READ_MOST ? size : PTY_READ_MOST)));

	if (n <= 0)
		return n;
	if (packet.head & TIOCPKT_STOP) /* tcflow(): nobody could type any more */
		tcflow(p->slave, TCOON);
	if (packet.head & TIOCPKT_IOCTL)
		restore(p);
	if (hung_up(p)) /* its modes are nobody's any more, so this may be an echo */
		return -EIO;
	if (packet.head != TIOCPKT_DATA)
		return 0;
	memcpy(buf, packet.data, n - 1);
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
