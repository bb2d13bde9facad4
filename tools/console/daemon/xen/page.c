/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console page is granted to the backend by the builder (grant reference 0),
 * except where it is not: a vuart's page belongs to Xen's emulator, and old
 * builders seeded no grant table.  Then dom0 maps the frame it is told.
 * How a page was mapped decides how it is unmapped, so the two travel together.
 */
#include "xen/page.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <xenforeignmemory.h>
#include <xengnttab.h>
#include <xen/grant_table.h>

#include "xen/xenlog.h"

struct pages {
	xengnttab_handle *grants;
	xenforeignmemory_handle *frames;
};

int pages_new(struct pages **out)
{
	struct pages *p = calloc(1, sizeof(*p));
	int err = ENODEV;

	if (!p)
		return -ENOMEM;
	p->grants = xengnttab_open(xenlog(), 0);
	if (!p->grants)
		err = errno;
	p->frames = xenforeignmemory_open(xenlog(), 0);
	if (!p->frames)
		err = errno;
	if (!p->grants && !p->frames) {
		free(p);
		return -err;
	}
	*out = p;
	return 0;
}

void pages_free(struct pages *p)
{
	if (!p)
		return;
	if (p->grants)
		xengnttab_close(p->grants);
	if (p->frames)
		xenforeignmemory_close(p->frames);
	free(p);
}

static int map_grant(struct page *page, struct pages *p, uint32_t domid)
{
	page->at = xengnttab_map_grant_ref(p->grants, domid, GNTTAB_RESERVED_CONSOLE, PROT_READ | PROT_WRITE);
	if (!page->at)
		return errno ? -errno : -EIO;
	page->how = PAGE_GRANT;
	return 0;
}

static int map_frame(struct page *page, struct pages *p, uint32_t domid, int64_t frame)
{
	xen_pfn_t gfn = frame;
	int err = 0;

	if ((int64_t)gfn != frame)
		return -ERANGE;
	page->at = xenforeignmemory_map(p->frames, domid, PROT_READ | PROT_WRITE, 1, &gfn, &err);
	if (!page->at)
		return errno ? -errno : -EIO;
	if (err) {
		xenforeignmemory_unmap(p->frames, page->at, 1);
		page->at = NULL;
		return err < 0 ? err : -err;
	}
	page->how = PAGE_FOREIGN;
	return 0;
}

int page_map(struct page *page, struct pages *p, uint32_t domid, bool grant, int64_t frame)
{
	int err = -ENOENT, frame_err;

	errno = 0;
	if (grant && p->grants)
		err = map_grant(page, p, domid);
	if (!err || frame < 0 || !p->frames)
		return err;
	errno = 0;
	frame_err = map_frame(page, p, domid, frame);
	/* Who may not map frames was refused the grant: that is what is worth telling. */
	return frame_err == -EPERM && err != -ENOENT ? err : frame_err;
}

void page_unmap(struct page *page, struct pages *p)
{
	switch (page->how) {
	case PAGE_GRANT:
		xengnttab_unmap(p->grants, page->at, 1);
		break;
	case PAGE_FOREIGN:
		xenforeignmemory_unmap(p->frames, page->at, 1);
		break;
	case PAGE_NONE:
		break;
	}
	page->at = NULL;
	page->how = PAGE_NONE;
}
