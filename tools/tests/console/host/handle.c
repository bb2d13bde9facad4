/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Open handles: what /dev/xen/evtchn and its kin give to a process.
 *
 * A handle is a FIFO that its owner holds open read-write. For an event channel handle it is also
 * the kernel's ring of ports that want attention: delivering writes a port, xenevtchn_pending()
 * reads one, so it can be polled, blocks unless O_NONBLOCK, keeps stale entries, and overflows, as
 * the real one. The other kinds use it for its life alone: while any copy of the fd is open, in
 * whichever process, a writer can open the FIFO without blocking; afterwards that fails with
 * ENXIO. That is how a SIGKILL is noticed, without a server and without trusting pids. It is
 * noticed when somebody looks (standin_handle_reap), which nobody can tell from at once, since
 * Xen tells nobody either.
 *
 * POLLERR is the one thing that a FIFO cannot show: a broken handle is readable for ever instead.
 */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BROKEN_TOKEN UINT32_MAX
#define RING_AT_FIRST 64 /* Linux's, which doubles it as ports are bound */

/* FIFOs open in this process: generation << 32 | OWN | fd + 1. */
#define OWN 0x80000000u
static _Atomic uint64_t open_here[STANDIN_HANDLES];
static bool caching;

static int fifo_path(char *path, size_t size, uint32_t slot)
{
	char name[32];

	snprintf(name, sizeof(name), "handle/%u", slot);
	return standin_path(path, size, name);
}

static uint32_t slot_take(struct standin_state *host)
{
	uint32_t slot = host->handle_free;

	if (slot)
		host->handle_free = host->handle[slot].next_free;
	else if (host->handle_top < STANDIN_HANDLES)
		slot = host->handle_top++;
	return slot;
}

static void slot_give(struct standin_state *host, uint32_t slot)
{
	host->handle[slot].kind = STANDIN_HANDLE_FREE;
	host->handle[slot].next_free = host->handle_free;
	host->handle_free = slot;
}

static int fifo_open(uint32_t slot, bool cloexec)
{
	char path[4096];
	int error = fifo_path(path, sizeof(path), slot), fd;

	if (error)
		return error;
	unlink(path);
	if (mkfifo(path, 0600))
		return -errno;
	fd = open(path, O_RDWR | (cloexec ? O_CLOEXEC : 0));
	if (fd < 0) {
		error = -errno;
		unlink(path);
		return error;
	}
	return fd;
}

int standin_handle_open(enum standin_handle_kind kind, bool cloexec, uint32_t *slot, int *fd)
{
	struct standin_state *host = standin_host();
	struct standin_handle *h;
	int error = -ENOSPC;

	if (!host)
		return -errno;
	standin_lock();
	*slot = slot_take(host);
	if (!*slot) {
		standin_reap_all();
		*slot = slot_take(host);
	}
	if (*slot) {
		*fd = error = fifo_open(*slot, cloexec);
		if (error < 0)
			slot_give(host, *slot);
	}
	if (error >= 0) {
		h = &host->handle[*slot];
		h->queued = h->broken = 0;
		h->kind = kind;
		h->pid = getpid();
		h->domid = standin_self;
		h->capacity = RING_AT_FIRST;
		h->ports = h->pins = 0;
		h->generation = ++host->last_generation ? host->last_generation : ++host->last_generation;
		open_here[*slot] = (uint64_t)h->generation << 32 | OWN | (uint32_t)(*fd + 1);
		error = 0;
	}
	standin_unlock();
	return error;
}

int standin_handle_find(int fd, uint32_t *slot)
{
	struct standin_state *host = standin_host();
	char link[64], path[4096], expected[4096];
	const char *base;
	ssize_t length;

	if (!host)
		return -errno;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return -EBADF;
	path[length] = 0;
	base = strrchr(path, '/');
	*slot = base ? strtoul(base + 1, NULL, 10) : 0;
	if (!*slot || *slot >= STANDIN_HANDLES || fifo_path(expected, sizeof(expected), *slot) ||
	    strcmp(path, expected) || host->handle[*slot].kind != STANDIN_HANDLE_EVTCHN)
		return -EBADF;
	host->handle[*slot].pid = getpid();
	open_here[*slot] = (uint64_t)host->handle[*slot].generation << 32 | OWN | (uint32_t)(fd + 1);
	return 0;
}

void standin_handle_close(uint32_t slot, int fd)
{
	open_here[slot] = 0;
	close(fd);
	standin_lock();
	standin_handle_reap(slot);
	standin_unlock();
}

/* Anything but a plain no counts as alive: better late than wrong. */
static bool anybody_reads(uint32_t slot)
{
	char path[4096];
	int fd;

	if (open_here[slot] & OWN)
		return true;
	if (fifo_path(path, sizeof(path), slot))
		return true;
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno != ENXIO && errno != ENOENT;
	close(fd);
	return true;
}

static void forget_ports(struct standin_state *host, uint32_t slot)
{
	uint32_t domid = host->handle[slot].domid, top = domid ? STANDIN_PORTS : host->port_top;

	for (uint32_t port = 1; port < top && host->handle[slot].ports; port++)
		if (standin_port_handle(standin_port_get(domid, port)) == slot)
			standin_port_close(domid, port);
}

bool standin_handle_reap(uint32_t slot)
{
	struct standin_state *host = standin_host();
	struct standin_handle *h = &host->handle[slot];
	char path[4096];
	uint32_t domid = h->domid;

	if (!slot || !h->generation)
		return true;
	if (anybody_reads(slot))
		return false;
	forget_ports(host, slot);
	standin_pin_drop_all(slot);
	if (!fifo_path(path, sizeof(path), slot))
		unlink(path);
	h->generation = 0; /* killed before, the next one to look begins again */
	if (h->kind == STANDIN_HANDLE_GUEST) {
		host->domain[domid].guests--;
		standin_domain_free_if_unused(domid);
	}
	slot_give(host, slot);
	return true;
}

void standin_reap_all(void)
{
	struct standin_state *host = standin_host();

	for (uint32_t slot = 1; slot < host->handle_top; slot++)
		standin_handle_reap(slot);
}

/* A fd that writes to the handle's FIFO; *temporary if it is to be closed after use. */
static int writer(uint32_t slot, uint32_t generation, bool *temporary)
{
	uint64_t known = open_here[slot];
	char path[4096];
	int error, fd;

	*temporary = false;
	if (known >> 32 == generation)
		return (int)(known & ~OWN & UINT32_MAX) - 1;
	if (known && !(known & OWN)) {
		open_here[slot] = 0;
		close((int)(known & UINT32_MAX) - 1);
	}
	error = fifo_path(path, sizeof(path), slot);
	if (error)
		return error;
	/* Being a reader for a moment spares a library's process the SIGPIPE. */
	fd = open(path, (caching ? O_WRONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (caching)
		open_here[slot] = (uint64_t)generation << 32 | (uint32_t)(fd + 1);
	else
		*temporary = true;
	return fd;
}

static int write_to(uint32_t slot, uint32_t generation, uint32_t value)
{
	bool temporary;
	int fd = writer(slot, generation, &temporary), error = 0;

	if (fd < 0)
		return fd == -ENXIO || fd == -ENOENT ? 0 : fd;
	if (write(fd, &value, sizeof(value)) != sizeof(value) && errno != EPIPE)
		error = -errno;
	if (temporary)
		close(fd);
	return error;
}

void standin_handle_break(uint32_t slot)
{
	struct standin_handle *h = &standin_host()->handle[slot];

	if (!atomic_exchange(&h->broken, 1))
		write_to(slot, h->generation, BROKEN_TOKEN);
}

int standin_handle_push(uint32_t slot, uint32_t generation, uint32_t port)
{
	struct standin_handle *h = &standin_host()->handle[slot];
	int error;

	if (h->generation != generation)
		return 0;
	if (atomic_fetch_add(&h->queued, 1) >= h->capacity) {
		atomic_fetch_sub(&h->queued, 1);
		standin_handle_break(slot);
		return 0;
	}
	error = write_to(slot, generation, port);
	if (error)
		atomic_fetch_sub(&h->queued, 1);
	return error;
}

int standin_handle_pop(uint32_t slot, int fd)
{
	struct standin_handle *h = &standin_host()->handle[slot];
	uint32_t port;

	if (h->broken)
		return -EFBIG;
	if (read(fd, &port, sizeof(port)) < 0)
		return -errno;
	if (port == BROKEN_TOKEN) {
		write_to(slot, h->generation, BROKEN_TOKEN);
		return -EFBIG;
	}
	atomic_fetch_sub(&h->queued, 1);
	return port;
}

int standin_handle_make_room(uint32_t slot, int fd)
{
	struct standin_handle *h = &standin_host()->handle[slot];
	/* A page more than needed, since the first one may be half read. */
	int need, have = fcntl(fd, F_GETPIPE_SZ);

	while (h->capacity <= h->ports)
		h->capacity *= 2;
	need = h->capacity * sizeof(uint32_t) + STANDIN_PAGE_SIZE;
	if (have < need && fcntl(fd, F_SETPIPE_SZ, need) < 0)
		return -errno;
	return 0;
}

void standin_handle_cache(void)
{
	caching = true;
}
