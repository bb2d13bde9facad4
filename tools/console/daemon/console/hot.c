/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests that have more to say than their turn allows, or speak without pause, wait here
 * with their ports masked, first in, first out.  They are visited in slices, between which
 * everybody else's events are served, and only while the daemon has some of its
 * share of processor time left: the more of them there are, the rarer each is visited.
 *
 * When they have waited for it as long as it takes, they have one slice, even if meanwhile others,
 * who are not hot, have used up that share as well.
 *
 * A guest that is not hot never waits here, whatever the others do.  Heat is what a
 * guest has cost lately, in visits and bytes; it fades by itself.
 */
#include "console/hot.h"

#include <time.h>

#define HOT 32	      /* heat from which on a guest waits when the share is overdrawn */
#define HOTTEST 64    /* so that it fades within a quarter of a second */
#define FADE_MS 4     /* for each degree */
#define PER_BYTES 256 /* cost one more */
#define SLICE_NS 500000

static int64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void console_heat(struct console *c, size_t bytes)
{
	int64_t now = loop_now(c->env->loop), faded = (now - c->heated) / FADE_MS;

	if (faded > 0) {
		c->heat -= faded < c->heat ? faded : c->heat;
		c->heated = now;
	}
	c->heat += 1 + bytes / PER_BYTES;
	if (c->heat > HOTTEST)
		c->heat = HOTTEST;
}

bool console_has_turn(struct console *c)
{
	struct console_env *env = c->env;

	if (c->hot_prev)
		return false; /* it has its turn anyway */
	if (c->heat < HOT || share_left(&env->share, loop_now(env->loop)))
		return true;
	console_queue(c);
	return false;
}

void console_queue(struct console *c)
{
	struct console_env *env = c->env;

	if (c->hot_prev)
		return;
	c->hot_next = NULL;
	c->hot_prev = env->hot_end;
	*env->hot_end = c;
	env->hot_end = &c->hot_next;
	if (!env->hot_wait.armed)
		loop_post(env->loop, &env->hot_turn);
}

void console_unqueue(struct console *c)
{
	if (!c->hot_prev)
		return;
	*c->hot_prev = c->hot_next;
	if (c->hot_next)
		c->hot_next->hot_prev = c->hot_prev;
	else
		c->env->hot_end = c->hot_prev;
	c->hot_prev = NULL;
}

struct console *console_next_turn(struct console_env *env)
{
	struct console *c = env->hot;

	if (!env->slice_end)
		env->slice_end = clock_ns() + SLICE_NS;
	if (c && (env->hot_due || share_left(&env->share, loop_now(env->loop))) &&
	    clock_ns() < env->slice_end) {
		console_unqueue(c);
		return c;
	}
	env->hot_due = false;
	env->slice_end = 0;
	if (!env->hot)
		return NULL;
	if (share_left(&env->share, loop_now(env->loop)))
		loop_post(env->loop, &env->hot_turn);
	else
		loop_arm(env->loop, &env->hot_wait, share_wait(&env->share));
	return NULL;
}

static void wait_over(struct loop_timer *timer)
{
	struct console_env *env = container_of(timer, struct console_env, hot_wait);

	env->hot_due = true;
	loop_post(env->loop, &env->hot_turn);
}

void console_hot_init(struct console_env *env)
{
	env->hot = NULL;
	env->hot_end = &env->hot;
	env->hot_wait.fire = wait_over;
	share_init(&env->share, env->options->cpu_share);
}

void console_hot_fini(struct console_env *env)
{
	loop_cancel(env->loop, &env->hot_turn);
	loop_disarm(env->loop, &env->hot_wait);
}
