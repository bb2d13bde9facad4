/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For a daemon in another domain than dom0 (STANDIN_DOMID). It reaches xenstored through the socket, as dom0 does, so
 * xenstored takes its relative paths for dom0's: the one that it asks who it is is answered here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	__typeof__(xs_read) *real = dlsym(RTLD_NEXT, "xs_read");
	const char *domid = getenv("STANDIN_DOMID");

	if (!domid || strcmp(path, "domid"))
		return real(h, t, path, len);
	if (len)
		*len = strlen(domid);
	return strdup(domid);
}
