/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a domain's name, which the toolstack or a migration's sender
 * chose freely, to a file name that is safe below the log directory.
 */
#ifndef DAEMON_OUTPUT_LOGNAME_H
#define DAEMON_OUTPUT_LOGNAME_H

#include <stdbool.h>
#include <stdint.h>

#define LOGNAME_MAX 256 /* NAME_MAX and a NUL */
#define LOGNAME_VUART "-vuart0"

/*
 * "guest-NAME.log", or "guest-NAME-vuart0.log" with suffix LOGNAME_VUART.  In NAME, bytes outside
 * printable ASCII, '/', '%', a leading dot and the '-' of "-vuart0" at the end become %XX; a name too long for a
 * file name is cut and ends with '~' and 8 hex digits of a hash of the whole name, so that two
 * long names stay two files.
 */
void logname_guest(char out[LOGNAME_MAX], const char *name, const char *suffix);

/* That of a domain's console or vuart.  Without a name (NULL), as a builder may leave a domain, it is "domain-DOMID". */
void logname_console(char out[LOGNAME_MAX], uint32_t domid, const char *name, bool vuart);

#endif
