/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Single requests. libxenstore reports what xenstored answered and the loss of the
 * connection alike as an errno, and some values mean either. So an error that is not
 * one of the everyday answers is followed by a request whose answers are known; if that
 * fails as well, the connection is gone.
 */
#define _GNU_SOURCE
#include "store/ask.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/*
 * Whoever connects to xenstored: xs_open() is not safe in several threads at once, and no other socket of ours that
 * leads there may be taken for its.
 */
static pthread_mutex_t connecting = PTHREAD_MUTEX_INITIALIZER;

int64_t store_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Note since when xenstored is asked, for the loop to see that it does not answer. */
static void asking(struct store_connection *c)
{
	c->asked = store_now();
	errno = 0;
}

static int answered(struct store_connection *c, bool ok)
{
	int err = ok ? 0 : errno ? errno : EIO;

	c->asked = 0;
	if (ok || err == ENOENT || err == EACCES || err == EAGAIN)
		return -err;
	return store_probe(c) ? -err : -ENOTCONN;
}

/* Of a socket whose other end is xenstored's; 0: it is something else. */
static ino_t inode_of(int fd)
{
	struct sockaddr_un peer = { .sun_family = AF_UNSPEC };
	const char *path = xs_daemon_socket();
	socklen_t len = sizeof(peer) - 1; /* a terminator is left */
	struct stat st;

	if (fd < 0 || !path || getpeername(fd, (struct sockaddr *)&peer, &len) ||
	    peer.sun_family != AF_UNIX || strcmp(peer.sun_path, path) != 0 || fstat(fd, &st))
		return 0;
	return st.st_ino;
}

int store_open(struct store_connection *c)
{
	int err = 0;

	c->lost = false;
	pthread_mutex_lock(&connecting);
	/* A number that is free, so that xs's socket will have it, unless another thread is quicker. */
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0)
		close(c->fd);
	asking(c);
	c->xs = xs_open(0);
	if (!c->xs)
		err = errno ? -errno : -EIO;
	c->asked = 0;
	c->inode = err ? 0 : inode_of(c->fd);
	pthread_mutex_unlock(&connecting);
	return err;
}

/* xenstored lets one or two wait at its door; they wait for as long as it is stopped. */
int store_knock(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	pthread_mutex_lock(&connecting);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	pthread_mutex_unlock(&connecting);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

/*
 * When xenstored goes, libxenstore's reader thread forgets the socket and then closes it.  xs_close() cancels that
 * thread, and if it does so just in between, nobody closes the socket: so it is done here.
 */
void store_close(struct store_connection *c)
{
	xs_close(c->xs);
	c->xs = NULL;
	c->lost = false;
	if (c->inode && inode_of(c->fd) == c->inode)
		close(c->fd);
	c->inode = 0;
}

bool store_probe(struct store_connection *c)
{
	unsigned int len;
	void *value;
	bool ok;

	if (c->lost)
		return false;
	asking(c);
	value = xs_read(c->xs, XBT_NULL, "domid", &len);
	ok = value || errno == ENOENT || errno == EACCES;
	c->asked = 0;
	free(value);
	c->lost = !ok;
	return ok;
}

int store_read(struct store_connection *c, xs_transaction_t t, const char *path, char **value)
{
	unsigned int len;
	int err;

	*value = NULL;
	if (c->lost)
		return -ENOTCONN;
	asking(c);
	*value = xs_read(c->xs, t, path, &len);
	err = answered(c, *value != NULL);
	for (unsigned int i = 0; !err && i < len; i++)
		if (!(*value)[i])
			(*value)[i] = '\1';
	return err;
}

int store_write(struct store_connection *c, xs_transaction_t t, const char *path, const char *value)
{
	if (c->lost)
		return -ENOTCONN;
	asking(c);
	return answered(c, xs_write(c->xs, t, path, value, (unsigned int)strlen(value)));
}

int store_begin(struct store_connection *c, xs_transaction_t *t)
{
	if (c->lost)
		return -ENOTCONN;
	asking(c);
	*t = xs_transaction_start(c->xs);
	return answered(c, *t != XBT_NULL);
}

int store_end(struct store_connection *c, xs_transaction_t t, bool commit)
{
	if (c->lost)
		return -ENOTCONN;
	asking(c);
	return answered(c, xs_transaction_end(c->xs, t, !commit));
}

int store_watch(struct store_connection *c, const char *path, const char *token)
{
	if (c->lost)
		return -ENOTCONN;
	asking(c);
	return answered(c, xs_watch(c->xs, path, token));
}

int store_unwatch(struct store_connection *c, const char *path, const char *token)
{
	if (c->lost)
		return -ENOTCONN;
	asking(c);
	return answered(c, xs_unwatch(c->xs, path, token));
}

bool store_introduced(struct store_connection *c, uint32_t domid)
{
	bool known;

	if (c->lost)
		return false;
	asking(c);
	known = xs_is_domain_introduced(c->xs, domid);
	c->asked = 0;
	return known;
}
