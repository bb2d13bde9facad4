/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the hypervisor is asked: the domain list, a port's state, its own console ring.
 */
#ifndef DAEMON_XEN_HYPER_H
#define DAEMON_XEN_HYPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct hyper;

struct hyper_domain {
	uint32_t domid;
	bool dying;
	bool shut_down;	    /* by itself, crashed ones too: its virtual CPUs have stopped */
	uint8_t handle[16]; /* UUID as the toolstack gave it; need not be unique */
};

enum hyper_port {
	HYPER_PORT_FREE,   /* offered to a domain, and nobody there holds it */
	HYPER_PORT_HELD,   /* interdomain: both ends there */
	HYPER_PORT_CLOSED, /* there is no such port */
	HYPER_PORT_OTHER,  /* a VIRQ, anything else */
};

int hyper_new(struct hyper **h);
void hyper_free(struct hyper *h);

/*
 * All domains with domid >= first, ascending.  *list is malloc'ed, for the caller to free.  Returns the count or -errno.
 */
ssize_t hyper_list(struct hyper *h, uint32_t first, struct hyper_domain **list);

/* The one domain.  0, -ESRCH if there is none, or -errno. */
int hyper_domain(struct hyper *h, uint32_t domid, struct hyper_domain *domain);

#define HYPER_SELF 0x7ff0u /* DOMID_SELF: whose ports evtchn.h calls local */

/*
 * State of a domain's port: enum hyper_port or -errno.  *peer, unless NULL, is set to a domid: of one that is held
 * the other end's, of one that is free that of the domain it is offered to.
 */
int hyper_port(struct hyper *h, uint32_t domid, uint32_t port, uint32_t *peer);

/*
 * Xen's console ring from *index on, at most size bytes; *index moves on (start with 0: all that
 * is there). *lost is how many bytes were overwritten unread since the last call. Returns the count or -errno.
 */
ssize_t hyper_conring(struct hyper *h, uint32_t *index, char *buf, size_t size, uint32_t *lost);

#endif
