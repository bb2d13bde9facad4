/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strict parsing of nodes. strtoul() alone takes signs, spaces and rubbish behind the
 * number, and a value that wraps around; each of these would map or bind something that
 * nobody meant.
 */
#include "store/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX INT32_MAX
#define RING_REF_MAX (INT64_C(1) << 52)
#define TTY_MAX (1 << 20)
#define LIMIT_MAX (INT64_C(1) << 40)

static int64_t parse(const char *s, int base, int64_t min, int64_t max)
{
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)*s))
		return -1;
	errno = 0;
	n = strtoull(s, &end, base);
	if (errno || *end || n < (unsigned long long)min || n > (unsigned long long)max)
		return -1;
	return (int64_t)n;
}

int64_t store_parse_port(const char *s)
{
	return parse(s, 0, 1, PORT_MAX);
}

int64_t store_parse_limit(const char *s)
{
	return parse(s, 0, 0, LIMIT_MAX);
}

int64_t store_parse_ring_ref(const char *s)
{
	return parse(s, 10, 0, RING_REF_MAX);
}

long store_parse_tty(const char *s)
{
	static const char directory[] = "/dev/pts/";

	if (!s || strncmp(s, directory, strlen(directory)) != 0)
		return STORE_NO_TTY;
	return (long)parse(s + strlen(directory), 10, 0, TTY_MAX);
}

enum store_type store_parse_type(const char *s)
{
	return !s || !strcmp(s, "xenconsoled") ? STORE_TYPE_OURS : STORE_TYPE_OTHER;
}

void store_printable(char to[STORE_PRINTABLE + 1], const char *s)
{
	char piece[sizeof("\\xff")];
	size_t used = 0, n;

	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		n = (size_t)snprintf(piece, sizeof(piece),
				     c >= ' ' && c <= '~' && c != '\\' ? "%c" : "\\x%02x", c);
		if (used + n > STORE_PRINTABLE)
			break;
		memcpy(to + used, piece, n);
		used += n;
	}
	to[used] = '\0';
}
