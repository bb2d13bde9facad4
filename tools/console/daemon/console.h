/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Floor 3: one guest's console, where bytes move between its page, its log and its
 * reader.  lifecycle.h says what happens when; the files behind this header say how:
 *
 *   console.c        events in, actions out; what the store says
 *   console-guest.c  the guest side: event channel port, page, flag
 *   console-whose.c  whose page it is: before flag or index are written
 *   console-host.c   the host side: pty, log, the reader's fifo, its deadline
 *   console-bytes.c  a byte's journey, both ways
 *   console-hot.c    who has to wait when guests say more than their turn allows
 */
#ifndef DAEMON_CONSOLE_H
#define DAEMON_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "evtchn.h"
#include "fifo.h"
#include "hyper.h"
#include "lifecycle.h"
#include "lines.h"
#include "logfile.h"
#include "logname.h"
#include "link.h"
#include "loop.h"
#include "options.h"
#include "page.h"
#include "pty.h"
#include "ring.h"
#include "share.h"
#include "store.h"
#include "ttys.h"

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
		claims; /* consoles at the start, and those whose former tty is not known yet: console-ttys.c */
	bool claimed;	/* those are not waited for any more */
	struct link waiting;
	struct loop_task open_ttys;
	struct loop_timer claims_end;
	struct share share;		/* of processor time */
	struct console *hot, **hot_end; /* those whose turns have to wait: console-hot.c */
	struct loop_task hot_turn;
	struct loop_timer hot_wait;
	bool hot_due;	 /* they have waited: a slice is theirs, whatever is left of the share */
	size_t attached; /* consoles whose guest side is held */
	bool stopping;	 /* readers have until stop_end, in loop time */
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

/* options and loop must be set; the rest is the owner's to fill in. */
void console_env_init(struct console_env *env);
void console_env_fini(struct console_env *env);

/* A console that holds nothing yet; NULL: no memory. */
struct console *console_new(struct console_env *env, const struct store_key *key, const uint8_t handle[16]);

/* It was found at the start: its former tty is waited for. */
void console_found(struct console *c);
/* And is not any more: it has none, or its domain has gone. Idempotent. */
void console_claimed(struct console *c);
/* All those have been named: when each is claimed, or some seconds have gone, ttys are opened. */
void console_all_found(struct console_env *env);

/* In STATE_GONE or STATE_IDLE only. */
void console_free(struct console *c);

/* A snapshot of its nodes. */
void console_nodes(struct console *c, const struct store_nodes *nodes);

/* Something happened: EVENT_DYING, EVENT_STOP, EVENT_EVTCHN_LOST. */
void console_feed(struct console *c, enum lifecycle_event event);

/*
 * The slow check, every ten seconds or so, and when its domain has shut down: what nobody tells. Has the guest closed
 * its end of the port, or printed or read without an event? Has somebody set the flag, or hung the tty up?
 */
void console_check(struct console *c);

/* The same, if the flag does not read CONNECTED: a glance at the page, to be cast at many. */
void console_glance(struct console *c);

/*
 * True if its port is held here and the guest has its end of it. Then it is the domain that it was: it had the handle
 * when it was attached, and its mapped page keeps its domid from being reused.  Asks Xen.
 */
bool console_port_stands(struct console *c);

/* The toolstack gave the living domain another handle. */
void console_set_handle(struct console *c, const uint8_t handle[16]);

/* Only the flag, and only if the page is ours to write: the first phase of a stop. */
void console_flag_down(struct console *c);

/* One line about it to the log (SIGUSR1). */
void console_report(struct console *c);

#endif
