/* SPDX-License-Identifier: GPL-2.0-only */
/* However text is cut into pieces, and however little room there is: all of it comes out, filtered. */
#include "fuzz.h"

#include "output/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint8_t how = take_byte(&in);
	bool stamp = how & 1, replace = how & 2;
	size_t room = LINES_STAMP_LEN + 1 + (how >> 2), length, put = 0, newlines = 0;
	int64_t now;
	struct lines l;
	char *text, *out = malloc(room);

	take(&in, &now, sizeof(now));
	length = in.left;
	text = take_string(&in);
	lines_init(&l, stamp, replace);
	require(lines_plain(&l) == (!stamp && !replace));
	for (size_t at = 0, used; at < length; at += used) {
		size_t n = lines_filter(&l, now, text + at, length - at, &used, out, room);

		require(used > 0 && used <= length - at && n >= used && n <= room);
		require(!replace || !memchr(out, '\033', n));
		require(stamp || replace || !memcmp(out, text + at, n));
		require(l.mid_line == (text[at + used - 1] != '\n'));
		put += n;
	}
	for (size_t i = 0; i < length; i++)
		newlines += text[i] == '\n' || i == length - 1;
	require(put == length + (stamp ? newlines * LINES_STAMP_LEN : 0));
	free(text);
	free(out);
	return 0;
}
