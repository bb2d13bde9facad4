/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The incumbent opens one handle for each domain and polls them all.  Here one
 * handle carries every port, so that neither descriptors nor the cost of an
 * event grow with the number of domains: the kernel names the port, and an array
 * indexed by it names the owner.
 *
 * The handle's descriptor is non-blocking, since xenevtchn_pending() otherwise
 * waits for an event that somebody else may just have taken.
 */
#include "xen/evtchn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/diag.h"
#include "xen/xenlog.h"

#define PORTS_PER_TURN 64
#define PORTS_MAX (1u << 20) /* beyond every event channel ABI */
#define REOPEN_MS 1000
#define SAY_AGAIN_MS 600000

struct evtchn {
	struct loop *loop;
	xenevtchn_handle *handle; /* NULL: lost, and not yet replaced */
	struct loop_fd source;
	struct loop_timer reopen;
	void (*lost)(void *arg);
	void *arg;
	struct evtchn_port **owner; /* by local port */
	size_t owners;
	bool busy;	   /* events come faster than turns */
	int64_t served_at; /* when the last one came */
	int64_t said;	   /* when a failing one was last spoken of; 0: never */
	int64_t replaced;  /* when the handle was last given up; 0: never */
	bool mute;	   /* said already that it cannot be had */
};

static int open_handle(struct evtchn *e)
{
	xenevtchn_handle *handle = xenevtchn_open(xenlog(), 0);
	int fd, flags, err;

	if (!handle)
		return errno ? -errno : -EIO;
	fd = xenevtchn_fd(handle);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		err = -errno;
	else
		err = loop_add(e->loop, &e->source, fd, EPOLLIN);
	if (err) {
		xenevtchn_close(handle);
		return err;
	}
	e->handle = handle;
	return 0;
}

static void reopen_due(struct loop_timer *timer)
{
	struct evtchn *e = container_of(timer, struct evtchn, reopen);
	int err = open_handle(e);

	if (err) {
		if (!e->mute)
			diag(LOG_ERR,
			     "cannot open /dev/xen/evtchn again: %s; consoles wait, it is tried every %d ms",
			     strerror(-err), REOPEN_MS);
		e->mute = true;
		loop_arm(e->loop, &e->reopen, REOPEN_MS);
		return;
	}
	e->mute = false;
	e->lost(e->arg);
}

/* The first time at once; again only after a pause, whatever breaks it. */
static void replace_handle(struct evtchn *e, const char *why)
{
	bool again = e->replaced && loop_now(e->loop) - e->replaced < REOPEN_MS;

	if (!e->said || loop_now(e->loop) - e->said >= SAY_AGAIN_MS) {
		diag(LOG_ERR,
		     "the event channel handle failed: %s; replacing it and binding all consoles anew", why);
		e->said = loop_now(e->loop);
	}
	loop_del(e->loop, &e->source);
	xenevtchn_close(e->handle);
	e->handle = NULL;
	for (size_t i = 0; i < e->owners; i++) {
		if (e->owner[i])
			e->owner[i]->local = -1;
		e->owner[i] = NULL;
	}
	e->replaced = loop_now(e->loop);
	loop_arm(e->loop, &e->reopen, again ? REOPEN_MS : 0);
}

static void ready(struct loop_fd *source, uint32_t events)
{
	struct evtchn *e = container_of(source, struct evtchn, source);
	/* A lone event is the common case: do not pay a second read to hear EAGAIN. */
	int budget = e->busy ? PORTS_PER_TURN : 1;
	int served = 0;

	if (events & (EPOLLERR | EPOLLHUP)) {
		replace_handle(e, "its queue overflowed");
		return;
	}
	while (e->handle && served < budget) {
		xenevtchn_port_or_error_t port = xenevtchn_pending(e->handle);

		if (port < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (port < 0) {
			replace_handle(e, strerror(errno));
			return;
		}
		served++;
		if ((size_t)port < e->owners && e->owner[port])
			e->owner[port]->event(e->owner[port]);
	}
	e->busy = served > 1 || e->served_at == loop_now(e->loop);
	e->served_at = loop_now(e->loop);
}

int evtchn_new(struct evtchn **out, struct loop *loop, void (*lost)(void *arg), void *arg)
{
	struct evtchn *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->loop = loop;
	e->lost = lost;
	e->arg = arg;
	e->source.fd = -1;
	e->source.ready = ready;
	e->reopen.fire = reopen_due;
	err = open_handle(e);
	if (err) {
		free(e);
		return err;
	}
	*out = e;
	return 0;
}

void evtchn_free(struct evtchn *e)
{
	if (!e)
		return;
	loop_disarm(e->loop, &e->reopen);
	loop_del(e->loop, &e->source);
	if (e->handle)
		xenevtchn_close(e->handle);
	free(e->owner);
	free(e);
}

/* Room for the owner of port, so that a bound port never lacks it. */
static int reserve(struct evtchn *e, size_t port)
{
	size_t n = e->owners ? e->owners : 64;
	struct evtchn_port **owner;

	if (port >= PORTS_MAX)
		return -ERANGE;
	if (port < e->owners)
		return 0;
	while (n <= port)
		n *= 2;
	owner = realloc(e->owner, n * sizeof(*owner));
	if (!owner)
		return -ENOMEM;
	memset(owner + e->owners, 0, (n - e->owners) * sizeof(*owner));
	e->owner = owner;
	e->owners = n;
	return 0;
}

static int adopt(struct evtchn *e, struct evtchn_port *port, xenevtchn_port_or_error_t local)
{
	int err;

	if (local < 0)
		return errno ? -errno : -EIO;
	err = reserve(e, local);
	if (err) {
		xenevtchn_unbind(e->handle, local);
		return err;
	}
	e->owner[local] = port;
	port->local = local;
	return 0;
}

int evtchn_bind(struct evtchn *e, struct evtchn_port *port, uint32_t domid, uint32_t remote)
{
	if (!e->handle)
		return -ENODEV;
	errno = 0;
	return adopt(e, port, xenevtchn_bind_interdomain(e->handle, domid, remote));
}

int evtchn_bind_virq(struct evtchn *e, struct evtchn_port *port, unsigned int virq)
{
	if (!e->handle)
		return -ENODEV;
	errno = 0;
	return adopt(e, port, xenevtchn_bind_virq(e->handle, virq));
}

void evtchn_adopt(struct evtchn *e, struct evtchn_port *to, struct evtchn_port *from)
{
	to->local = from->local;
	from->local = -1;
	e->owner[to->local] = to;
}

void evtchn_unbind(struct evtchn *e, struct evtchn_port *port)
{
	if (port->local < 0)
		return;
	e->owner[port->local] = NULL;
	xenevtchn_unbind(e->handle, port->local);
	port->local = -1;
}

void evtchn_notify(struct evtchn *e, struct evtchn_port *port)
{
	if (port->local >= 0)
		xenevtchn_notify(e->handle, port->local);
}

void evtchn_unmask(struct evtchn *e, struct evtchn_port *port)
{
	if (port->local >= 0)
		xenevtchn_unmask(e->handle, port->local);
}
