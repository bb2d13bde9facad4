/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of xenguest share: the frontend of one console, and what it has to say. */
#ifndef XENGUEST_H
#define XENGUEST_H

#include "standin.h"

#include <xen/io/console.h>

enum guest_mode {
	MODE_OLD,     /* knows no flag */
	MODE_LINUX71, /* drops while disconnected; looks once, before each chunk */
	MODE_REPLAY,  /* keeps while disconnected */
};

enum { CHUNK_MAX = 2048 };
#define CONNECTION_OFFSET 3088 /* of the flag, whatever the header that is compiled with knows */

/* Something to print: a text, a file, or numbered lines that may be due one after the other. */
struct job {
	struct job *next;
	enum { JOB_TEXT, JOB_FILE, JOB_LINES } kind;
	uint8_t *text;	     /* JOB_LINES: the line being printed */
	size_t length, done; /* of text, or of the file */
	int fd;
	uint64_t line, end; /* numbers */
	uint64_t first;
	uint32_t rate;	 /* lines per second, 0: no limit */
	int64_t started; /* nanoseconds */
};

struct guest {
	uint32_t domid, console_number;
	struct standin_domain *domain;
	struct standin_console *console;
	uint32_t incarnation;
	uint32_t slot; /* its handle, which keeps the domid from being reused */
	int fd;
	uint32_t page_number; /* of what is mapped */
	struct xencons_interface *page;

	enum guest_mode mode;
	uint32_t chunk_size;
	bool echo, hold;
	bool silent;		 /* never sends an event */
	bool trusting;		 /* when the ring is full it waits for an event, however long */
	_Atomic bool scrambling; /* a thread plays with the indexes */
	int input_fd;		 /* where all input goes, -1: nowhere */

	const char *state;
	struct job *jobs, **jobs_end;
	struct job echoes; /* text that goes first */
	uint8_t chunk[CHUNK_MAX];
	uint32_t chunk_length, chunk_done;
	bool blocked; /* the ring was full; until an event, or blocked_until unless that is 0 */
	uint32_t blocked_events;
	int64_t blocked_until;
	bool keeping;
	uint64_t replay_left;

	uint64_t written, dropped, replayed, read, notifies, unnoticed, bad_indexes;
};

/* ---- xenguest.c ---- */

int64_t guest_now(void); /* nanoseconds */
bool guest_alive(struct guest *g);
/* The guest's end of the port now in use, NULL if it has none. */
struct standin_port *guest_port(struct guest *g);
void guest_notify(struct guest *g);

/* ---- xenguest-output.c ---- */

void output_init(struct guest *g);
/* text is copied. */
void output_text(struct guest *g, const uint8_t *text, size_t length);
void output_echo(struct guest *g, const uint8_t *text, size_t length);
int output_file(struct guest *g, const char *path);
void output_lines(struct guest *g, uint64_t count, uint32_t rate, uint64_t first, uint32_t width);
/* Does a piece of the work; false if there is nothing to do before *wake, or an event. */
bool output_step(struct guest *g, uint32_t events, int64_t *wake);
uint64_t output_queued(struct guest *g);

/* ---- xenguest-command.c ---- */

extern const char command_help[];
/* Starts reading stdin, on a thread of its own which kicks the domain when there is a line. */
void command_start(struct guest *g);
/* Executes a line that came, with the reply on stdout. False at the end of stdin. */
bool command_poll(struct guest *g);

#endif
