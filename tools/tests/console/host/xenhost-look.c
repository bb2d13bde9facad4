/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a test looks at (domains, pages, ports, mappings) and the misfortunes it can order.
 */
#include "xenhost.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void print_json(const char *text)
{
	if (!text) {
		printf("null");
		return;
	}
	putchar('"');
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if (*c < 0x20 || *c > 0x7e)
			printf("\\u%04x", *c);
		else
			putchar(*c);
	putchar('"');
}

void format_uuid(const uint8_t uuid[16], char text[UUID_SIZE])
{
	for (int i = 0; i < 16; i++)
		text += sprintf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}

void print_uuid(const uint8_t uuid[16])
{
	char text[UUID_SIZE];

	format_uuid(uuid, text);
	print_json(text);
}

/* Between the elements of a list that is printed one by one. */
static void separate(bool *first)
{
	printf(*first ? "[" : ",\n");
	*first = false;
}

static void finish(bool first)
{
	printf(first ? "[]\n" : "]\n");
}

static void reap(void)
{
	standin_lock();
	standin_reap_all();
	standin_unlock();
}

static const char *bool_name(bool value)
{
	return value ? "true" : "false";
}

static const char *state_name(struct standin_domain *d)
{
	return d->state == STANDIN_ALIVE ? "alive" : "zombie";
}

static const char *port_state_name(enum standin_port_state state)
{
	static const char *const names[] = {
		[STANDIN_CLOSED] = "closed",
		[STANDIN_UNBOUND] = "unbound",
		[STANDIN_INTERDOMAIN] = "interdomain",
		[STANDIN_VIRQ] = "virq",
	};

	return names[state];
}

void command_list(struct options *o, char **arguments)
{
	struct standin_domain *d;
	bool first = true;

	(void)o;
	(void)arguments;
	reap();
	for (uint32_t domid = 0; (domid = standin_domain_next(domid)) < STANDIN_DOMIDS; domid++) {
		d = standin_domain_get(domid);
		if (!d)
			continue;
		separate(&first);
		printf("{\"domid\": %u, \"incarnation\": %u, \"state\": \"%s\", \"paused\": %s, \"shutdown\": %s, "
		       "\"reason\": %d, \"hvm\": %s, \"pins\": %u, \"guests\": %u, \"uuid\": ",
		       domid, d->incarnation, state_name(d), bool_name(d->paused), bool_name(d->shutdown),
		       (int)d->shutdown - 1, bool_name(d->hvm), d->pins, d->guests);
		print_uuid(d->uuid);
		printf("}");
	}
	finish(first);
}

static uint32_t count_pins(uint32_t domid, uint32_t page)
{
	struct standin_state *host = standin_host();
	uint32_t count = 0;

	for (uint32_t i = 1; i < host->pin_top; i++)
		count += host->pin[i].handle && host->pin[i].domid == domid && host->pin[i].page == page;
	return count;
}

void command_page(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = domain_of(arguments[0], &domid);
	struct standin_console *c = console_of(d, domid, o->console);
	struct standin_port *p = standin_port_get(domid, c->port);
	uint32_t *index, flag;
	uint8_t *page;

	standin_lock();
	standin_pin_settle(domid);
	if (p)
		standin_port_settle(domid, c->port);
	standin_unlock();
	page = standin_page_map(domid, c->page, PROT_READ);
	if (page == MAP_FAILED)
		die("domain %u: %s", domid, strerror(errno));
	index = (uint32_t *)(page + 3072);
	flag = page[3088];
	if (o->text)
		printf("domain %u: %s, in %u..%u, out %u..%u\n", domid, flag ? "DISCONNECTED" : "CONNECTED",
		       index[0], index[1], index[2], index[3]);
	else
		printf("{\"domid\": %u, \"console\": %u, \"port\": %u, \"status\": \"%s\", "
		       "\"gfn\": %u, \"offset\": %jd, \"pins\": %u, \"flag\": %u, "
		       "\"in_cons\": %u, \"in_prod\": %u, \"out_cons\": %u, \"out_prod\": %u}\n",
		       domid, o->console, c->port,
		       port_state_name(p ? standin_port_state(p) : STANDIN_CLOSED),
		       STANDIN_GFN_BASE + c->page, (intmax_t)standin_page_offset(domid, c->page),
		       count_pins(domid, c->page), flag, index[0], index[1], index[2], index[3]);
}

void command_ports(struct options *o, char **arguments)
{
	struct standin_state *host = standin_host();
	struct standin_port *p;
	bool first = true;

	(void)o;
	(void)arguments;
	reap();
	for (uint32_t port = 1; port < host->port_top; port++) {
		p = standin_port_get(0, port);
		if (standin_port_state(p) == STANDIN_CLOSED || !standin_port_handle(p))
			continue;
		separate(&first);
		printf("{\"port\": %u, \"status\": \"%s\", \"domid\": %u, \"%s\": %u, "
		       "\"pid\": %d, \"pending\": %s, \"masked\": %s, \"events\": %u}",
		       port, port_state_name(standin_port_state(p)), standin_port_peer_domid(p),
		       standin_port_state(p) == STANDIN_VIRQ ? "virq" : "remote", standin_port_peer(p),
		       host->handle[standin_port_handle(p)].pid, bool_name(standin_port_pending(p)),
		       bool_name(standin_port_masked(p)), p->events);
	}
	finish(first);
}

void command_mappings(struct options *o, char **arguments)
{
	struct standin_state *host = standin_host();
	bool first = true;

	(void)o;
	(void)arguments;
	reap();
	for (uint32_t i = 1; i < host->pin_top; i++) {
		const struct standin_pin *pin = &host->pin[i];
		const struct standin_handle *h = &host->handle[pin->handle];

		if (!pin->handle)
			continue;
		separate(&first);
		printf("{\"domid\": %u, \"gfn\": %u, \"kind\": \"%s\", \"pid\": %d}", pin->domid,
		       (uint32_t)STANDIN_GFN_BASE + pin->page,
		       h->kind == STANDIN_HANDLE_GRANT ? "grant" : "foreign", h->pid);
	}
	finish(first);
}

void command_hvprint(struct options *o, char **arguments)
{
	char text[4096];
	ssize_t length;

	(void)o;
	(void)arguments;
	while ((length = read(STDIN_FILENO, text, sizeof(text))) > 0)
		standin_conring_write(text, length);
	if (length < 0)
		die("stdin: %s", strerror(errno));
}

void command_storm(struct options *o, char **arguments)
{
	uint32_t domid, count;
	struct standin_domain *d = domain_of(arguments[0], &domid);
	struct standin_port *p = standin_port_get(domid, console_of(d, domid, o->console)->port);

	count = parse_number(arguments[1], UINT32_MAX, "COUNT");
	standin_handle_cache();
	while (p && count--)
		standin_port_notify(p);
}

static int errno_of(const char *name)
{
	if (!name)
		return 0;
	for (int error = 1; error < 134; error++)
		if (strerrorname_np(error) && !strcmp(strerrorname_np(error), name))
			return error;
	die("--errno is a name like EINVAL, or none, not '%s'", name);
}

static void list_rules(void)
{
	struct standin_state *host = standin_host();
	bool first = true;

	for (struct standin_rule *r = host->rule; r < host->rule + STANDIN_RULES; r++) {
		if (!r->used)
			continue;
		separate(&first);
		printf("{\"call\": \"%s\", \"errno\": \"%s\", \"left\": %u, \"hits\": %u, "
		       "\"delay\": %" PRIu64 "}",
		       standin_call_name(r->call), r->error ? strerrorname_np(r->error) : "none", r->left,
		       r->hits, r->delay);
	}
	finish(first);
}

static void add_rule(const struct options *o, enum standin_call call)
{
	struct standin_rule rule = {
		.call = call,
		.domid = o->only_domid,
		.error = errno_of(o->error),
		.left = o->times,
		.delay = o->delay,
	};

	if (standin_inject_add(&rule))
		die("there is no room for another rule");
}

void command_inject(struct options *o, char **arguments)
{
	if (o->clear)
		standin_inject_clear();
	if (o->list)
		list_rules();
	if (!*arguments)
		return;
	if (!strcmp(*arguments, "map")) {
		add_rule(o, STANDIN_MAP_GRANT);
		add_rule(o, STANDIN_MAP_FOREIGN);
		return;
	}
	for (int call = 0; call < STANDIN_CALLS; call++)
		if (!strcmp(standin_call_name(call), *arguments)) {
			add_rule(o, call);
			return;
		}
	fprintf(stderr, "xenhost: there is no call '%s' to fail; there are: map", *arguments);
	for (int call = 0; call < STANDIN_CALLS; call++)
		fprintf(stderr, ", %s", standin_call_name(call));
	fprintf(stderr, "\n");
	exit(EINVAL);
}

void command_break_handle(struct options *o, char **arguments)
{
	struct standin_state *host = standin_host();
	bool any = false;

	(void)arguments;
	for (uint32_t slot = 1; slot < host->handle_top; slot++)
		if (host->handle[slot].kind == STANDIN_HANDLE_EVTCHN &&
		    host->handle[slot].pid == (int32_t)o->pid) {
			standin_handle_break(slot);
			any = true;
		}
	if (!any)
		die("process %d has no event channel handle", (int)o->pid);
}

void command_introduced(struct options *o, char **arguments)
{
	struct xs_handle *xs = store_open();
	uint32_t domid = parse_number(arguments[0], STANDIN_DOMIDS - 1, "a domid");

	(void)o;
	printf("{\"introduced\": %s}\n", bool_name(store_introduced(xs, domid)));
	store_close(xs);
}
