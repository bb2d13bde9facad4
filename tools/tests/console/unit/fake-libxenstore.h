/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The library's half of the xenstored in memory, under the library's own names.
 */
#ifndef FAKE_LIBXENSTORE_H
#define FAKE_LIBXENSTORE_H

#include "fake-xenstore.h"

/* Take the lock and wait for the server. False, unlocked and with errno: refused, or gone. */
static inline bool fake_request(struct xs_handle *h, enum fake_op op, const char *path)
{
	size_t len = strlen(path), end;

	fake_lock();
	errno = EBADF;
	while (!h->dead && fake.stopped) {
		pthread_cond_wait(&fake.changed, &fake.lock);
		errno = EINVAL;
	}
	if (h->dead)
		goto fail;
	fake_add(&fake.log, path, "");
	TAILQ_LAST(&fake.log, fake_pairs)->op = op;
	if (fake.hook)
		fake.hook(op, path);
	end = fake.refused ? strlen(fake.refused) : len + 1;
	errno = fake.refusal;
	if (end <= len && !strcmp(path + len - end, fake.refused))
		goto fail;
	return true;
fail:
	fake_unlock();
	return false;
}

static inline bool fake_reply(bool ok, int err)
{
	fake_unlock();
	errno = ok ? 0 : err;
	return ok;
}

const char *xs_daemon_socket(void)
{
	return fake.socket;
}

bool xs_path_is_subpath(const char *parent, const char *child)
{
	size_t len = strlen(parent);

	return !strncmp(parent, child, len) && (child[len] == '/' || child[len] == '\0');
}

struct xs_handle *xs_open(unsigned long flags)
{
	struct xs_handle *h = NULL;

	(void)flags;
	fake_lock();
	fake.opened++;
	errno = ECONNREFUSED;
	if (!fake.killed) {
		h = calloc(1, sizeof(*h));
		h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		TAILQ_INIT(&h->watches);
		TAILQ_INIT(&h->events);
		TAILQ_INIT(&h->removed);
		TAILQ_INSERT_TAIL(&fake.handles, h, entry);
		fake.open++;
	}
	fake_unlock();
	return h;
}

void xs_close(struct xs_handle *h)
{
	if (!h)
		return;
	fake_lock();
	TAILQ_REMOVE(&fake.handles, h, entry);
	fake_clear(&h->watches);
	fake_clear(&h->events);
	fake_clear(&h->removed);
	close(h->fd);
	free(h);
	fake.open--;
	fake_unlock();
}

int xs_fileno(struct xs_handle *h)
{
	return h->fd;
}

char **xs_check_watch(struct xs_handle *h)
{
	struct fake_pair *event;
	char **result = NULL;
	eventfd_t n;

	fake_lock();
	eventfd_read(h->fd, &n);
	h->told = false;
	event = TAILQ_FIRST(&h->events);
	if (event) {
		size_t path = strlen(event->path) + 1, token = strlen(event->value) + 1;

		result = malloc(2 * sizeof(*result) + path + token);
		result[XS_WATCH_PATH] = memcpy(result + 2, event->path, path);
		result[XS_WATCH_TOKEN] = memcpy((char *)(result + 2) + path, event->value, token);
		fake_pair_free(&h->events, event);
	}
	fake_unlock();
	errno = EAGAIN;
	return result;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
	bool is_new;

	if (!fake_request(h, FAKE_WATCH, path))
		return false;
	is_new = !fake_find(&h->watches, path, token);
	if (is_new) {
		fake_add(&h->watches, path, token);
		fake_event(h, path, token);
	}
	return fake_reply(is_new, EEXIST);
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
	struct fake_pair *watch;

	if (!fake_request(h, FAKE_UNWATCH, path))
		return false;
	watch = fake_find(&h->watches, path, token);
	if (watch)
		fake_pair_free(&h->watches, watch);
	return fake_reply(watch != NULL, ENOENT);
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	struct fake_pair *node;
	char *value = NULL;

	(void)t; /* what it removed is not read again */
	if (!fake_request(h, FAKE_READ, path))
		return NULL;
	node = fake_find(&fake.nodes, path, NULL);
	if (node)
		value = strdup(node->value);
	*len = value ? (unsigned int)strlen(value) : 0;
	/* As it comes from a hostile writer: a NUL is no end. */
	for (char *c = value; c && (c = strchr(c, '\177'));)
		*c = '\0', c++;
	fake_reply(value != NULL, ENOENT);
	return value;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data, unsigned int len)
{
	char *value;

	if (!fake_request(h, FAKE_WRITE, path))
		return false;
	if (t)
		abort(); /* the store has no use for it */
	value = strndup(data, len);
	fake_set(path, value);
	free(value);
	if (fake.written)
		fake.written(path);
	return fake_reply(true, 0);
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
	if (!fake_request(h, FAKE_REMOVE, path))
		return false;
	if (!t)
		abort(); /* likewise */
	fake_add(&h->removed, path, "");
	return fake_reply(true, 0);
}

/* NULL where there is none, as malloc(0) may be. The names themselves are not filled in. */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
	struct fake_pair *node, *removed;
	struct fake_pairs names = TAILQ_HEAD_INITIALIZER(names);
	bool there = false;
	char *name;

	*num = 0;
	if (!fake_request(h, FAKE_DIRECTORY, path))
		return NULL;
	for (node = TAILQ_FIRST(&fake.nodes); node; node = TAILQ_NEXT(node, entry)) {
		if (!xs_path_is_subpath(path, node->path) || !strcmp(path, node->path))
			continue;
		there = true;
		for (removed = t ? TAILQ_FIRST(&h->removed) : NULL; removed;
		     removed = TAILQ_NEXT(removed, entry))
			if (xs_path_is_subpath(removed->path, node->path))
				break;
		name = strndup(node->path + strlen(path) + 1, strcspn(node->path + strlen(path) + 1, "/"));
		if (!removed && !fake_find(&names, name, NULL)) {
			fake_add(&names, name, "");
			++*num;
		}
		free(name);
	}
	fake_clear(&names);
	fake_reply(there, ENOENT);
	return *num ? calloc(*num, sizeof(char *)) : NULL;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	if (!fake_request(h, FAKE_BEGIN, ""))
		return XBT_NULL;
	if (h->began)
		abort();
	h->began = fake.changes;
	fake_reply(true, 0);
	return 1;
}

/* Any change since it began is a conflict. */
bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool give_up)
{
	struct fake_pair *p;
	bool conflict;

	if (!fake_request(h, FAKE_END, ""))
		return false;
	if (t != 1 || !h->began)
		abort();
	conflict = !give_up && h->began != fake.changes;
	h->began = 0;
	for (p = TAILQ_FIRST(&h->removed); p; p = TAILQ_NEXT(p, entry))
		if (!give_up && !conflict)
			fake_remove(p->path);
	fake_clear(&h->removed);
	return fake_reply(!conflict, EAGAIN);
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
	bool known;

	if (!fake_request(h, FAKE_INTRODUCED, ""))
		return false;
	known = fake.introduced == FAKE_ALL || (fake.introduced && fake.introduced == domid);
	fake_unlock();
	return known;
}

#endif
