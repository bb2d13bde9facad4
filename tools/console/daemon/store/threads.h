/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker's thread and the loop share, and what is the thread's own.
 */
#ifndef DAEMON_STORE_THREADS_H
#define DAEMON_STORE_THREADS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/link.h"
#include "base/loop.h"
#include "store/ask.h"
#include "store/nodes.h"
#include "store/types.h"
#include "store/way.h"

#define STORE_WORKERS 16 /* more do not make xenstored answer faster */
#define STORE_SHARE 16	 /* consoles that a worker gets before the next one is started */

#define STORE_BEAT_MS 5000
#define STORE_REST_MS 1000
#define STORE_STUCK_MS 1000 /* a request that takes longer holds up nobody else's */
#define STORE_CONNECT_MS 10000
#define STORE_BACKOFF_MS 50 /* after a first failure */

/* How many ttys that nobody waits for are written at once: xenstored takes no advantage of more. */
#define STORE_PUBLISH_AT_ONCE 2

/* What a worker may have to do for a console; the most urgent first. */
enum store_work {
	STORE_FORGET,  /* unwatch and free it */
	STORE_SERVICE, /* a new one: port and type, which is what service needs */
	STORE_LOOK,    /* everything anew */
	STORE_PUBLISH, /* write tty */
	STORE_REST,    /* what STORE_SERVICE left for later */
	STORE_TTY,     /* somebody wrote tty: is it still ours? */
	STORE_DOUBT,   /* an event of tty was taken for our own write's: was it? */
	STORE_KINDS,
};

struct store_follow {
	struct store_key key;
	struct store_worker *worker;
	struct store_follow *chain; /* this and the next group: under store->lock */

	struct link all;
	struct link todo;   /* in queue, unless that is NULL */
	struct link *queue; /* of a worker, or the store's */
	unsigned int work;  /* 1 << enum store_work */
	bool resting;	    /* it failed, whatever its work */
	bool later;	    /* one of many, and nobody is known to wait for it: until its tty is right */
	bool blank;	    /* but tty was empty, so perhaps somebody does */
	struct link ready;  /* in store->ready: told waits to be delivered */
	struct store_look told;
	char *tty; /* to be written, if port is still the node's; NULL: nothing asked */
	int64_t port;

	/* The rest is the worker's own. */
	bool watched;
	bool first_dir, first_name; /* the event that every watch begins with has yet to come */
	bool seen;		    /* by some xenstored */
	bool strange;		    /* followed since before xenstored was restarted, and not seen since */
	char *node_tty;		    /* what tty is known to say; NULL: not known */
	bool echo;		    /* an event of our own write is due */
	unsigned int complained;    /* of failing work, as in work */
	struct store_look look;	    /* being made */
};

/* A thread and its connection.  Several ask for different consoles at once, one asks in order. */
struct store_worker {
	struct store *store;
	unsigned int id; /* 0 also watches for domains that come and go, and feels for the heartbeat */
	pthread_t thread;
	int wake; /* an eventfd */

	/* Under store->lock. */
	struct link all, resting;
	struct link todo[2][STORE_KINDS]; /* what is urgent, and what can be done later */
	unsigned int followed;
	unsigned int doubts;	   /* that may be looked into before the next heartbeat */
	bool probe;		   /* find out whether the connection still stands */
	bool connected;		   /* conn.xs, for others to know */
	bool hurrying, publishing; /* what it does now is urgent, is to write a tty later */

	/* The thread's own, but for conn.asked. */
	struct store_connection conn;
	int silent;    /* a connection that says nothing, and tells when xenstored goes; or -1 */
	int64_t since; /* connected */
	int64_t retry_at;
	int backoff; /* ms, from STORE_BACKOFF_MS on */
	bool said;   /* that it cannot connect */
	int64_t rest_until;
};

struct store {
	struct loop *loop;
	const struct store_events *events;
	void *arg;
	bool names;
	char socket[STORE_SOCKET]; /* xenstored's, see store_way() */
	int wake;		   /* an eventfd, written when ready or domains is no longer empty */
	struct loop_fd source;	   /* the loop's interest in it */
	struct loop_timer beat;
	int64_t stall_ms; /* how long a request may take */
	bool stalled;
	_Atomic bool up;

	pthread_mutex_t lock;	/* never held while libxenstore is called */
	pthread_cond_t changed; /* outcome or threads */
	int outcome;		/* of the first connection: 0, -errno, or 1: not known yet */
	unsigned int threads;
	bool ending, abandoned;
	bool domains; /* tell that a domain came or went */
	struct store_follow *bucket[1024];
	struct link ready;
	struct link publish[2]; /* ttys to be written later; first the blank ones */
	unsigned int workers, followed;
	struct store_worker *worker[STORE_WORKERS];
};

/* The token of the watches for domains that come and go. */
#define STORE_DOMAINS "domains"

#endif
