/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lifecycle with a console that holds nothing but booleans: whatever happens, whatever fails, what is held is
 * what the state says, and nothing is waited for that nobody will bring about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "between.h"
#include "console/lifecycle.h"
#include "random.h"

enum failure {
	FAIL_NOT,
	FAIL,
	FAIL_HALF, /* the other way in which it can fail */
	FAIL_TTY,
	FAILURES
};

struct sim {
	enum lifecycle_state state;
	bool port, page, pty, log;		/* held */
	bool guest_retry, host_retry, deadline; /* armed */
	bool masked, full;
	bool connected; /* the flag, as the guest reads it */
	bool released;	/* the flag is another backend's business */
	unsigned int failed;
};

static void sim_fail(struct sim *s, enum lifecycle_event event)
{
	s->failed |= 1u << event;
}

static void sim_let_go(struct sim *s)
{
	s->port = s->page = s->masked = s->full = false;
}

/* The take of an attached console. */
static void sim_take(struct sim *s, enum failure how)
{
	assert_true(s->page);
	s->full = how == FAIL;
	if (how == FAIL)
		sim_fail(s, EVENT_FULL);
	if (how == FAIL_HALF)
		sim_fail(s, EVENT_BROKEN_RING);
	if (how == FAIL_TTY) {
		s->pty = false;
		sim_fail(s, EVENT_TTY_LOST);
	}
}

static void sim_attach(struct sim *s, enum failure how)
{
	assert_false(s->port || s->page); /* or the old ones leak */
	if (how == FAIL) {
		sim_fail(s, EVENT_FAILED_GUEST);
		return;
	}
	s->port = s->page = s->connected = true;
	s->masked = s->released = false;
	sim_take(s, how == FAIL_HALF ? FAIL : how == FAIL_TTY ? FAIL_HALF : FAIL_NOT);
}

static void sim_detach(struct sim *s, enum failure how)
{
	if (s->page)
		s->connected = false;
	if (how != FAIL_NOT && s->page && s->pty) { /* the last take finds the pty lost */
		s->pty = false;
		sim_fail(s, EVENT_TTY_LOST);
	}
	sim_let_go(s);
}

/* Refused with the old port still held, or after it had to be let go. */
static void sim_move(struct sim *s, enum failure how)
{
	assert_true(s->page);
	if (how == FAIL_HALF)
		sim_detach(s, FAIL_NOT);
	if (how == FAIL || how == FAIL_HALF) {
		sim_fail(s, EVENT_FAILED_GUEST);
		return;
	}
	sim_let_go(s);
	sim_attach(s, how == FAIL_TTY ? FAIL_HALF : FAIL_NOT);
}

static void sim_open(struct sim *s, enum failure how)
{
	s->pty |= how == FAIL_NOT || how == FAIL_HALF;
	s->log |= how == FAIL_NOT || how == FAIL_TTY;
	if (s->pty && s->log)
		s->host_retry = false;
	else
		sim_fail(s, EVENT_FAILED_HOST);
}

static void sim_close(struct sim *s)
{
	s->pty = s->log = s->guest_retry = s->host_retry = s->deadline = false;
}

static void sim_act(struct sim *s, enum lifecycle_action action, enum failure how)
{
	switch (action) {
	case ACTION_OPEN:
	case ACTION_REOPEN:
		sim_open(s, how);
		break;
	case ACTION_ATTACH:
		sim_attach(s, how);
		break;
	case ACTION_MOVE:
		sim_move(s, how);
		break;
	case ACTION_DETACH:
		sim_detach(s, how);
		break;
	case ACTION_RELEASE:
		sim_let_go(s);
		s->released = true;
		break;
	case ACTION_ON_BEHALF:
		assert_false(s->page);
		s->released = true;
		s->guest_retry = how != FAIL_NOT; /* the backend is not there yet */
		break;
	case ACTION_ASSERT:
		assert_true(s->page);
		s->connected = true;
		break;
	case ACTION_PUBLISH:
		if (how != FAIL_NOT)
			sim_fail(s, EVENT_FAILED_HOST);
		break;
	case ACTION_TAKE:
		sim_take(s, how);
		break;
	case ACTION_UNMASK:
		s->masked &= s->full;
		break;
	case ACTION_REBIND:
		assert_false(s->port);
		s->port = how == FAIL_NOT;
		s->masked = false;
		if (how != FAIL_NOT)
			sim_fail(s, EVENT_FAILED_GUEST);
		break;
	case ACTION_RETRY_GUEST:
	case ACTION_RETRY_SLOW:
		s->guest_retry = true;
		break;
	case ACTION_RETRY_NOT:
		s->guest_retry = false;
		break;
	case ACTION_RETRY_HOST:
		s->host_retry = true;
		break;
	case ACTION_DEADLINE:
		s->deadline = how == FAIL_NOT;
		if (how != FAIL_NOT)
			sim_fail(s, EVENT_FAILED_HOST);
		break;
	case ACTION_CLOSE:
		sim_close(s);
		break;
	case ACTION_END:
	case LIFECYCLE_ACTIONS:
		fail();
	}
}

/* What has happened before anybody is told. */
static void sim_happen(struct sim *s, enum lifecycle_event event)
{
	switch (event) {
	case EVENT_PORT:
		s->masked = s->port;
		break;
	case EVENT_FULL:
		s->full = s->page;
		break;
	case EVENT_ROOM:
		s->full = false;
		break;
	case EVENT_RETRY_GUEST:
		s->guest_retry = false;
		break;
	case EVENT_RETRY_HOST:
		s->host_retry = false;
		break;
	case EVENT_EVTCHN_LOST:
		s->port = s->masked = false;
		break;
	case EVENT_TTY_LOST:
		s->pty = false;
		break;
	case EVENT_DEADLINE:
		s->deadline = false;
		break;
	default:
		break;
	}
}

/* Feed event, action fail_at of its list failing (0: none); then what failed.  Returns the list's length. */
static int sim_feed(struct sim *s, enum lifecycle_event event, int fail_at, enum failure how)
{
	const struct lifecycle_step *step = lifecycle_step(s->state, event);
	int n = 0;

	s->state = step->next;
	for (; step->actions[n] != ACTION_END; n++)
		sim_act(s, step->actions[n], n + 1 == fail_at ? how : FAIL_NOT);
	while (s->failed) {
		int first = random_below(LIFECYCLE_EVENTS);

		if (s->failed & 1u << first) {
			s->failed &= ~(1u << first);
			sim_feed(s, first, 0, FAIL_NOT);
		}
	}
	return n;
}

static void check_balance(const struct sim *s)
{
	bool attached = s->state == STATE_LIVE || s->state == STATE_HELD;
	bool nothing = s->state == STATE_IDLE || s->state == STATE_GONE;

	assert_int_equal(lifecycle_attached(s->state), attached);
	assert_int_equal(s->port, attached);
	assert_int_equal(s->page, attached);
	if (!s->released)
		assert_int_equal(s->connected, attached);
	assert_int_equal(s->deadline, s->state == STATE_DRAINING);
	if (s->state != STATE_DETACHED && s->state != STATE_IDLE)
		assert_false(s->guest_retry);
	if (nothing)
		assert_false(s->pty || s->log || s->host_retry);
	if (attached || s->state == STATE_DETACHED) /* what is missing is tried again */
		assert_true((s->pty && s->log) || s->host_retry);
	assert_int_equal(s->full, s->state == STATE_HELD);
	if (s->state != STATE_HELD) /* or the guest is never heard again */
		assert_false(s->masked);
}

static struct sim sim_in(enum lifecycle_state state)
{
	static const enum lifecycle_event ways[LIFECYCLE_STATES][4] = {
		[STATE_IDLE] = { LIFECYCLE_EVENTS },
		[STATE_LIVE] = { EVENT_NODES, LIFECYCLE_EVENTS },
		[STATE_HELD] = { EVENT_NODES, EVENT_FULL, LIFECYCLE_EVENTS },
		[STATE_DETACHED] = { EVENT_NODES, EVENT_FAILED_GUEST, LIFECYCLE_EVENTS },
		[STATE_DRAINING] = { EVENT_NODES, EVENT_DYING, LIFECYCLE_EVENTS },
		[STATE_GONE] = { EVENT_DYING, LIFECYCLE_EVENTS },
	};
	struct sim s = { .state = STATE_IDLE };

	for (const enum lifecycle_event *event = ways[state]; *event != LIFECYCLE_EVENTS; event++) {
		sim_happen(&s, *event);
		sim_feed(&s, *event, 0, FAIL_NOT);
		check_balance(&s);
	}
	assert_int_equal(s.state, state);
	return s;
}

static void check_end(struct sim s)
{
	sim_feed(&s, random_below(2) ? EVENT_DYING : EVENT_STOP, 0, FAIL_NOT);
	sim_happen(&s, EVENT_DEADLINE);
	sim_feed(&s, EVENT_DEADLINE, 0, FAIL_NOT);
	assert_int_equal(s.state, STATE_GONE);
	check_balance(&s);
}

static void test_every_action_failing(void **unused)
{
	(void)unused;
	random_begin();
	for (int state = 0; state < LIFECYCLE_STATES; state++) {
		for (int event = 0; event < LIFECYCLE_EVENTS; event++) {
			int actions = 0;

			for (int at = 0; at <= actions; at++) {
				for (int how = FAIL; how < FAILURES; how++) {
					struct sim s = sim_in(state);

					sim_happen(&s, event);
					actions = sim_feed(&s, event, at, how);
					check_balance(&s);
					check_end(s);
				}
			}
		}
	}
}

static void test_random_life(void **unused)
{
	int ended = 0;

	(void)unused;
	random_begin();
	for (int life = 0; life < 2000; life++) {
		struct sim s = { .state = STATE_IDLE };

		for (int step = 0; step < 100 && s.state != STATE_GONE; step++) {
			enum lifecycle_event event = random_below(LIFECYCLE_EVENTS);

			if ((event == EVENT_DYING || event == EVENT_STOP) && random_below(5))
				continue;
			sim_happen(&s, event);
			sim_feed(&s, event, random_below(LIFECYCLE_LIST), random_below(FAILURES));
			check_balance(&s);
		}
		ended += s.state == STATE_GONE;
		check_end(s);
	}
	assert_between(ended, 1000, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_action_failing),
		cmocka_unit_test(test_random_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
