// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into xl: the domain is made with the number that WANTED_DOMID names. Xen hands out domain numbers in turn, so
 * that one comes again only after 32752 others; the scenario that wants one again at once asks for it.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

struct xc_interface_core;
struct xen_domctl_createdomain;

int xc_domain_create(struct xc_interface_core *xch, uint32_t *domid, struct xen_domctl_createdomain *config);

int xc_domain_create(struct xc_interface_core *xch, uint32_t *domid, struct xen_domctl_createdomain *config)
{
	__typeof__(xc_domain_create) *real = dlsym(RTLD_NEXT, "xc_domain_create");
	const char *wanted = getenv("WANTED_DOMID");

	if (wanted)
		*domid = strtoul(wanted, NULL, 10);
	return real(xch, domid, config);
}
