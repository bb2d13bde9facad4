/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A name must not lead out of the log directory, hide there, or write to the terminal of
 * whoever lists it.  What could is spelled %XX, and '%' with it, so that different
 * names stay different; and so is the '-' of a name's own "-vuart0", or it would be another domain's vuart.
 */
#include "output/logname.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define TAIL_LEN 9 /* '~' and 8 hex digits */

/* FNV-1a */
static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

static bool ends_like_vuart(const char *name)
{
	size_t len = strlen(name), tail = strlen(LOGNAME_VUART);

	return len >= tail && !strcmp(name + len - tail, LOGNAME_VUART);
}

/* Encode one byte; returns its length, 1 or 3. */
static size_t encode(char out[4], unsigned char c, bool special)
{
	bool plain = c >= ' ' && c < 0x7f && c != '/' && c != '%' && !special;

	return snprintf(out, 4, plain ? "%c" : "%%%02X", c);
}

void logname_guest(char out[LOGNAME_MAX], const char *name, const char *suffix)
{
	size_t end = NAME_MAX - strlen(suffix) - strlen(".log");
	size_t len = strlen("guest-"), cut = len; /* cut: where a tail still fits behind whole codes */
	const char *p, *dash = ends_like_vuart(name) ? name + strlen(name) - strlen(LOGNAME_VUART) : NULL;
	char code[4];

	memcpy(out, "guest-", len);
	for (p = name; *p; p++) {
		size_t n = encode(code, *p, p == dash || (p == name && *p == '.'));

		if (len + n > end)
			break;
		memcpy(out + len, code, n);
		len += n;
		if (len + TAIL_LEN <= end)
			cut = len;
	}
	if (*p) {
		snprintf(out + cut, LOGNAME_MAX - cut, "~%08x", hash(name));
		len = cut + TAIL_LEN;
	}
	snprintf(out + len, LOGNAME_MAX - len, "%s.log", suffix);
}

void logname_console(char out[LOGNAME_MAX], uint32_t domid, const char *name, bool vuart)
{
	char unnamed[32];

	snprintf(unnamed, sizeof(unnamed), "domain-%" PRIu32, domid);
	logname_guest(out, name ? name : unnamed, vuart ? LOGNAME_VUART : "");
}
