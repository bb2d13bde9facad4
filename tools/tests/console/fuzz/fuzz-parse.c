/* SPDX-License-Identifier: GPL-2.0-only */
/* Values of nodes: a number in its range or none, and what is shown of a bad one can be shown. */
#include "fuzz.h"

#include "store/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *s = take_string(&in), shown[STORE_PRINTABLE + 1], again[32];
	int64_t port = store_parse_port(s), limit = store_parse_limit(s), ref = store_parse_ring_ref(s);
	enum store_type type = store_parse_type(s);

	require(port >= -1 && port <= UINT32_MAX);
	require(limit >= -1);
	require(ref >= -1);
	if (ref >= 0) {
		snprintf(again, sizeof(again), "%lld", (long long)ref);
		require(store_parse_ring_ref(again) == ref);
	}
	require(type == store_parse_type(s));
	memset(shown, 'x', sizeof(shown));
	store_printable(shown, s);
	require(memchr(shown, '\0', sizeof(shown)));
	for (char *c = shown; *c; c++)
		require(*c >= ' ' && *c <= '~');
	free(s);
	return 0;
}
