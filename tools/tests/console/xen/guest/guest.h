/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tiny guest's parts share: Xen's calls, and the console's frontend. */
#ifndef TINY_GUEST_H
#define TINY_GUEST_H

#define __XEN_INTERFACE_VERSION__ 0x00040e00

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/io/console.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/sched.h>

/* ---- xen.c: the machine ---- */

/* Finds what start_info names; before anything else here. */
void xen_init(const struct start_info *info);
/* Nanoseconds since Xen's start, never going back. */
uint64_t xen_now(void);
/* The page that start_info names by its machine frame. */
void *xen_page(const struct start_info *info, unsigned long mfn);
void xen_notify(evtchn_port_t port);
void xen_close(evtchn_port_t port);
/* Forgets an event that has come for port, so that xen_sleep waits for the next one. */
void xen_clear(evtchn_port_t port);
/* Sleeps until an event has come for port or, unless deadline is 0, xen_now() reaches it. port 0: the deadline only. */
void xen_sleep(evtchn_port_t port, uint64_t deadline);
/* reason: a SHUTDOWN_* of xen/sched.h */
_Noreturn void xen_shutdown(unsigned int reason);

/* ---- frontend.c: the console as its protocol means it ---- */

struct frontend {
	volatile struct xencons_interface *page;
	evtchn_port_t port; /* 0 once closed */
	/* The guest's own indexes; the page's copies are for the other end. */
	uint32_t in_cons, out_prod;
	/* Lines not yet in the ring, free-running like the ring's indexes. */
	uint32_t kept_head, kept_tail;
	uint32_t lines;
};

void frontend_init(struct frontend *console, void *page, evtchn_port_t port);
/* Whether more may be said of one's own accord; the other half of the memory is for answers. */
bool frontend_has_room(const struct frontend *console);
/* Adds "#NUMBER SECONDS.NANOSECONDS text\n". */
void frontend_line(struct frontend *console, const char *text);
/* Moves what is kept into the ring as far as the flag and the ring allow. Returns whether anything moved. */
bool frontend_pump(struct frontend *console);
/* One byte of input, or -1. */
int frontend_input(struct frontend *console);
/* Whether lines are kept for want of a backend: nobody sends an event when one comes. */
bool frontend_waits_for_flag(const struct frontend *console);

#endif
