/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * xenguest: the frontend of one console of one domain on the stand-in host.
 *
 * One thread does everything: takes input, puts output into the ring, executes commands. It sleeps
 * on the domain's futex, which moves when an event comes, when the domain is paused, moved or
 * killed, and when a command was typed. A real old guest spins while the ring is full; this one
 * sleeps until an event tells of room, but says that it spins. Room that came without an event is
 * found after a second, and counted: a backend that forgets to notify shows.
 */
#include "xenguest.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int64_t guest_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bool guest_alive(struct guest *g)
{
	return g->domain->state == STANDIN_ALIVE && g->domain->incarnation == g->incarnation;
}

struct standin_port *guest_port(struct guest *g)
{
	return standin_port_get(g->domid, g->console->port);
}

void guest_notify(struct guest *g)
{
	struct standin_port *p = guest_port(g);

	if (g->silent)
		return;
	g->notifies++;
	if (p)
		standin_port_notify(p);
}

__attribute__((noreturn)) static void refuse(const char *what, int error)
{
	fprintf(stderr, "xenguest: %s: %s\n", what, strerror(error));
	exit(1);
}

static void map_page(struct guest *g)
{
	uint32_t page = g->console->page;

	if (g->page && page == g->page_number)
		return;
	if (g->page)
		munmap(g->page, STANDIN_PAGE_SIZE);
	g->page = standin_page_map(g->domid, page, PROT_READ | PROT_WRITE);
	if (g->page == MAP_FAILED)
		refuse("the page", errno);
	g->page_number = page;
}

/* Being attached keeps the domid from being reused while the page is mapped here. */
static void attach(struct guest *g)
{
	struct standin_state *host = standin_host_or_exit();
	int error = standin_handle_open(STANDIN_HANDLE_GUEST, true, &g->slot, &g->fd);

	if (error)
		refuse("no handle", -error);
	standin_handle_cache();
	g->domain = &host->domain[g->domid];
	g->console = &g->domain->console[g->console_number];
	standin_lock();
	if (g->domain->state == STANDIN_ALIVE && g->console->page != STANDIN_PAGE_NONE) {
		host->handle[g->slot].domid = g->domid;
		g->domain->guests++;
		g->incarnation = g->domain->incarnation;
	} else {
		error = ESRCH;
		host->handle[g->slot].kind = STANDIN_HANDLE_FOREIGN;
	}
	standin_unlock();
	if (error)
		refuse("no such domain or console", error);
	map_page(g);
}

static void detach(struct guest *g)
{
	munmap(g->page, STANDIN_PAGE_SIZE);
	g->page = NULL;
	standin_handle_close(g->slot, g->fd);
}

static void keep_input(struct guest *g, const uint8_t *text, uint32_t length)
{
	g->read += length;
	if (g->input_fd >= 0 && write(g->input_fd, text, length) != (ssize_t)length)
		refuse("input file", errno);
	if (g->echo)
		output_echo(g, text, length);
}

static bool take_input(struct guest *g)
{
	struct xencons_interface *page = g->page;
	uint32_t cons = __atomic_load_n(&page->in_cons, __ATOMIC_RELAXED);
	uint32_t prod = __atomic_load_n(&page->in_prod, __ATOMIC_ACQUIRE), length = prod - cons;
	uint8_t text[sizeof(page->in)];

	if (g->hold || g->scrambling || !length)
		return false;
	if (length > sizeof(page->in)) {
		g->bad_indexes++;
		return false;
	}
	for (uint32_t i = 0; i < length; i++)
		text[i] = page->in[(cons + i) & (sizeof(page->in) - 1)];
	__atomic_store_n(&page->in_cons, prod, __ATOMIC_RELEASE);
	guest_notify(g);
	keep_input(g, text, length);
	return true;
}

/* wake: when to go on at the latest, 0 for never. */
static void sleep_on(struct guest *g, uint32_t seen, int64_t wake)
{
	int64_t left = wake - guest_now();
	struct timespec timeout = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };

	if (wake && left <= 0)
		return;
	syscall(SYS_futex, &g->domain->kick, FUTEX_WAIT, seen, wake ? &timeout : NULL, NULL, 0);
}

/* After the domain's death it only answers. */
static void mourn(struct guest *g)
{
	uint32_t seen;

	detach(g);
	g->state = "dead";
	do {
		seen = g->domain->kick;
		if (!command_poll(g))
			return;
		sleep_on(g, seen, 0);
	} while (true);
}

static bool turn(struct guest *g, uint32_t events, int64_t *wake)
{
	bool moved;

	if (g->domain->paused || g->domain->shutdown) {
		g->state = g->domain->paused ? "paused" : "shutdown";
		return false;
	}
	map_page(g);
	moved = take_input(g);
	return output_step(g, events, wake) || moved;
}

static void run(struct guest *g)
{
	struct standin_port *p;
	uint32_t seen, events;
	int64_t wake;

	while (guest_alive(g)) {
		seen = g->domain->kick;
		p = guest_port(g);
		events = p ? p->events : 0;
		wake = 0;
		if (!command_poll(g))
			return;
		if (guest_alive(g) && !turn(g, events, &wake))
			sleep_on(g, seen, wake);
	}
	mourn(g);
}

__attribute__((noreturn)) static void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: xenguest DOMID [--console N] [--mode old|linux71|replay] [--chunk BYTES]\n"
		"                [--echo] [--input FILE] [--trusting] [--silent]\n"
		"--trusting: when the ring is full it waits for an event, and does not look each second.\n"
		"--silent: it never sends an event, neither for what it prints nor for what it reads.\n"
		"Commands come on stdin, one a line, and each is answered by one line of JSON:\n%s",
		command_help);
	exit(status);
}

static enum guest_mode mode_of(const char *name)
{
	static const char *const names[] = { "old", "linux71", "replay" };

	for (int mode = 0; mode < 3; mode++)
		if (!strcmp(names[mode], name))
			return mode;
	fprintf(stderr, "xenguest: --mode is old, linux71 or replay, not '%s'\n", name);
	exit(EINVAL);
}

static void parse(struct guest *g, int argc, char **argv)
{
	static const struct option options[] = {
		{ "console", 1, NULL, 'c' },  { "mode", 1, NULL, 'm' },	  { "chunk", 1, NULL, 'k' },
		{ "echo", 0, NULL, 'e' },     { "input", 1, NULL, 'i' },  { "help", 0, NULL, 'h' },
		{ "trusting", 0, NULL, 't' }, { "silent", 0, NULL, 's' }, { NULL, 0, NULL, 0 },
	};
	const char *input = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (option == 'c')
			g->console_number = atoi(optarg);
		else if (option == 'm')
			g->mode = mode_of(optarg);
		else if (option == 'k')
			g->chunk_size = atoi(optarg);
		else if (option == 'e')
			g->echo = true;
		else if (option == 't')
			g->trusting = true;
		else if (option == 's')
			g->silent = true;
		else if (option == 'i')
			input = optarg;
		else
			usage(option == 'h' ? 0 : EINVAL);
	g->domid = optind + 1 == argc ? atoi(argv[optind]) : 0;
	if (!g->domid || g->domid >= STANDIN_DOMIDS || g->console_number >= STANDIN_CONSOLES ||
	    !g->chunk_size || g->chunk_size > CHUNK_MAX)
		usage(EINVAL);
	g->input_fd = input ? open(input, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	if (input && g->input_fd < 0)
		refuse(input, errno);
}

int main(int argc, char **argv)
{
	static struct guest guest = { .chunk_size = 16, .state = "idle" };

	signal(SIGPIPE, SIG_IGN);
	parse(&guest, argc, argv);
	output_init(&guest);
	attach(&guest);
	command_start(&guest);
	run(&guest);
	return 0;
}
