/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Single requests. libxenstore reports what xenstored answered and the loss of the
 * connection alike as an errno, and some values mean either. So an error that is not
 * one of the everyday answers is followed by a request whose answers are known; if that
 * fails as well, the connection is gone.
 */
#define _GNU_SOURCE
#include "store-ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

int store_open(struct store_connection *c)
{
	int err = 0;

	c->lost = false;
	asking(c);
	c->xs = xs_open(0);
	if (!c->xs)
		err = errno ? -errno : -EIO;
	c->asked = 0;
	return err;
}

void store_close(struct store_connection *c)
{
	xs_close(c->xs);
	c->xs = NULL;
	c->lost = false;
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
