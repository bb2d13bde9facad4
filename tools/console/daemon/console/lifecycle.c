/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a console does next depends on what it holds and on what has happened, and on
 * nothing else.  Written as code, that knowledge is spread over every callback and
 * no one can say what happens when a domain dies while its reader is slow; written as a
 * table it can be read in a minute and tested cell by cell.
 *
 * A cell that is not named is a no-op: the state stays, nothing is done.  HELD's row names only
 * where it differs from LIVE's.
 */
#include "console/lifecycle.h"

#include <stddef.h>

/* clang-format off */
#define TO(next, ...) &(const struct lifecycle_step){ STATE_##next, { __VA_ARGS__ } }

static const struct lifecycle_step *const table[LIFECYCLE_STATES][LIFECYCLE_EVENTS] = {
	[STATE_IDLE] = {
		[EVENT_NODES]        = TO(LIVE, ACTION_RETRY_NOT, ACTION_OPEN, ACTION_ATTACH),
		[EVENT_NODES_MOVED]  = TO(LIVE, ACTION_RETRY_NOT, ACTION_OPEN, ACTION_ATTACH),
		[EVENT_TYPE_OTHER]   = TO(IDLE, ACTION_ON_BEHALF),
		[EVENT_LOOK]         = TO(IDLE, ACTION_ON_BEHALF),
		[EVENT_RETRY_GUEST]  = TO(IDLE, ACTION_ON_BEHALF),
		[EVENT_DYING]        = TO(GONE, ACTION_RETRY_NOT),
		[EVENT_STOP]         = TO(GONE, ACTION_RETRY_NOT),
	},
	[STATE_LIVE] = {
		[EVENT_NODES]        = TO(LIVE, ACTION_ASSERT, ACTION_PUBLISH),
		[EVENT_PORT]         = TO(LIVE, ACTION_TAKE, ACTION_UNMASK),
		[EVENT_LOOK]         = TO(LIVE, ACTION_TAKE),
		[EVENT_FULL]         = TO(HELD),
		[EVENT_NODES_MOVED]  = TO(LIVE, ACTION_MOVE, ACTION_PUBLISH),
		[EVENT_PORT_LOST]    = TO(LIVE, ACTION_MOVE, ACTION_PUBLISH),
		[EVENT_NODES_GONE]   = TO(DETACHED, ACTION_DETACH),
		[EVENT_TYPE_OTHER]   = TO(IDLE, ACTION_RELEASE, ACTION_CLOSE, ACTION_ON_BEHALF),
		[EVENT_BROKEN_RING]  = TO(DETACHED, ACTION_DETACH, ACTION_RETRY_SLOW),
		[EVENT_FAILED_GUEST] = TO(DETACHED, ACTION_DETACH, ACTION_RETRY_GUEST),
		[EVENT_EVTCHN_LOST]  = TO(LIVE, ACTION_REBIND),
		[EVENT_TTY_LOST]     = TO(LIVE, ACTION_REOPEN),
		[EVENT_RETRY_HOST]   = TO(LIVE, ACTION_REOPEN),
		[EVENT_FAILED_HOST]  = TO(LIVE, ACTION_RETRY_HOST),
		[EVENT_DYING]        = TO(DRAINING, ACTION_DETACH, ACTION_DEADLINE),
		[EVENT_STOP]         = TO(DRAINING, ACTION_DETACH, ACTION_DEADLINE),
	},
	[STATE_HELD] = { /* all else as LIVE */
		[EVENT_ROOM]         = TO(LIVE, ACTION_TAKE, ACTION_UNMASK),
		[EVENT_NODES]        = TO(HELD, ACTION_ASSERT, ACTION_PUBLISH),
		[EVENT_LOOK]         = TO(HELD, ACTION_ASSERT),
		[EVENT_EVTCHN_LOST]  = TO(HELD, ACTION_REBIND),
		[EVENT_TTY_LOST]     = TO(HELD, ACTION_REOPEN),
		[EVENT_RETRY_HOST]   = TO(HELD, ACTION_REOPEN),
		[EVENT_FAILED_HOST]  = TO(HELD, ACTION_RETRY_HOST),
	},
	[STATE_DETACHED] = {
		[EVENT_NODES]        = TO(LIVE, ACTION_RETRY_NOT, ACTION_OPEN, ACTION_ATTACH),
		[EVENT_NODES_MOVED]  = TO(LIVE, ACTION_RETRY_NOT, ACTION_OPEN, ACTION_ATTACH),
		[EVENT_RETRY_GUEST]  = TO(LIVE, ACTION_RETRY_NOT, ACTION_OPEN, ACTION_ATTACH),
		[EVENT_NODES_GONE]   = TO(DETACHED, ACTION_RETRY_NOT),
		[EVENT_TYPE_OTHER]   = TO(IDLE, ACTION_RETRY_NOT, ACTION_CLOSE, ACTION_ON_BEHALF),
		[EVENT_BROKEN_RING]  = TO(DETACHED, ACTION_RETRY_SLOW),
		[EVENT_FAILED_GUEST] = TO(DETACHED, ACTION_RETRY_GUEST),
		[EVENT_TTY_LOST]     = TO(DETACHED, ACTION_REOPEN),
		[EVENT_RETRY_HOST]   = TO(DETACHED, ACTION_REOPEN),
		[EVENT_FAILED_HOST]  = TO(DETACHED, ACTION_RETRY_HOST),
		[EVENT_DYING]        = TO(DRAINING, ACTION_RETRY_NOT, ACTION_DEADLINE),
		[EVENT_STOP]         = TO(DRAINING, ACTION_RETRY_NOT, ACTION_DEADLINE),
	},
	[STATE_DRAINING] = {
		[EVENT_FLUSHED]      = TO(GONE, ACTION_CLOSE),
		[EVENT_DEADLINE]     = TO(GONE, ACTION_CLOSE),
		[EVENT_TTY_LOST]     = TO(GONE, ACTION_CLOSE),
		[EVENT_FAILED_HOST]  = TO(GONE, ACTION_CLOSE),
		[EVENT_STOP]         = TO(DRAINING, ACTION_DEADLINE),
	},
};

static const struct lifecycle_step stay[LIFECYCLE_STATES] = {
	[STATE_IDLE]     = { .next = STATE_IDLE },
	[STATE_LIVE]     = { .next = STATE_LIVE },
	[STATE_HELD]     = { .next = STATE_HELD },
	[STATE_DETACHED] = { .next = STATE_DETACHED },
	[STATE_DRAINING] = { .next = STATE_DRAINING },
	[STATE_GONE]     = { .next = STATE_GONE },
};
/* clang-format on */

const struct lifecycle_step *lifecycle_step(enum lifecycle_state state, enum lifecycle_event event)
{
	const struct lifecycle_step *step = table[state][event];

	if (!step && state == STATE_HELD)
		step = table[STATE_LIVE][event];
	return step ? step : &stay[state];
}

int lifecycle_attached(enum lifecycle_state state)
{
	return state == STATE_LIVE || state == STATE_HELD;
}

const char *lifecycle_state_name(enum lifecycle_state state)
{
	static const char *const names[LIFECYCLE_STATES] = {
		[STATE_IDLE] = "idle",	       [STATE_LIVE] = "live",	      [STATE_HELD] = "held",
		[STATE_DETACHED] = "detached", [STATE_DRAINING] = "draining", [STATE_GONE] = "gone",
	};

	return names[state];
}

const char *lifecycle_event_name(enum lifecycle_event event)
{
	static const char *const names[LIFECYCLE_EVENTS] = {
		[EVENT_NODES] = "nodes",
		[EVENT_NODES_MOVED] = "nodes-moved",
		[EVENT_NODES_GONE] = "nodes-gone",
		[EVENT_TYPE_OTHER] = "type-other",
		[EVENT_PORT] = "port",
		[EVENT_PORT_LOST] = "port-lost",
		[EVENT_LOOK] = "look",
		[EVENT_FULL] = "full",
		[EVENT_ROOM] = "room",
		[EVENT_BROKEN_RING] = "broken-ring",
		[EVENT_FAILED_GUEST] = "failed-guest",
		[EVENT_FAILED_HOST] = "failed-host",
		[EVENT_RETRY_GUEST] = "retry-guest",
		[EVENT_RETRY_HOST] = "retry-host",
		[EVENT_EVTCHN_LOST] = "evtchn-lost",
		[EVENT_TTY_LOST] = "tty-lost",
		[EVENT_DYING] = "dying",
		[EVENT_FLUSHED] = "flushed",
		[EVENT_DEADLINE] = "deadline",
		[EVENT_STOP] = "stop",
	};

	return names[event];
}
