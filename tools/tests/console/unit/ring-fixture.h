/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console page between pages that cannot be touched, and a buffer that ends at one: one byte too far
 * ends the test.
 */
#ifndef UNIT_RING_FIXTURE_H
#define UNIT_RING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "xen/ring.h"

#define PAGE 4096

static struct xencons_interface *page;
static char *edge; /* no byte from here on can be touched */

static int map_pages(void **state)
{
	char *at = mmap(NULL, 6 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (at == MAP_FAILED || mprotect(at + PAGE, PAGE, PROT_READ | PROT_WRITE) < 0 ||
	    mprotect(at + 3 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) < 0)
		return -1;
	page = (void *)(at + PAGE);
	edge = at + 5 * PAGE;
	return 0;
}

static void set_page(uint32_t out_cons, uint32_t out_prod, uint32_t in_cons, uint32_t in_prod)
{
	memset(page, 0, PAGE);
	page->out_cons = out_cons;
	page->out_prod = out_prod;
	page->in_cons = in_cons;
	page->in_prod = in_prod;
}

#endif
