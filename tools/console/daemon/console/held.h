/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one console holds, and what all of them share. A state is what is held: see lifecycle.h.
 */
#ifndef DAEMON_CONSOLE_HELD_H
#define DAEMON_CONSOLE_HELD_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/link.h"
#include "base/loop.h"
#include "base/share.h"
#include "console/lifecycle.h"
#include "options.h"
#include "output/fifo.h"
#include "output/lines.h"
#include "output/logfile.h"
#include "output/logname.h"
#include "output/pty.h"
#include "output/ttys.h"
#include "store/store.h"
#include "store/types.h"
#include "xen/evtchn.h"
#include "xen/hyper.h"
#include "xen/page.h"
#include "xen/ring.h"

/* ms: so seldom one that cannot be attached is tried, and a broken ring looked at */
#define GUEST_BACKOFF_LAST 30000

struct console;

/* What all consoles share. */
struct console_env {
	const struct options *options;
	uint32_t self; /* our own domid */
	struct loop *loop;
	struct evtchn *evtchn;
	struct pages *pages;
	struct hyper *hyper;
	struct store *store;
	struct logs *logs; /* NULL: guests are not logged */
	struct ttys *ttys;
	size_t found,
		claims; /* consoles at the start, and those whose former tty is not known yet: claims.h */
	bool claimed;	/* those are not waited for any more */
	struct link waiting;
	struct loop_task open_ttys;
	struct loop_timer claims_end;
	struct share share;		/* of processor time */
	struct console *hot, **hot_end; /* those whose turns have to wait: hot.h */
	struct loop_task hot_turn;
	struct loop_timer hot_wait;
	bool hot_due;	   /* they have waited: a slice is theirs, whatever is left of the share */
	int64_t slice_end; /* ns of CLOCK_MONOTONIC; 0: none is on */
	size_t attached;   /* consoles whose guest side is held */
	bool stopping;	   /* readers have until stop_end, in loop time */
	int64_t stop_end;
	bool keep_flag;				    /* a successor starts at once: leave CONNECTED */
	void (*gone)(struct console *c, void *arg); /* holds nothing any more; the owner buries it */
	void (*stranger)(void *arg); /* a domid has another domain, or it another handle: list them again */
	void *arg;
};

/* Complaints that are made once, not in a loop. */
enum console_said { SAID_PORT, SAID_RING_REF, SAID_LIMIT, SAID_GUEST, SAID_RING, SAID_HOST, SAID_KINDS };

struct console {
	struct console_env *env;
	struct store_key key;
	uint8_t handle[16];
	enum lifecycle_state state;
	unsigned int failed; /* 1 << event, to be fed when the action list has ended */

	/* As the store says. */
	bool complete; /* a complete snapshot has been seen */
	bool claims;   /* found at the start; what its tty was is not known yet */
	int64_t port, ring_ref;
	bool others;		/* another backend's type */
	size_t limit;		/* bytes kept for the reader */
	char file[LOGNAME_MAX]; /* of the log, made from the domain's name; "" until that is known */

	/* Guest side. */
	struct evtchn_port evtchn;
	int64_t bound_port, bound_ring_ref; /* the nodes' values that are in use */
	bool lost;			    /* the guest's end of the port has gone */
	int64_t stood;			    /* when the port was last known to be ours, in loop time ... */
	unsigned int stood_run;		    /* ... and loop_absences() then */
	bool owed; /* the guest may wait for room that was made, and not have been told */
	bool more; /* the turn was too short: go on in the next */
	bool full; /* no room for the reader, who is to lose nothing */
	struct page page;
	struct ring ring;
	int64_t resynced;		      /* when, in loop time; 0: never */
	struct console *hot_next, **hot_prev; /* in env's queue; hot_prev NULL: not there */
	unsigned int heat;		      /* what it has cost lately */
	int64_t heated;			      /* when heat was reckoned, in loop time */
	struct loop_timer guest_retry;
	unsigned int guest_backoff; /* ms */
	struct loop_timer typed;    /* typed bytes wait for room; looks for it */
	unsigned int typed_ms;	    /* how long it was armed for */

	/* Host side. */
	struct pty pty;
	struct loop_fd tty;
	struct link waits; /* for its tty to be opened */
	long lost_tty;	   /* the number of the one before; -1 */
	struct log *log;
	size_t unlogged; /* bytes taken while no log could be had */
	struct lines lines;
	struct loop_timer log_wait; /* the log's queue is nearly full */
	size_t log_left;	    /* the least seen there since it is; 0: it is not */
	int64_t log_progress;	    /* when that was, in loop time */
	struct fifo fifo;	    /* for the reader, what the pty does not take */
	struct fifo_pos fifo_pos;
	struct loop_timer host_retry;
	unsigned int host_backoff; /* ms */
	struct loop_timer deadline;
	int64_t drain_end, drain_progress;
	size_t drain_left;

	uint64_t bytes_out, bytes_in, dropped;
	time_t said[SAID_KINDS];
	struct loop_corpse corpse;
};

#endif
