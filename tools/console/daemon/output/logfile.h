/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Logs that never make anybody wait.
 *
 * The loop appends to a bounded queue; one writer thread carries queues to
 * files.  A full, stalled, read-only or vanished directory costs its own logs
 * bytes, never a console time: what did not fit is counted, and a line in the log says how much is
 * missing and from when to when.
 *
 * Queues lie in files of their own (MAP_SHARED) below RUNDIR, a tmpfs: what was taken off a ring is in
 * the log or there, also when the daemon is killed.  The next daemon first
 * appends what it finds left, and learns how far each ring had been taken.
 */
#ifndef DAEMON_OUTPUT_LOGFILE_H
#define DAEMON_OUTPUT_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output/logqueue.h"

struct loop;
struct logs; /* a directory of logs and their writer */
struct log;  /* one stream */

/*
 * Start a writer for log_dir, with queues in queue_dir (made if missing, mode 0700).  Queues left there by a
 * daemon that was killed are adopted: their bytes go to their logs first.
 * Neither directory need be usable: what fails is said once and tried again.
 * log_dir is not touched by this thread, ever.
 * 0 or -errno (no thread, no memory).
 */
int logs_new(struct logs **logs, struct loop *loop, const char *log_dir, const char *queue_dir);

/*
 * Wait until all is written, ms milliseconds at most, then end the writer; one that a dead
 * disk holds is left behind.  What is not written stays in queue_dir for the next
 * daemon.  Logs are closed, and streams freed that have not been.  NULL is fine.  False: it is left behind.
 */
bool logs_free(struct logs *logs, int ms);

/* The daemon stops: output that waits for a name is left to the next one, who will know it. */
void logs_stop(struct logs *logs);

/* SIGHUP: close every file and open it again by name.  Cheap however often it is called. */
void logs_reopen(struct logs *logs);

/*
 * Begin a stream to the file name (made by logname_guest(), or "hypervisor.log"; NULL: not known yet,
 * output waits in the queue for log_rename(), or for log_free(), which names it after the domid).
 * stamped: the file, each time it is opened, gets the line "Logfile Opened" with a
 * time stamp in front, as the incumbent does it.  A missing or refused file is the writer's affair.  Streams
 * with one name share one file.  Where queue_dir has no room, memory serves instead, which is said once.
 * 0 or -ENOMEM.
 */
int log_new(struct log **log, struct logs *logs, const struct log_origin *origin, const char *name,
	    bool stamped);

/*
 * Let go: what is queued is still written, then the stream is freed.  While logs can't be written, so many
 * ended streams are kept at most; what later ones had is dropped.  NULL is fine.
 */
void log_free(struct log *log);

/*
 * Let go since this daemon ends, and not what the stream is of: the position of what was appended last stays in
 * queue_dir for the next daemon, however this one ends.
 */
void log_leave(struct log *log);

/*
 * From now on to another file: the domain's name has come or changed.  What is still queued goes along.
 * Same name: nothing happens.
 */
void log_rename(struct log *log, const char *name);

/* The origin's handle has changed, and the stream goes on. */
void log_set_handle(struct log *log, const uint8_t handle[16]);

/*
 * Queue len bytes, LOG_QUEUE_SIZE at most; if they do not all fit they are dropped and marked as a gap, and so
 * is what follows until the queue has been written.  position is the out_cons that the ring will have
 * once these bytes are freed there: it is recorded together with them, so that a
 * successor repeats and loses nothing (0 where there is no ring).
 * Returns how many bytes were dropped: 0 or len.  Never blocks.
 */
size_t log_append(struct log *log, const void *data, size_t len, uint32_t position);

/* Mark a gap of len bytes that could not even be appended: there was no memory for the stream then. */
void log_lose(struct log *log, size_t len, uint32_t position);

/*
 * The out_cons up to which a killed predecessor, or one that left, had queued this origin's output.
 * True if it left one; the answer is given once, then forgotten.
 */
bool logs_inherited(struct logs *logs, const struct log_origin *origin, uint32_t *position);

size_t log_queued(const struct log *log);    /* bytes waiting */
uint64_t log_dropped(const struct log *log); /* bytes ever dropped */

#endif
