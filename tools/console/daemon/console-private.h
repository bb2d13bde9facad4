/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Floor 3: what the files of console.h share.  None of these feeds an event: what fails is noted with
 * console_fail() and fed when the action list has run to its end.
 */
#ifndef DAEMON_CONSOLE_PRIVATE_H
#define DAEMON_CONSOLE_PRIVATE_H

#include "console.h"

/* What one console may take in a turn, then the next has its turn: who fills a ring is looked at again soon. */
#define CONSOLE_TURN RING_OUT_SIZE

/* console.c */
void console_fail(struct console *c, enum lifecycle_event event);
/* After work outside of an action list: derive the interest, feed what failed. */
void console_settle(struct console *c);
/* True if this kind of complaint is due: the first, or ten minutes after the last. */
bool console_may_say(struct console *c, enum console_said kind);
const char *console_label(const struct console *c); /* "console of domain 5 (name)", until the next call */

/* console-guest.c: all idempotent, all accept what is half there */
void console_attach(struct console *c);
void console_detach(struct console *c);
void console_release(struct console *c);
void console_move(struct console *c);
void console_rebind(struct console *c);
void console_assert(struct console *c);
void console_connect(struct console *c);
void console_on_behalf(struct console *c);
void console_guest_retry(struct console *c, bool slow);
void console_guest_init(struct console *c);
void console_broken(struct console *c); /* indexes out of range: resynchronise, or BROKEN_RING */

/* console-whose.c */
void console_stood(struct console *c); /* the port was bound, or Xen says that it stands */
/*
 * To be asked before a write of flag or index. True if the port is held here and was known to stand a moment ago: it
 * was bound, or asked for, or an event came. Else it is asked for now.
 */
bool console_holds(struct console *c);
bool console_touch(struct console *c); /* the same; if not, PORT_LOST is noted */
/*
 * True if the page is ours to write: we hold the port that the nodes name, or nobody can. What they name is not known when
 * this process has been away; but of a domain that died meanwhile all ports are closed, and what it said last is taken,
 * unless somebody else has taken something.
 */
bool console_may_write(struct console *c);
/* Offered to, or held by, another domain than ours: it is that one's console. */
bool console_elsewhere(struct console *c);
bool console_offered(struct console *c); /* to our domain, and nobody holds it */
/* Of what is bound and mapped: its domain has come by the domid, or by another handle, since they were listed. */
bool console_is_strangers(struct console *c);
bool console_is_over(struct console *c); /* its domain is dying, or has gone */

/* console-host.c */
void console_host_init(struct console *c);
void console_open(struct console *c);
void console_close(struct console *c);
void console_tty_lost(struct console *c);
void console_publish(struct console *c);
void console_host_retry(struct console *c);
void console_deadline(struct console *c);
/* Under keep: what can be taken now and surely kept, so that nothing is lost for want of memory. */
size_t console_keep_room(struct console *c);
void console_room(struct console *c); /* a console that is full may go on if there is room again */
/* To the pty, the rest to the fifo; over: the fifo may exceed its limit by this much. */
void console_to_reader(struct console *c, const char *data, size_t len, size_t over);
void console_trim(struct console *c);  /* to the limit */
void console_shed(struct console *c);  /* an empty fifo holds no memory */
void console_flush(struct console *c); /* from the fifo to the pty, what it takes now */

/* console-ttys.c */
void console_ttys_init(struct console_env *env);
void console_ttys_fini(struct console_env *env);
int console_open_tty(struct console *c);	    /* or it is opened later; -errno */
void console_close_tty(struct console *c);	    /* idempotent */
void console_claim(struct console *c, long number); /* its tty was this, as xenstore says; -1: it had none */

/* console-bytes.c */
void console_take(struct console *c);
void console_last_take(struct console *c);
void console_type(struct console *c); /* from the pty to the guest */
void console_typed_look(struct loop_timer *timer);
void console_interest(struct console *c);

/* console-hot.c */
void console_port_event(struct console *c);	    /* at once, or when it has its turn */
void console_heat(struct console *c, size_t bytes); /* a visit that moved so many */
void console_queue(struct console *c);		    /* a later turn; idempotent */
void console_unqueue(struct console *c);	    /* idempotent */

#endif
