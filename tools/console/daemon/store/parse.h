/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the values of a console's nodes mean. Toolstacks write them, but guests could
 * once too (XSA-57): nothing is believed that does not parse as a whole.
 */
#ifndef DAEMON_STORE_PARSE_H
#define DAEMON_STORE_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "store/types.h"

#define STORE_PRINTABLE 64 /* characters of a bad value that are shown */

/* The number, or -1.  No sign, no space, nothing behind it; ranges as in struct store_nodes. */
int64_t store_parse_port(const char *s);     /* decimal, or as in C hexadecimal or octal */
int64_t store_parse_limit(const char *s);    /* likewise */
int64_t store_parse_ring_ref(const char *s); /* decimal */

/* N of "/dev/pts/N", at most 2^20; STORE_NO_TTY: it is something else. */
long store_parse_tty(const char *s);

/* s NULL: there is no such node. */
enum store_type store_parse_type(const char *s);

/* s with what is not printable ASCII as \xHH, cut. */
void store_printable(char to[STORE_PRINTABLE + 1], const char *s);

#endif
