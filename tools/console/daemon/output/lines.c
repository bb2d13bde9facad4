/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guests write bytes, administrators read lines.  Whether a stream is in the middle of
 * a line is the one thing to remember from one piece to the next, and each
 * stream remembers it for itself.
 */
#include "output/lines.h"

#include <string.h>

#define ESC '\033'

void lines_init(struct lines *l, bool stamp, bool replace_escape)
{
	l->stamp = stamp;
	l->replace_escape = replace_escape;
	l->mid_line = false;
}

bool lines_plain(const struct lines *l)
{
	return !l->stamp && !l->replace_escape;
}

static void make_stamp(char *stamp, time_t now)
{
	char text[LINES_STAMP_LEN + 1];
	struct tm tm;

	/* A clock set to a year of more than four digits is no reason to stop logging. */
	if (!localtime_r(&now, &tm) ||
	    strftime(text, sizeof(text), "[%Y-%m-%d %H:%M:%S] ", &tm) != LINES_STAMP_LEN)
		memcpy(text, "[0000-00-00 00:00:00] ", sizeof(text));
	memcpy(stamp, text, LINES_STAMP_LEN);
}

static void hide_escapes(char *text, size_t len)
{
	char *end = text + len;

	while ((text = memchr(text, ESC, end - text)))
		*text++ = '.';
}

/* The length of what belongs to the current line, at most size. */
static size_t rest_of_line(const char *in, size_t len, size_t size)
{
	const char *newline;

	if (len > size)
		len = size;
	newline = memchr(in, '\n', len);
	return newline ? (size_t)(newline - in) + 1 : len;
}

size_t lines_filter(struct lines *l, time_t now, const char *in, size_t len, size_t *used, char *out,
		    size_t size)
{
	char stamp[LINES_STAMP_LEN];
	bool stamped = false;
	size_t put = 0;

	*used = 0;
	while (*used < len) {
		size_t head = l->stamp && !l->mid_line ? LINES_STAMP_LEN : 0, n;

		if (size - put <= head)
			break;
		if (head && !stamped)
			make_stamp(stamp, now);
		stamped |= head > 0;
		memcpy(out + put, stamp, head);
		put += head;
		n = rest_of_line(in + *used, len - *used, size - put);
		memcpy(out + put, in + *used, n);
		if (l->replace_escape)
			hide_escapes(out + put, n);
		l->mid_line = out[put + n - 1] != '\n';
		put += n;
		*used += n;
	}
	return put;
}
