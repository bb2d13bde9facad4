/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stand-in libxengnttab: mapping one page by grant reference, as console daemons and xenstored
 * do. Nobody maps several at once, and nobody shares pages of dom0.
 */
#include "standin.h"

#include <errno.h>
#include <stdlib.h>
#include <xengnttab.h>

struct xengntdev_handle {
	uint32_t slot;
	int fd;
};

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	int error = standin_inject(STANDIN_OPEN_GRANT, 0);
	xengnttab_handle *xgt = malloc(sizeof(*xgt));

	(void)logger;
	(void)flags;
	if (xgt && !error)
		error = -standin_handle_open(STANDIN_HANDLE_GRANT, true, &xgt->slot, &xgt->fd);
	if (xgt && error) {
		free(xgt);
		xgt = NULL;
		errno = error;
	}
	return xgt;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	if (xgt) {
		standin_pin_unmap_all(xgt->slot);
		standin_handle_close(xgt->slot, xgt->fd);
		free(xgt);
	}
	return 0;
}

int xengnttab_fd(xengnttab_handle *xgt)
{
	return xgt->fd;
}

int xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t count)
{
	(void)xgt;
	(void)count;
	return 0;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	int error = standin_inject(STANDIN_MAP_GRANT, domid), page;

	page = error ? -error : standin_domain_page_of_grant(domid, ref);
	if (page >= 0)
		return standin_pin_map(xgt->slot, domid, page, prot);
	errno = page == -ESRCH ? EINVAL : -page;
	return NULL;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *address, uint32_t count)
{
	int error = standin_inject(STANDIN_UNMAP, STANDIN_DOMIDS);

	if (!error)
		error = count == 1 ? -standin_pin_unmap(xgt->slot, address) : EINVAL;
	if (!error)
		return 0;
	errno = error;
	return -1;
}
