/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stand-in libxenevtchn: the real one's interface, on port.c and handle.c.
 */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <xenevtchn.h>

struct xenevtchn_handle {
	uint32_t slot;
	int fd;
};

static int fail(int error)
{
	errno = error;
	return -1;
}

/* libxen's way of saying it: the value, or -1 and errno. */
static int result(int value)
{
	return value < 0 ? fail(-value) : value;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	int error = standin_inject(STANDIN_OPEN_EVTCHN, 0);
	xenevtchn_handle *xce = malloc(sizeof(*xce));

	(void)logger;
	if (xce && !error)
		error = -standin_handle_open(STANDIN_HANDLE_EVTCHN, !(flags & XENEVTCHN_NO_CLOEXEC),
					     &xce->slot, &xce->fd);
	if (xce && error) {
		free(xce);
		xce = NULL;
		errno = error;
	}
	return xce;
}

xenevtchn_handle *xenevtchn_fdopen(struct xentoollog_logger *logger, int fd, unsigned int flags)
{
	xenevtchn_handle *xce = malloc(sizeof(*xce));
	int error;

	(void)logger;
	if (!xce)
		return NULL;
	xce->fd = fd;
	error = flags ? -EINVAL : standin_handle_find(fd, &xce->slot);
	if (error) {
		free(xce);
		errno = -error;
		return NULL;
	}
	return xce;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	if (xce) {
		standin_handle_close(xce->slot, xce->fd);
		free(xce);
	}
	return 0;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->fd;
}

/* The port, if this handle holds it. */
static struct standin_port *held(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct standin_port *p = standin_port_get(standin_self, port);

	return p && standin_port_handle(p) == xce->slot ? p : NULL;
}

static uint32_t remote_of(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct standin_port *p = held(xce, port);

	return p ? standin_port_peer_domid(p) : STANDIN_DOMIDS;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	int error = standin_inject(STANDIN_NOTIFY, remote_of(xce, port));
	struct standin_port *p = held(xce, port);

	if (error)
		return fail(error);
	return p ? result(standin_port_notify(p)) : fail(ENOTCONN);
}

/* Lock held: what every kind of binding ends with. */
static int finish(xenevtchn_handle *xce, int port)
{
	int error = port < 0 ? 0 : standin_handle_make_room(xce->slot, xce->fd);

	if (error) {
		standin_port_close(standin_self, port);
		return error;
	}
	return port;
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
	int port;

	standin_lock();
	port = standin_domain_get(domid) ? standin_port_unbound(standin_self, domid, xce->slot) : -ESRCH;
	port = finish(xce, port);
	standin_unlock();
	return result(port);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t remote_port)
{
	int error = standin_inject(STANDIN_BIND, domid), port;

	if (error)
		return fail(error);
	standin_lock();
	port = finish(xce, standin_port_bind(xce->slot, domid, remote_port));
	/* Xen does so in case an event was sent while nobody was bound. */
	if (port >= 0)
		standin_port_raise(standin_self, port);
	standin_unlock();
	return result(port);
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	int error = standin_inject(STANDIN_BIND_VIRQ, 0), port;

	if (error)
		return fail(error);
	standin_lock();
	/* Xen's own messages are dom0's. */
	port = standin_self ? -EPERM : finish(xce, standin_port_bind_virq(xce->slot, virq));
	standin_unlock();
	return result(port);
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	int error = ENOTCONN;

	standin_lock();
	if (held(xce, port)) {
		standin_port_close(standin_self, port);
		error = 0;
	}
	standin_unlock();
	return error ? fail(error) : 0;
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	int error = standin_inject(STANDIN_PENDING, 0);

	return error ? fail(error) : result(standin_handle_pop(xce->slot, xce->fd));
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	int error = standin_inject(STANDIN_UNMASK, remote_of(xce, port));

	if (error)
		return fail(error);
	/* The driver takes any number, and does nothing with one that is not this handle's. */
	if (held(xce, port))
		standin_port_unmask(standin_self, port);
	else
		standin_hypercall();
	return 0;
}
