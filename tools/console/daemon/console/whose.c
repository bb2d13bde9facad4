/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose page it is: to be asked before a flag or an index is written.
 *
 * To have bound the port once proves nothing.  The guest may have closed it and offered it again, even under its
 * old number, and another backend may have bound it, while this process did not run, say.  So what is known of a
 * port is good for a moment only, and for none once this process has been away.
 */
#include "console/whose.h"

#include <errno.h>
#include <string.h>

#include "console/said.h"

#define STOOD_MS 10 /* how long a port that stood is taken to stand */

void console_stood(struct console *c)
{
	c->stood = loop_now(c->env->loop);
	c->stood_run = loop_absences();
	c->lost = false;
}

bool console_port_stands(struct console *c)
{
	uint32_t peer;
	int port;

	if (c->evtchn.local < 0)
		return false;
	port = hyper_port(c->env->hyper, HYPER_SELF, c->evtchn.local, &peer);
	if (port == HYPER_PORT_HELD && peer == c->key.domid)
		console_stood(c);
	else if (port >= 0) /* where Xen does not say, it is as far as is known */
		c->lost = true;
	return !c->lost;
}

bool console_holds(struct console *c)
{
	bool lately = c->stood_run == loop_absences() && loop_now(c->env->loop) - c->stood <= STOOD_MS;

	return c->evtchn.local >= 0 && ((lately && !c->lost) || console_port_stands(c));
}

bool console_touch(struct console *c)
{
	bool holds = console_holds(c);

	if (!holds)
		console_fail(c, EVENT_PORT_LOST);
	return holds;
}

bool console_elsewhere(struct console *c)
{
	uint32_t peer;
	int port = hyper_port(c->env->hyper, c->key.domid, c->port, &peer);

	return (port == HYPER_PORT_FREE || port == HYPER_PORT_HELD) && peer != c->env->self;
}

bool console_offered(struct console *c)
{
	uint32_t peer;

	return hyper_port(c->env->hyper, c->key.domid, c->port, &peer) == HYPER_PORT_FREE &&
	       peer == c->env->self;
}

bool console_is_over(struct console *c)
{
	struct hyper_domain domain;
	int err = hyper_domain(c->env->hyper, c->key.domid, &domain);

	return err == -ESRCH || (!err && domain.dying);
}

bool console_is_strangers(struct console *c)
{
	struct hyper_domain domain;

	return !hyper_domain(c->env->hyper, c->key.domid, &domain) &&
	       memcmp(domain.handle, c->handle, sizeof(c->handle)) != 0;
}

bool console_may_write(struct console *c)
{
	int64_t named = c->port >= 0 ? c->port : c->bound_port;
	uint32_t peer;
	int port;

	if (!c->page.at)
		return false;
	if (named == c->bound_port && console_holds(c))
		return true;
	if (c->stood_run != loop_absences())
		return console_is_over(c) && ring_as_left(&c->ring);
	port = hyper_port(c->env->hyper, c->key.domid, named, &peer);
	return port == HYPER_PORT_CLOSED || (port == HYPER_PORT_FREE && peer == c->env->self);
}
