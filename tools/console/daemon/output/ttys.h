/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pts number is whose. Somebody may still have the path of a terminal that a console had, so its
 * number is no other console's for as long as that one lives, also across a restart of the daemon. Terminals are
 * numbered by the kernel, lowest free number first: numbers are taken until one fits.
 *
 * Whatever else has ptys on this machine is not asked, and gets what is free.
 */
#ifndef DAEMON_OUTPUT_TTYS_H
#define DAEMON_OUTPUT_TTYS_H

struct ttys;

struct ttys *ttys_new(void); /* NULL: no memory */
void ttys_free(struct ttys *t);

/*
 * owner (an address, never looked at) had this number, as xenstore says at the start: no other owner gets it. Not
 * believed if another owner has it. Owner gets it back if it is below most, since as many would have to be taken.
 */
void ttys_claim(struct ttys *t, long number, long most, const void *owner);
/* All claims have been made: numbers that were taken and did not fit are given back, now and after each ttys_open(). */
void ttys_settle(struct ttys *t);

/*
 * The master of a new pty (O_NONBLOCK, O_CLOEXEC), of a number that owner had if one is free, but for lost, which it has
 * just had and whose readers are to see another (-1: none); or -errno.
 */
int ttys_open(struct ttys *t, const void *owner, long lost);
/* owner is no more. */
void ttys_release(struct ttys *t, const void *owner);

#endif
