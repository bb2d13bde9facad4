/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains: made, dying, and gone only when nothing maps their pages any more.
 *
 * Until then a killed domain is a zombie, as in Xen: it is listed as dying, its ports are closed,
 * and its domid is taken. Its guest programs count too, so that none of them writes to a page that
 * meanwhile belongs to another incarnation; they leave as soon as they are kicked.
 */
#include "standin.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xen/xen.h>

struct standin_domain *standin_domain_get(uint32_t domid)
{
	struct standin_state *host = standin_host();

	if (domid >= STANDIN_DOMIDS || host->domain[domid].state == STANDIN_FREE)
		return NULL;
	return &host->domain[domid];
}

uint32_t standin_domain_next(uint32_t domid)
{
	struct standin_state *host = standin_host();
	uint64_t word;

	while (domid < STANDIN_DOMIDS) {
		word = host->exists[domid / 64] >> domid % 64;
		if (word)
			return domid + __builtin_ctzll(word);
		domid = (domid / 64 + 1) * 64;
	}
	return STANDIN_DOMIDS;
}

/* Xen goes round instead of taking the lowest, so that domids are not reused at once. */
static uint32_t next_free(struct standin_state *host)
{
	uint32_t domid = host->last_domid;

	for (uint32_t tried = 0; tried < STANDIN_DOMIDS; tried++) {
		domid = domid + 1 < STANDIN_DOMIDS ? domid + 1 : 1;
		if (host->domain[domid].state == STANDIN_FREE) {
			host->last_domid = domid;
			return domid;
		}
	}
	return 0;
}

int standin_domain_create(uint32_t domid, const uint8_t uuid[16], bool hvm, bool paused)
{
	struct standin_state *host = standin_host();
	struct standin_domain *d;

	if (!domid)
		domid = next_free(host);
	if (!domid || domid >= STANDIN_DOMIDS)
		return -EINVAL;
	d = &host->domain[domid];
	if (d->state != STANDIN_FREE)
		return -EBUSY;
	memcpy(d->uuid, uuid, sizeof(d->uuid));
	d->hvm = hvm;
	d->paused = paused;
	d->shutdown = 0;
	d->pins = d->guests = 0;
	d->store_port = 0;
	for (int i = 0; i < STANDIN_CONSOLES; i++) {
		d->console[i].page = STANDIN_PAGE_NONE;
		d->console[i].port = 0;
	}
	d->incarnation = ++host->last_incarnation;
	d->state = STANDIN_ALIVE;
	host->exists[domid / 64] |= (uint64_t)1 << domid % 64;
	return domid;
}

void standin_domain_kick(struct standin_domain *d)
{
	d->kick++;
	syscall(SYS_futex, &d->kick, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void standin_domain_free_if_unused(uint32_t domid)
{
	struct standin_state *host = standin_host();
	struct standin_domain *d = &host->domain[domid];

	if (d->state != STANDIN_DYING || d->pins || d->guests)
		return;
	for (uint32_t page = 0; page < STANDIN_PAGES; page++)
		standin_page_clear(domid, page);
	host->exists[domid / 64] &= ~((uint64_t)1 << domid % 64);
	d->state = STANDIN_FREE;
	standin_virq_raise(VIRQ_DOM_EXC);
}

void standin_domain_kill(uint32_t domid)
{
	struct standin_domain *d = &standin_host()->domain[domid];

	if (d->state == STANDIN_ALIVE) {
		d->state = STANDIN_DYING;
		for (uint32_t port = 1; port < STANDIN_PORTS; port++)
			if (standin_port_state(&d->port[port]) != STANDIN_CLOSED)
				standin_port_close(domid, port);
		standin_domain_kick(d);
		standin_virq_raise(VIRQ_DOM_EXC);
	}
	standin_domain_free_if_unused(domid);
}

int standin_domain_page_of_grant(uint32_t domid, uint32_t reference)
{
	struct standin_domain *d = standin_domain_get(domid);
	uint32_t page = STANDIN_PAGE_NONE;

	if (!d)
		return -ESRCH;
	/* Xen reserves 0 and 1; the others were granted by the guest for its additional consoles. */
	if (reference == 0)
		page = d->console[STANDIN_CONSOLE_PRIMARY].page;
	else if (reference == 1)
		page = STANDIN_PAGE_STORE;
	else if (reference >= 8 && reference < 8 + STANDIN_CONSOLES - STANDIN_CONSOLE_EXTRA)
		page = d->console[reference - 8 + STANDIN_CONSOLE_EXTRA].page;
	return page < STANDIN_PAGES ? (int)page : -EINVAL;
}

int standin_domain_page_of_gfn(uint32_t domid, uint64_t gfn)
{
	if (!standin_domain_get(domid))
		return -ESRCH;
	if (gfn < STANDIN_GFN_BASE || gfn >= STANDIN_GFN_BASE + STANDIN_PAGES)
		return -EINVAL;
	return gfn - STANDIN_GFN_BASE;
}
