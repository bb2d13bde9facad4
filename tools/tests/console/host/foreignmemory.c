/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stand-in libxenforeignmemory: mapping one page by frame number.
 */
#include "standin.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xenforeignmemory.h>

struct xenforeignmemory_handle {
	uint32_t slot;
	int fd;
};

xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *logger, unsigned int flags)
{
	int error = standin_inject(STANDIN_OPEN_FOREIGN, 0);
	xenforeignmemory_handle *fmem = malloc(sizeof(*fmem));

	(void)logger;
	(void)flags;
	if (fmem && !error)
		error = -standin_handle_open(STANDIN_HANDLE_FOREIGN, true, &fmem->slot, &fmem->fd);
	if (fmem && error) {
		free(fmem);
		fmem = NULL;
		errno = error;
	}
	return fmem;
}

int xenforeignmemory_close(xenforeignmemory_handle *fmem)
{
	if (fmem) {
		standin_pin_unmap_all(fmem->slot);
		standin_handle_close(fmem->slot, fmem->fd);
		free(fmem);
	}
	return 0;
}

/*
 * A frame that cannot be had is told through err, if the caller gave it: then the mapping is there
 * all the same, and touching it is a fault. Without err it is a failure.
 */
void *xenforeignmemory_map(xenforeignmemory_handle *fmem, uint32_t dom, int prot, size_t pages,
			   const xen_pfn_t arr[], int err[])
{
	int page = standin_self ? -EPERM : -standin_inject(STANDIN_MAP_FOREIGN, dom);
	void *address = NULL;

	if (!page)
		page = pages == 1 ? standin_domain_page_of_gfn(dom, arr[0]) : -EOPNOTSUPP;
	if (page >= 0) {
		address = standin_pin_map(fmem->slot, dom, page, prot);
		page = address ? page : -errno;
	}
	if (err)
		err[0] = page < 0 ? page : 0;
	if (page < 0 && err) {
		address = mmap(NULL, STANDIN_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return address == MAP_FAILED ? NULL : address;
	}
	errno = page < 0 ? -page : errno;
	return address;
}

int xenforeignmemory_unmap(xenforeignmemory_handle *fmem, void *address, size_t pages)
{
	int error = standin_inject(STANDIN_UNMAP, STANDIN_DOMIDS);

	if (error) {
		errno = error;
		return -1;
	}
	if (!standin_pin_unmap(fmem->slot, address))
		return 0;
	return munmap(address, pages * STANDIN_PAGE_SIZE);
}
