/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a log has not taken yet, in a file of its own on a tmpfs, so that it
 * outlives the daemon.  One thread pushes, another one writes what it finds to the log.
 *
 * A queue is at every instant in a state from which a successor can go on, should the daemon be
 * killed there: see logqueue.c.
 */
#ifndef DAEMON_OUTPUT_LOGQUEUE_H
#define DAEMON_OUTPUT_LOGQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "output/fifo.h"

#define LOG_QUEUE_SIZE (256u * 1024) /* bytes of text a stream may have waiting */

/* Whose stream: for the successor of a killed daemon. */
struct log_origin {
	uint32_t domid;	    /* 0: the hypervisor */
	uint32_t kind;	    /* enum console_kind */
	uint8_t handle[16]; /* the domain's UUID */
};

#define LOGQUEUE_NAME 256 /* a log's file name and a NUL */

/* What could not be queued since the log was last in order; bytes 0: nothing. */
struct logqueue_gap {
	uint64_t bytes;
	int64_t first, last; /* time(2) of the first and last of them */
};

/* A write to a log that is about to happen, or did when the daemon was killed. */
struct logqueue_journal {
	_Atomic uint64_t got;	 /* the queue's position; valid while that is the same ... */
	_Atomic uint32_t length; /* ... and this is not 0 */
	uint32_t unused;
	uint64_t dev, ino; /* the log */
	uint64_t size;	   /* its size before */
};

/* The first bytes of the file; the text follows at once, so that an idle queue is one page. */
struct logqueue_header {
	char magic[8];
	uint32_t version;
	uint32_t size; /* LOG_QUEUE_SIZE */
	struct log_origin origin;
	uint32_t stamped;
	uint32_t held; /* text from this offset on lay in memory and is gone with the daemon */
	struct fifo_pos pos;
	_Atomic uint64_t mark_put;	/* with put here, the ring had been taken ... */
	_Atomic uint32_t mark_position; /* ... up to here */
	_Atomic uint32_t current;	/* which of names[] */
	struct logqueue_gap gap;
	struct logqueue_journal journal;
	_Atomic uint64_t older_put;	 /* the mark before, which holds ... */
	_Atomic uint32_t older_position; /* ... until put has moved to that of the newer one */
	char unused[100];
	char names[2][LOGQUEUE_NAME];
	char written[LOGQUEUE_NAME]; /* which log the journal speaks of */
};

struct logqueue {
	struct logqueue_header *header; /* NULL: closed */
	struct fifo fifo;
	size_t reserved; /* bytes of the mapping that are certain to be there */
	int dir;
	int fault;     /* -errno that made it use memory instead of the file; 0: none */
	char file[20]; /* below dir; empty: in memory only */
};

/* ---- by the thread that pushes -------------------------------------------- */

/*
 * A new, empty queue in file number of dir, for the log name ("" while it is not known).
 * Where no file can be had, memory serves, fault says why, and only a kill loses what is there.
 * 0 or -ENOMEM.
 */
int logqueue_new(struct logqueue *q, int dir, uint64_t number, const struct log_origin *origin,
		 const char *name, bool stamped);

/*
 * A queue that somebody left.  Nothing in it is believed: 0, -EBADMSG if it is no
 * queue of ours, -ENODATA if its maker was killed before it became one, or -errno.
 */
int logqueue_adopt(struct logqueue *q, int dir, const char *file);

/*
 * Queue all of len bytes or nothing, and record position.  0, or -ENOSPC if there is no room.
 */
int logqueue_push(struct logqueue *q, const void *data, size_t len, uint32_t position);

/* Count len bytes as lost behind what is queued; the reader of the gap must be kept out. */
void logqueue_lose(struct logqueue *q, size_t len, uint32_t position, int64_t now);

/*
 * Begin at the first page again; the position stays.  The queue must be empty and the other thread not
 * looking at it.
 */
void logqueue_restart(struct logqueue *q);

/* True if it holds more than its first page. */
bool logqueue_fat(const struct logqueue *q);

/* As logqueue_restart(), and give back all but the first page. */
void logqueue_trim(struct logqueue *q);

/* Drop what it holds, the gap too.  The other thread must not be looking at it. */
void logqueue_clear(struct logqueue *q);

/*
 * Drop what newer holds, and count it behind what older does, as lost now.  Nobody pushes to either any more, the other
 * thread must not be looking at newer, and must be kept out of older's gap.
 */
void logqueue_absorb(struct logqueue *older, struct logqueue *newer);

/* Likewise, but it is counted where it was. */
void logqueue_shed(struct logqueue *q);

/* The ring position that was recorded with the last byte.  False if there is none, or it can't be known. */
bool logqueue_position(const struct logqueue *q, uint32_t *position);

/* Has a position ever been recorded, or forgotten, here? */
bool logqueue_marked(const struct logqueue *q);

/* To be recorded before the first byte is queued: a predecessor's. */
void logqueue_inherit(struct logqueue *q, uint32_t position);

/* The stream has ended: its position means nothing any more. */
void logqueue_forget(struct logqueue *q);

/* The origin lives on under another handle. */
void logqueue_set_handle(struct logqueue *q, const uint8_t handle[16]);

const char *logqueue_name(const struct logqueue *q);
void logqueue_rename(struct logqueue *q, const char *name);

/* ---- by the thread that writes --------------------------------------------- */

/* The writes that follow go to the log name. */
void logqueue_bind(struct logqueue *q, const char *name);

/* About to write length bytes to the log dev:ino, which has size bytes. */
void logqueue_begin(struct logqueue *q, uint64_t dev, uint64_t ino, uint64_t size, size_t length);

/* n of them were written; they leave the queue. */
void logqueue_end(struct logqueue *q, size_t n);

/* The journal of a write whose outcome is not known, or NULL. */
const struct logqueue_journal *logqueue_unsure(const struct logqueue *q);

/* The gap, of which bytes were reported, is over, or goes on with what was lost since. */
void logqueue_reported(struct logqueue *q, const struct logqueue_gap *gap);

/* Let go of it; with remove, the file goes too. */
void logqueue_close(struct logqueue *q, bool remove);

#endif
