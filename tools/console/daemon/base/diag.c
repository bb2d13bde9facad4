/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One place decides where the daemon's words go, so that every line looks alike
 * and reaches its reader once.
 *
 * Much of what is said quotes a guest or xenstore: control characters become
 * '?', so that nobody writes lines of his own into the system's log.  And nobody is waited for: a
 * syslogd that was stopped, a terminal that was, or a pipe that nobody empties costs words, not
 * every guest's console.  That is why syslog(3), which waits, is not used.
 */
#include "base/diag.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "xenconsoled: "
#define LENGTH_MAX 2048 /* of a text, with its NUL */

static int log_socket = -1;
static atomic_bool to_stderr = true;
static atomic_int most_verbose = LOG_NOTICE;
static atomic_uint lost;

/* What became of a line at one of those who listen. */
enum fate { TAKEN, NO_ROOM, NOBODY };

/* systemd tells a service which stream its stderr is; there syslog's copy is enough. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

void diag_init(bool foreground, int max)
{
	if (log_socket < 0)
		log_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	most_verbose = max;
	to_stderr = foreground && !stderr_is_journal();
}

/* As syslog(3) words it, to whoever has the socket at this moment. */
static enum fate write_syslog(int level, const char *text)
{
	static const struct sockaddr_un log = { AF_UNIX, "/dev/log" };
	char line[LENGTH_MAX + 64], stamp[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	int len;

	if (localtime_r(&now, &tm))
		strftime(stamp, sizeof(stamp), "%b %e %T ", &tm);
	len = snprintf(line, sizeof(line), "<%d>%sxenconsoled[%ld]: %s", LOG_DAEMON | level, stamp,
		       (long)getpid(), text);
	if (sendto(log_socket, line, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&log,
		   sizeof(log)) >= 0)
		return TAKEN;
	return errno == EAGAIN || errno == ENOBUFS ? NO_ROOM : NOBODY;
}

static enum fate write_stderr(char *text)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct iovec v[] = { { PREFIX, strlen(PREFIX) }, { text, strlen(text) }, { "\n", 1 } };

	if (poll(&p, 1, 0) != 1)
		return NO_ROOM;
	if (p.revents == POLLOUT && writev(STDERR_FILENO, v, 3) >= 0)
		return TAKEN;
	to_stderr = false; /* its reader is gone; syslog has it all */
	return NOBODY;
}

/* False: somebody listens, and has no room for it. */
static bool write_all(int level, char *text)
{
	enum fate logged = write_syslog(level, text), shown = to_stderr ? write_stderr(text) : NOBODY;

	return logged == TAKEN || shown == TAKEN || (logged == NOBODY && shown == NOBODY);
}

static void tell_lost(void)
{
	unsigned int n = atomic_exchange(&lost, 0);
	char text[80];

	if (!n)
		return;
	snprintf(text, sizeof(text), "%u messages before this one are lost: nobody read them", n);
	if (!write_all(LOG_WARNING, text))
		lost += n;
}

void diag(int level, const char *fmt, ...)
{
	char text[LENGTH_MAX];
	int saved = errno;
	va_list args;

	if (level > most_verbose)
		return;
	tell_lost();
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	if (!write_all(level, text))
		lost++;
	errno = saved;
}
