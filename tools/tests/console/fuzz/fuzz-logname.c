/* SPDX-License-Identifier: GPL-2.0-only */
/* A domain's name: whatever it is, its log is a file in the log directory, and a name can be shown. */
#include "fuzz.h"

#include "output/logname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const char *suffix = take_byte(&in) & 1 ? "-vuart0" : "";
	char *name = take_string(&in), out[LOGNAME_MAX], end[16];
	size_t len;

	memset(out, 'x', sizeof(out));
	logname_guest(out, name, suffix);
	require(memchr(out, '\0', sizeof(out)));
	snprintf(end, sizeof(end), "%s.log", suffix);
	len = strlen(out);
	require(!strncmp(out, "guest-", 6) && !strcmp(out + len - strlen(end), end));
	for (char *c = out; *c; c++)
		require(*c >= ' ' && *c <= '~' && *c != '/');
	free(name);
	return 0;
}
