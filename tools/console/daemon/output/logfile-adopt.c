/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A daemon that was killed, or that left, left a queue for each stream: text that its log has not got, and
 * how far the ring had been taken.  The text goes to the writer, oldest queue first.  The position is
 * kept in memory for the console that asks, and in the queue's file until a new stream of
 * the same origin has it in its own, so that a second kill right after the first loses nothing either.
 */
#include "output/logfile-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"

#define NUMBER_LEN 16 /* hex digits: see logqueue_new() */

struct names {
	char (*at)[NUMBER_LEN + 1];
	size_t count, room;
	uint64_t next; /* a number that no file has, set aside or not */
};

static int add_name(struct names *names, const char *name)
{
	uint64_t number;

	if (strspn(name, "0123456789abcdef") != NUMBER_LEN)
		return 0;
	number = strtoull(name, NULL, 16);
	if (number >= names->next)
		names->next = number + 1;
	if (name[NUMBER_LEN])
		return 0;
	if (names->count == names->room) {
		size_t room = names->room ? 2 * names->room : 64;
		void *more = realloc(names->at, room * sizeof(*names->at));

		if (!more)
			return -ENOMEM;
		names->at = more;
		names->room = room;
	}
	memcpy(names->at[names->count++], name, NUMBER_LEN + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Oldest first. */
static int list(struct logs *logs, struct names *names)
{
	int fd = openat(logs->queues, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (entry = readdir(dir)))
		err = add_name(names, entry->d_name);
	closedir(dir);
	if (names->count)
		qsort(names->at, names->count, sizeof(*names->at), by_name);
	return err;
}

/* Aside, not away: it may hold somebody's last words. */
static void refuse(struct logs *logs, const char *name, int err)
{
	char aside[NUMBER_LEN + 8];

	if (err == -ENODATA) { /* killed while it made this one: there is nothing in it */
		unlinkat(logs->queues, name, 0);
		return;
	}
	if (err != -EBADMSG) {
		diag(LOG_WARNING,
		     "output left by a killed daemon in queue %s cannot be read: %s; it is tried again at the next start",
		     name, strerror(-err));
		return;
	}
	snprintf(aside, sizeof(aside), "%s.bad", name);
	renameat(logs->queues, name, logs->queues, aside);
	diag(LOG_WARNING,
	     "queue %s is damaged or of another version: set aside as %s, its output is not logged", name,
	     aside);
}

/* NULL if it was not adopted. */
static struct log *adopt(struct logs *logs, const char *name)
{
	struct logqueue queue;
	struct log *log;
	int err = logqueue_adopt(&queue, logs->queues, name);

	if (err) {
		refuse(logs, name, err);
		return NULL;
	}
	log = logs_add(logs, &queue);
	if (!log) {
		refuse(logs, name, -ENOMEM);
		logqueue_close(&queue, false);
		return NULL;
	}
	log->adopted = true;
	if (logs_nameless(log))
		logs->nameless = true;
	else if (logs_content(log))
		logs_hand_over(log);
	return log;
}

bool logs_nameless(const struct log *log)
{
	return (log->adopted || log->logs->closing) && logs_content(log) && !*logqueue_name(&log->queue);
}

/* Under the lock. */
static bool name_one(struct log *log, const char *name)
{
	char unnamed[LOGQUEUE_NAME];

	logs_unnamed(unnamed, &log->queue.header->origin);
	logqueue_rename(&log->queue, name ? name : unnamed);
	return logs_hand_over(log);
}

void logs_name(struct logs *logs, const struct log_origin *origin, const char *name)
{
	bool wake = false;

	if (!logs->nameless)
		return;
	logs->nameless = false;
	pthread_mutex_lock(&logs->lock);
	for (struct link *l = logs->all.next; l != &logs->all; l = l->next) {
		struct log *log = container_of(l, struct log, all);

		if (!logs_nameless(log))
			continue;
		if (!origin || !memcmp(origin, &log->queue.header->origin, sizeof(*origin)))
			wake |= name_one(log, name);
		else
			logs->nameless = true;
	}
	pthread_mutex_unlock(&logs->lock);
	if (wake)
		logs_wake(logs);
}

static int by_origin(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct log_origin)); /* the first member; it has no padding */
}

static struct inheritance *find(struct logs *logs, const struct log_origin *origin)
{
	if (!logs->inherited_count)
		return NULL;
	return bsearch(origin, logs->inherited, logs->inherited_count, sizeof(*logs->inherited), by_origin);
}

static void release(struct inheritance *i)
{
	log_free(i->log);
	i->log = NULL;
}

/*
 * Of several queues of one origin the last one knows, unless its daemon was killed before
 * anything was recorded in it.
 */
static void merge(struct logs *logs, struct inheritance *all, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct inheritance *last = kept ? &all[kept - 1] : NULL;
		bool same = last && !by_origin(last, &all[i]);

		if (same && !logqueue_marked(&all[i].log->queue)) {
			release(&all[i]);
			continue;
		}
		if (same)
			release(last);
		else
			kept++;
		all[kept - 1] = all[i];
	}
	for (size_t i = 0; i < kept; i++) {
		all[i].known = logqueue_position(&all[i].log->queue, &all[i].position);
		if (!all[i].known)
			release(&all[i]);
	}
	logs->inherited = all;
	logs->inherited_count = kept;
}

/*
 * Restart after restart while logs can't be written, each would leave a queue more for each console.  What the first
 * ones left waits; the rest is told of as a gap behind it.
 */
static void limit(struct inheritance *all, size_t count)
{
	struct log *last = NULL;
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		struct log *log = all[i].log;

		if (i && by_origin(&all[i - 1], &all[i]))
			left = 0;
		if (!logs_content(log))
			continue;
		left += log->queue.reserved;
		if (left <= LEFT_MAX) {
			last = log;
			continue;
		}
		logqueue_absorb(&last->queue, &log->queue);
		link_remove(&log->place); /* the writer has no need of it */
		log->queued = false;
	}
}

/* By origin, and of one origin oldest first, as they were added. */
static int by_origin_and_age(const void *a, const void *b)
{
	const struct inheritance *x = a, *y = b;
	int order = by_origin(a, b);

	return order ? order : strcmp(x->log->queue.file, y->log->queue.file);
}

int logs_adopt(struct logs *logs)
{
	struct names names = { NULL, 0, 0, 0 };
	struct inheritance *all = NULL;
	size_t count = 0;
	int err;

	if (logs->queues < 0)
		return 0;
	err = list(logs, &names);
	logs->next_number = names.next;
	if (!err && names.count) {
		all = calloc(names.count, sizeof(*all));
		if (!all)
			err = -ENOMEM;
	}
	for (size_t i = 0; !err && i < names.count; i++) {
		struct log *log = adopt(logs, names.at[i]);

		if (!log)
			continue;
		all[count].origin = log->queue.header->origin;
		all[count++].log = log;
	}
	free(names.at);
	if (count)
		qsort(all, count, sizeof(*all), by_origin_and_age);
	limit(all, count);
	if (all)
		merge(logs, all, count);
	return err;
}

bool logs_inherited(struct logs *logs, const struct log_origin *origin, uint32_t *position)
{
	struct inheritance *i = find(logs, origin);

	if (!i || !i->known)
		return false;
	*position = i->position;
	i->known = false;
	return true;
}

void logs_pass_on(struct logs *logs, struct log *heir, const struct log_origin *origin)
{
	struct inheritance *i = find(logs, origin);

	if (!i || !i->log)
		return;
	logqueue_inherit(&heir->queue, i->position);
	release(i);
}

void logs_expire(struct logs *logs)
{
	for (size_t i = 0; i < logs->inherited_count; i++)
		if (logs->inherited[i].origin.domid ||
		    logs->hypervisor) /* who does not log Xen keeps its place */
			release(&logs->inherited[i]);
	logs_name(logs, NULL, NULL);
}
