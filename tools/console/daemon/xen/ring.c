/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page is under the guest's hands while we look at it.  Everything here follows from
 * that: of each pair of indexes the backend's own is kept privately and only ever
 * written to the page, the guest's is loaded into a local variable by one atomic
 * load, and what is done with it is bounded by that one value.  A guest can thus make
 * its own console nonsense, and nothing else.
 *
 * Ordering, as the protocol has it: data is read after the index that
 * announces it (acquire), and an index is stored after the data it announces or
 * frees has been written or read (release).
 */
#include "xen/ring.h"

#include <errno.h>
#include <string.h>

static uint32_t load(const XENCONS_RING_IDX *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

static void store(XENCONS_RING_IDX *index, uint32_t value)
{
	__atomic_store_n(index, value, __ATOMIC_RELEASE);
}

/* Load all four anew.  The private ones are set if they are in range, or if forced. */
static bool load_all(struct ring *r, bool force)
{
	uint32_t out_cons = load(&r->page->out_cons), out_prod = load(&r->page->out_prod);
	uint32_t in_cons = load(&r->page->in_cons), in_prod = load(&r->page->in_prod);
	bool valid = out_prod - out_cons <= RING_OUT_SIZE && in_prod - in_cons <= RING_IN_SIZE;

	if (valid || force) {
		r->out_cons = out_cons;
		r->in_prod = in_prod;
	}
	return valid;
}

int ring_init(struct ring *r, struct xencons_interface *page)
{
	r->page = page;
	r->connected = false;
	return load_all(r, true) ? 0 : -EPROTO;
}

bool ring_resync(struct ring *r)
{
	return load_all(r, false);
}

size_t ring_skip(struct ring *r, uint32_t position)
{
	uint32_t there = load(&r->page->out_prod) - r->out_cons, n = position - r->out_cons;

	if (there > RING_OUT_SIZE || n > there)
		return 0;
	ring_taken(r, n);
	return n;
}

ssize_t ring_peek(const struct ring *r, void *buf, size_t size)
{
	size_t start = MASK_XENCONS_IDX(r->out_cons, r->page->out);
	size_t n = load(&r->page->out_prod) - r->out_cons, first;

	if (n > RING_OUT_SIZE)
		return -EPROTO;
	if (n > size)
		n = size;
	first = RING_OUT_SIZE - start;
	if (first > n)
		first = n;
	memcpy(buf, r->page->out + start, first);
	memcpy((char *)buf + first, r->page->out, n - first);
	return n;
}

void ring_taken(struct ring *r, size_t n)
{
	r->out_cons += n;
	store(&r->page->out_cons, r->out_cons);
}

ssize_t ring_room(const struct ring *r)
{
	uint32_t used = r->in_prod - load(&r->page->in_cons);

	return used <= RING_IN_SIZE ? (ssize_t)(RING_IN_SIZE - used) : -EPROTO;
}

ssize_t ring_put(struct ring *r, const void *data, size_t len)
{
	size_t start = MASK_XENCONS_IDX(r->in_prod, r->page->in), first;
	ssize_t room = ring_room(r);

	if (room < 0)
		return room;
	if (len > (size_t)room)
		len = room;
	first = RING_IN_SIZE - start;
	if (first > len)
		first = len;
	memcpy(r->page->in + start, data, first);
	memcpy(r->page->in, (const char *)data + first, len - first);
	r->in_prod += len;
	store(&r->page->in_prod, r->in_prod);
	return len;
}

bool ring_remade(struct ring *r)
{
	if (!r->connected || ring_flag(r) == XENCONSOLE_CONNECTED)
		return false;
	load_all(r, false);
	return true;
}

bool ring_new(const struct ring *r)
{
	return ring_flag(r) == XENCONSOLE_DISCONNECTED && !load(&r->page->out_cons) &&
	       !load(&r->page->in_prod);
}

bool ring_as_left(const struct ring *r)
{
	return load(&r->page->out_cons) == r->out_cons && load(&r->page->in_prod) == r->in_prod;
}

uint8_t ring_flag(const struct ring *r)
{
	return __atomic_load_n(&r->page->connection, __ATOMIC_RELAXED);
}

bool ring_connect(struct ring *r)
{
	r->connected = true;
	if (ring_flag(r) == XENCONSOLE_CONNECTED)
		return false;
	__atomic_store_n(&r->page->connection, XENCONSOLE_CONNECTED, __ATOMIC_RELEASE);
	return true;
}

void ring_disconnect(struct ring *r)
{
	r->connected = false;
	__atomic_store_n(&r->page->connection, XENCONSOLE_DISCONNECTED, __ATOMIC_RELEASE);
	__sync_synchronize();
}
