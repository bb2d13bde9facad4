/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Single requests. libxenstore reports what xenstored answered and the loss of the
 * connection alike as an errno, and some values mean either. So an error that is not
 * one of the everyday answers is followed by a request whose answers are known; if that
 * fails as well, the connection is gone.
 */
#define _GNU_SOURCE
#include "store-private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define KNOCK_S 5

/* Note since when xenstored is asked, for the loop to see that it does not answer. */
static void asking(struct store_worker *w)
{
	w->asked = store_now();
	errno = 0;
}

static int answered(struct store_worker *w, bool ok)
{
	int err = ok ? 0 : errno ? errno : EIO;

	w->asked = 0;
	if (ok || err == ENOENT || err == EACCES || err == EAGAIN)
		return -err;
	return store_probe(w) ? -err : -ENOTCONN;
}

bool store_probe(struct store_worker *w)
{
	unsigned int len;
	void *value;
	bool ok;

	if (w->lost)
		return false;
	asking(w);
	value = xs_read(w->xs, XBT_NULL, "domid", &len);
	ok = value || errno == ENOENT || errno == EACCES;
	w->asked = 0;
	free(value);
	w->lost = !ok;
	return ok;
}

/*
 * xs_open() falls back to the kernel's device when the socket is dead, and there
 * requests to a xenstored that is gone wait for ever. So knock at the socket first, if
 * that is the way in. xenstored lets one or two wait at its door, so that several
 * workers queue up here; when it is stopped, not for ever.
 */
static int knock(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = KNOCK_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
	close(fd);
	return err;
}

int store_connect(struct store_worker *w)
{
	struct store *st = w->store;
	int err = 0;

	w->lost = false;
	asking(w);
	pthread_mutex_lock(&st->opening);
	if (st->socket[0])
		err = knock(st->socket);
	if (!err) {
		w->xs = xs_open(0);
		if (!w->xs)
			err = errno ? -errno : -EIO;
	}
	pthread_mutex_unlock(&st->opening);
	w->asked = 0;
	if (err || w->id)
		return err;
	err = store_watch(w, "@introduceDomain", STORE_DOMAINS);
	if (!err)
		err = store_watch(w, "@releaseDomain", STORE_DOMAINS);
	if (err) {
		xs_close(w->xs);
		w->xs = NULL;
	}
	return err;
}

int store_read(struct store_worker *w, xs_transaction_t t, const char *path, char **value)
{
	unsigned int len;
	int err;

	*value = NULL;
	if (w->lost)
		return -ENOTCONN;
	asking(w);
	*value = xs_read(w->xs, t, path, &len);
	err = answered(w, *value != NULL);
	for (unsigned int i = 0; !err && i < len; i++)
		if (!(*value)[i])
			(*value)[i] = '\1';
	return err;
}

int store_write(struct store_worker *w, xs_transaction_t t, const char *path, const char *value)
{
	if (w->lost)
		return -ENOTCONN;
	asking(w);
	return answered(w, xs_write(w->xs, t, path, value, (unsigned int)strlen(value)));
}

int store_begin(struct store_worker *w, xs_transaction_t *t)
{
	if (w->lost)
		return -ENOTCONN;
	asking(w);
	*t = xs_transaction_start(w->xs);
	return answered(w, *t != XBT_NULL);
}

int store_end(struct store_worker *w, xs_transaction_t t, bool commit)
{
	if (w->lost)
		return -ENOTCONN;
	asking(w);
	return answered(w, xs_transaction_end(w->xs, t, !commit));
}

int store_watch(struct store_worker *w, const char *path, const char *token)
{
	if (w->lost)
		return -ENOTCONN;
	asking(w);
	return answered(w, xs_watch(w->xs, path, token));
}

int store_unwatch(struct store_worker *w, const char *path, const char *token)
{
	if (w->lost)
		return -ENOTCONN;
	asking(w);
	return answered(w, xs_unwatch(w->xs, path, token));
}

/* False may also mean that the request failed; who asks must take the safe side then. */
bool store_introduced(struct store_worker *w, uint32_t domid)
{
	bool known;

	if (w->lost)
		return false;
	asking(w);
	known = xs_is_domain_introduced(w->xs, domid);
	w->asked = 0;
	return known;
}
