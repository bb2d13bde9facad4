/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a console's tty is opened, and which numbers it may have. At the start all of them wait until it is known what
 * ttys the consoles found then had: each gets its former number, and nobody else does. Then they are opened together,
 * so that no number need be taken twice.
 */
#include "console/claims.h"

#include <sys/epoll.h>

#include "base/diag.h"
#include "store/parse.h"

#define CLAIMS_MS 3000	 /* so long a slow xenstored is waited for */
#define OTHERS_MOST 1024 /* numbers that others may have had below our consoles' */

void console_found(struct console *c)
{
	c->claims = true;
	c->env->claims++;
	c->env->found++;
}

void console_claimed(struct console *c)
{
	if (!c->claims)
		return;
	c->claims = false;
	if (!--c->env->claims)
		loop_post(c->env->loop, &c->env->open_ttys);
}

void console_claim(struct console *c, long number)
{
	if (c->claims && number >= 0)
		ttys_claim(c->env->ttys, number, OTHERS_MOST + 2 * (long)c->env->found, c);
	console_claimed(c);
}

void console_all_found(struct console_env *env)
{
	loop_arm(env->loop, &env->claims_end, CLAIMS_MS);
	loop_post(env->loop, &env->open_ttys);
}

int console_open_tty(struct console *c)
{
	int master, err;

	if (c->pty.master >= 0)
		return 0;
	if (!c->env->claimed) {
		link_move(&c->waits, &c->env->waiting);
		return 0;
	}
	master = ttys_open(c->env->ttys, c, c->lost_tty);
	if (master < 0)
		return master;
	err = pty_open(&c->pty, master);
	if (err)
		return err;
	err = loop_add(c->env->loop, &c->tty, c->pty.master, EPOLLPRI);
	if (err)
		pty_close(&c->pty);
	return err;
}

void console_close_tty(struct console *c)
{
	if (c->pty.master >= 0)
		c->lost_tty = store_parse_tty(c->pty.name);
	link_remove(&c->waits);
	loop_del(c->env->loop, &c->tty);
	pty_close(&c->pty);
}

struct console *console_next_waiting(struct console_env *env)
{
	struct console *c;

	env->claimed = true;
	loop_disarm(env->loop, &env->claims_end);
	if (link_alone(&env->waiting)) {
		ttys_settle(env->ttys);
		return NULL;
	}
	c = container_of(env->waiting.next, struct console, waits);
	link_remove(&c->waits);
	return c;
}

void console_claims_late(const struct console_env *env)
{
	diag(LOG_WARNING,
	     "xenstored is slow: after %d ms the former tty of %zu of %zu consoles is not known; they may get"
	     " another, and viewers that kept the old path have to read the tty node anew",
	     CLAIMS_MS, env->claims, env->found);
}

void console_claims_init(struct console_env *env)
{
	link_init(&env->waiting);
}

void console_claims_fini(struct console_env *env)
{
	loop_cancel(env->loop, &env->open_ttys);
	loop_disarm(env->loop, &env->claims_end);
}
