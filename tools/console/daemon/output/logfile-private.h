/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of this module share:
 *
 *   logfile.c          the loop's side of a stream
 *   logfile-life.c     the beginning and the end
 *   logfile-adopt.c    what a killed daemon left
 *   logfile-writer.c   the writer thread: whose turn it is, and when to try again
 *   logfile-sleep.c    how it sleeps, and is woken
 *   logfile-file.c     one log file: open, append, notice that it moved
 *   logfile-settle.c   was it written before the kill, or not?
 *   logfile-trouble.c  what is said when logs can't be written, and when they can again
 *
 * Each member below belongs to the loop, to the writer, or is guarded by the lock, which is
 * held for a few stores and never over a system call that could wait.
 */
#ifndef DAEMON_OUTPUT_LOGFILE_PRIVATE_H
#define DAEMON_OUTPUT_LOGFILE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/link.h"
#include "base/loop.h"
#include "output/logfile.h"

#define BUCKETS 1024
#define STALL_MS 3000	  /* an operation that takes longer is worth a word */
#define BACKOFF_FIRST 100 /* ms until what failed is tried again, doubled ... */
#define BACKOFF_LAST 4000 /* ... up to this */
#define SETTLE_MS 1000	  /* without failure, until logs are said to work again */
#define CHECK_MS 2000	  /* after a write, until the file is looked for by its name */
#define REOPEN_MS 200	  /* between two reopenings of all */
#define NAP_MS 1	  /* pause of the writer in a flood, so that more goes into a write ... */
#define NAP_BYTES (LOG_QUEUE_SIZE / 8) /* ... unless a queue has so much */
#define ORPHANS_MAX 256		       /* ended streams that may wait for a log that can't be written, ... */
#define ORPHANS_BYTES (64 * LOG_QUEUE_SIZE) /* ... and what their queues may take together */
#define LEFT_MAX (2 * LOG_QUEUE_SIZE) /* bytes of memory that predecessors' queues of one origin may take */

/* One log file; the writer's alone. */
struct file {
	struct file *next; /* in its bucket */
	unsigned int users;
	struct log *elders; /* streams of killed daemons, which come first, oldest first */
	int fd;		    /* -1: not open */
	dev_t dev;	    /* of the last file opened ... */
	ino_t ino;
	uint64_t size;	   /* ... and its size by our own account */
	bool mid_line;	   /* its last byte is no newline */
	bool stamped;	   /* say "Logfile Opened" */
	bool failing;	   /* counted in logs->failing */
	bool refused;	   /* what is in its place was complained of */
	struct link dirty; /* written since it was last looked for by name: so much, since then: */
	struct logqueue_gap unchecked;
	struct logqueue_gap deleted; /* went into a file that somebody deleted */
	/* A line of our own, partly written when line_done is not 0. */
	char line[400];
	unsigned int line_len, line_done;
	struct log *marking;	    /* whose gap the line reports ... */
	struct logqueue_gap marked; /* ... as it was then */
	char name[];
};

struct log {
	struct logs *logs;
	bool adopted;	       /* left by a killed daemon */
	struct logqueue queue; /* pushed to by the loop, emptied by the writer */
	/* loop */
	struct link live; /* in logs->live: somebody has it */
	struct link fat;  /* in logs->fat: its queue holds pages to give back */
	uint64_t dropped;
	/* lock */
	struct link all;
	struct link place; /* in logs->ready or parked */
	bool queued;	   /* it is the writer's turn; when false, the writer does not look at the queue */
	bool renamed;	   /* the name in the queue is new to the writer */
	bool freed;	   /* the writer frees it when it is empty ... */
	bool left;	   /* ... and leaves its queue, for the position in it */
	bool condemned;	   /* one too many: if the writer cannot write it, it is dropped */
	size_t orphaned;   /* bytes that it adds to logs->orphan_bytes */
	/* writer */
	struct file *file;
	bool astray;	     /* there was no memory for the file that it belongs to now */
	int reason;	     /* -errno that has kept it waiting, for a gap's mark; 0: none */
	struct log *younger; /* among its file's elders, if adopted and not yet written */
};

/* The last queue that a killed daemon left of an origin. */
struct inheritance {
	struct log_origin origin;
	uint32_t position;
	bool known;	 /* false: already told, or what the page says is right */
	struct log *log; /* NULL: it has been passed on */
};

/* How deep the writer sleeps. */
enum sleep {
	AWAKE,
	NAPPING, /* wake it when there is much to do ... */
	ASLEEP,	 /* ... when there is anything */
};

struct logs {
	char *path; /* of the log directory */
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended_now;

	/* loop */
	int queues; /* directory of the queues' files, or -1 */
	uint64_t next_number;
	struct link live, fat;
	struct loop_timer trim, expire;
	bool said_memory;
	bool nameless;		       /* some may be, of those adopted */
	bool hypervisor;	       /* its log is among ours */
	struct inheritance *inherited; /* sorted by origin */
	size_t inherited_count;

	/* lock */
	struct link all, ready, parked;
	struct log *serving; /* the writer is at it, without the lock */
	enum sleep sleep;    /* the writer's */
	bool reopen, ended;
	bool abandoned; /* the writer is left behind, and all queues to the next daemon */
	bool said_orphans;
	bool closing;  /* streams are being freed, and what they hold is kept */
	bool stopping; /* all are: the writer ends when all is written, or at stop_at */
	int64_t stop_at;
	unsigned int orphans; /* streams freed and not yet written */
	size_t orphan_bytes;  /* of queues: theirs, but for what predecessors left, which LEFT_MAX bounds */

	_Atomic int64_t busy_since; /* the writer is in an operation; 0: it is not */
	atomic_bool said_stall;
	atomic_bool troubled; /* a stream is put aside since its log can't be written */

	/* writer */
	int dir; /* -1: not open */
	struct file *buckets[BUCKETS];
	struct link dirty;
	int64_t retry_at, check_at, settle_at, reopened_at; /* 0: not due */
	int64_t last_failure;
	int backoff;
	unsigned int failing; /* files */
	bool starved;	      /* no memory for a file */
	bool recovered; /* something was written, or what could not be opened was, since the last failure */
	int said[8];	/* -errno that were told since logs last worked, 0: no more */
};

/* ---- logfile.c ---- */

/* CLOCK_MONOTONIC, ms. */
int64_t logs_clock(void);

/* Where the output of a stream goes that never had a name. */
void logs_unnamed(char name[LOGQUEUE_NAME], const struct log_origin *origin);

/* A stream around queue, which it takes over.  NULL: no memory. */
struct log *logs_add(struct logs *logs, struct logqueue *queue);

/* Under the lock: does it hold anything for its log? */
bool logs_content(const struct log *log);

/* Under the lock: it is the writer's turn.  True if he must be woken, after the lock is released. */
bool logs_hand_over(struct log *log);

/*
 * Under the lock: an ended stream's output is lost, and its log will say so, as long as there is a place to note that.
 * Neither thread may be at it.
 */
void logs_drop(struct log *log);

/* Under the lock: an ended stream is about to be freed. */
void logs_orphan_gone(struct log *log);

/* Give back what bursts took; called by a timer. */
void logs_trim(struct logs *logs);

/* ---- logfile-life.c ---- */

/* The last who holds logs frees them; their streams are gone. */
void logs_destroy(struct logs *logs);

/* ---- logfile-adopt.c ---- */

/* Before the writer runs.  0 or -ENOMEM; queues that can't be adopted are said and left. */
int logs_adopt(struct logs *logs);

/* What this origin's predecessor left passes to its new stream. */
void logs_pass_on(struct logs *logs, struct log *heir, const struct log_origin *origin);

/* What nobody came for. */
void logs_expire(struct logs *logs);

/*
 * Left, or to be left, by a daemon that ended before it knew the name: it waits for that of its
 * origin's new stream, and is not the writer's until then.
 */
bool logs_nameless(const struct log *log);

/* Those of origin (NULL: of any) are now known to belong to name (NULL: after the domid). */
void logs_name(struct logs *logs, const struct log_origin *origin, const char *name);

/* ---- logfile-writer.c ---- */

void *logs_write(void *logs);

/* Close every file, to be opened by its name again; the directory stays. */
void logs_follow(struct logs *logs);

/* Close all; what is left in queues stays in their files, for the next daemon. */
void logs_let_go(struct logs *logs);

/* ---- logfile-sleep.c ---- */

/*
 * Called and returns with the lock, which it releases meanwhile.  Until logs_wake(), or at (logs_clock(); 0: never).
 * It may end for no reason.
 */
void logs_sleep(struct logs *logs, enum sleep depth, int64_t at);

/* Under the lock: true if the writer slept so deep; then logs_wake() is due, best after the lock is released. */
bool logs_rouse(struct logs *logs, enum sleep depth);
void logs_wake(struct logs *logs);

/* ---- logfile-file.c ---- */

/* NULL: no memory. */
struct file *file_get(struct logs *logs, const char *name);
void file_put(struct logs *logs, struct file *f);

/* 0 if it is open, with no line of ours half written, or -errno; -EEXIST: something else has its name. */
int file_open(struct logs *logs, struct file *f);
void file_close(struct logs *logs, struct file *f);
void files_close(struct logs *logs); /* all */

/* Append what the queue has, as far as one write gets.  0 or -errno. */
int file_carry(struct logs *logs, struct file *f, struct logqueue *q);

/* Append a line about the gap.  0 or -errno. */
int file_mark(struct logs *logs, struct file *f, struct log *log, const struct logqueue_gap *gap);

/* Has its name come to mean another file, or none? */
bool file_moved(struct logs *logs, struct file *f);

/* Likewise the directory. */
bool file_dir_moved(struct logs *logs);

/* ---- logfile-settle.c ---- */

/* A second descriptor of an open file, since a log is opened for appending only; -1 if it can't be had. */
int file_reader(struct logs *logs, struct file *f);

/* Strike from a queue what of an interrupted write is in the file, which has just been opened. */
void file_settle(struct logs *logs, struct file *f, struct logqueue *q);

/* ---- logfile-trouble.c ---- */

/* f, or the directory when NULL, could not be had or written to. */
void trouble_met(struct logs *logs, struct file *f, int err);
void trouble_over(struct logs *logs, struct file *f);

/* Nothing has failed for a while. */
void trouble_settled(struct logs *logs);

/* Around each operation on the log directory, by the writer. */
void trouble_watch(struct logs *logs);
bool trouble_unwatch(struct logs *logs); /* true: it took so long that it is worth a word */

/* By the loop: is the writer stuck? */
void trouble_look(struct logs *logs);

#endif
