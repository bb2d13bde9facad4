/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page that its guest writes to at will, between any two steps of ours: what is copied stays in the
 * ring and in the buffer, and out_cons and in_prod are never anything but ours.
 */
#include "fuzz.h"

#include <errno.h>

#include "xen/ring.h"

static void scribble(struct input *in, struct xencons_interface *page)
{
	uint32_t *const index[] = { &page->in_cons, &page->in_prod, &page->out_cons, &page->out_prod };
	uint8_t which = take_byte(in);
	int8_t by = take_byte(in);

	if (which & 4)
		take(in, index[which & 3], sizeof(uint32_t));
	else
		*index[which & 3] += by;
}

static void peek(struct input *in, struct ring *r)
{
	size_t size = take_byte(in) * 16;
	char *buf = malloc(size + 1);
	uint32_t before = r->out_cons;
	ssize_t n = ring_peek(r, buf, size);

	require(n == -EPROTO || (n >= 0 && (size_t)n <= size && n <= (ssize_t)RING_OUT_SIZE));
	require(r->out_cons == before);
	if (n > 0) {
		ring_taken(r, n);
		require(r->out_cons == (uint32_t)(before + n) && r->page->out_cons == r->out_cons);
	}
	free(buf);
}

static void put(struct input *in, struct ring *r)
{
	size_t size = take_byte(in) * 8;
	char *text = calloc(1, size + 1);
	ssize_t room = ring_room(r), n = ring_put(r, text, size);

	require(room == -EPROTO || (room >= 0 && room <= (ssize_t)RING_IN_SIZE));
	require(room < 0 ? n == room : n == (room < (ssize_t)size ? room : (ssize_t)size));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct xencons_interface *page = calloc(1, sizeof(*page));
	struct ring r;

	require(page);
	take(&in, &page->in_cons, 4 * sizeof(uint32_t));
	if (ring_init(&r, page))
		ring_resync(&r);
	while (in.left) {
		switch (take_byte(&in) % 6) {
		case 0:
			scribble(&in, page);
			break;
		case 1:
			peek(&in, &r);
			break;
		case 2:
			put(&in, &r);
			break;
		case 3:
			require(ring_skip(&r, r.out_cons + take_byte(&in)) <= RING_OUT_SIZE);
			break;
		case 4:
			if (ring_resync(&r))
				require(ring_room(&r) >= 0);
			break;
		case 5:
			ring_connect(&r);
			require(ring_flag(&r) == XENCONSOLE_CONNECTED);
			break;
		}
	}
	free(page);
	return 0;
}
