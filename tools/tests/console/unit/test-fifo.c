/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fifo against the simplest thing that could be right: an array whose first element is the oldest
 * byte.  Whatever is pushed, dropped or moved, both agree on contents and on what was lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "between.h"
#include "output/fifo.h"
#include "random.h"

#define SIZE_MAX_TESTED 300
#define PUSH_MAX 400

struct model {
	unsigned char bytes[SIZE_MAX_TESTED + PUSH_MAX];
	size_t len, size;
};

/* Drop the oldest n. */
static void model_drop(struct model *m, size_t n)
{
	m->len -= n;
	memmove(m->bytes, m->bytes + n, m->len);
}

static size_t model_push(struct model *m, const unsigned char *data, size_t len)
{
	size_t refused = 0;

	for (size_t i = 0; i < len; i++) {
		if (m->len < m->size)
			m->bytes[m->len++] = data[i];
		else
			refused++;
	}
	return refused;
}

static size_t model_push_over(struct model *m, const unsigned char *data, size_t len)
{
	size_t dropped;

	memcpy(m->bytes + m->len, data, len);
	m->len += len;
	dropped = m->len > m->size ? m->len - m->size : 0;
	model_drop(m, dropped);
	return dropped;
}

static void assert_same(const struct fifo *f, const struct model *m)
{
	struct iovec v[2];
	int pieces = fifo_peek(f, v);
	size_t at = 0;

	assert_int_equal(fifo_used(f), m->len);
	assert_int_equal(fifo_room(f), m->size - m->len);
	assert_between(pieces, 0, 2);
	for (int i = 0; i < pieces; i++) {
		assert_true(v[i].iov_len > 0);
		assert_true(at + v[i].iov_len <= m->len);
		assert_memory_equal(v[i].iov_base, m->bytes + at, v[i].iov_len);
		at += v[i].iov_len;
	}
	assert_int_equal(at, m->len);
}

static void move_to(struct fifo *f, struct model *m, size_t size)
{
	void *data = malloc(size), *old = f->data;

	assert_non_null(data);
	fifo_move(f, data, size);
	m->size = size;
	free(old);
}

static void random_step(struct fifo *f, struct model *m)
{
	unsigned char data[PUSH_MAX];
	size_t len = random_below(random_below(4) ? 60 : PUSH_MAX), n;

	random_bytes(data, len);
	switch (random_below(7)) {
	case 0:
	case 1:
		assert_int_equal(fifo_push(f, data, len), model_push(m, data, len));
		break;
	case 2:
	case 3:
		assert_int_equal(fifo_push_over(f, data, len), model_push_over(m, data, len));
		break;
	case 4:
	case 5:
		n = random_below(m->len + 1);
		fifo_drop(f, n);
		model_drop(m, n);
		break;
	default:
		if (!random_below(8))
			move_to(f, m, m->len + random_below(SIZE_MAX_TESTED + 1 - m->len));
	}
}

/* Positions are free-running and may be inherited: none of them is special. */
static void one_run(uint64_t start)
{
	struct fifo_pos pos = { start, start };
	struct model m = { .size = 1 + random_below(SIZE_MAX_TESTED) };
	struct fifo f;

	fifo_init(&f, &pos, malloc(m.size), m.size);
	for (int step = 0; step < 3000; step++) {
		random_step(&f, &m);
		assert_same(&f, &m);
	}
	free(f.data);
}

static void test_random_against_model(void **state)
{
	(void)state;
	random_begin();
	one_run(0);
	one_run(UINT32_MAX - 1000);
	for (int run = 0; run < 18; run++)
		one_run(random_next() >> 8);
}

static void test_without_memory(void **state)
{
	struct fifo_pos pos = { 0, 0 };
	struct iovec v[2];
	struct fifo f;
	char data[4];

	(void)state;
	fifo_init(&f, &pos, NULL, 0);
	assert_int_equal(fifo_used(&f), 0);
	assert_int_equal(fifo_room(&f), 0);
	assert_int_equal(fifo_peek(&f, v), 0);
	assert_int_equal(fifo_push(&f, "abc", 3), 3);
	assert_int_equal(fifo_push_over(&f, "abc", 3), 3);
	assert_int_equal(fifo_used(&f), 0);
	fifo_move(&f, data, sizeof(data));
	assert_int_equal(fifo_push(&f, "abcde", 5), 1);
	assert_int_equal(fifo_peek(&f, v), 1);
	assert_memory_equal(v[0].iov_base, "abcd", 4);
}

static void test_more_than_the_size(void **state)
{
	struct fifo_pos pos = { 0, 0 };
	struct iovec v[2];
	struct fifo f;
	char data[4];

	(void)state;
	fifo_init(&f, &pos, data, sizeof(data));
	fifo_push(&f, "xyz", 3);
	assert_int_equal(fifo_push_over(&f, "0123456789", 10), 9);
	assert_int_equal(fifo_used(&f), 4);
	assert_int_equal(fifo_peek(&f, v), 2);
	assert_memory_equal(v[0].iov_base, "6", 1);
	assert_memory_equal(v[1].iov_base, "789", 3);
}

/* What a killed owner left is there for the next, who has the same positions and data. */
static void test_inherited(void **state)
{
	struct fifo_pos pos = { 0, 0 };
	struct fifo killed, successor;
	struct iovec v[2];
	char data[8];

	(void)state;
	fifo_init(&killed, &pos, data, sizeof(data));
	fifo_push(&killed, "012345", 6);
	fifo_drop(&killed, 4);
	fifo_push(&killed, "6789", 4);
	fifo_init(&successor, &pos, data, sizeof(data));
	assert_int_equal(fifo_used(&successor), 6);
	assert_int_equal(fifo_peek(&successor, v), 2);
	assert_memory_equal(v[0].iov_base, "4567", 4);
	assert_memory_equal(v[1].iov_base, "89", 2);
}

#define STREAM (256 * 1024)

/* The byte at a place of the stream, with a period that no power of two divides. */
static unsigned char byte_at(size_t at)
{
	return at % 251;
}

static void *push_stream(void *arg)
{
	struct fifo *f = arg;
	unsigned char data[100];

	for (size_t at = 0; at < STREAM;) {
		size_t n = STREAM - at < sizeof(data) ? STREAM - at : sizeof(data), refused;

		for (size_t i = 0; i < n; i++)
			data[i] = byte_at(at + i);
		refused = fifo_push(f, data, n);
		at += n - refused;
		if (refused)
			sched_yield();
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	struct fifo_pos pos = { 0, 0 };
	unsigned char data[257];
	struct fifo f;
	pthread_t pusher;
	size_t wrong = 0;

	(void)state;
	fifo_init(&f, &pos, data, sizeof(data));
	assert_int_equal(pthread_create(&pusher, NULL, push_stream, &f), 0);
	for (size_t at = 0; at < STREAM;) {
		struct iovec v[2];
		int pieces = fifo_peek(&f, v);
		size_t n = 0;

		for (int i = 0; i < pieces; i++) {
			const unsigned char *p = v[i].iov_base;

			for (size_t j = 0; j < v[i].iov_len; j++)
				wrong += p[j] != byte_at(at + n + j);
			n += v[i].iov_len;
		}
		fifo_drop(&f, n);
		at += n;
		if (!n)
			sched_yield();
	}
	pthread_join(pusher, NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(fifo_used(&f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_against_model), cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_more_than_the_size),   cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
