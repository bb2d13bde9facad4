/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ring while the guest writes: how often each index is loaded, a thread that rewrites all of them, and
 * what the flag's fence promises.
 */
#include "ring-fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>

/* ---- how often an index is loaded ----------------------------------------- */

/*
 * The page is made untouchable, so that every access to it faults.  The handler notes which index it
 * was, lets that one instruction run (the processor's trap flag) and then closes the page again.
 */
#if defined(__SANITIZE_THREAD__) /* gcc */
#define COUNTABLE 0		 /* the sanitizer's own atomic load is two */
#elif defined(__has_feature)
#define COUNTABLE !__has_feature(thread_sanitizer)
#else
#define COUNTABLE 1
#endif

#if (defined(__x86_64__) || defined(__i386__)) && COUNTABLE
#define TRAP_FLAG 0x100

static struct {
	int out_cons, out_prod, in_cons, in_prod;
} accesses;

static void on_access(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	char *at = info->si_addr;

	(void)sig;
	if (at < (char *)page || at >= (char *)page + PAGE)
		abort();
	accesses.out_cons += at == (char *)&page->out_cons;
	accesses.out_prod += at == (char *)&page->out_prod;
	accesses.in_cons += at == (char *)&page->in_cons;
	accesses.in_prod += at == (char *)&page->in_prod;
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void after_access(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)info;
	mprotect(page, PAGE, PROT_NONE);
	u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

/* As the four counts of accesses during call. */
#define assert_accesses(call, n_out_cons, n_out_prod, n_in_cons, n_in_prod)                                  \
	do {                                                                                                 \
		memset(&accesses, 0, sizeof(accesses));                                                      \
		mprotect(page, PAGE, PROT_NONE);                                                             \
		(void)(call);                                                                                \
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);                                                \
		assert_int_equal(accesses.out_cons, n_out_cons);                                             \
		assert_int_equal(accesses.out_prod, n_out_prod);                                             \
		assert_int_equal(accesses.in_cons, n_in_cons);                                               \
		assert_int_equal(accesses.in_prod, n_in_prod);                                               \
	} while (0)

static void test_each_index_once(void **state)
{
	struct sigaction access = { .sa_sigaction = on_access, .sa_flags = SA_SIGINFO };
	struct sigaction after = { .sa_sigaction = after_access, .sa_flags = SA_SIGINFO };
	struct sigaction old_access, old_after;
	struct ring r;
	char buf[16] = "typed";

	(void)state;
	set_page(RING_OUT_SIZE - 2, RING_OUT_SIZE + 3, 0, 0);
	sigaction(SIGSEGV, &access, &old_access);
	sigaction(SIGTRAP, &after, &old_after);
	assert_accesses(ring_init(&r, page), 1, 1, 1, 1);
	assert_accesses(ring_resync(&r), 1, 1, 1, 1);
	assert_accesses(ring_peek(&r, buf, sizeof(buf)), 0, 1, 0, 0);
	assert_accesses(ring_peek(&r, buf, 1), 0, 1, 0, 0);
	assert_accesses(ring_taken(&r, 5), 1, 0, 0, 0);
	assert_accesses(ring_room(&r), 0, 0, 1, 0);
	assert_accesses(ring_put(&r, buf, 5), 0, 0, 1, 1);
	assert_accesses(ring_connect(&r), 0, 0, 0, 0);
	assert_accesses((ring_disconnect(&r), 0), 0, 0, 0, 0);
	sigaction(SIGSEGV, &old_access, NULL);
	sigaction(SIGTRAP, &old_after, NULL);
}
#else
static void test_each_index_once(void **state)
{
	(void)state;
	skip(); /* it takes a processor that can be told to run a single instruction, and no thread sanitizer */
}
#endif

/* ---- threads -------------------------------------------------------------- */

#define ROUNDS 200000
#define BUDGET_NS 2000000000 /* fewer rounds on a machine that is busy */

struct rounds {
	atomic_bool stop;
	_Atomic unsigned int go, ready;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *rewrite_indexes(void *arg)
{
	struct rounds *rounds = arg;
	uint64_t x = 88172645463325252u;

	while (!rounds->stop) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		/* In range and far out of it by turns: between check and use it is to change. */
		__atomic_store_n(&page->out_prod, x & 1 ? x >> 40 : (x >> 40) % 4096, __ATOMIC_RELAXED);
		__atomic_store_n(&page->in_cons, x & 2 ? x >> 32 : -(x >> 32) % 2048, __ATOMIC_RELAXED);
		__atomic_store_n(&page->out_cons, x >> 20, __ATOMIC_RELAXED);
		__atomic_store_n(&page->in_prod, x >> 24, __ATOMIC_RELAXED);
		__atomic_store_n(&page->connection, (uint8_t)x, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * No matter what the indexes become while they are looked at, no call copies or reports more than a
 * ring holds.
 */
static void test_hostile_thread(void **state)
{
	struct rounds rounds = { 0 };
	pthread_t hostile;
	struct ring r;
	char *buf = edge - 2 * RING_OUT_SIZE, data[2 * RING_IN_SIZE] = { 0 };
	int64_t end = now_ns() + BUDGET_NS;

	(void)state;
	set_page(0, 0, 0, 0);
	ring_init(&r, page);
	assert_int_equal(pthread_create(&hostile, NULL, rewrite_indexes, &rounds), 0);
	for (int i = 0; i < 10 * ROUNDS && (i % 1000 || now_ns() < end); i++) {
		uint32_t out_cons = r.out_cons, in_prod = r.in_prod;
		ssize_t peeked = ring_peek(&r, buf, 2 * RING_OUT_SIZE), put, room = ring_room(&r);

		assert_true(peeked == -EPROTO || (peeked >= 0 && peeked <= (ssize_t)RING_OUT_SIZE));
		assert_true(room == -EPROTO || (room >= 0 && room <= (ssize_t)RING_IN_SIZE));
		put = ring_put(&r, data, sizeof(data));
		assert_true(put == -EPROTO || (put >= 0 && put <= (ssize_t)RING_IN_SIZE));
		assert_int_equal(r.in_prod - in_prod, put > 0 ? put : 0);
		assert_int_equal(r.out_cons, out_cons);
		ring_connect(&r);
		ring_resync(&r);
		r.in_prod = r.out_cons = 0;
	}
	rounds.stop = true;
	pthread_join(hostile, NULL);
}

/* Wait for the other thread, whoever has the processor, and keep the flag's cache line at hand. */
static void await(_Atomic unsigned int *counter, unsigned int value)
{
	for (unsigned int spin = 0; *counter != value; spin++) {
		if (spin > 1000)
			sched_yield();
		__atomic_load_n(&page->connection, __ATOMIC_RELAXED);
	}
}

static uint8_t flag_seen;

/* As a guest does: write, fence, look at the flag. */
static void *say_and_look(void *arg)
{
	struct rounds *rounds = arg;

	for (unsigned int round = 1;; round++) {
		await(&rounds->go, round);
		if (rounds->stop)
			return NULL;
		__atomic_exchange_n(&page->out_prod, 1, __ATOMIC_SEQ_CST);
		flag_seen = __atomic_load_n(&page->connection, __ATOMIC_SEQ_CST);
		rounds->ready = round;
	}
}

/*
 * A guest that still saw CONNECTED after it wrote has its bytes seen by the take that follows
 * DISCONNECTED.  Without the fence, a processor may let both miss the other's store.
 */
static void test_disconnect_is_fenced(void **state)
{
	struct rounds rounds = { 0 };
	pthread_t guest;
	struct ring r;
	unsigned int lost = 0, round = 1;
	int64_t end = now_ns() + BUDGET_NS;
	char buf[4];

	(void)state;
	set_page(0, 0, 0, 0);
	ring_init(&r, page);
	assert_int_equal(pthread_create(&guest, NULL, say_and_look, &rounds), 0);
	for (; round <= ROUNDS && (round % 256 || now_ns() < end); round++) {
		ssize_t seen;

		__atomic_store_n(&page->connection, XENCONSOLE_CONNECTED, __ATOMIC_RELAXED);
		__atomic_store_n(&page->out_prod, 0, __ATOMIC_RELAXED);
		rounds.go = round;
		for (unsigned int spin = round % 512; spin; spin--)
			atomic_signal_fence(memory_order_seq_cst);
		ring_disconnect(&r);
		seen = ring_peek(&r, buf, sizeof(buf));
		await(&rounds.ready, round);
		lost += seen == 0 && flag_seen == XENCONSOLE_CONNECTED;
	}
	rounds.stop = true;
	rounds.go = round;
	pthread_join(guest, NULL);
	printf("%u rounds, %u lost\n", round - 1, lost);
	assert_int_equal(lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_index_once),
		cmocka_unit_test(test_hostile_thread),
		cmocka_unit_test(test_disconnect_is_fenced),
	};

	return cmocka_run_group_tests(tests, map_pages, NULL);
}
