/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store on the xenstored in memory, in a loop of its own, with a follower who
 * remembers the last snapshot of each console and how many came. The loop is run from
 * WAIT_FOR() only, so no callback comes as a surprise.
 */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>

#include "fake-libxenstore.h"
#include "store/queue.h"
#include "store/store.h"

#define DEADLINE_MS 20000
#define DOMAINS_MAX 1000
#define FENCE DOMAINS_MAX /* a domain that tells when a worker has nothing left to do */

struct seen {
	struct store_nodes nodes; /* the last; its strings are below */
	char name[16], bad[16], bad_value[STORE_PRINTABLE + 1];
	unsigned int first, complete; /* how many snapshots came */
};

static struct {
	struct loop *loop;
	struct store *store;
	struct loop_timer tick;
	struct seen seen[DOMAINS_MAX + 1][2];
	uint64_t cookies, cookie[DOMAINS_MAX + 1][2]; /* 0: not followed */
	bool publishes; /* /dev/pts/DOMID at each complete snapshot, as an owner does */
	bool at_start;	/* what is followed was found there */
	unsigned int domains, fences;
} fx;

static inline struct store_key key_of(uint32_t domid, enum console_kind kind)
{
	return (struct store_key){ domid, kind, fx.cookie[domid][kind] };
}

static inline const char *path_of(uint32_t domid, enum console_kind kind, const char *leaf)
{
	static _Thread_local char path[4][STORE_PATH]; /* hooks run in workers */
	static _Thread_local unsigned int next;
	struct store_key key = key_of(domid, kind);

	next = (next + 1) % 4;
	store_path(path[next], &key, leaf);
	return path[next];
}

/* As a toolstack writes them; NULL: no such node. */
static inline void make_console(uint32_t domid, const char *port, const char *type)
{
	fake_lock();
	fake_set(path_of(domid, 0, "/port"), port);
	fake_set(path_of(domid, 0, "/type"), type);
	fake_set(path_of(domid, 0, "/ring-ref"), "1234");
	fake_set(path_of(domid, 0, "/limit"), "65536");
	fake_set(path_of(domid, 0, "/tty"), "");
	fake_unlock();
}

static inline bool tty_is(uint32_t domid, enum console_kind kind, const char *tty)
{
	char value[64];

	fake_get(path_of(domid, kind, "/tty"), value, sizeof(value));
	return !strcmp(value, tty);
}

static inline void publish(uint32_t domid, int64_t port, const char *tty)
{
	struct store_key key = key_of(domid, CONSOLE_PRIMARY);

	assert_int_equal(store_publish(fx.store, &key, port, tty), 0);
}

static inline void follow_kind(uint32_t domid, enum console_kind kind)
{
	struct store_key key = { domid, kind, ++fx.cookies };

	fx.cookie[domid][kind] = key.cookie;
	memset(&fx.seen[domid][kind], 0, sizeof(fx.seen[domid][kind]));
	assert_int_equal(store_follow(fx.store, &key, fx.at_start), 0);
}

static inline struct seen *follow(uint32_t domid)
{
	follow_kind(domid, CONSOLE_PRIMARY);
	return &fx.seen[domid][CONSOLE_PRIMARY];
}

static inline void forget(uint32_t domid)
{
	struct store_key key = key_of(domid, CONSOLE_PRIMARY);

	store_forget(fx.store, &key);
	fx.cookie[domid][CONSOLE_PRIMARY] = 0;
}

static inline void on_domains(void *arg)
{
	assert_ptr_equal(arg, &fx);
	fx.domains++;
}

static inline void on_nodes(void *arg, const struct store_nodes *n)
{
	struct seen *seen = &fx.seen[n->key.domid][n->key.kind];
	char tty[32];

	assert_ptr_equal(arg, &fx);
	/* Never of one that is forgotten. */
	assert_int_equal(n->key.cookie, fx.cookie[n->key.domid][n->key.kind]);
	seen->nodes = *n;
	snprintf(seen->name, sizeof(seen->name), "%s", n->name ? n->name : "");
	snprintf(seen->bad, sizeof(seen->bad), "%s", n->bad ? n->bad : "");
	snprintf(seen->bad_value, sizeof(seen->bad_value), "%s", n->bad ? n->bad_value : "");
	*(n->complete ? &seen->complete : &seen->first) += 1;
	snprintf(tty, sizeof(tty), "/dev/pts/%u", n->key.domid);
	if (fx.publishes && n->complete && n->key.domid != FENCE)
		assert_int_equal(store_publish(fx.store, &n->key, n->port, tty), 0);
}

static const struct store_events events = { on_domains, on_nodes };

static inline void on_tick(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(fx.loop);
}

static inline void turn(void)
{
	loop_arm(fx.loop, &fx.tick, 1);
	assert_int_equal(loop_run(fx.loop), 0);
}

#define WAIT_FOR(condition)                                                                                  \
	do {                                                                                                 \
		for (int64_t end = store_now() + DEADLINE_MS; !(condition);) {                               \
			if (store_now() > end)                                                               \
				fail_msg("in vain: %s", #condition);                                         \
			turn();                                                                              \
		}                                                                                            \
	} while (0)

/* As of a console that nobody waits for. */
static inline void publish_later(uint32_t domid, int64_t port, const char *tty)
{
	struct store_key key = key_of(domid, CONSOLE_PRIMARY);

	pthread_mutex_lock(&fx.store->lock);
	(*store_find_locked(fx.store, &key))->later = true;
	pthread_mutex_unlock(&fx.store->lock);
	publish(domid, port, tty);
}

/*
 * Until all workers have done all that was urgent: a tty that nobody waits for is
 * written after it. Twice, as events may have been fetched just before; and all that is
 * to be told is told.
 */
static inline void settle(void)
{
	char tty[16];

	for (int i = 0; i < 2; i++) {
		snprintf(tty, sizeof(tty), "fence%u", fx.fences++);
		publish_later(FENCE, 1, tty);
		WAIT_FOR(tty_is(FENCE, CONSOLE_PRIMARY, tty));
	}
	for (bool idle = false; !idle; turn()) {
		pthread_mutex_lock(&fx.store->lock);
		idle = link_alone(&fx.store->ready) && !fx.store->domains;
		pthread_mutex_unlock(&fx.store->lock);
	}
}

/* There is none but these: open_store() stops the clock. */
static inline void heartbeat(void)
{
	fx.store->beat.fire(&fx.store->beat);
	loop_disarm(fx.loop, &fx.store->beat);
}

static inline int open_store(bool names)
{
	int err;

	fx.loop = loop_new();
	assert_non_null(fx.loop);
	fx.tick.fire = on_tick;
	err = store_new(&fx.store, fx.loop, &events, &fx, names);
	if (!err)
		loop_disarm(fx.loop, &fx.store->beat);
	return err;
}

static inline int set_up(void **state)
{
	(void)state;
	memset(&fx, 0, sizeof(fx));
	fake_init();
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	if (fx.store)
		store_free(fx.store, DEADLINE_MS);
	if (fx.loop) {
		loop_disarm(fx.loop, &fx.tick);
		loop_free(fx.loop);
	}
	assert_int_equal(fake.open, 0);
	fake_fini();
	return 0;
}

/* With the fence followed, and nothing asked yet that a test would count. */
static inline void start(bool names)
{
	assert_int_equal(open_store(names), 0);
	make_console(FENCE, "1", NULL);
	follow(FENCE);
	settle();
	fake_forget();
}

/* What is said on stderr, which is where messages go in a test, is kept in a file meanwhile. */
static int said = -1, stderr_was;

static inline void listen_to_messages(void)
{
	char path[] = "/tmp/store-said-XXXXXX";

	said = mkostemp(path, O_APPEND | O_CLOEXEC); /* several threads speak */
	unlink(path);
	stderr_was = dup(STDERR_FILENO);
	assert_true(said >= 0 && stderr_was >= 0);
	dup2(said, STDERR_FILENO);
}

/* How often, in all that was said. */
static inline unsigned int heard(const char *what)
{
	char text[16384];
	ssize_t len = pread(said, text, sizeof(text) - 1, 0);
	unsigned int n = 0;

	text[len > 0 ? len : 0] = '\0';
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static inline int stop_listening(void **state)
{
	int failed = tear_down(state);
	char text[4096];
	ssize_t len;

	if (said < 0)
		return failed;
	dup2(stderr_was, STDERR_FILENO);
	close(stderr_was);
	lseek(said, 0, SEEK_SET);
	while ((len = read(said, text, sizeof(text))) > 0) /* a sanitizer may have spoken */
		fwrite(text, 1, len, stderr);
	close(said);
	said = -1;
	return failed;
}

#endif
