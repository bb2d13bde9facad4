/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands that drive a guest, and its misdeeds.
 *
 * A thread reads stdin and hands over one line at a time; the guest's own thread executes it, so
 * that nothing of the guest is shared.
 */
#include "xenguest.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char command_help[] =
	"  print TEXT                       queue text; \\n, \\r, \\t, \\\\ and \\xHH are known\n"
	"  file PATH                        queue a file's content\n"
	"  lines COUNT RATE FIRST WIDTH     queue numbered lines; RATE a second, 0: no limit\n"
	"  echo on|off                      send input back\n"
	"  hold on|off                      leave input in the ring\n"
	"  status                           state and counters\n"
	"  hostile index NAME VALUE         set in_cons, in_prod, out_cons or out_prod\n"
	"  hostile rewind NAME BYTES        set it back\n"
	"  hostile flag VALUE               scribble on the connection flag\n"
	"  hostile fill BYTE                scribble on the whole page\n"
	"  hostile close-port               close the port\n"
	"  hostile storm COUNT              so many events, with nothing to say\n"
	"  hostile notify                   one\n"
	"  hostile scramble HOW COUNT       so many random changes to the page, as fast as it goes, on a\n"
	"                                   thread, which also takes the input. status: \"scrambling\".\n"
	"                                   HOW: wild, or tame: indexes stay in range\n";

static char *line;	    /* with the reader until handed over */
static _Atomic int waiting; /* 1: a line, 2: the end */
static sem_t executed;

static void *read_lines(void *arg)
{
	struct guest *g = arg;
	size_t size = 0;
	ssize_t length;

	while ((length = getline(&line, &size, stdin)) >= 0) {
		if (length && line[length - 1] == '\n')
			line[length - 1] = 0;
		waiting = 1;
		standin_domain_kick(g->domain);
		while (sem_wait(&executed))
			;
	}
	waiting = 2;
	standin_domain_kick(g->domain);
	return NULL;
}

void command_start(struct guest *g)
{
	pthread_t thread;

	sem_init(&executed, 0, 0);
	if (pthread_create(&thread, NULL, read_lines, g)) {
		fprintf(stderr, "xenguest: no thread for stdin\n");
		exit(1);
	}
	pthread_detach(thread);
}

static const char *print(struct guest *g, char *text)
{
	static const char plain[] = "nrt\\", meant[] = "\n\r\t\\";
	uint8_t *out = (uint8_t *)text;
	const char *c, *known;
	unsigned int byte;

	for (c = text; *c; c++) {
		if (*c != '\\') {
			*out++ = *c;
		} else if (c[1] == 'x' && sscanf(c + 2, "%2x", &byte) == 1) {
			*out++ = byte;
			c += 3;
		} else if (c[1] && (known = strchr(plain, c[1]))) {
			*out++ = meant[known - plain];
			c++;
		} else {
			return "an unknown escape";
		}
	}
	output_text(g, (uint8_t *)text, out - (uint8_t *)text);
	return NULL;
}

static const char *lines(struct guest *g, const char *text)
{
	unsigned long long count, first;
	unsigned int rate, width;

	if (sscanf(text, "%llu %u %llu %u", &count, &rate, &first, &width) != 4 || !count || width < 2)
		return "lines COUNT RATE FIRST WIDTH";
	output_lines(g, count, rate, first, width);
	return NULL;
}

static uint32_t *index_of(struct guest *g, const char *name)
{
	if (!strcmp(name, "in_cons"))
		return &g->page->in_cons;
	if (!strcmp(name, "in_prod"))
		return &g->page->in_prod;
	if (!strcmp(name, "out_cons"))
		return &g->page->out_cons;
	return strcmp(name, "out_prod") ? NULL : &g->page->out_prod;
}

static const char *set_index(struct guest *g, const char *name, uint32_t value, bool back)
{
	uint32_t *index = index_of(g, name);

	if (!index)
		return "no such index";
	__atomic_store_n(index, back ? *index - value : value, __ATOMIC_SEQ_CST);
	guest_notify(g);
	return NULL;
}

static void close_port(struct guest *g)
{
	standin_lock();
	if (guest_port(g) && standin_port_state(guest_port(g)) != STANDIN_CLOSED)
		standin_port_close(g->domid, g->console->port);
	standin_unlock();
}

struct scramble {
	struct guest *guest;
	struct xencons_interface *page; /* of its own: the guest may lose its mapping */
	void (*once)(struct scramble *s);
	uint64_t left, random;
};

static uint32_t draw(struct scramble *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random >> 16;
}

/* One change: to an index, mostly to what could be right, to the flag, or to a byte anywhere. */
static void scramble_wild(struct scramble *s)
{
	volatile uint8_t *bytes = (volatile uint8_t *)s->page;
	volatile uint32_t *indexes = &s->page->in_cons;
	uint32_t what = draw(s) % 16;

	if (what < 2)
		indexes[draw(s) % 4] = draw(s);
	else if (what < 4)
		indexes[draw(s) % 4] += draw(s) % 5000 - 2500;
	else if (what < 8)
		indexes[3] = indexes[2] + draw(s) % 2049; /* out_prod */
	else if (what < 10)
		indexes[0] = indexes[1] - draw(s) % 1025; /* in_cons */
	else if (what < 11)
		bytes[CONNECTION_OFFSET] = draw(s);
	else
		bytes[draw(s) % STANDIN_PAGE_SIZE] = draw(s);
}

/* The guest's own indexes go on, as far as they may; bytes and flag change before and after. */
static void scramble_tame(struct scramble *s)
{
	volatile struct xencons_interface *page = s->page;
	volatile uint8_t *bytes = (volatile uint8_t *)s->page;
	uint32_t what = draw(s) % 8, room;

	if (what == 0) {
		room = sizeof(page->out) - (page->out_prod - page->out_cons);
		page->out_prod += draw(s) % (room + 1);
	} else if (what == 1) {
		page->in_cons += draw(s) % (page->in_prod - page->in_cons + 1);
	} else if (what == 2) {
		bytes[CONNECTION_OFFSET] = draw(s);
	} else {
		bytes[draw(s) % (sizeof(page->in) + sizeof(page->out))] = draw(s);
	}
}

static void *scramble_all(void *arg)
{
	struct scramble *s = arg;

	for (; s->left && guest_alive(s->guest); s->left--) {
		s->once(s);
		if (s->left % 64 == 0)
			guest_notify(s->guest);
	}
	munmap(s->page, STANDIN_PAGE_SIZE);
	guest_notify(s->guest);
	s->guest->scrambling = false;
	return NULL;
}

static const char *scramble(struct guest *g, const char *how, uint64_t count)
{
	static struct scramble one;
	struct scramble *s = &one;
	pthread_t thread;

	if (g->scrambling)
		return "one at a time";
	s->guest = g;
	s->once = strcmp(how, "tame") ? scramble_wild : scramble_tame;
	s->left = count;
	s->random = 88172645463325252u + g->domid;
	s->page = standin_page_map(g->domid, g->page_number, PROT_READ | PROT_WRITE);
	if (s->page == MAP_FAILED)
		return "no page";
	g->scrambling = true;
	if (pthread_create(&thread, NULL, scramble_all, s))
		return "no thread";
	pthread_detach(thread);
	return NULL;
}

static const char *misbehave(struct guest *g, const char *text)
{
	char what[16] = "", name[16] = "";
	long long value = 0;

	if (!g->page)
		return "the domain is dead";
	if (sscanf(text, "%15s %15[a-z_] %lli", what, name, &value) != 3)
		sscanf(text, "%15s %lli", what, &value);
	if (!strcmp(what, "index") || !strcmp(what, "rewind"))
		return set_index(g, name, value, *what == 'r');
	if (!strcmp(what, "flag"))
		__atomic_store_n((uint8_t *)g->page + CONNECTION_OFFSET, value, __ATOMIC_SEQ_CST);
	else if (!strcmp(what, "fill"))
		memset(g->page, value, STANDIN_PAGE_SIZE);
	else if (!strcmp(what, "close-port"))
		close_port(g);
	else if (!strcmp(what, "storm"))
		for (long long i = 0; i < value; i++)
			guest_notify(g);
	else if (!strcmp(what, "notify"))
		guest_notify(g);
	else if (!strcmp(what, "scramble"))
		return scramble(g, name, value);
	else
		return "no such misdeed";
	return NULL;
}

static const char *set(bool *what, const char *text)
{
	if (strcmp(text, "on") && strcmp(text, "off"))
		return "on or off";
	*what = !strcmp(text, "on");
	return NULL;
}

static void print_status(struct guest *g)
{
	struct standin_port *p = guest_alive(g) ? guest_port(g) : NULL;

	printf("{\"state\": \"%s\", \"queued\": %llu, \"written\": %llu, \"dropped\": %llu, "
	       "\"replayed\": %llu, \"read\": %llu, \"events\": %u, \"notifies\": %llu, "
	       "\"unnoticed\": %llu, \"bad_indexes\": %llu, \"scrambling\": %s}\n",
	       g->state, (unsigned long long)output_queued(g), (unsigned long long)g->written,
	       (unsigned long long)g->dropped, (unsigned long long)g->replayed, (unsigned long long)g->read,
	       p ? p->events : 0, (unsigned long long)g->notifies, (unsigned long long)g->unnoticed,
	       (unsigned long long)g->bad_indexes, g->scrambling ? "true" : "false");
}

static const char *execute(struct guest *g, char *command)
{
	char *rest = command + strcspn(command, " ");
	int error;

	if (*rest)
		*rest++ = 0;
	if (!strcmp(command, "print"))
		return print(g, rest);
	if (!strcmp(command, "lines"))
		return lines(g, rest);
	if (!strcmp(command, "echo"))
		return set(&g->echo, rest);
	if (!strcmp(command, "hold"))
		return set(&g->hold, rest);
	if (!strcmp(command, "hostile"))
		return misbehave(g, rest);
	if (!strcmp(command, "file")) {
		error = output_file(g, rest);
		return error ? strerror(-error) : NULL;
	}
	return "no such command";
}

bool command_poll(struct guest *g)
{
	int found = waiting; /* once: the reader may set it between two looks */
	const char *error;

	if (found != 1)
		return !found;
	if (!strcmp(line, "status")) {
		print_status(g);
	} else {
		error = execute(g, line);
		printf(error ? "{\"error\": \"%s\"}\n" : "{}\n", error);
	}
	fflush(stdout);
	waiting = 0;
	sem_post(&executed);
	return true;
}
