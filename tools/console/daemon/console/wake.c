/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the loop wakes up for: a port's event, a tty, a timer, a turn in the queue. Each becomes an event of the lifecycle.
 */
#include "console/wake.h"

#include <sys/epoll.h>

#include "console/bytes.h"
#include "console/claims.h"
#include "console/host.h"
#include "console/hot.h"
#include "console/reader.h"
#include "console/steps.h"

static void turn(struct console *c)
{
	if (console_has_turn(c))
		console_feed(c, EVENT_PORT);
}

static void guest_notified(struct evtchn_port *port)
{
	struct console *c = container_of(port, struct console, evtchn);

	/* One from before this process was away does not count: see stood_run. */
	c->stood = loop_now(c->env->loop);
	turn(c);
}

static void log_wait_due(struct loop_timer *timer)
{
	turn(container_of(timer, struct console, log_wait));
}

static void guest_retry_due(struct loop_timer *timer)
{
	console_feed(container_of(timer, struct console, guest_retry), EVENT_RETRY_GUEST);
}

static void host_retry_due(struct loop_timer *timer)
{
	console_feed(container_of(timer, struct console, host_retry), EVENT_RETRY_HOST);
}

static void typed_due(struct loop_timer *timer)
{
	struct console *c = container_of(timer, struct console, typed);

	console_typed_look(c);
	console_settle(c);
}

static void deadline_due(struct loop_timer *timer)
{
	struct console *c = container_of(timer, struct console, deadline);
	enum lifecycle_event event;

	if (console_drained(c, &event))
		console_feed(c, event);
}

static void tty_ready(struct loop_fd *source, uint32_t events)
{
	struct console *c = container_of(source, struct console, tty);

	if (events & (EPOLLERR | EPOLLHUP)) {
		console_tty_lost(c);
		console_feed(c, EVENT_TTY_LOST);
		return;
	}
	if (events & (EPOLLIN | EPOLLPRI)) /* first, since what is flushed obeys the modes */
		console_type(c);
	if (events & EPOLLOUT)
		console_flush(c);
	console_settle(c);
}

void console_wake_init(struct console *c)
{
	c->evtchn.event = guest_notified;
	c->log_wait.fire = log_wait_due;
	c->guest_retry.fire = guest_retry_due;
	c->host_retry.fire = host_retry_due;
	c->typed.fire = typed_due;
	c->deadline.fire = deadline_due;
	c->tty.ready = tty_ready;
}

static void hot_turn(struct loop_task *task)
{
	struct console_env *env = container_of(task, struct console_env, hot_turn);
	struct console *c;

	while ((c = console_next_turn(env)))
		console_feed(c, EVENT_PORT);
}

static void open_ttys(struct console_env *env)
{
	struct console *c;

	while ((c = console_next_waiting(env)))
		console_feed(c, EVENT_RETRY_HOST);
}

static void all_claimed(struct loop_task *task)
{
	struct console_env *env = container_of(task, struct console_env, open_ttys);

	if (!env->claims && !env->claimed)
		open_ttys(env);
}

static void claims_over(struct loop_timer *timer)
{
	struct console_env *env = container_of(timer, struct console_env, claims_end);

	console_claims_late(env);
	open_ttys(env);
}

void console_wake_env_init(struct console_env *env)
{
	env->hot_turn.run = hot_turn;
	env->open_ttys.run = all_claimed;
	env->claims_end.fire = claims_over;
}
