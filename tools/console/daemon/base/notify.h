/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the init system is told, by systemd's sd_notify protocol: ready,
 * reloading, stopping, how many consoles are served, and that the loop is alive.
 *
 * From $NOTIFY_SOCKET and $WATCHDOG_USEC; without the former everything here is a
 * no-op.  Nothing ever blocks or fails: what the socket does not take is sent later.
 */
#ifndef DAEMON_BASE_NOTIFY_H
#define DAEMON_BASE_NOTIFY_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/loop.h"

#define NOTIFY_STATUS_MS 1000 /* how often the number is looked at, at most */

struct notify {
	struct loop *loop;
	const size_t *served;
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_len;
	unsigned int owed; /* states that were not taken yet */
	size_t told;	   /* the number in the last status */
	struct loop_timer status, watchdog;
	int64_t watchdog_ms; /* half of what the init system waits; 0: it does not */
};

/* served: the number to report, read whenever a status is due; it outlives n. */
void notify_init(struct notify *n, struct loop *loop, const size_t *served);
void notify_fini(struct notify *n); /* fine on a zeroed one */

/* From here on status and watchdog are sent as well. */
void notify_ready(struct notify *n);

/* The logs are being opened anew, which makes nobody wait: reloading, and ready at once. */
void notify_reloaded(struct notify *n);

void notify_stopping(struct notify *n);

#endif
