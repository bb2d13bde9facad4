/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event channels, as Xen and Linux's /dev/xen/evtchn make them together.
 *
 * A port of dom0 is an interrupt to the handle that holds it: raising it while it is masked latches
 * it, otherwise it is masked and put into the handle's FIFO; unmasking delivers what was latched.
 * A port of a guest kicks the guest's programs, which sleep on a futex. Raising takes no lock and
 * makes exactly one system call, as an ioctl would. A port's two words change atomically; a raise
 * that crosses a close meets either the old handle's generation, which is refused, or the new.
 */
#include "standin.h"

#include <errno.h>

#define PENDING 1u
#define MASKED 2u
#define LINE(handle, generation) ((uint64_t)(generation) << 32 | (uint64_t)(handle) << 8)
#define LINE_HANDLE(line) ((uint32_t)(line) >> 8)
#define LINE_GENERATION(line) ((uint32_t)((line) >> 32))

#define LINK(state, domid, port) ((uint64_t)(state) << 56 | (uint64_t)(domid) << 32 | (uint32_t)(port))

struct standin_port *standin_port_get(uint32_t domid, uint32_t port)
{
	struct standin_state *host = standin_host();

	if (!port)
		return NULL;
	if (!domid)
		return port < STANDIN_DOM0_PORTS ? &host->dom0_port[port] : NULL;
	if (domid >= STANDIN_DOMIDS || port >= STANDIN_PORTS)
		return NULL;
	return &host->domain[domid].port[port];
}

enum standin_port_state standin_port_state(struct standin_port *p)
{
	return p->link >> 56;
}

uint32_t standin_port_peer_domid(struct standin_port *p)
{
	return p->link >> 32 & 0xffff;
}

uint32_t standin_port_peer(struct standin_port *p)
{
	return (uint32_t)p->link;
}

uint32_t standin_port_handle(struct standin_port *p)
{
	return LINE_HANDLE(p->line);
}

bool standin_port_pending(struct standin_port *p)
{
	return p->line & PENDING;
}

bool standin_port_masked(struct standin_port *p)
{
	return p->line & MASKED;
}

/* The line is masked already, and not pending: tell its handle. */
static void deliver(struct standin_port *p, uint64_t line, uint32_t port)
{
	uint64_t expected = line;

	/* Out of file descriptors, say: latched then, to be delivered by the next raise. */
	if (standin_handle_push(LINE_HANDLE(line), LINE_GENERATION(line), port))
		atomic_compare_exchange_strong(&p->line, &expected, (line & ~(uint64_t)MASKED) | PENDING);
}

/* Of a port that a daemon's handle has; dom0's without one are latched. */
static void raise_line(struct standin_port *p, uint32_t port)
{
	uint64_t old = p->line, new;
	bool latch;

	do {
		latch = !LINE_HANDLE(old) || (old & MASKED);
		new = latch ? old | PENDING : (old & ~(uint64_t)PENDING) | MASKED;
	} while (!atomic_compare_exchange_weak(&p->line, &old, new));
	if (latch)
		standin_hypercall();
	else
		deliver(p, new, port);
}

void standin_port_raise(uint32_t domid, uint32_t port)
{
	struct standin_port *p = standin_port_get(domid, port);

	if (!p)
		return;
	p->events++;
	if (domid && !LINE_HANDLE(p->line))
		standin_domain_kick(&standin_host()->domain[domid]);
	else
		raise_line(p, port);
}

int standin_port_notify(struct standin_port *p)
{
	uint64_t link = p->link;

	switch (link >> 56) {
	case STANDIN_INTERDOMAIN:
		standin_port_raise(link >> 32 & 0xffff, (uint32_t)link);
		return 0;
	case STANDIN_UNBOUND:
		standin_hypercall();
		return 0;
	default:
		return -EINVAL;
	}
}

void standin_port_unmask(uint32_t domid, uint32_t port)
{
	struct standin_port *p = standin_port_get(domid, port);
	uint64_t old = p->line, new;

	do {
		new = old &PENDING ? old & ~(uint64_t)PENDING : old & ~(uint64_t)MASKED;
	} while ((old & MASKED) && !atomic_compare_exchange_weak(&p->line, &old, new));
	if ((old & MASKED) && (old & PENDING))
		deliver(p, new, port);
	else
		standin_hypercall();
}

void standin_virq_raise(uint32_t virq)
{
	uint32_t port = standin_host()->virq[virq];

	if (port)
		standin_port_raise(0, port);
}

static uint32_t allocate(uint32_t domid)
{
	struct standin_state *host = standin_host();
	uint32_t port = domid ? 1 : host->port_hint;
	uint32_t end = domid ? STANDIN_PORTS : STANDIN_DOM0_PORTS;

	while (port < end && standin_port_state(standin_port_get(domid, port)) != STANDIN_CLOSED)
		port++;
	if (port == end)
		return 0;
	if (!domid) {
		host->port_hint = port + 1;
		if (port >= host->port_top)
			host->port_top = port + 1;
	}
	return port;
}

static uint32_t allocate_for_handle(uint32_t domid, uint32_t handle)
{
	uint32_t port = allocate(domid);

	if (!port && !domid) {
		standin_reap_all();
		port = allocate(domid);
	}
	if (port && handle)
		standin_host()->handle[handle].ports++;
	return port;
}

static uint64_t line_of(uint32_t handle)
{
	return handle ? LINE(handle, standin_host()->handle[handle].generation) : 0;
}

int standin_port_unbound(uint32_t domid, uint32_t remote, uint32_t handle)
{
	uint32_t port = allocate_for_handle(domid, handle);
	struct standin_port *p = standin_port_get(domid, port);

	if (!port)
		return -ENOSPC;
	p->events = 0;
	p->line = line_of(handle);
	p->link = LINK(STANDIN_UNBOUND, remote, 0);
	return port;
}

int standin_port_bind(uint32_t handle, uint32_t remote, uint32_t remote_port)
{
	struct standin_port *p, *rp = standin_port_get(remote, remote_port);
	uint32_t domid = standin_host()->handle[handle].domid, port;

	if (!standin_domain_get(remote))
		return -ESRCH;
	if (!rp)
		return -EINVAL;
	standin_port_settle(remote, remote_port);
	if (standin_port_state(rp) != STANDIN_UNBOUND || standin_port_peer_domid(rp) != domid)
		return -EINVAL;
	port = allocate_for_handle(domid, handle);
	if (!port)
		return -ENOSPC;
	p = standin_port_get(domid, port);
	p->events = 0;
	p->line = line_of(handle);
	p->link = LINK(STANDIN_INTERDOMAIN, remote, remote_port);
	rp->link = LINK(STANDIN_INTERDOMAIN, domid, port);
	return port;
}

int standin_port_bind_virq(uint32_t handle, uint32_t virq)
{
	struct standin_state *host = standin_host();
	struct standin_port *p;
	uint32_t port;

	if (virq >= STANDIN_VIRQS)
		return -EINVAL;
	if (host->virq[virq])
		standin_port_settle(0, host->virq[virq]);
	if (host->virq[virq])
		return -EEXIST;
	port = allocate_for_handle(0, handle);
	if (!port)
		return -ENOSPC;
	p = standin_port_get(0, port);
	p->events = 0;
	p->line = line_of(handle);
	p->link = LINK(STANDIN_VIRQ, 0, virq);
	host->virq[virq] = port;
	return port;
}

void standin_port_close(uint32_t domid, uint32_t port)
{
	struct standin_state *host = standin_host();
	struct standin_port *p = standin_port_get(domid, port);
	uint32_t handle = standin_port_handle(p);

	if (standin_port_state(p) == STANDIN_INTERDOMAIN)
		standin_port_get(standin_port_peer_domid(p), standin_port_peer(p))->link =
			LINK(STANDIN_UNBOUND, domid, 0);
	else if (standin_port_state(p) == STANDIN_VIRQ)
		host->virq[standin_port_peer(p)] = 0;
	if (handle)
		host->handle[handle].ports--;
	p->line = 0;
	p->link = LINK(STANDIN_CLOSED, 0, 0);
	if (!domid && port < host->port_hint)
		host->port_hint = port;
}

void standin_port_settle(uint32_t domid, uint32_t port)
{
	struct standin_port *p = standin_port_get(domid, port);
	uint32_t holder = standin_port_handle(p), peer = 0;

	if (standin_port_state(p) == STANDIN_INTERDOMAIN)
		peer = standin_port_handle(
			standin_port_get(standin_port_peer_domid(p), standin_port_peer(p)));
	standin_handle_reap(holder);
	if (peer != holder)
		standin_handle_reap(peer);
}
