/* SPDX-License-Identifier: GPL-2.0-only */
/* Feeds a target the files of a directory, so that make check needs no libFuzzer for what was found once. */
#include "fuzz.h"

#include <dirent.h>

static void feed(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(1); /* as libFuzzer, never NULL */
	size_t size = 0, n;
	uint8_t buf[4096];

	require(f && data);
	while ((n = fread(buf, 1, sizeof(buf), f))) {
		data = realloc(data, size + n);
		require(data);
		memcpy(data + size, buf, n);
		size += n;
	}
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

int main(int argc, char **argv)
{
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *entry;
	unsigned int count = 0;

	if (!dir) {
		fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
		return 2;
	}
	while ((entry = readdir(dir))) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
		feed(path);
		count++;
	}
	closedir(dir);
	printf("%u inputs\n", count);
	return count ? 0 : 1;
}
