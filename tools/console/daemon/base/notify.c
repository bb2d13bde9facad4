/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * sd_notify(3) written out, since it is a datagram with NAME=VALUE lines, and
 * libsystemd a lot to link for that.
 *
 * The watchdog's sign of life comes from a timer of the loop that moves bytes, so
 * it stops when that loop does.  States are owed until the socket has taken
 * them: without READY=1 the init system would give the service up.
 */
#define _GNU_SOURCE
#include "base/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"

enum { OWED_RELOADING = 1, OWED_READY = 2, OWED_STOPPING = 4 };

/* True if it was taken, or if there is nobody any more to take it. */
static bool say(struct notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool say(struct notify *n, const char *fmt, ...)
{
	char text[128];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (sendto(n->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&n->to, n->to_len) ==
	    len)
		return true;
	return errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM && errno != ECONNREFUSED;
}

static int64_t monotonic_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static bool say_status(struct notify *n)
{
	size_t served = *n->served;

	if (!say(n, "STATUS=Serving %zu console%s", served, served == 1 ? "" : "s"))
		return false;
	n->told = served;
	return true;
}

/* In this order, each only after those before it. */
static void pay(struct notify *n)
{
	if (n->owed & OWED_RELOADING) {
		if (!say(n, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, monotonic_usec()))
			return;
		n->owed &= ~OWED_RELOADING;
	}
	if (n->owed & OWED_READY) {
		if (!say(n, "READY=1"))
			return;
		n->owed &= ~OWED_READY;
	}
	if (n->owed & OWED_STOPPING && say(n, "STOPPING=1"))
		n->owed &= ~OWED_STOPPING;
}

static void on_status(struct loop_timer *timer)
{
	struct notify *n = container_of(timer, struct notify, status);

	pay(n);
	if (*n->served != n->told && !n->owed)
		say_status(n);
	loop_arm(n->loop, &n->status, NOTIFY_STATUS_MS);
}

static void on_watchdog(struct loop_timer *timer)
{
	struct notify *n = container_of(timer, struct notify, watchdog);

	say(n, "WATCHDOG=1");
	loop_arm(n->loop, &n->watchdog, n->watchdog_ms);
}

/* A path, or with @ in front a name without one.  False: not an address we know. */
static bool address(struct notify *n, const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(n->to.sun_path))
		return false;
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, name, len);
	if (name[0] == '@')
		n->to.sun_path[0] = '\0';
	n->to_len = offsetof(struct sockaddr_un, sun_path) + len;
	return true;
}

/* The variables are inherited by others than those whom they concern; WATCHDOG_PID says whom. */
static int64_t watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	long long value;

	if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	errno = 0;
	value = strtoll(usec, &end, 10);
	if (errno || *end || end == usec || value <= 0) {
		diag(LOG_WARNING, "WATCHDOG_USEC is '%s', which is no number of microseconds; no watchdog",
		     usec);
		return 0;
	}
	return value < 2000 ? 1 : value / 2000;
}

void notify_init(struct notify *n, struct loop *loop, const size_t *served)
{
	const char *name = getenv("NOTIFY_SOCKET");

	memset(n, 0, sizeof(*n));
	n->loop = loop;
	n->served = served;
	n->fd = -1;
	n->status.fire = on_status;
	n->watchdog.fire = on_watchdog;
	if (!name || !*name)
		return;
	if (!address(n, name)) {
		diag(LOG_WARNING,
		     "NOTIFY_SOCKET is '%s', which is no address of a socket; the init system is told nothing",
		     name);
		return;
	}
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd < 0)
		diag(LOG_WARNING, "cannot make a socket for the init system: %s; it is told nothing",
		     strerror(errno));
	n->watchdog_ms = watchdog_ms();
}

void notify_fini(struct notify *n)
{
	if (!n->loop)
		return;
	loop_disarm(n->loop, &n->status);
	loop_disarm(n->loop, &n->watchdog);
	if (n->fd >= 0)
		close(n->fd);
	n->loop = NULL;
}

void notify_ready(struct notify *n)
{
	if (n->fd < 0)
		return;
	n->owed |= OWED_READY;
	pay(n);
	say_status(n);
	loop_arm(n->loop, &n->status, NOTIFY_STATUS_MS);
	if (n->watchdog_ms)
		on_watchdog(&n->watchdog);
}

void notify_reloaded(struct notify *n)
{
	if (n->fd < 0)
		return;
	n->owed |= OWED_RELOADING | OWED_READY;
	pay(n);
}

void notify_stopping(struct notify *n)
{
	if (n->fd < 0)
		return;
	n->owed |= OWED_STOPPING;
	pay(n);
}
