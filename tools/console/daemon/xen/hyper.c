/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All of libxenctrl that the daemon uses, three calls that are the same from
 * Xen 4.17 on: xc_domain_getinfolist (xc_domain_getinfo ended with 4.17),
 * xc_evtchn_status and xc_readconsolering.  libxenctrl promises no stable ABI, so the less
 * of it the better.
 */
#include "xen/hyper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>

#include "xen/xenlog.h"

#define LIST_CHUNK 256

struct hyper {
	xc_interface *xc;
};

int hyper_new(struct hyper **out)
{
	struct hyper *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->xc = xc_interface_open(xenlog(), xenlog(), 0);
	if (!h->xc) {
		int err = errno ? -errno : -EIO;

		free(h);
		return err;
	}
	*out = h;
	return 0;
}

void hyper_free(struct hyper *h)
{
	if (!h)
		return;
	xc_interface_close(h->xc);
	free(h);
}

static void take(struct hyper_domain *to, const xc_domaininfo_t *from)
{
	to->domid = from->domain;
	to->dying = from->flags & XEN_DOMINF_dying;
	to->shut_down = from->flags & XEN_DOMINF_shutdown;
	memcpy(to->handle, from->handle, sizeof(to->handle));
}

ssize_t hyper_list(struct hyper *h, uint32_t first, struct hyper_domain **list)
{
	struct hyper_domain *all = NULL;
	xc_domaininfo_t info[LIST_CHUNK];
	size_t n = 0;
	int got;

	do {
		struct hyper_domain *more;

		errno = 0;
		got = xc_domain_getinfolist(h->xc, first, LIST_CHUNK, info);
		if (got < 0) {
			got = errno ? -errno : -EIO;
			free(all);
			return got;
		}
		more = realloc(all, (n + got + 1) * sizeof(*all));
		if (!more) {
			free(all);
			return -ENOMEM;
		}
		all = more;
		for (int i = 0; i < got; i++)
			take(&all[n++], &info[i]);
		if (got)
			first = info[got - 1].domain + 1;
	} while (got == LIST_CHUNK);
	*list = all;
	return n;
}

int hyper_domain(struct hyper *h, uint32_t domid, struct hyper_domain *domain)
{
	xc_domaininfo_t info;
	int got;

	errno = 0;
	got = xc_domain_getinfolist(h->xc, domid, 1, &info);
	if (got < 0)
		return errno ? -errno : -EIO;
	if (got == 0 || info.domain != domid)
		return -ESRCH;
	take(domain, &info);
	return 0;
}

int hyper_port(struct hyper *h, uint32_t domid, uint32_t port, uint32_t *peer)
{
	xc_evtchn_status_t status = { .dom = domid, .port = port };

	errno = 0;
	if (xc_evtchn_status(h->xc, &status))
		return errno ? -errno : -EIO;
	switch (status.status) {
	case EVTCHNSTAT_unbound:
		if (peer)
			*peer = status.u.unbound.dom;
		return HYPER_PORT_FREE;
	case EVTCHNSTAT_interdomain:
		if (peer)
			*peer = status.u.interdomain.dom;
		return HYPER_PORT_HELD;
	case EVTCHNSTAT_closed:
		return HYPER_PORT_CLOSED;
	default:
		return HYPER_PORT_OTHER;
	}
}

ssize_t hyper_conring(struct hyper *h, uint32_t *index, char *buf, size_t size, uint32_t *lost)
{
	unsigned int count = size;
	uint32_t next = *index;

	errno = 0;
	if (xc_readconsolering(h->xc, buf, &count, 0, 1, &next))
		return errno ? -errno : -EIO;
	*lost = *index ? next - count - *index : 0;
	*index = next;
	return count;
}
