/* SPDX-License-Identifier: GPL-2.0-only */
/* A command line, an argument a line: understood, or refused with one line that says why. */
#include "fuzz.h"

#include <errno.h>

#include "options.h"

#define ARGS 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char *text = take_string(&in), *rest = text, *argv[ARGS + 2] = { "xenconsoled" }, *said = NULL;
	struct options *o = malloc(sizeof(*o));
	size_t length = 0;
	int argc = 1, err;
	FILE *f = open_memstream(&said, &length);

	require(f && o);
	while (argc <= ARGS && rest)
		argv[argc++] = strsep(&rest, "\n");
	argv[argc] = NULL;
	err = options_parse(o, argc, argv, f);
	fclose(f);
	require(err == 0 || err == -EINVAL);
	require(err ? length && strchr(said, '\n') == said + length - 1 : !length);
	if (!err && o->mode == OPTIONS_SERVE) {
		require(o->log_dir[0] == '/' && strlen(o->log_dir) <= OPTIONS_PATH_MAX);
		require(memchr(o->pid_file, '\0', sizeof(o->pid_file)));
		require(o->cpu_share >= 1 && o->cpu_share <= 100 && o->buffer_limit >= 2048);
	}
	free(said);
	free(text);
	free(o);
	return 0;
}
