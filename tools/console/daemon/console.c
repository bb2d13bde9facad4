/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console does nothing but what its lifecycle's table says.  Whatever happens
 * becomes an event; the table's cell names the next state and the actions; an
 * action that fails notes it, and the failure is fed once, when the list has ended.
 * So no action ever runs inside another, and what is held is what the state says.
 */
#include "console-private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag.h"

#define SAY_AGAIN_S 600

/* In this order: the worst first, so that a milder one finds its state. */
static const enum lifecycle_event failures[] = {
	EVENT_TYPE_OTHER, EVENT_BROKEN_RING, EVENT_FAILED_GUEST, EVENT_PORT_LOST,
	EVENT_TTY_LOST,	  EVENT_FAILED_HOST, EVENT_FULL,	 EVENT_ROOM,
};

void console_fail(struct console *c, enum lifecycle_event event)
{
	c->failed |= 1u << event;
}

bool console_may_say(struct console *c, enum console_said kind)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (c->said[kind] && now.tv_sec - c->said[kind] < SAY_AGAIN_S)
		return false;
	c->said[kind] = now.tv_sec ? now.tv_sec : 1;
	return true;
}

/* The name as its log's has it, "guest-NAME.log": safe to print. */
const char *console_label(const struct console *c)
{
	static char label[64 + LOGNAME_MAX];
	int name = strlen(c->file) - strlen("guest-.log");

	snprintf(label, sizeof(label), "%s of domain %" PRIu32 "%s%.*s%s",
		 c->key.kind == CONSOLE_VUART ? "vuart console" : "console", c->key.domid,
		 name > 0 ? " (" : "", name > 0 ? name : 0, c->file + strlen("guest-"), name > 0 ? ")" : "");
	return label;
}

static void act(struct console *c, enum lifecycle_action action)
{
	switch (action) {
	case ACTION_ATTACH:
		console_attach(c);
		break;
	case ACTION_MOVE:
		console_move(c);
		break;
	case ACTION_DETACH:
		console_detach(c);
		break;
	case ACTION_RELEASE:
		console_release(c);
		break;
	case ACTION_ON_BEHALF:
		console_on_behalf(c);
		break;
	case ACTION_ASSERT:
		console_assert(c);
		break;
	case ACTION_PUBLISH:
		console_publish(c);
		break;
	case ACTION_TAKE:
		console_take(c);
		break;
	case ACTION_UNMASK:
		if (!c->more && !c->full)
			evtchn_unmask(c->env->evtchn, &c->evtchn);
		break;
	case ACTION_REBIND:
		console_rebind(c);
		break;
	case ACTION_OPEN:
	case ACTION_REOPEN:
		console_open(c);
		if (action == ACTION_REOPEN)
			console_publish(c);
		break;
	case ACTION_RETRY_GUEST:
	case ACTION_RETRY_SLOW:
		console_guest_retry(c, action == ACTION_RETRY_SLOW);
		break;
	case ACTION_RETRY_NOT:
		loop_disarm(c->env->loop, &c->guest_retry);
		break;
	case ACTION_RETRY_HOST:
		console_host_retry(c);
		break;
	case ACTION_DEADLINE:
		console_deadline(c);
		break;
	case ACTION_CLOSE:
		console_close(c);
		break;
	case ACTION_END:
	case LIFECYCLE_ACTIONS:
		break;
	}
}

static void step(struct console *c, enum lifecycle_event event)
{
	const struct lifecycle_step *s = lifecycle_step(c->state, event);

	if (s->next != c->state) {
		diag(LOG_DEBUG, "%s: %s, %s to %s", console_label(c), lifecycle_event_name(event),
		     lifecycle_state_name(c->state), lifecycle_state_name(s->next));
		c->env->attached += lifecycle_attached(s->next) - lifecycle_attached(c->state);
		c->state = s->next;
	}
	for (int i = 0; s->actions[i] != ACTION_END; i++)
		act(c, s->actions[i]);
}

static bool next_failure(struct console *c, enum lifecycle_event *event)
{
	if (!c->failed)
		return false;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (c->failed & 1u << failures[i]) {
			c->failed &= ~(1u << failures[i]);
			*event = failures[i];
			return true;
		}
	}
	return false;
}

void console_feed(struct console *c, enum lifecycle_event event)
{
	if (c->state == STATE_GONE)
		return;
	do {
		step(c, event);
		console_interest(c);
	} while (next_failure(c, &event));
	if (c->state == STATE_GONE)
		c->env->gone(c, c->env->arg);
}

void console_settle(struct console *c)
{
	enum lifecycle_event event;

	console_interest(c);
	if (next_failure(c, &event))
		console_feed(c, event);
}

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
