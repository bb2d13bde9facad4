/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mappings of domains' pages. Each one pins its domain until it is unmapped, its handle is closed,
 * or its process is found dead; `xenhost mappings` lists them, so that a test can see a leak.
 */
#include "standin.h"

#include <errno.h>
#include <sys/mman.h>

static uint32_t take(struct standin_state *host)
{
	uint32_t pin = host->pin_free;

	if (pin)
		host->pin_free = host->pin[pin].next;
	else if (host->pin_top < STANDIN_PINS)
		pin = host->pin_top++;
	return pin;
}

static void give(struct standin_state *host, uint32_t pin)
{
	host->pin[pin].handle = 0;
	host->pin[pin].next = host->pin_free;
	host->pin_free = pin;
}

/* Lock held. */
static void *map_and_record(struct standin_state *host, uint32_t handle, uint32_t domid, uint32_t page,
			    int prot)
{
	struct standin_handle *h = &host->handle[handle];
	uint32_t pin = take(host);
	void *address;

	if (!pin) {
		errno = ENOSPC;
		return NULL;
	}
	address = standin_page_map(domid, page, prot);
	if (address == MAP_FAILED) {
		give(host, pin);
		return NULL;
	}
	host->pin[pin] = (struct standin_pin){
		.next = h->pins,
		.domid = domid,
		.page = page,
		.address = (uintptr_t)address,
	};
	h->pins = pin;
	host->domain[domid].pins++;
	host->pin[pin].handle = handle; /* from here on it is listed, and so it is reachable before */
	return address;
}

void *standin_pin_map(uint32_t handle, uint32_t domid, uint32_t page, int prot)
{
	struct standin_state *host = standin_host();
	void *address = NULL;

	standin_lock();
	if (host->domain[domid].state == STANDIN_ALIVE)
		address = map_and_record(host, handle, domid, page, prot);
	else
		errno = EINVAL;
	standin_unlock();
	return address;
}

/* Lock held. */
static void drop(struct standin_state *host, uint32_t *link)
{
	uint32_t pin = *link, domid = host->pin[pin].domid;

	host->pin[pin].handle = 0;
	*link = host->pin[pin].next;
	give(host, pin);
	host->domain[domid].pins--;
	standin_domain_free_if_unused(domid);
}

int standin_pin_unmap(uint32_t handle, void *address)
{
	struct standin_state *host = standin_host();
	uint32_t *link;
	int error = -EINVAL;

	standin_lock();
	for (link = &host->handle[handle].pins; *link; link = &host->pin[*link].next)
		if (host->pin[*link].address == (uintptr_t)address)
			break;
	if (*link) {
		error = munmap(address, STANDIN_PAGE_SIZE) ? -errno : 0;
		drop(host, link);
	}
	standin_unlock();
	return error;
}

void standin_pin_unmap_all(uint32_t handle)
{
	struct standin_state *host = standin_host();
	uint32_t *first = &host->handle[handle].pins;

	standin_lock();
	while (*first) {
		munmap((void *)(uintptr_t)host->pin[*first].address, STANDIN_PAGE_SIZE);
		drop(host, first);
	}
	standin_unlock();
}

void standin_pin_drop_all(uint32_t handle)
{
	struct standin_state *host = standin_host();

	while (host->handle[handle].pins)
		drop(host, &host->handle[handle].pins);
}

void standin_pin_settle(uint32_t domid)
{
	struct standin_state *host = standin_host();

	for (uint32_t pin = 1; pin < host->pin_top; pin++)
		if (host->pin[pin].handle && host->pin[pin].domid == domid)
			standin_handle_reap(host->pin[pin].handle);
}
