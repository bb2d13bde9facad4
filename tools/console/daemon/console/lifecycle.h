/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console's lifecycle as a table.  Pure: no I/O, no memory.
 *
 * A state is what is held.  Guest side: event channel port and page.  Host
 * side: pty, log, the reader's fifo.  HACKING has the same table in words, and why.
 */
#ifndef DAEMON_CONSOLE_LIFECYCLE_H
#define DAEMON_CONSOLE_LIFECYCLE_H

enum lifecycle_state {
	STATE_IDLE,	/* holds nothing */
	STATE_LIVE,	/* both sides */
	STATE_HELD,	/* both sides; the port stays masked until the reader makes room */
	STATE_DETACHED, /* host side, maybe partly */
	STATE_DRAINING, /* host side; the domain is dying or the daemon stops: the reader reads on */
	STATE_GONE,	/* nothing; freed at the end of the turn */
	LIFECYCLE_STATES
};

enum lifecycle_event {
	EVENT_NODES,	    /* store: port and type are there and ours, nothing moved */
	EVENT_NODES_MOVED,  /* port or ring-ref differ from those in use */
	EVENT_NODES_GONE,   /* store: no port */
	EVENT_TYPE_OTHER,   /* another backend's console, as the store or the port says */
	EVENT_PORT,	    /* the guest notified us */
	EVENT_PORT_LOST,    /* the guest's end of the port has gone */
	EVENT_LOOK,	    /* nobody notified us: what has changed in the page? */
	EVENT_FULL,	    /* keep: no room for the reader */
	EVENT_ROOM,	    /* keep: room again */
	EVENT_BROKEN_RING,  /* indexes out of range */
	EVENT_FAILED_GUEST, /* bind or map refused */
	EVENT_FAILED_HOST,  /* pty or log could not be had */
	EVENT_RETRY_GUEST,  /* the guest side's timer */
	EVENT_RETRY_HOST,   /* the host side's timer */
	EVENT_EVTCHN_LOST,  /* the shared event channel handle was replaced */
	EVENT_TTY_LOST,	    /* the pty failed */
	EVENT_DYING,	    /* dying, gone from the list, or another incarnation of the domid */
	EVENT_FLUSHED,	    /* the reader has read all */
	EVENT_DEADLINE,	    /* the reader's time is up */
	EVENT_STOP,	    /* the daemon stops */
	LIFECYCLE_EVENTS
};

enum lifecycle_action {
	ACTION_END,	    /* of the list */
	ACTION_OPEN,	    /* pty, log, fifo, as far as missing */
	ACTION_ATTACH,	    /* bind, map, CONNECTED, take; failing: FAILED_GUEST */
	ACTION_MOVE,	    /* to the new port or page, flag kept if it can be; failing: FAILED_GUEST */
	ACTION_DETACH,	    /* DISCONNECTED, fence, last take, unbind, unmap */
	ACTION_RELEASE,	    /* the same with the flag left CONNECTED */
	ACTION_ON_BEHALF,   /* CONNECTED for another backend of our domain, which does not know the flag */
	ACTION_ASSERT,	    /* the flag reads CONNECTED */
	ACTION_PUBLISH,	    /* tty, if the node differs */
	ACTION_TAKE,	    /* move bytes; may yield FULL or BROKEN_RING */
	ACTION_UNMASK,	    /* let the next event come */
	ACTION_REBIND,	    /* the port on the new handle, flag kept */
	ACTION_REOPEN,	    /* the pty anew, its lost one closed, and publish it */
	ACTION_RETRY_GUEST, /* arm, backing off to 30 s */
	ACTION_RETRY_SLOW,  /* arm at 30 s */
	ACTION_RETRY_NOT,   /* disarm the guest side's timer */
	ACTION_RETRY_HOST,  /* arm */
	ACTION_DEADLINE,    /* arm the reader's deadline, shorter when the daemon stops */
	ACTION_CLOSE,	    /* let go of the host side */
	LIFECYCLE_ACTIONS
};

#define LIFECYCLE_LIST 4 /* longest list, END included */

struct lifecycle_step {
	enum lifecycle_state next;
	enum lifecycle_action
		actions[LIFECYCLE_LIST]; /* ends with ACTION_END; run to its end whatever fails */
};

/* The cell of the table.  A cell that is not named there is {state, {ACTION_END}}. */
const struct lifecycle_step *lifecycle_step(enum lifecycle_state state, enum lifecycle_event event);

/* True if the state holds the guest side (port and page). */
int lifecycle_attached(enum lifecycle_state state);

/* Names in lower case, for messages: "live", "nodes-moved". */
const char *lifecycle_state_name(enum lifecycle_state state);
const char *lifecycle_event_name(enum lifecycle_event event);

#endif
