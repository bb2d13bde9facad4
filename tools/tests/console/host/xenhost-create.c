/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Domains made and unmade as libxl does it: hypervisor first and nodes afterwards when one is made,
 * nodes first and hypervisor afterwards when one goes.
 */
#include "xenhost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define CONNECTION_OFFSET 3088

enum { ZOMBIE_WAIT = 5000, GUEST_WAIT = 2000, TTY_WAIT = 10000 }; /* milliseconds */

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

void make_uuid(const char *text, uint8_t uuid[16])
{
	unsigned int byte;
	int digits = 0;

	if (!text) {
		if (getrandom(uuid, 16, 0) != 16)
			die("getrandom: %s", strerror(errno));
		return;
	}
	memset(uuid, 0, 16);
	for (; *text && digits < 32; text++) {
		if (*text == '-')
			continue;
		if (sscanf(text, "%1x", &byte) != 1)
			break;
		uuid[digits / 2] = uuid[digits / 2] << 4 | byte;
		digits++;
	}
	if (digits != 32 || *text)
		die("a uuid has 32 hexadecimal digits");
}

static uint8_t *page_or_die(uint32_t domid, uint32_t page)
{
	uint8_t *address = standin_page_map(domid, page, PROT_READ | PROT_WRITE);

	if (address == MAP_FAILED)
		die("domain %u, page %u: %s", domid, page, strerror(errno));
	return address;
}

void build_page(uint32_t domid, uint32_t page, bool clear, uint8_t flag)
{
	uint8_t *address = page_or_die(domid, page);

	if (clear)
		memset(address, 0, STANDIN_PAGE_SIZE);
	__atomic_store_n(&address[CONNECTION_OFFSET], flag, __ATOMIC_SEQ_CST);
	munmap(address, STANDIN_PAGE_SIZE);
}

uint32_t new_port(uint32_t domid, uint32_t backend)
{
	int port = standin_port_unbound(domid, backend, 0);

	if (port < 0)
		die("domain %u: no port: %s", domid, strerror(-port));
	return port;
}

/* Lock held. Only the builder of the primary console knows the flag. */
static void add_console(const struct options *o, uint32_t domid, uint32_t console, uint8_t flag)
{
	struct standin_domain *d = &standin_host()->domain[domid];

	d->console[console].page = STANDIN_PAGE_CONSOLE + console;
	d->console[console].port = new_port(domid, o->backend);
	build_page(domid, STANDIN_PAGE_CONSOLE + console, true, flag);
}

/* Lock held. */
static int make_domain(const struct options *o)
{
	uint8_t uuid[16];
	int domid;

	make_uuid(o->uuid, uuid);
	domid = standin_domain_create(o->domid, uuid, o->hvm, o->paused);
	if (domid < 0)
		return domid;
	standin_host()->domain[domid].store_port = new_port(domid, 0);
	add_console(o, domid, STANDIN_CONSOLE_PRIMARY, o->old_builder ? 0 : DISCONNECTED);
	if (o->vuart)
		add_console(o, domid, STANDIN_CONSOLE_VUART, 0);
	for (uint32_t i = 0; i < o->consoles; i++)
		add_console(o, domid, STANDIN_CONSOLE_EXTRA + i, 0);
	return domid;
}

/* A zombie's domid comes free when whoever maps its pages lets go. */
static uint32_t make_domain_patiently(const struct options *o)
{
	int domid = -EBUSY;

	for (int waited = 0; domid == -EBUSY && waited <= ZOMBIE_WAIT; waited += 5) {
		standin_lock();
		standin_reap_all();
		domid = make_domain(o);
		standin_unlock();
		if (domid == -EBUSY)
			nap();
	}
	if (domid < 0)
		die("domain %u cannot be made: %s", o->domid, strerror(-domid));
	return domid;
}

static void print_made(const struct options *o, uint32_t domid)
{
	struct standin_domain *d = &standin_host()->domain[domid];

	printf("{\"domid\": %u, \"incarnation\": %u, \"port\": %u, \"gfn\": %u, \"uuid\": ", domid,
	       d->incarnation, d->console[0].port, STANDIN_GFN_BASE + d->console[0].page);
	print_uuid(d->uuid);
	printf(", \"name\": ");
	print_json(o->name);
	printf("}");
}

static void kill_domain(uint32_t domid)
{
	struct standin_domain *d = &standin_host()->domain[domid];
	uint32_t incarnation = d->incarnation;
	bool guests = true;

	standin_lock();
	standin_pin_settle(domid);
	standin_domain_kill(domid);
	standin_unlock();
	/* Xen stops the virtual CPUs before anything else. */
	for (int waited = 0; guests && waited < GUEST_WAIT; waited += 5) {
		standin_lock();
		standin_reap_all();
		guests = d->incarnation == incarnation && d->state == STANDIN_DYING && d->guests;
		standin_unlock();
		if (guests)
			nap();
	}
}

static void destroy_domain(uint32_t domid)
{
	struct xs_handle *xs = store_open();

	store_transaction(xs, store_remove, &(struct store_domain){ .domid = domid });
	store_close(xs);
	kill_domain(domid);
}

static uint32_t create(const struct options *o)
{
	uint32_t domid = make_domain_patiently(o);
	struct store_domain s = { .domid = domid, .options = o };
	struct xs_handle *xs;

	if (o->no_nodes)
		return domid;
	xs = store_open();
	store_transaction(xs, store_base, &s);
	store_introduce(xs, domid);
	store_transaction(xs, store_consoles, &s);
	if (o->wait_tty && !store_wait_tty(xs, domid, TTY_WAIT)) {
		store_close(xs);
		destroy_domain(domid);
		die("domain %u console tty: timed out, the domain was destroyed", domid);
	}
	store_close(xs);
	return domid;
}

void command_create(struct options *o, char **arguments)
{
	(void)arguments;
	print_made(o, create(o));
	printf("\n");
}

/* ---- many at once ---- */

struct batch {
	struct store_domain *domains;
	uint32_t count;
};

static void store_batch(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct batch *batch = arg;

	for (uint32_t i = 0; i < batch->count; i++) {
		store_base(xs, t, &batch->domains[i]);
		store_consoles(xs, t, &batch->domains[i]);
	}
}

/*
 * All nodes come before the first introduction, unlike libxl's: each request costs xenstored more
 * the more domains it knows.
 */
static void store_all(struct store_domain *domains, uint32_t count)
{
	enum { PIECE = 50 };
	struct xs_handle *xs = store_open();
	struct batch batch;

	for (uint32_t done = 0; done < count; done += batch.count) {
		batch.domains = domains + done;
		batch.count = count - done < PIECE ? count - done : PIECE;
		store_transaction(xs, store_batch, &batch);
	}
	for (uint32_t i = 0; i < count; i++)
		store_introduce(xs, domains[i].domid);
	store_close(xs);
}

void command_batch(struct options *o, char **arguments)
{
	uint32_t count = parse_number(arguments[0], STANDIN_DOMIDS - 1, "COUNT");
	struct store_domain *domains = calloc(count, sizeof(*domains));
	struct options *each = calloc(count, sizeof(*each));
	char(*names)[32] = calloc(count, sizeof(*names));

	if (count && (!domains || !each || !names))
		die("batch: out of memory");
	o->brief = true;
	for (uint32_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "idle-%u", i + 1);
		each[i] = *o;
		each[i].name = names[i];
		domains[i].options = &each[i];
		domains[i].domid = make_domain_patiently(&each[i]);
	}
	if (!o->no_nodes)
		store_all(domains, count);
	for (uint32_t i = 0; i < count; i++) {
		printf(i ? ",\n" : "[");
		print_made(&each[i], domains[i].domid);
	}
	printf(count ? "]\n" : "[]\n");
	free(domains);
	free(each);
	free(names);
}

/* ---- their end ---- */

void command_destroy(struct options *o, char **arguments)
{
	uint32_t domid;

	(void)o;
	for (; *arguments; arguments++) {
		domain_of(*arguments, &domid);
		destroy_domain(domid);
	}
}

void command_kill(struct options *o, char **arguments)
{
	uint32_t domid;

	(void)o;
	for (; *arguments; arguments++) {
		domain_of(*arguments, &domid);
		kill_domain(domid);
	}
}

void command_remove_nodes(struct options *o, char **arguments)
{
	struct xs_handle *xs = store_open();
	uint32_t domid;

	(void)o;
	for (; *arguments; arguments++) {
		domain_of(*arguments, &domid);
		store_transaction(xs, store_remove, &(struct store_domain){ .domid = domid });
	}
	store_close(xs);
}

void command_reboot(struct options *o, char **arguments)
{
	uint32_t domid;
	struct standin_domain *d = domain_of(arguments[0], &domid);
	struct xs_handle *xs = store_open();
	char uuid[UUID_SIZE];
	char *name = store_read_name(xs, domid);

	store_close(xs);
	format_uuid(d->uuid, uuid);
	o->name = name;
	o->uuid = uuid;
	destroy_domain(domid);
	print_made(o, create(o));
	printf("\n");
	free(name);
}
