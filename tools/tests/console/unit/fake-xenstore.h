/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A xenstored and its library in memory, for the one test that includes this file. It
 * has what can go wrong: it can be stopped, killed and restarted with or without its
 * nodes, refuse single requests, let transactions conflict, and change nodes between
 * two requests. As the real ones do, a watch begins with an event, an event that is
 * pending already is not queued again, the library does not tell that xenstored is
 * gone, and xs_fileno() falls silent with the first event that is fetched. Everything
 * may be called from any thread.
 */
#ifndef FAKE_XENSTORE_H
#define FAKE_XENSTORE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>
#include <xenstore.h>

#define FAKE_ALL UINT32_MAX

enum fake_op { FAKE_READ, FAKE_WRITE, FAKE_BEGIN, FAKE_END, FAKE_WATCH, FAKE_UNWATCH, FAKE_INTRODUCED };

struct fake_pair { /* a node, a watch or an event (path and token), or a request */
	TAILQ_ENTRY(fake_pair) entry;
	char *path, *value;
	enum fake_op op;
};

TAILQ_HEAD(fake_pairs, fake_pair);

struct xs_handle {
	TAILQ_ENTRY(xs_handle) entry;
	bool dead, told;
	int fd;
	struct fake_pairs watches, events;
	bool began;		       /* a transaction, number 1 */
	struct fake_pairs read, write; /* in it: what was said, what is to be said */
};

static struct {
	pthread_mutex_t lock; /* recursive, so that hooks may change nodes */
	pthread_cond_t changed;
	bool stopped, killed;
	struct fake_pairs nodes;
	TAILQ_HEAD(fake_handles, xs_handle) handles;
	struct fake_pairs log; /* of requests */
	unsigned int open, opened;
	int closed;					 /* why no connection can be opened; 0: one can */
	const char *socket;				 /* NULL: there is none, but a device */
	uint32_t introduced;				 /* domid, or 0, or FAKE_ALL */
	const char *refused;				 /* requests about paths that end so fail, */
	int refusal;					 /* with this errno */
	void (*hook)(enum fake_op op, const char *path); /* before a request is served */
	void (*written)(const char *path);		 /* after a write, before anybody hears of it */
} fake;

static inline void fake_pair_free(struct fake_pairs *list, struct fake_pair *p)
{
	TAILQ_REMOVE(list, p, entry);
	free(p->path);
	free(p->value);
	free(p);
}

static inline void fake_clear(struct fake_pairs *list)
{
	while (!TAILQ_EMPTY(list))
		fake_pair_free(list, TAILQ_FIRST(list));
}

static inline struct fake_pair *fake_find(struct fake_pairs *list, const char *path, const char *value)
{
	struct fake_pair *p;

	for (p = TAILQ_FIRST(list); p; p = TAILQ_NEXT(p, entry))
		if (!strcmp(p->path, path) && (!value || !strcmp(p->value, value)))
			break;
	return p;
}

/* At the end of the list. */
static inline void fake_add(struct fake_pairs *list, const char *path, const char *value)
{
	struct fake_pair *p = calloc(1, sizeof(*p));

	if (!p || !(p->path = strdup(path)) || !(p->value = strdup(value)))
		abort();
	TAILQ_INSERT_TAIL(list, p, entry);
}

static inline void fake_init(void)
{
	pthread_mutexattr_t attr;

	memset(&fake, 0, sizeof(fake));
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&fake.lock, &attr);
	pthread_mutexattr_destroy(&attr);
	pthread_cond_init(&fake.changed, NULL);
	TAILQ_INIT(&fake.nodes);
	TAILQ_INIT(&fake.log);
	TAILQ_INIT(&fake.handles);
}

static inline void fake_fini(void)
{
	fake_clear(&fake.nodes);
	fake_clear(&fake.log);
	pthread_cond_destroy(&fake.changed);
	pthread_mutex_destroy(&fake.lock);
}

static inline void fake_lock(void)
{
	pthread_mutex_lock(&fake.lock);
}

static inline void fake_unlock(void)
{
	pthread_mutex_unlock(&fake.lock);
}

/* ---- nodes and events ---- */

static inline void fake_event(struct xs_handle *h, const char *path, const char *token)
{
	if (fake_find(&h->events, path, token))
		return;
	fake_add(&h->events, path, token);
	if (!h->told)
		eventfd_write(h->fd, 1);
	h->told = true;
}

static inline void fake_fire_at(struct xs_handle *h, const char *path, bool below)
{
	struct fake_pair *watch;

	for (watch = TAILQ_FIRST(&h->watches); watch; watch = TAILQ_NEXT(watch, entry))
		if (xs_path_is_subpath(watch->path, path))
			fake_event(h, path, watch->value);
		else if (below && xs_path_is_subpath(path, watch->path))
			fake_event(h, watch->path, watch->value);
}

/* Of a change at path, and whether all below is gone with it. */
static inline void fake_fire(const char *path, bool below)
{
	struct xs_handle *h;

	for (h = TAILQ_FIRST(&fake.handles); h; h = TAILQ_NEXT(h, entry))
		if (!h->dead)
			fake_fire_at(h, path, below);
}

/* Inside fake_lock() and fake_unlock() several are one transaction. value NULL: remove the node alone. */
static inline void fake_set(const char *path, const char *value)
{
	struct fake_pair *node;

	fake_lock();
	node = fake_find(&fake.nodes, path, NULL);
	if (node && !value)
		fake_pair_free(&fake.nodes, node);
	if (value) {
		if (!node)
			fake_add(&fake.nodes, path, "");
		node = fake_find(&fake.nodes, path, NULL);
		free(node->value);
		node->value = strdup(value);
	}
	fake_fire(path, false);
	fake_unlock();
}

static inline void fake_remove(const char *path)
{
	struct fake_pair *node, *next;

	fake_lock();
	for (node = TAILQ_FIRST(&fake.nodes); node; node = next) {
		next = TAILQ_NEXT(node, entry);
		if (xs_path_is_subpath(path, node->path))
			fake_pair_free(&fake.nodes, node);
	}
	fake_fire(path, true);
	fake_unlock();
}

/* False: no such node. */
static inline bool fake_get(const char *path, char *value, size_t size)
{
	struct fake_pair *node;

	fake_lock();
	node = fake_find(&fake.nodes, path, NULL);
	snprintf(value, size, "%s", node ? node->value : "");
	fake_unlock();
	return node != NULL;
}

/* ---- the server's life ---- */

static inline void fake_stop(bool stop)
{
	fake_lock();
	fake.stopped = stop;
	pthread_cond_broadcast(&fake.changed);
	fake_unlock();
}

static inline void fake_kill(void)
{
	struct xs_handle *h;

	fake_lock();
	fake.killed = true;
	for (h = TAILQ_FIRST(&fake.handles); h; h = TAILQ_NEXT(h, entry))
		h->dead = true;
	pthread_cond_broadcast(&fake.changed);
	fake_unlock();
}

static inline void fake_start(bool empty)
{
	fake_lock();
	fake.killed = false;
	if (empty)
		fake_clear(&fake.nodes);
	fake.introduced = empty ? 0 : fake.introduced;
	fake_unlock();
}

/* How often that was asked since fake_init() or fake_forget(). path NULL: of any. */
static inline unsigned int fake_asked(enum fake_op op, const char *path)
{
	struct fake_pair *p;
	unsigned int n = 0;

	fake_lock();
	for (p = TAILQ_FIRST(&fake.log); p; p = TAILQ_NEXT(p, entry))
		n += p->op == op && (!path || !strcmp(path, p->path));
	fake_unlock();
	return n;
}

static inline void fake_forget(void)
{
	fake_lock();
	fake_clear(&fake.log);
	fake_unlock();
}

#endif
