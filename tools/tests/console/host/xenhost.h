/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of xenhost share. Functions exit with a message when something fails: each run of
 * xenhost does one thing, and a test wants to know.
 */
#ifndef XENHOST_H
#define XENHOST_H

#include "standin.h"

#include <stdio.h>

struct xs_handle;

struct options {
	uint32_t domid;	  /* 0: the next free one */
	const char *name; /* NULL: no such node, likewise the next four */
	const char *type;
	const char *limit;
	const char *tty;
	const char *output;
	const char *uuid; /* NULL: make one up */
	const char *reason;
	const char *error;
	bool no_ring_ref, no_port, no_node, no_nodes, keep_old;
	bool vuart, old_builder, paused, hvm, wait_tty, same_port, same_number, list, clear, text;
	bool brief;	   /* of a console's nodes only what its daemon reads */
	uint32_t consoles; /* additional ones */
	uint32_t console;
	uint32_t conring;
	uint32_t times;
	uint32_t delay;	     /* microseconds */
	uint32_t only_domid; /* STANDIN_DOMIDS: any */
	uint32_t pid;
	uint32_t backend; /* the domain that consoles' ports are offered to */
};

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
/* A number in any C base, up to max; what names it in the complaint. */
uint32_t parse_number(const char *text, uint32_t max, const char *what);

#define DISCONNECTED 1

/* ---- xenhost-create.c: domains made and unmade ---- */

/* A new port of domid that backend may bind. Lock held. */
uint32_t new_port(uint32_t domid, uint32_t backend);
void make_uuid(const char *text, uint8_t uuid[16]); /* NULL: any */
/* Writes the flag as the builder does, after clearing the page if asked to. */
void build_page(uint32_t domid, uint32_t page, bool clear, uint8_t flag);
void command_create(struct options *o, char **arguments);
void command_batch(struct options *o, char **arguments);
void command_destroy(struct options *o, char **arguments);
void command_kill(struct options *o, char **arguments);
void command_remove_nodes(struct options *o, char **arguments);
void command_reboot(struct options *o, char **arguments);

/* ---- xenhost-domain.c: what happens to one in between ---- */

/* The existing, living domain that text names. */
struct standin_domain *domain_of(const char *text, uint32_t *domid);
/* One of its consoles that exists. */
struct standin_console *console_of(struct standin_domain *d, uint32_t domid, uint32_t console);
void command_pause(struct options *o, char **arguments);
void command_unpause(struct options *o, char **arguments);
void command_shutdown(struct options *o, char **arguments);
void command_resume(struct options *o, char **arguments);
void command_restore(struct options *o, char **arguments);
void command_soft_reset(struct options *o, char **arguments);
void command_rename(struct options *o, char **arguments);
void command_close_port(struct options *o, char **arguments);
void command_move_port(struct options *o, char **arguments);
void command_rebuild_page(struct options *o, char **arguments);
void command_set_handle(struct options *o, char **arguments);
void command_move_page(struct options *o, char **arguments);

/* ---- xenhost-look.c: what there is to see, and to upset ---- */

void command_list(struct options *o, char **arguments);
void command_page(struct options *o, char **arguments);
void command_ports(struct options *o, char **arguments);
void command_mappings(struct options *o, char **arguments);
void command_hvprint(struct options *o, char **arguments);
void command_storm(struct options *o, char **arguments);
void command_inject(struct options *o, char **arguments);
void command_break_handle(struct options *o, char **arguments);
void command_introduced(struct options *o, char **arguments);
/* text as a JSON string, null for NULL */
void print_json(const char *text);
void print_uuid(const uint8_t uuid[16]);
#define UUID_SIZE 37
void format_uuid(const uint8_t uuid[16], char text[UUID_SIZE]);

/* ---- xenhost-store.c: nodes, as libxl writes and removes them ---- */

struct xs_handle *store_open(void);
void store_close(struct xs_handle *xs);
/* A transaction is tried again until it could be committed. */
void store_transaction(struct xs_handle *xs, void (*work)(struct xs_handle *xs, uint32_t t, const void *arg),
		       const void *arg);
/* What a domain has at large; and each of its consoles. work() for store_transaction. */
struct store_domain {
	uint32_t domid;
	uint32_t console; /* of store_console() and store_move() */
	const struct options *options;
	const char *copied_tty; /* of store_tty() */
};
void store_base(struct xs_handle *xs, uint32_t t, const void *arg);
void store_console(struct xs_handle *xs, uint32_t t, const void *arg);
void store_consoles(struct xs_handle *xs, uint32_t t, const void *arg);
void store_remove(struct xs_handle *xs, uint32_t t, const void *arg);
void store_remove_consoles(struct xs_handle *xs, uint32_t t, const void *arg);
void store_rename(struct xs_handle *xs, uint32_t t, const void *arg);
/* port and ring-ref of one console as they are now */
void store_move(struct xs_handle *xs, uint32_t t, const void *arg);
void store_tty(struct xs_handle *xs, uint32_t t, const void *arg);
void store_introduce(struct xs_handle *xs, uint32_t domid);
bool store_introduced(struct xs_handle *xs, uint32_t domid);
/* To be freed; NULL if there is none. */
char *store_read_tty(struct xs_handle *xs, uint32_t domid);
char *store_read_name(struct xs_handle *xs, uint32_t domid);
/* Waits for a tty that is not empty; false when none came within the milliseconds. */
bool store_wait_tty(struct xs_handle *xs, uint32_t domid, int milliseconds);

#endif
