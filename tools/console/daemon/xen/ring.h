/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The backend's end of the shared console page (xen/io/console.h).
 *
 * The guest may write any byte of the page at any time.  So every shared index
 * is loaded once, checked against the private copies kept here, and never
 * looked at again; data is copied out before anybody interprets it; and no
 * index is stored after a check has failed.
 *
 * Names are the page's: "out" is what the guest says, "in" what is typed to it.
 */
#ifndef DAEMON_XEN_RING_H
#define DAEMON_XEN_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <xen/io/console.h>

#define RING_OUT_SIZE 2048u
#define RING_IN_SIZE 1024u

struct ring {
	struct xencons_interface *page; /* NULL: not attached */
	uint32_t out_cons;		/* the backend's own indexes: these count, */
	uint32_t in_prod;		/* not what the page says of them */
	bool connected;			/* what the flag was set to last */
};

/*
 * Begin on a mapped page: load the two indexes the backend owns.
 * -EPROTO if a pair in the page is out of range; r is attached all the same, so
 * that the owner may still write the flag.
 */
int ring_init(struct ring *r, struct xencons_interface *page);

/*
 * Copy out what the guest has written, at most size bytes, the oldest first.
 * out_cons stays: call ring_taken() once the bytes are safe.  Loads out_prod
 * once (acquire).  Returns the count (0 when empty), or -EPROTO if
 * out_prod - out_cons > RING_OUT_SIZE.
 */
ssize_t ring_peek(const struct ring *r, void *buf, size_t size);

/* Free the n bytes that ring_peek() gave: stores out_cons (release). */
void ring_taken(struct ring *r, size_t n);

/*
 * Free what lies before position, an out_cons that a predecessor had reached, if it lies within what
 * the guest has written; else nothing.  Returns how many bytes were freed.
 */
size_t ring_skip(struct ring *r, uint32_t position);

/* Room for input, 0 to RING_IN_SIZE, or -EPROTO if in_cons is out of range. */
ssize_t ring_room(const struct ring *r);

/*
 * Put what fits of len bytes of input; stores in_prod (release).
 * Returns the count, or -EPROTO if in_cons is out of range.
 */
ssize_t ring_put(struct ring *r, const void *data, size_t len);

/*
 * After -EPROTO: true, and the private indexes are loaded anew, if both of the
 * page's own pairs are in range, as when a builder, a restore or a resuming
 * guest has cleared the page.  False, and nothing changed, if not.
 */
bool ring_resync(struct ring *r);

/*
 * True, and the private indexes are loaded anew if they are in range, if the flag has gone from a page that was
 * connected: whoever cleared it may have made the page anew.  A guest that scribbles on it harms itself alone.
 */
bool ring_remade(struct ring *r);

/* True if the page is as a builder leaves it: DISCONNECTED, and the backend's indexes 0. */
bool ring_new(const struct ring *r);

/* True if the page's own copies of the backend's indexes are those stored last: no other backend has been at it. */
bool ring_as_left(const struct ring *r);

/*
 * The flag.  ring_connect() stores CONNECTED (release), only if it does not read so already, and says
 * whether it stored; ring_disconnect() stores DISCONNECTED and then a
 * sequentially consistent fence, so that a take that follows sees all that was
 * written by a guest that had still seen CONNECTED before the fence.
 */
bool ring_connect(struct ring *r);
void ring_disconnect(struct ring *r);

/* The flag byte as the page has it, for reports only: the guest can scribble on it. */
uint8_t ring_flag(const struct ring *r);

#endif
