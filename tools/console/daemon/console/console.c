/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One guest's console: what xenstore says of it, the slow check, its beginning and its end.
 */
#include "console/console.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "console/claims.h"
#include "console/guest.h"
#include "console/host.h"
#include "console/hot.h"
#include "console/reader.h"
#include "console/said.h"
#include "console/steps.h"
#include "console/wake.h"
#include "console/whose.h"

static void take_name(struct console *c, const char *name)
{
	logname_console(c->file, c->key.domid, name, c->key.kind == CONSOLE_VUART);
	if (c->log)
		log_rename(c->log, c->file);
}

static void take_limit(struct console *c, int64_t limit)
{
	size_t most = c->env->options->buffer_limit, was = c->limit;

	c->limit = limit > 0 && (uint64_t)limit < most ? (size_t)limit : most;
	if (c->limit < was)
		console_trim(c);
	else
		console_room(c);
}

/* Attached, and the guest's end of the port has gone. Without an event channel handle there is a new one to wait for. */
static bool is_lost(struct console *c)
{
	return lifecycle_attached(c->state) && c->evtchn.local >= 0 && !console_port_stands(c);
}

static enum console_said said_of(const char *node)
{
	if (!strcmp(node, "port"))
		return SAID_PORT;
	return strcmp(node, "limit") ? SAID_RING_REF : SAID_LIMIT;
}

void console_nodes(struct console *c, const struct store_nodes *n)
{
	bool moved;

	if (n->tty != STORE_TTY_UNREAD || n->port < 0 || n->type == STORE_TYPE_OTHER)
		console_claim(c, n->tty);
	if (n->bad && console_may_say(c, said_of(n->bad)))
		diag(LOG_WARNING,
		     "%s: xenstore's %s is '%s', which cannot be used; left alone until it changes",
		     console_label(c), n->bad, n->bad_value);
	if (n->complete) {
		if (c->env->logs)
			take_name(c, n->name);
		take_limit(c, n->limit);
		c->ring_ref = n->ring_ref;
		c->complete = true;
	}
	c->port = n->port;
	if (c->others != (n->port >= 0 && n->type == STORE_TYPE_OTHER)) {
		c->others = !c->others;
		c->guest_backoff = 0; /* somebody else is waited for */
	}
	if (n->port < 0) {
		console_feed(c, EVENT_NODES_GONE);
		return;
	}
	if (c->others) { /* of which only port and type are told */
		c->complete = false;
		c->ring_ref = -1;
	}
	if (c->others || (n->port != c->bound_port && console_elsewhere(c))) {
		console_feed(c, EVENT_TYPE_OTHER);
		return;
	}
	moved = n->port != c->bound_port;
	if (n->complete) {
		if (c->bound_ring_ref < 0) /* known late is not moved */
			c->bound_ring_ref = n->ring_ref;
		else if (n->ring_ref >= 0 && n->ring_ref != c->bound_ring_ref)
			moved = true;
	}
	if (moved)
		console_feed(c, EVENT_NODES_MOVED);
	else /* the same number may be another port */
		console_feed(c, is_lost(c) ? EVENT_PORT_LOST : EVENT_NODES);
}

void console_check(struct console *c)
{
	if (c->pty.master >= 0 && !pty_check(&c->pty)) {
		console_tty_lost(c);
		console_feed(c, EVENT_TTY_LOST);
	} else if (c->state == STATE_IDLE && c->port >= 0 && !c->others && console_offered(c)) {
		console_feed(c, EVENT_NODES); /* it was another domain's, and may be ours now */
	} else {
		console_feed(c, is_lost(c) ? EVENT_PORT_LOST : EVENT_LOOK);
	}
}

void console_glance(struct console *c)
{
	if (lifecycle_attached(c->state) && c->page.at && ring_flag(&c->ring) != XENCONSOLE_CONNECTED)
		console_check(c);
}

void console_set_handle(struct console *c, const uint8_t handle[16])
{
	memcpy(c->handle, handle, sizeof(c->handle));
	if (c->log)
		log_set_handle(c->log, handle);
}

struct console *console_new(struct console_env *env, const struct store_key *key, const uint8_t handle[16])
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->env = env;
	c->key = *key;
	memcpy(c->handle, handle, sizeof(c->handle));
	c->state = STATE_IDLE;
	c->port = c->ring_ref = -1;
	console_guest_init(c);
	console_host_init(c);
	console_wake_init(c);
	take_limit(c, 0);
	return c;
}

void console_free(struct console *c)
{
	loop_disarm(c->env->loop, &c->guest_retry);
	loop_disarm(c->env->loop, &c->host_retry);
	loop_disarm(c->env->loop, &c->deadline);
	loop_disarm(c->env->loop, &c->typed);
	console_unqueue(c);
	ttys_release(c->env->ttys, c);
	link_remove(&c->waits);
	free(c);
}

void console_report(struct console *c)
{
	char flag[24] = "not mapped";

	if (c->page.at)
		snprintf(flag, sizeof(flag), "%u (%s)", ring_flag(&c->ring),
			 ring_flag(&c->ring) == XENCONSOLE_CONNECTED ? "connected" : "disconnected");
	diag(LOG_NOTICE,
	     "%s: state %s, flag %s, tty %s, bytes out %" PRIu64 ", in %" PRIu64 ", dropped %" PRIu64
	     ", buffered %zu, log queue %zu, log dropped %" PRIu64,
	     console_label(c), lifecycle_state_name(c->state), flag,
	     c->pty.master >= 0 ? c->pty.name : "none", c->bytes_out, c->bytes_in, c->dropped,
	     fifo_used(&c->fifo), c->log ? log_queued(c->log) : 0, c->log ? log_dropped(c->log) : 0);
}

void console_env_init(struct console_env *env)
{
	console_hot_init(env);
	console_claims_init(env);
	console_wake_env_init(env);
}

void console_env_fini(struct console_env *env)
{
	console_hot_fini(env);
	console_claims_fini(env);
}
