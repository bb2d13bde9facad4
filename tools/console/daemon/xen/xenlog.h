/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where libxen* put their own remarks: with the daemon's, at debug level.  What matters of them comes back as an errno.
 */
#ifndef DAEMON_XEN_XENLOG_H
#define DAEMON_XEN_XENLOG_H

#include <xentoollog.h>

/* For the logger argument of libxen*'s open calls.  Never freed. */
struct xentoollog_logger *xenlog(void);

#endif
