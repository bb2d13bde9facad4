/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Map and unmap one console page, by the reserved grant 0 or by frame number.
 */
#ifndef DAEMON_XEN_PAGE_H
#define DAEMON_XEN_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/io/console.h>

struct pages; /* the handles */

enum page_how {
	PAGE_NONE,
	PAGE_GRANT,   /* grant reference 0, GNTTAB_RESERVED_CONSOLE */
	PAGE_FOREIGN, /* by frame number */
};

struct page {
	struct xencons_interface *at; /* NULL: not mapped */
	enum page_how how;
};

/* Open gnttab and foreignmemory.  Either missing is survivable; both is -errno. */
int pages_new(struct pages **pages);
void pages_free(struct pages *pages);

/*
 * Map: with grant, try the grant first; then, if frame >= 0, the frame, which only a domain that is privileged over
 * this one may.  0, or -errno of the last attempt that was allowed (ENOENT: no frame known to try). A mapped page
 * keeps its domid from being reused.
 */
int page_map(struct page *page, struct pages *pages, uint32_t domid, bool grant, int64_t frame);
void page_unmap(struct page *page, struct pages *pages); /* idempotent */

#endif
