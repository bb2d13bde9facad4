/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's own messages, to syslog (ident "xenconsoled",
 * facility daemon) and, in the foreground, to stderr.
 */
#ifndef DAEMON_BASE_DIAG_H
#define DAEMON_BASE_DIAG_H

#include <stdbool.h>
#include <syslog.h>

/*
 * Start talking to syslog, or change how.  Until this is called messages go to
 * stderr alone; with foreground set they go there as well, unless stderr leads to
 * the journal, which has them from syslog.  Messages less urgent than max
 * (LOG_NOTICE, or LOG_DEBUG with --verbose) are dropped.
 */
void diag_init(bool foreground, int max);

/*
 * Say one thing, once.  level is one of syslog's LOG_ERR, LOG_WARNING,
 * LOG_NOTICE, LOG_INFO, LOG_DEBUG.  No newline at the end; control characters
 * become '?'; 2047 bytes at most.  Never waits.  Callable from every thread; keeps errno.
 * If nobody has room for it just now it is lost; how many were is said before the next one that is not.
 */
void diag(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
