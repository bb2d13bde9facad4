/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Left to themselves the libraries write several lines to stderr for one failure,
 * which an administrator then reads beside the one that says what to do.
 */
#include "xen/xenlog.h"

#include <stdio.h>
#include <string.h>

#include "base/diag.h"

static void message(struct xentoollog_logger *logger, xentoollog_level level, int errnoval,
		    const char *context, const char *format, va_list args)
{
	char text[256];

	(void)logger;
	(void)level;
	vsnprintf(text, sizeof(text), format, args);
	diag(LOG_DEBUG, "%s: %s%s%s", context ? context : "libxen", text, errnoval >= 0 ? ": " : "",
	     errnoval >= 0 ? strerror(errnoval) : "");
}

static void stay(struct xentoollog_logger *logger)
{
	(void)logger;
}

struct xentoollog_logger *xenlog(void)
{
	static struct xentoollog_logger logger = { message, NULL, stay };

	return &logger;
}
