/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One attached console on a page that the test fills in. What Xen says of its port is the test's to say.
 */
#ifndef UNIT_CONSOLE_FIXTURE_H
#define UNIT_CONSOLE_FIXTURE_H

#include "ring-fixture.h"

#include <stdlib.h>

#include "console/bytes.h"
#include "console/console.h"
#include "console/flag.h"
#include "console/guest.h"
#include "console/host.h"
#include "console/hot.h"
#include "console/steps.h"
#include "console/wake.h"
#include "console/whose.h"

#define DOMID 7
#define PORT 3

static struct options options;
static struct console_env env;
static struct console c;
static int answer;	    /* of Xen, about the port */
static unsigned int asked;  /* how often */
static uint32_t offered_to; /* the domain that the guest's port is for */
static bool dying;	    /* as Xen says of the domain */
static unsigned int notified;

int __wrap_hyper_port(struct hyper *h, uint32_t domid, uint32_t port, uint32_t *peer);
int __wrap_hyper_domain(struct hyper *h, uint32_t domid, struct hyper_domain *domain);
void __wrap_evtchn_notify(struct evtchn *e, struct evtchn_port *port);
void __wrap_evtchn_unmask(struct evtchn *e, struct evtchn_port *port);
void __wrap_evtchn_unbind(struct evtchn *e, struct evtchn_port *port);

int __wrap_hyper_port(struct hyper *h, uint32_t domid, uint32_t port, uint32_t *peer)
{
	(void)h;
	assert_true(domid == HYPER_SELF ? port == 0 : domid == DOMID && port == PORT);
	if (peer)
		*peer = domid == HYPER_SELF ? DOMID : offered_to;
	asked++;
	return answer;
}

int __wrap_hyper_domain(struct hyper *h, uint32_t domid, struct hyper_domain *domain)
{
	(void)h;
	*domain = (struct hyper_domain){ .domid = domid, .dying = dying };
	return 0;
}

void __wrap_evtchn_notify(struct evtchn *e, struct evtchn_port *port)
{
	(void)e;
	(void)port;
	notified++;
}

void __wrap_evtchn_unmask(struct evtchn *e, struct evtchn_port *port)
{
	(void)e;
	(void)port;
}

void __wrap_evtchn_unbind(struct evtchn *e, struct evtchn_port *port)
{
	(void)e;
	port->local = -1;
}

/* Long ago its port was bound, as our number 0. */
static int set_up(void **state)
{
	(void)state;
	options = (struct options){ .cpu_share = 50, .buffer_limit = 1 << 20 };
	env = (struct console_env){ .options = &options, .loop = loop_new() };
	console_env_init(&env);
	c = (struct console){
		.env = &env, .state = STATE_LIVE, .port = 1, .bound_port = 1, .limit = 1 << 20
	};
	console_guest_init(&c);
	console_host_init(&c);
	console_wake_init(&c);
	c.port = c.bound_port = PORT;
	c.key.domid = DOMID;
	c.evtchn.local = 0;
	c.stood_run = loop_absences();
	set_page(0, 0, 0, 0);
	c.page.at = page;
	answer = HYPER_PORT_HELD;
	asked = notified = offered_to = 0;
	dying = false;
	return env.loop && ring_init(&c.ring, page) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	console_unqueue(&c);
	free(c.fifo.data);
	console_env_fini(&env);
	loop_free(env.loop);
	return 0;
}

#endif
