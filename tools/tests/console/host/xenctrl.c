/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stand-in libxenctrl: the few of its functions that console daemons and xenstored call. The
 * build tells (STANDIN_HAS_...) which of them the real library of this machine exports.
 */
#include "standin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xenctrl.h>

struct xc_interface_core {
	int unused;
};

static int fail(int error)
{
	errno = error;
	return -1;
}

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger,
				unsigned int open_flags)
{
	int error = standin_inject(STANDIN_OPEN_CTRL, 0);

	(void)logger;
	(void)dombuild_logger;
	(void)open_flags;
	if (error) {
		errno = error;
		return NULL;
	}
	return standin_host() ? calloc(1, sizeof(struct xc_interface_core)) : NULL;
}

int xc_interface_close(xc_interface *xch)
{
	free(xch);
	return 0;
}

/* The next domain from first on, and what is known of it; NULL at the end. */
static struct standin_domain *look_up(uint32_t first, uint32_t *domid)
{
	struct standin_domain *d;

	for (*domid = standin_domain_next(first); *domid < STANDIN_DOMIDS;
	     *domid = standin_domain_next(*domid + 1)) {
		d = standin_domain_get(*domid);
		if (d && d->state == STANDIN_DYING) {
			standin_lock();
			standin_pin_settle(*domid);
			standin_unlock();
			d = standin_domain_get(*domid);
		}
		if (d)
			return d;
	}
	return NULL;
}

static uint32_t flags_of(struct standin_domain *d)
{
	uint32_t shutdown = d->shutdown, flags = 0;

	if (d->state == STANDIN_DYING)
		flags |= XEN_DOMINF_dying;
	if (d->hvm)
		flags |= XEN_DOMINF_hvm_guest;
	if (d->paused)
		flags |= XEN_DOMINF_paused;
	if (shutdown)
		flags |= XEN_DOMINF_shutdown | (shutdown - 1) << XEN_DOMINF_shutdownshift;
	if (!(flags & (XEN_DOMINF_dying | XEN_DOMINF_paused | XEN_DOMINF_shutdown)))
		flags |= XEN_DOMINF_blocked;
	return flags;
}

static void describe(struct standin_domain *d, uint32_t domid, xc_domaininfo_t *info)
{
	memset(info, 0, sizeof(*info));
	info->domain = domid;
	info->flags = flags_of(d);
	info->tot_pages = info->max_pages = STANDIN_PAGES;
	info->nr_online_vcpus = 1;
	memcpy(info->handle, d->uuid, sizeof(info->handle));
}

static int list(uint32_t first, unsigned int count, xc_domaininfo_t *info)
{
	struct standin_domain *d;
	unsigned int found = 0;
	uint32_t domid;

	standin_hypercall();
	while (found < count && (d = look_up(first, &domid))) {
		describe(d, domid, &info[found++]);
		first = domid + 1;
	}
	return found;
}

int xc_domain_getinfolist(xc_interface *xch, uint32_t first_domain, unsigned int max_domains,
			  xc_domaininfo_t *info)
{
	int error = standin_inject(STANDIN_GETINFO, first_domain);

	(void)xch;
	return error ? fail(error) : list(first_domain, max_domains, info);
}

#ifdef STANDIN_HAS_xc_domain_getinfo_single
int xc_domain_getinfo_single(xc_interface *xch, uint32_t domid, xc_domaininfo_t *info)
{
	int error = standin_inject(STANDIN_GETINFO, domid);
	xc_domaininfo_t found;

	(void)xch;
	if (error)
		return fail(error);
	if (!list(domid, 1, &found) || found.domain != domid)
		return fail(ESRCH);
	if (info)
		*info = found;
	return 0;
}
#endif

#ifdef STANDIN_HAS_xc_domain_getinfo
static void convert(const xc_domaininfo_t *from, xc_dominfo_t *to)
{
	memset(to, 0, sizeof(*to));
	to->domid = from->domain;
	to->dying = !!(from->flags & XEN_DOMINF_dying);
	to->shutdown = !!(from->flags & XEN_DOMINF_shutdown);
	to->paused = !!(from->flags & XEN_DOMINF_paused);
	to->blocked = !!(from->flags & XEN_DOMINF_blocked);
	to->hvm = !!(from->flags & XEN_DOMINF_hvm_guest);
	to->shutdown_reason = from->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
	to->crashed = to->shutdown && to->shutdown_reason == SHUTDOWN_crash;
	if (to->crashed)
		to->shutdown = 0;
	to->nr_pages = from->tot_pages;
	to->nr_online_vcpus = from->nr_online_vcpus;
	memcpy(to->handle, from->handle, sizeof(to->handle));
}

int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid, unsigned int max_doms, xc_dominfo_t *info)
{
	int error = standin_inject(STANDIN_GETINFO, first_domid);
	xc_domaininfo_t one;
	unsigned int found = 0;

	(void)xch;
	if (error)
		return fail(error);
	while (found < max_doms && list(first_domid, 1, &one)) {
		convert(&one, &info[found++]);
		first_domid = one.domain + 1;
	}
	return found ? (int)found : fail(ESRCH);
}
#endif

int xc_evtchn_status(xc_interface *xch, xc_evtchn_status_t *status)
{
	uint32_t domid = status->dom == DOMID_SELF ? standin_self : status->dom;
	int error = standin_inject(STANDIN_STATUS, domid);
	struct standin_port *p = standin_port_get(domid, status->port);

	(void)xch;
	if (error)
		return fail(error);
	standin_hypercall();
	if (!standin_domain_get(domid))
		return fail(ESRCH);
	if (!p)
		return fail(EINVAL);
	standin_lock();
	standin_port_settle(domid, status->port);
	status->status = standin_port_state(p);
	status->vcpu = 0;
	memset(&status->u, 0, sizeof(status->u));
	if (status->status == EVTCHNSTAT_unbound) {
		status->u.unbound.dom = standin_port_peer_domid(p);
	} else if (status->status == EVTCHNSTAT_interdomain) {
		status->u.interdomain.dom = standin_port_peer_domid(p);
		status->u.interdomain.port = standin_port_peer(p);
	} else if (status->status == EVTCHNSTAT_virq) {
		status->u.virq = standin_port_peer(p);
	}
	standin_unlock();
	return 0;
}

int xc_readconsolering(xc_interface *xch, char *buffer, unsigned int *pnr_chars, int clear, int incremental,
		       uint32_t *pindex)
{
	int error = standin_inject(STANDIN_CONRING, 0);
	uint32_t index = pindex ? *pindex : 0;

	(void)xch;
	if (error)
		return fail(error);
	standin_hypercall();
	*pnr_chars = standin_conring_read(buffer, *pnr_chars, clear, incremental, &index);
	if (pindex)
		*pindex = index;
	return 0;
}
