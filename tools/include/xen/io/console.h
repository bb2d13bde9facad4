/* SPDX-License-Identifier: MIT */
/*
 * The page that a Xen console's two ends share, with the connection flag.
 *
 * The layout is Xen's public ABI.  Xen's own <xen/io/console.h> has the flag
 * only in newer versions; this one has it whatever is installed.  Put the
 * directory that holds xen/io/ first in the include path and include this file
 * before anything that may bring in Xen's: from then on Xen's is empty.
 *
 * Indexes run freely modulo 2^32 and are little endian, as every guest is.  A
 * ring holds prod - cons bytes, from the one at cons modulo its size; more than
 * its size means that the other end is broken or hostile.  The page is under
 * the other end's hands: load each of its indexes exactly once, check, then
 * copy, with a barrier between index and data.
 */
#ifndef XENCONSOLED_IO_CONSOLE_H
#define XENCONSOLED_IO_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__XEN_PUBLIC_IO_CONSOLE_H__)
#define __XEN_PUBLIC_IO_CONSOLE_H__ /* Xen's guard */

typedef uint32_t XENCONS_RING_IDX;

#define MASK_XENCONS_IDX(idx, ring) ((idx) & (sizeof(ring) - 1))

struct xencons_interface {
	char in[1024];	/* to the guest */
	char out[2048]; /* from the guest */

	/* The guest owns in_cons and out_prod, the backend in_prod and out_cons. */
	XENCONS_RING_IDX in_cons, in_prod;
	XENCONS_RING_IDX out_cons, out_prod;

	/*
	 * Whether a backend has mapped the page and empties it: one of the two
	 * values below.  Written by the domain's builder (DISCONNECTED) and then
	 * by the backend, read by the guest, which while it is DISCONNECTED need
	 * not wait for room.  No event is sent for its sake, and the backend
	 * takes no decision from it, since a guest may write here too.
	 */
	uint8_t connection;
};

/* CONNECTED is 0 so that a page whose maker knew nothing of the flag reads as connected. */
#define XENCONSOLE_CONNECTED 0
#define XENCONSOLE_DISCONNECTED 1

#elif !defined(XENCONSOLE_DISCONNECTED)
#error "an xen/io/console.h without the connection flag was included before this one"
#endif

#define XENCONS_CHECK_OFFSET(field, offset)                                                                  \
	_Static_assert(offsetof(struct xencons_interface, field) == (offset),                                \
		       "xencons_interface: " #field " is not at " #offset)
XENCONS_CHECK_OFFSET(in, 0);
XENCONS_CHECK_OFFSET(out, 1024);
XENCONS_CHECK_OFFSET(in_cons, 3072);
XENCONS_CHECK_OFFSET(in_prod, 3076);
XENCONS_CHECK_OFFSET(out_cons, 3080);
XENCONS_CHECK_OFFSET(out_prod, 3084);
XENCONS_CHECK_OFFSET(connection, 3088);
#undef XENCONS_CHECK_OFFSET
_Static_assert(sizeof(((struct xencons_interface *)0)->connection) == 1,
	       "xencons_interface: connection is not a byte");
_Static_assert(sizeof(struct xencons_interface) <= 4096, "xencons_interface: longer than its page");
_Static_assert(XENCONSOLE_CONNECTED == 0 && XENCONSOLE_DISCONNECTED == 1,
	       "the connection flag's values are not the ABI's");

#endif /* XENCONSOLED_IO_CONSOLE_H */
