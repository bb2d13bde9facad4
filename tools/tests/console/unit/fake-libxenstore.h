/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The library's half of the xenstored in memory, under the library's own names.
 */
#ifndef FAKE_LIBXENSTORE_H
#define FAKE_LIBXENSTORE_H

#include <sys/socket.h>
#include <sys/un.h>

#include "fake-xenstore.h"

#define FAKE_ABSENT "\177" /* what no node says */

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
	fake_add(&fake.log, path, "")->op = op;
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

/* A socket that nobody here closes, as of libxenstore, whose reader thread was cancelled. */
static inline void fake_forgotten(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fake.socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		abort();
}

struct xs_handle *xs_open(unsigned long flags)
{
	struct xs_handle *h = NULL;

	(void)flags;
	fake_lock();
	fake.opened++;
	errno = fake.closed ? fake.closed : ECONNREFUSED;
	if (!fake.killed && !fake.closed) {
		if (fake.forgets)
			fake_forgotten();
		h = calloc(1, sizeof(*h));
		h->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		link_init(&h->watches);
		link_init(&h->events);
		link_init(&h->read);
		link_init(&h->write);
		link_init(&h->link);
		link_move(&h->link, &fake.handles);
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
	link_remove(&h->link);
	fake_clear(&h->watches);
	fake_clear(&h->events);
	fake_clear(&h->read);
	fake_clear(&h->write);
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
	char **result = NULL;
	eventfd_t n;

	fake_lock();
	eventfd_read(h->fd, &n);
	h->told = false;
	if (!link_alone(&h->events)) {
		struct fake_pair *event = fake_pair_of(h->events.next);
		size_t path = strlen(event->path) + 1, token = strlen(event->value) + 1;

		result = malloc(2 * sizeof(*result) + path + token);
		result[XS_WATCH_PATH] = memcpy(result + 2, event->path, path);
		result[XS_WATCH_TOKEN] = memcpy((char *)(result + 2) + path, event->value, token);
		fake_pair_free(event);
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
		fake_pair_free(watch);
	return fake_reply(watch != NULL, ENOENT);
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
	struct fake_pair *node;
	char *value = NULL;

	if (!fake_request(h, FAKE_READ, path))
		return NULL;
	node = fake_find(&fake.nodes, path, NULL);
	if (t) /* the store does not read what it has written in the same one */
		fake_add(&h->read, path, node ? node->value : FAKE_ABSENT);
	if (node)
		value = strdup(node->value);
	*len = value ? (unsigned int)strlen(value) : 0;
	/* As it comes from a hostile writer: a NUL is no end. */
	for (char *c = value; c && (c = strchr(c, '\177'));)
		*c = '\0', c++;
	fake_reply(value != NULL, ENOENT);
	return value;
}

static inline void fake_write(const char *path, const char *value)
{
	fake_set(path, value);
	if (fake.written)
		fake.written(path);
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data, unsigned int len)
{
	char *value;

	if (!fake_request(h, FAKE_WRITE, path))
		return false;
	value = strndup(data, len);
	if (t)
		fake_add(&h->write, path, value);
	else
		fake_write(path, value);
	free(value);
	return fake_reply(true, 0);
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
	if (!fake_request(h, FAKE_BEGIN, ""))
		return XBT_NULL;
	if (h->began)
		abort();
	h->began = true;
	fake_reply(true, 0);
	return 1;
}

/* Does anything that was read say something else by now? */
static inline bool fake_conflict(struct xs_handle *h)
{
	for (struct link *l = h->read.next; l != &h->read; l = l->next) {
		struct fake_pair *p = fake_pair_of(l), *node = fake_find(&fake.nodes, p->path, NULL);

		if (strcmp(p->value, node ? node->value : FAKE_ABSENT) != 0)
			return true;
	}
	return false;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool give_up)
{
	bool conflict;

	if (!fake_request(h, FAKE_END, ""))
		return false;
	if (t != 1 || !h->began)
		abort();
	h->began = false;
	conflict = !give_up && fake_conflict(h);
	for (struct link *l = h->write.next; l != &h->write; l = l->next)
		if (!give_up && !conflict)
			fake_write(fake_pair_of(l)->path, fake_pair_of(l)->value);
	fake_clear(&h->read);
	fake_clear(&h->write);
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
