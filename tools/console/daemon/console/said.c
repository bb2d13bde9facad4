/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is said of a console, and what went wrong with it. A failure is only noted here: it is fed when the action list
 * has run to its end (steps.c).
 */
#include "console/said.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SAY_AGAIN_S 600

void console_fail(struct console *c, enum lifecycle_event event)
{
	c->failed |= 1u << event;
}

bool console_may_say(struct console *c, enum console_said kind)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (c->said[kind] && now.tv_sec - c->said[kind] < SAY_AGAIN_S)
		return false;
	c->said[kind] = now.tv_sec ? now.tv_sec : 1;
	return true;
}

/* The name as its log's has it, "guest-NAME.log": safe to print. */
const char *console_label(const struct console *c)
{
	static char label[64 + LOGNAME_MAX];
	int name = strlen(c->file) - strlen("guest-.log");

	snprintf(label, sizeof(label), "%s of domain %" PRIu32 "%s%.*s%s",
		 c->key.kind == CONSOLE_VUART ? "vuart console" : "console", c->key.domid,
		 name > 0 ? " (" : "", name > 0 ? name : 0, c->file + strlen("guest-"), name > 0 ? ")" : "");
	return label;
}
