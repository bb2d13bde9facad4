/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The limit: what moving the bytes costs when nothing else is done.
 *
 * usage: bench-limit FIRST COUNT
 *
 * Maps the pages of so many domains, waits for their ports, copies the bytes out, notifies. No log, no
 * pty, no store, and no care: what it finds in the ring it believes. Prints a line once it
 * serves; ends by a signal.
 */
#include "standin.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xen/grant_table.h>
#include <xen/io/console.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define RINGS 16 /* taken at most in one visit */

static struct xencons_interface *served[STANDIN_DOM0_PORTS];

/* Into a buffer which nobody looks at; the number of bytes. */
static uint32_t take(struct xencons_interface *page)
{
	static char to[sizeof(page->out)];
	uint32_t cons = page->out_cons, at = cons % sizeof(to);
	uint32_t n = __atomic_load_n(&page->out_prod, __ATOMIC_ACQUIRE) - cons;
	uint32_t first = sizeof(to) - at < n ? sizeof(to) - at : n;

	memcpy(to, page->out + at, first);
	memcpy(to + first, page->out, n - first);
	__asm__ volatile("" ::: "memory"); /* the copy is made, whether or not it is used */
	__atomic_store_n(&page->out_cons, cons + n, __ATOMIC_SEQ_CST);
	return n;
}

static int serve(xenevtchn_handle *events, xengnttab_handle *grants, uint32_t domid)
{
	struct standin_domain *d = standin_domain_get(domid);
	int port = d ? xenevtchn_bind_interdomain(events, domid, d->console[0].port) : -1;

	if (port < 0)
		return -1;
	served[port] =
		xengnttab_map_grant_ref(grants, domid, GNTTAB_RESERVED_CONSOLE, PROT_READ | PROT_WRITE);
	return served[port] ? 0 : -1;
}

static void visit(xenevtchn_handle *events, int port)
{
	uint32_t n, rings = 0, moved = 0;

	if (port < 0)
		return;
	do {
		n = take(served[port]);
		moved += n;
	} while (n && ++rings < RINGS);
	if (moved)
		xenevtchn_notify(events, port);
	xenevtchn_unmask(events, port);
}

int main(int argc, char **argv)
{
	xenevtchn_handle *events = xenevtchn_open(NULL, 0);
	xengnttab_handle *grants = xengnttab_open(NULL, 0);
	struct pollfd p = { .events = POLLIN };

	if (argc != 3 || !events || !grants) {
		fprintf(stderr, "usage: bench-limit FIRST COUNT, on a stand-in host\n");
		return 1;
	}
	for (int i = 0; i < atoi(argv[2]); i++)
		if (serve(events, grants, atoi(argv[1]) + i)) {
			perror("bench-limit");
			return 1;
		}
	puts("serving");
	fflush(stdout);
	p.fd = xenevtchn_fd(events);
	while (poll(&p, 1, -1) > 0)
		visit(events, xenevtchn_pending(events));
	return 1;
}
