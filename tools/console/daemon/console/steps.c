/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A console does nothing but what its lifecycle's table says.  Whatever happens
 * becomes an event; the table's cell names the next state and the actions; an
 * action that fails notes it, and the failure is fed once, when the list has ended.
 * So no action ever runs inside another, and what is held is what the state says.
 */
#include "console/steps.h"

#include "base/diag.h"
#include "console/bytes.h"
#include "console/flag.h"
#include "console/guest.h"
#include "console/host.h"
#include "console/reader.h"
#include "console/said.h"

/* In this order: the worst first, so that a milder one finds its state. */
static const enum lifecycle_event failures[] = {
	EVENT_TYPE_OTHER, EVENT_BROKEN_RING, EVENT_FAILED_GUEST, EVENT_PORT_LOST,
	EVENT_TTY_LOST,	  EVENT_FAILED_HOST, EVENT_FULL,	 EVENT_ROOM,
};

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
