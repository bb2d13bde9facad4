/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The nodes that libxl writes for a domain and its consoles, through the real libxenstore into the
 * real xenstored.
 */
#include "xenhost.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>

struct xs_handle *store_open(void)
{
	struct xs_handle *xs = xs_open(0);

	if (!xs)
		die("xenstored does not answer: %s", strerror(errno));
	return xs;
}

void store_close(struct xs_handle *xs)
{
	xs_close(xs);
}

void store_transaction(struct xs_handle *xs, void (*work)(struct xs_handle *xs, uint32_t t, const void *arg),
		       const void *arg)
{
	xs_transaction_t t;
	bool done;

	do {
		t = xs_transaction_start(xs);
		if (t == XBT_NULL)
			die("transaction: %s", strerror(errno));
		work(xs, t, arg);
		done = xs_transaction_end(xs, t, false);
		if (!done && errno != EAGAIN)
			die("transaction: %s", strerror(errno));
	} while (!done);
}

static void write_node(struct xs_handle *xs, uint32_t t, const char *directory, const char *name,
		       const char *value)
{
	char path[512];

	if (!value)
		return;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (!xs_write(xs, t, path, value, strlen(value)))
		die("%s: %s", path, strerror(errno));
}

static void write_number(struct xs_handle *xs, uint32_t t, const char *directory, const char *name,
			 uint32_t number)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", number);
	write_node(xs, t, directory, name, value);
}

static void remove_node(struct xs_handle *xs, uint32_t t, const char *path)
{
	if (!xs_rm(xs, t, path) && errno != ENOENT)
		die("%s: %s", path, strerror(errno));
}

enum { PATH = 128 };

static void domain_path(char path[PATH], uint32_t domid)
{
	snprintf(path, PATH, "/local/domain/%u", domid);
}

static void vm_path(char path[PATH], uint32_t domid)
{
	char uuid[UUID_SIZE];

	format_uuid(standin_host()->domain[domid].uuid, uuid);
	snprintf(path, PATH, "/vm/%s", uuid);
}

static void console_path(char path[PATH], uint32_t domid, uint32_t console)
{
	if (console == STANDIN_CONSOLE_PRIMARY)
		snprintf(path, PATH, "/local/domain/%u/console", domid);
	else if (console == STANDIN_CONSOLE_VUART)
		snprintf(path, PATH, "/local/domain/%u/vuart/0", domid);
	else
		snprintf(path, PATH, "/local/domain/%u/device/console/%u", domid, console - 1);
}

static void backend_path(char path[PATH], uint32_t domid, uint32_t console)
{
	if (console == STANDIN_CONSOLE_VUART)
		snprintf(path, PATH, "/local/domain/0/backend/vuart/%u/0", domid);
	else
		snprintf(path, PATH, "/local/domain/0/backend/console/%u/%u", domid,
			 console ? console - 1 : 0);
}

static bool exists(uint32_t domid, uint32_t console)
{
	return standin_host()->domain[domid].console[console].page != STANDIN_PAGE_NONE;
}

void store_base(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	struct xs_permissions permissions[] = { { 0, XS_PERM_NONE }, { s->domid, XS_PERM_READ } };
	char path[PATH], vm[PATH], uuid[UUID_SIZE];

	domain_path(path, s->domid);
	vm_path(vm, s->domid);
	format_uuid(standin_host()->domain[s->domid].uuid, uuid);
	xs_rm(xs, t, path);
	if (!xs_mkdir(xs, t, path) || !xs_set_permissions(xs, t, path, permissions, 2))
		die("%s: %s", path, strerror(errno));
	write_node(xs, t, path, "name", s->options->name);
	if (s->options->brief)
		return;
	write_node(xs, t, vm, "uuid", uuid);
	write_node(xs, t, vm, "name", s->options->name);
	write_node(xs, t, path, "vm", vm);
	write_number(xs, t, path, "domid", s->domid);
	write_node(xs, t, path, "control/shutdown", "");
	write_number(xs, t, path, "store/port", standin_host()->domain[s->domid].store_port);
	write_number(xs, t, path, "store/ring-ref", STANDIN_GFN_BASE + STANDIN_PAGE_STORE);
}

static void write_backend(struct xs_handle *xs, uint32_t t, const struct store_domain *s, const char *front,
			  const char *back)
{
	write_node(xs, t, back, "frontend", front);
	write_number(xs, t, back, "frontend-id", s->domid);
	write_node(xs, t, back, "online", "1");
	write_node(xs, t, back, "state", "1");
	write_node(xs, t, back, "protocol", "vt100");
	write_node(xs, t, front, "backend", back);
	write_number(xs, t, front, "backend-id", s->options->backend);
}

static void write_place(struct xs_handle *xs, uint32_t t, const struct store_domain *s, const char *front)
{
	struct standin_console *c = &standin_host()->domain[s->domid].console[s->console];

	if (!s->options->no_port)
		write_number(xs, t, front, "port", c->port);
	if (s->options->no_ring_ref)
		return;
	/* That of an additional console is a grant reference. */
	write_number(xs, t, front, "ring-ref",
		     s->console >= STANDIN_CONSOLE_EXTRA ? 8 + s->console - STANDIN_CONSOLE_EXTRA
							 : STANDIN_GFN_BASE + c->page);
}

void store_console(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	char front[PATH], back[PATH];

	console_path(front, s->domid, s->console);
	backend_path(back, s->domid, s->console);
	if (!s->options->brief) {
		write_backend(xs, t, s, front, back);
		write_node(xs, t, front, "output", s->options->output);
		if (s->console >= STANDIN_CONSOLE_EXTRA)
			write_node(xs, t, front, "state", "4");
	}
	write_node(xs, t, front, "limit", s->options->limit);
	write_node(xs, t, front, "type", s->options->type);
	write_node(xs, t, front, "tty", s->options->tty);
	write_place(xs, t, s, front);
}

void store_consoles(struct xs_handle *xs, uint32_t t, const void *arg)
{
	struct store_domain one = *(const struct store_domain *)arg;

	for (one.console = 0; one.console < STANDIN_CONSOLES; one.console++)
		if (exists(one.domid, one.console))
			store_console(xs, t, &one);
}

void store_remove_consoles(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	char path[PATH];

	for (uint32_t console = 0; console < STANDIN_CONSOLES; console++) {
		if (!exists(s->domid, console))
			continue;
		console_path(path, s->domid, console);
		remove_node(xs, t, path);
		backend_path(path, s->domid, console);
		remove_node(xs, t, path);
	}
}

void store_remove(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	char path[PATH];

	snprintf(path, sizeof(path), "/local/domain/0/backend/console/%u", s->domid);
	remove_node(xs, t, path);
	snprintf(path, sizeof(path), "/local/domain/0/backend/vuart/%u", s->domid);
	remove_node(xs, t, path);
	vm_path(path, s->domid);
	remove_node(xs, t, path);
	domain_path(path, s->domid);
	remove_node(xs, t, path);
}

void store_rename(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	char path[PATH];

	vm_path(path, s->domid);
	write_node(xs, t, path, "name", s->options->name);
	domain_path(path, s->domid);
	write_node(xs, t, path, "name", s->options->name);
}

void store_move(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	char front[PATH];

	console_path(front, s->domid, s->console);
	write_place(xs, t, s, front);
}

void store_tty(struct xs_handle *xs, uint32_t t, const void *arg)
{
	const struct store_domain *s = arg;
	char front[PATH];

	console_path(front, s->domid, STANDIN_CONSOLE_PRIMARY);
	write_node(xs, t, front, "tty", s->copied_tty);
}

void store_introduce(struct xs_handle *xs, uint32_t domid)
{
	if (!xs_introduce_domain(xs, domid, STANDIN_GFN_BASE + STANDIN_PAGE_STORE,
				 standin_host()->domain[domid].store_port))
		die("xenstored does not take domain %u: %s", domid, strerror(errno));
}

bool store_introduced(struct xs_handle *xs, uint32_t domid)
{
	return xs_is_domain_introduced(xs, domid);
}

static char *read_node(struct xs_handle *xs, const char *directory, const char *name)
{
	char path[512];
	unsigned int length;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return xs_read(xs, XBT_NULL, path, &length);
}

char *store_read_tty(struct xs_handle *xs, uint32_t domid)
{
	char path[PATH];

	console_path(path, domid, STANDIN_CONSOLE_PRIMARY);
	return read_node(xs, path, "tty");
}

char *store_read_name(struct xs_handle *xs, uint32_t domid)
{
	char path[PATH];

	domain_path(path, domid);
	return read_node(xs, path, "name");
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool store_wait_tty(struct xs_handle *xs, uint32_t domid, int milliseconds)
{
	int64_t end = now() + milliseconds, left = milliseconds;
	char path[PATH], node[PATH + 8];
	struct pollfd watch = { .fd = xs_fileno(xs), .events = POLLIN };
	bool there = false;
	char **event, *tty;

	console_path(path, domid, STANDIN_CONSOLE_PRIMARY);
	snprintf(node, sizeof(node), "%s/tty", path);
	if (!xs_watch(xs, node, "tty"))
		die("watch %s: %s", node, strerror(errno));
	while (!there && left > 0 && poll(&watch, 1, left) > 0) {
		event = xs_check_watch(xs);
		free(event);
		tty = read_node(xs, path, "tty");
		there = tty && *tty;
		free(tty);
		left = end - now();
	}
	xs_unwatch(xs, node, "tty");
	return there;
}
