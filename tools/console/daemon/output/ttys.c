/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "output/ttys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct place {
	const void *owner; /* NULL: nobody's */
	int spare;	   /* the master of a pty of this number that nobody uses; 0: none */
};

struct ttys {
	struct place *place; /* by number */
	long size;
	long most; /* numbers from here on are not taken for their owner */
	bool settled;
};

struct ttys *ttys_new(void)
{
	return calloc(1, sizeof(struct ttys));
}

static void close_spares(struct ttys *t)
{
	for (long n = 0; n < t->size; n++) {
		if (t->place[n].spare)
			close(t->place[n].spare);
		t->place[n].spare = 0;
	}
}

void ttys_free(struct ttys *t)
{
	if (!t)
		return;
	close_spares(t);
	free(t->place);
	free(t);
}

static struct place *place_of(struct ttys *t, long number)
{
	long size = t->size ? t->size : 64;
	struct place *grown;

	if (number < t->size)
		return &t->place[number];
	while (size <= number)
		size *= 2;
	grown = realloc(t->place, size * sizeof(*grown));
	if (!grown)
		return NULL;
	for (long n = t->size; n < size; n++)
		grown[n] = (struct place){ NULL, 0 };
	t->place = grown;
	t->size = size;
	return &grown[number];
}

void ttys_claim(struct ttys *t, long number, long most, const void *owner)
{
	struct place *place = number >= 0 ? place_of(t, number) : NULL;

	t->most = most;
	if (place && !place->owner)
		place->owner = owner;
}

void ttys_settle(struct ttys *t)
{
	t->settled = true;
	close_spares(t);
}

/* The highest of owner's numbers but lost; -1: none. */
static long highest(const struct ttys *t, const void *owner, long lost)
{
	long n = (t->size < t->most ? t->size : t->most) - 1;

	while (n >= 0 && (t->place[n].owner != owner || n == lost))
		n--;
	return n;
}

/* The lowest spare of owner's numbers (NULL: of nobody's) but lost; -1: none. */
static long spare_of(const struct ttys *t, const void *owner, long lost)
{
	for (long n = 0; n < t->size; n++)
		if (t->place[n].spare && t->place[n].owner == owner && n != lost)
			return n;
	return -1;
}

/* Take the lowest number that is free, as a spare. The number, or -errno. */
static long take(struct ttys *t)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), err;
	struct place *place;
	unsigned int number;

	if (fd < 0)
		return -errno;
	err = ioctl(fd, TIOCGPTN, &number) < 0 ? -errno : 0;
	place = err ? NULL : place_of(t, number);
	if (!place) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	place->spare = fd;
	return number;
}

int ttys_open(struct ttys *t, const void *owner, long lost)
{
	long last = highest(t, owner, lost), taken = -1, n;
	int fd;

	for (;;) {
		n = spare_of(t, owner, lost);
		if (n >= 0)
			break;
		n = spare_of(t, NULL, -1);
		if (n >= 0 && taken >= last) /* what was its is not free */
			break;
		taken = take(t);
		if (taken < 0)
			break;
	}
	fd = n < 0 ? (int)taken : t->place[n].spare;
	if (n >= 0)
		t->place[n] = (struct place){ owner, 0 };
	if (t->settled)
		close_spares(t);
	return fd;
}

void ttys_release(struct ttys *t, const void *owner)
{
	for (long n = 0; n < t->size; n++)
		if (t->place[n].owner == owner)
			t->place[n].owner = NULL;
}
