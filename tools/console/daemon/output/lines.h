/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a log gets instead of the plain stream: a time stamp at each
 * line's start, '.' for ESC.  State is per stream, so that two guests' lines never mix.
 */
#ifndef DAEMON_OUTPUT_LINES_H
#define DAEMON_OUTPUT_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* "[2026-11-23 21:06:59] ", without a NUL */
#define LINES_STAMP_LEN 22

struct lines {
	bool stamp;	     /* --timestamp */
	bool replace_escape; /* --replace-escape */
	bool mid_line;	     /* the last byte was not a newline */
};

void lines_init(struct lines *l, bool stamp, bool replace_escape);

/*
 * True if bytes pass unchanged, so that the caller may skip lines_filter().
 */
bool lines_plain(const struct lines *l);

/*
 * Filter up to len bytes of in, as written at now (local time, as the log's reader
 * expects), into at most size bytes of out.  *used is set to how many of in were
 * consumed: all, unless out was too small for the next byte with its stamp.
 * Returns the bytes put into out.
 */
size_t lines_filter(struct lines *l, time_t now, const char *in, size_t len, size_t *used, char *out,
		    size_t size);

#endif
