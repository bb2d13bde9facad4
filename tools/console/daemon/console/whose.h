/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose page it is: to be asked before a flag or an index is written.
 */
#ifndef DAEMON_CONSOLE_WHOSE_H
#define DAEMON_CONSOLE_WHOSE_H

#include "console/held.h"

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
/*
 * True if its port is held here and the guest has its end of it. Then it is the domain that it was: it had the handle
 * when it was attached, and its mapped page keeps its domid from being reused.  Asks Xen.
 */
bool console_port_stands(struct console *c);

#endif
