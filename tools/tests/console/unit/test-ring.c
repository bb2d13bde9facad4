/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring against a guest that is modelled byte by byte, and against indexes out of range.
 */
#include "ring-fixture.h"

#include <errno.h>

#include "random.h"

/* ---- an honest guest ------------------------------------------------------ */

/* What was said and not yet taken, or typed and not yet read: oldest first. */
struct queue {
	unsigned char bytes[RING_OUT_SIZE];
	size_t len, size;
};

static void queue_drop(struct queue *q, size_t n)
{
	q->len -= n;
	memmove(q->bytes, q->bytes + n, q->len);
}

static void guest_says(struct queue *said)
{
	size_t n = random_below(said->size - said->len + 1);

	while (n--) {
		unsigned char byte = random_next();

		page->out[page->out_prod++ % RING_OUT_SIZE] = byte;
		said->bytes[said->len++] = byte;
	}
}

static void guest_reads(struct queue *typed)
{
	size_t n = random_below(typed->len + 1);

	for (size_t i = 0; i < n; i++)
		assert_int_equal((unsigned char)page->in[page->in_cons++ % RING_IN_SIZE], typed->bytes[i]);
	queue_drop(typed, n);
}

static void take(struct ring *r, struct queue *said)
{
	size_t size = random_below(4) ? random_below(RING_OUT_SIZE + 100) : RING_OUT_SIZE;
	size_t most = size < said->len ? size : said->len, taken;
	char *buf = edge - size;

	assert_int_equal(ring_peek(r, buf, size), most);
	assert_memory_equal(buf, said->bytes, most);
	taken = random_below(3) ? most : random_below(most + 1);
	ring_taken(r, taken);
	queue_drop(said, taken);
	assert_int_equal(page->out_prod - page->out_cons, said->len);
}

static void put(struct ring *r, struct queue *typed)
{
	size_t len = random_below(3) ? random_below(50) : random_below(2 * RING_IN_SIZE);
	size_t room = typed->size - typed->len, fits = len < room ? len : room;
	char *data = edge - len;

	random_bytes(data, len);
	assert_int_equal(ring_room(r), room);
	assert_int_equal(ring_put(r, data, len), fits);
	memcpy(typed->bytes + typed->len, data, fits);
	typed->len += fits;
	assert_int_equal(page->in_prod - page->in_cons, typed->len);
}

static void one_run(uint32_t out, uint32_t in)
{
	struct queue said = { .size = RING_OUT_SIZE }, typed = { .size = RING_IN_SIZE };
	struct ring r;

	set_page(out, out, in, in);
	assert_int_equal(ring_init(&r, page), 0);
	for (int step = 0; step < 4000; step++) {
		switch (random_below(4)) {
		case 0:
			guest_says(&said);
			break;
		case 1:
			guest_reads(&typed);
			break;
		case 2:
			take(&r, &said);
			break;
		default:
			put(&r, &typed);
		}
	}
}

static void test_random_against_model(void **state)
{
	(void)state;
	random_begin();
	one_run(0, 0);
	one_run(UINT32_MAX - 5000, UINT32_MAX - 1500); /* across the wrap of the indexes */
	for (int run = 0; run < 8; run++)
		one_run(random_next(), random_next());
}

/* ---- indexes out of range ------------------------------------------------- */

static void test_attach_to_what_is_there(void **state)
{
	struct ring r;
	char buf[8];

	(void)state;
	set_page(5, 9, 100, 103);
	memcpy(page->out + 5, "word", 4);
	assert_int_equal(ring_init(&r, page), 0);
	assert_int_equal(ring_peek(&r, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "word", 4);
	assert_int_equal(ring_room(&r), RING_IN_SIZE - 3);
}

static void test_attach_out_of_range(void **state)
{
	struct ring r;

	(void)state;
	set_page(0, RING_OUT_SIZE, 0, RING_IN_SIZE);
	assert_int_equal(ring_init(&r, page), 0);
	set_page(0, RING_OUT_SIZE + 1, 0, 0);
	assert_int_equal(ring_init(&r, page), -EPROTO);
	assert_ptr_equal(r.page, page);
	set_page(1, 0, 0, 0);
	assert_int_equal(ring_init(&r, page), -EPROTO);
	set_page(0, 0, 0, RING_IN_SIZE + 1);
	assert_int_equal(ring_init(&r, page), -EPROTO);
	set_page(0, 0, 1, 0);
	assert_int_equal(ring_init(&r, page), -EPROTO);
}

/* A full ring is in range, one byte more is not, and then nothing in the page is written. */
static void test_guest_goes_out_of_range(void **state)
{
	struct xencons_interface before;
	char *buf = edge - RING_OUT_SIZE;
	struct ring r;

	(void)state;
	set_page(0, 0, 0, 0);
	ring_init(&r, page);
	page->out_prod = RING_OUT_SIZE;
	page->in_cons = -RING_IN_SIZE;
	assert_int_equal(ring_peek(&r, buf, RING_OUT_SIZE), RING_OUT_SIZE);
	assert_int_equal(ring_room(&r), 0);
	assert_int_equal(ring_put(&r, "x", 1), 0);

	page->out_prod = RING_OUT_SIZE + 1;
	page->in_cons = -RING_IN_SIZE - 1;
	before = *page;
	assert_int_equal(ring_peek(&r, buf, RING_OUT_SIZE), -EPROTO);
	assert_int_equal(ring_room(&r), -EPROTO);
	assert_int_equal(ring_put(&r, "x", 1), -EPROTO);
	page->in_cons = 1;
	before.in_cons = 1;
	assert_int_equal(ring_put(&r, "x", 1), -EPROTO);
	assert_memory_equal(page, &before, sizeof(before));
}

/* The guest may write the backend's indexes too: nobody listens. */
static void test_our_indexes_are_private(void **state)
{
	struct ring r;
	char buf[8];

	(void)state;
	set_page(0, 6, 0, 0);
	memcpy(page->out, "abcdef", 6);
	ring_init(&r, page);
	assert_int_equal(ring_peek(&r, buf, 3), 3);
	page->out_cons = 0x12345678;
	page->in_prod = 0x9abcdef0;
	ring_taken(&r, 3);
	assert_int_equal(page->out_cons, 3);
	page->out_cons = 0;
	assert_int_equal(ring_peek(&r, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "def", 3);
	assert_int_equal(ring_room(&r), RING_IN_SIZE);
	assert_int_equal(ring_put(&r, "in", 2), 2);
	assert_int_equal(page->in_prod, 2);
	assert_memory_equal(page->in, "in", 2);
}

static void test_resync(void **state)
{
	struct ring r;
	char buf[8];

	(void)state;
	set_page(70000, 70000, 500, 500);
	ring_init(&r, page);
	set_page(0, 4, 0, 0); /* as a restore does */
	memcpy(page->out, "boot", 4);
	assert_int_equal(ring_peek(&r, buf, sizeof(buf)), -EPROTO);
	assert_true(ring_resync(&r));
	assert_int_equal(ring_peek(&r, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "boot", 4);
	assert_int_equal(ring_put(&r, "y", 1), 1);
	assert_int_equal(page->in_prod, 1);

	set_page(0, RING_OUT_SIZE + 1, 0, 0);
	assert_false(ring_resync(&r));
	assert_int_equal(r.in_prod, 1);
	set_page(9, 9, 0, RING_IN_SIZE + 1);
	assert_false(ring_resync(&r));
	assert_int_equal(r.out_cons, 0);
}

/* ---- the flag ------------------------------------------------------------- */

/* Who takes the flag away may have made the page anew; who only sets an index back has not. */
static void test_remade(void **state)
{
	struct ring r;

	(void)state;
	set_page(70, 70, 30, 30);
	ring_init(&r, page);
	page->connection = XENCONSOLE_DISCONNECTED;
	page->out_cons = 0;
	assert_false(ring_remade(&r)); /* it was never connected here */
	ring_connect(&r);
	assert_false(ring_remade(&r));
	assert_int_equal(r.out_cons, 70);
	assert_false(ring_as_left(&r));
	page->connection = XENCONSOLE_DISCONNECTED;
	page->in_prod = page->in_cons = 0;
	assert_true(ring_remade(&r));
	assert_int_equal(r.out_cons, 0);
	assert_int_equal(r.in_prod, 0);
	assert_true(ring_as_left(&r));
	ring_connect(&r);
	ring_disconnect(&r); /* our own doing is not somebody else's */
	page->out_cons = 5;
	assert_false(ring_remade(&r));
	ring_connect(&r);
	page->connection = XENCONSOLE_DISCONNECTED;
	page->out_prod = 5000; /* out of range: nothing is believed */
	assert_true(ring_remade(&r));
	assert_int_equal(r.out_cons, 0);
}

static void test_new(void **state)
{
	struct ring r;

	(void)state;
	set_page(0, 70, 0, 0);
	ring_init(&r, page);
	assert_false(ring_new(&r));
	page->connection = XENCONSOLE_DISCONNECTED;
	assert_true(ring_new(&r));
	page->in_prod = 1;
	assert_false(ring_new(&r));
	page->in_prod = 0;
	page->out_cons = 1;
	assert_false(ring_new(&r));
}

static void test_flag(void **state)
{
	struct ring r;

	(void)state;
	set_page(0, 0, 0, 0);
	ring_init(&r, page);
	assert_int_equal(ring_flag(&r), XENCONSOLE_CONNECTED);
	assert_false(ring_connect(&r));
	ring_disconnect(&r);
	assert_int_equal(page->connection, XENCONSOLE_DISCONNECTED);
	assert_int_equal(ring_flag(&r), XENCONSOLE_DISCONNECTED);
	assert_true(ring_connect(&r));
	assert_int_equal(page->connection, XENCONSOLE_CONNECTED);
	page->connection = 0x5a;
	assert_int_equal(ring_flag(&r), 0x5a);
	assert_true(ring_connect(&r));
	assert_int_equal(page->connection, XENCONSOLE_CONNECTED);
	for (const char *p = (char *)(page + 1); p < (char *)page + PAGE; p++)
		assert_int_equal(*p, 0);
}

/* Attaching says nothing: the flag is set when the owner says so. */
static void test_attach_leaves_the_page(void **state)
{
	struct xencons_interface before;
	struct ring r;

	(void)state;
	set_page(3, 3, 7, 7);
	page->connection = XENCONSOLE_DISCONNECTED;
	before = *page;
	ring_init(&r, page);
	assert_memory_equal(page, &before, sizeof(before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_against_model),
		cmocka_unit_test(test_attach_to_what_is_there),
		cmocka_unit_test(test_attach_out_of_range),
		cmocka_unit_test(test_guest_goes_out_of_range),
		cmocka_unit_test(test_our_indexes_are_private),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_remade),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_flag),
		cmocka_unit_test(test_attach_leaves_the_page),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}
