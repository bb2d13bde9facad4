/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to a domain between its making and its end.
 */
#include "xenhost.h"

#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

struct standin_domain *domain_of(const char *text, uint32_t *domid)
{
	struct standin_domain *d;

	*domid = parse_number(text, STANDIN_DOMIDS - 1, "a domid");
	d = *domid ? standin_domain_get(*domid) : NULL;
	if (!d)
		die("there is no domain %u", *domid);
	return d;
}

static struct standin_domain *living(const char *text, uint32_t *domid)
{
	struct standin_domain *d = domain_of(text, domid);

	if (d->state != STANDIN_ALIVE)
		die("domain %u is dying", *domid);
	return d;
}

struct standin_console *console_of(struct standin_domain *d, uint32_t domid, uint32_t console)
{
	if (d->console[console].page == STANDIN_PAGE_NONE)
		die("domain %u has no console %u", domid, console);
	return &d->console[console];
}

void command_pause(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);

	(void)o;
	d->paused = 1;
	standin_domain_kick(d);
}

void command_unpause(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);

	(void)o;
	d->paused = 0;
	standin_domain_kick(d);
}

static uint32_t reason_number(const char *reason)
{
	static const char *const names[] = { "poweroff", "reboot",   "suspend",
					     "crash",	 "watchdog", "soft_reset" };

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], reason))
			return i;
	die("--reason is poweroff, reboot, suspend, crash, watchdog or soft_reset, not '%s'", reason);
}

void command_shutdown(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);

	d->shutdown = 1 + reason_number(o->reason);
	standin_domain_kick(d);
	standin_virq_raise(VIRQ_DOM_EXC);
}

void command_resume(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);

	(void)o;
	d->shutdown = 0;
	standin_domain_kick(d);
}

/* Lock held. The new one first, so that it has another number than the old one, if that is open; or the same. */
static void replace_port(struct standin_console *c, uint32_t domid, const struct options *o)
{
	uint32_t old = c->port;
	bool open = old && standin_port_state(standin_port_get(domid, old)) != STANDIN_CLOSED;

	if (open && o->same_number)
		standin_port_close(domid, old);
	c->port = new_port(domid, o->backend);
	if (o->same_number && c->port != old)
		die("domain %u: a number below %u is free", domid, old);
	if (open && !o->keep_old && !o->same_number)
		standin_port_close(domid, old);
}

void command_restore(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);
	struct standin_console *c = console_of(d, domid, STANDIN_CONSOLE_PRIMARY);
	struct xs_handle *xs = store_open();

	standin_lock();
	if (!o->same_port)
		replace_port(c, domid, o);
	build_page(domid, c->page, o->hvm, DISCONNECTED);
	standin_unlock();
	d->shutdown = 0;
	standin_domain_kick(d);
	store_transaction(xs, store_move, &(struct store_domain){ .domid = domid, .options = o });
	store_close(xs);
}

void command_soft_reset(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);
	struct xs_handle *xs = store_open();
	char *tty = store_read_tty(xs, domid);
	struct store_domain s = { .domid = domid, .options = o, .copied_tty = tty };

	store_transaction(xs, store_remove_consoles, &s);
	standin_lock();
	for (uint32_t i = 0; i < STANDIN_CONSOLES; i++)
		if (d->console[i].page != STANDIN_PAGE_NONE)
			replace_port(&d->console[i], domid, o);
	standin_port_close(domid, d->store_port);
	d->store_port = new_port(domid, 0);
	standin_unlock();
	d->shutdown = 0;
	standin_domain_kick(d);
	store_introduce(xs, domid);
	store_transaction(xs, store_consoles, &s);
	store_transaction(xs, store_tty, &s);
	store_close(xs);
	free(tty);
}

void command_rename(struct options *o, char **arguments)
{
	uint32_t domid;
	struct xs_handle *xs = store_open();

	domain_of(arguments[0], &domid);
	o->name = arguments[1];
	store_transaction(xs, store_rename, &(struct store_domain){ .domid = domid, .options = o });
	store_close(xs);
}

void command_close_port(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);
	struct standin_console *c = console_of(d, domid, o->console);

	standin_lock();
	if (standin_port_state(standin_port_get(domid, c->port)) != STANDIN_CLOSED)
		standin_port_close(domid, c->port);
	standin_unlock();
	standin_domain_kick(d);
}

static void write_move(const struct options *o, uint32_t domid)
{
	struct xs_handle *xs;

	if (o->no_node)
		return;
	xs = store_open();
	store_transaction(xs, store_move,
			  &(struct store_domain){ .domid = domid, .console = o->console, .options = o });
	store_close(xs);
}

void command_move_port(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);
	struct standin_console *c = console_of(d, domid, o->console);

	standin_lock();
	replace_port(c, domid, o);
	standin_unlock();
	standin_domain_kick(d);
	write_move(o, domid);
	printf("{\"port\": %u}\n", c->port);
}

/* As a builder that uses domid, port and frame again: nobody is told. */
void command_rebuild_page(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);

	build_page(domid, console_of(d, domid, o->console)->page, true, DISCONNECTED);
}

/* As XEN_DOMCTL_setdomainhandle, of which nobody is told. */
void command_set_handle(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);

	(void)o;
	make_uuid(arguments[1], d->uuid);
}

void command_move_page(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = living(arguments[0], &domid);
	struct standin_console *c = console_of(d, domid, o->console);
	uint32_t page = c->page == STANDIN_PAGES - 1 ? STANDIN_PAGE_CONSOLE + o->console : STANDIN_PAGES - 1;

	for (uint32_t i = 0; i < STANDIN_CONSOLES; i++)
		if (d->console[i].page == page)
			die("domain %u: console %u is on the spare page", domid, i);
	build_page(domid, page, true, DISCONNECTED);
	c->page = page;
	standin_domain_kick(d);
	write_move(o, domid);
	printf("{\"gfn\": %u}\n", STANDIN_GFN_BASE + page);
}
