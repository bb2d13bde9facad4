/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table in lifecycle.c against the one in HACKING, cell by cell: what maintainers read is what
 * the daemon does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "between.h"
#include "console/lifecycle.h"

#define HACKING "HACKING" /* tests are run in the top directory */

static struct lifecycle_step written[LIFECYCLE_STATES][LIFECYCLE_EVENTS];
static bool named[LIFECYCLE_STATES][LIFECYCLE_EVENTS];

static const struct {
	const char *words;
	enum lifecycle_action action;
} phrases[] = {
	{ "open", ACTION_OPEN },
	{ "attach", ACTION_ATTACH },
	{ "move", ACTION_MOVE },
	{ "detach", ACTION_DETACH },
	{ "release", ACTION_RELEASE },
	{ "connect on behalf", ACTION_ON_BEHALF },
	{ "assert flag", ACTION_ASSERT },
	{ "publish tty", ACTION_PUBLISH },
	{ "publish", ACTION_PUBLISH },
	{ "take", ACTION_TAKE },
	{ "unmask", ACTION_UNMASK },
	{ "rebind", ACTION_REBIND },
	{ "reopen", ACTION_REOPEN },
	{ "retry backing off to 30 s", ACTION_RETRY_GUEST },
	{ "retry at 30 s", ACTION_RETRY_SLOW },
	{ "disarm retry", ACTION_RETRY_NOT },
	{ "arm the host side's retry", ACTION_RETRY_HOST },
	{ "deadline", ACTION_DEADLINE },
	{ "close", ACTION_CLOSE },
};

/* "NODES_MOVED" is the one that lifecycle calls "nodes-moved". */
static bool same_name(const char *upper, const char *lower)
{
	for (; *upper && *lower; upper++, lower++)
		if (tolower((unsigned char)*upper) != *lower && !(*upper == '_' && *lower == '-'))
			return false;
	return !*upper && !*lower;
}

static int find_state(const char *name)
{
	for (int i = 0; i < LIFECYCLE_STATES; i++)
		if (same_name(name, lifecycle_state_name(i)))
			return i;
	return -1;
}

static int find_event(const char *name)
{
	for (int i = 0; i < LIFECYCLE_EVENTS; i++)
		if (same_name(name, lifecycle_event_name(i)))
			return i;
	fail_msg("%s has an event '%s' that lifecycle does not", HACKING, name);
	return -1;
}

static enum lifecycle_action find_action(const char *words)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (!strcmp(words, phrases[i].words))
			return phrases[i].action;
	fail_msg("%s has an action '%s' that this test cannot name", HACKING, words);
	return ACTION_END;
}

static void read_actions(struct lifecycle_step *step, char *words)
{
	char *save;
	size_t n = 0;

	memset(step->actions, 0, sizeof(step->actions));
	for (char *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		assert_true(n < LIFECYCLE_LIST - 1);
		step->actions[n++] = find_action(w + strspn(w, " "));
	}
}

/* "NODES, PORT" of state, and "LIVE  take, unmask" or "LIVE  as LIVE does". */
static void read_cells(int state, char *events, char *rest)
{
	char *save, *next = strtok_r(rest, " ", &save), *words = strtok_r(NULL, "", &save);
	int to = find_state(next), as = -1;
	char other[16];

	assert_between(to, 0, LIFECYCLE_STATES - 1);
	words = words ? words + strspn(words, " ") : "";
	if (sscanf(words, "as %15s does", other) == 1)
		as = find_state(other);
	for (char *name = strtok_r(events, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
		int event = find_event(name);
		struct lifecycle_step *step = &written[state][event];
		char copy[128];

		assert_false(named[state][event]);
		named[state][event] = true;
		if (as >= 0) {
			assert_true(named[as][event]);
			*step = written[as][event];
		} else {
			snprintf(copy, sizeof(copy), "%s", words);
			read_actions(step, copy);
		}
		step->next = to;
	}
}

static void inherit(int state, int from)
{
	for (int event = 0; event < LIFECYCLE_EVENTS; event++) {
		if (named[state][event])
			continue;
		named[state][event] = named[from][event];
		written[state][event] = written[from][event];
	}
}

/* A row's line.  A cell may be spread over two: its events, and what they lead to. */
static void read_line(int state, char *line)
{
	static char pending[256];
	char *arrow = strstr(line, "->"), other[16];

	if (sscanf(line, " all else as %15s", other) == 1) {
		inherit(state, find_state(other));
		return;
	}
	if (!isupper((unsigned char)line[strspn(line, " ")]) && !arrow)
		return; /* prose */
	if (!arrow) {
		snprintf(pending, sizeof(pending), "%s", line);
		return;
	}
	*arrow = '\0';
	read_cells(state, line[strspn(line, " ")] ? line : pending, arrow + 2);
}

static int read_hacking(void **unused)
{
	FILE *f = fopen(HACKING, "r");
	char line[256], name[16];
	bool inside = false;
	int state = -1;

	(void)unused;
	if (!f) {
		print_error("%s: %s; run this in the top directory\n", HACKING, strerror(errno));
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "    IDLE ", 9))
			inside = true;
		else if (inside && line[0] && line[0] != ' ')
			break;
		if (!inside)
			continue;
		if (!strncmp(line, "    ", 4) && isupper((unsigned char)line[4]) &&
		    sscanf(line, "%15s", name))
			state = find_state(name);
		else if (state >= 0)
			read_line(state, line);
	}
	fclose(f);
	return 0;
}

static void test_every_cell_is_hackings(void **unused)
{
	int cells = 0;

	(void)unused;
	for (int state = 0; state < LIFECYCLE_STATES; state++) {
		for (int event = 0; event < LIFECYCLE_EVENTS; event++) {
			const struct lifecycle_step *step = lifecycle_step(state, event);
			struct lifecycle_step stay = { state, { ACTION_END } };
			const struct lifecycle_step *right =
				named[state][event] ? &written[state][event] : &stay;

			cells += named[state][event];
			if (step->next != right->next ||
			    memcmp(step->actions, right->actions, sizeof(step->actions)))
				fail_msg("%s, %s: lifecycle goes to %s, first action %d; HACKING to %s, %d",
					 lifecycle_state_name(state), lifecycle_event_name(event),
					 lifecycle_state_name(step->next), step->actions[0],
					 lifecycle_state_name(right->next), right->actions[0]);
			assert_int_equal(step->actions[LIFECYCLE_LIST - 1], ACTION_END);
		}
	}
	assert_true(cells > 40); /* it was read */
}

static void test_names(void **unused)
{
	(void)unused;
	for (int i = 0; i < LIFECYCLE_STATES; i++)
		assert_true(lifecycle_state_name(i)[0]);
	for (int i = 0; i < LIFECYCLE_EVENTS; i++)
		assert_true(lifecycle_event_name(i)[0]);
	assert_string_equal(lifecycle_state_name(STATE_DRAINING), "draining");
	assert_string_equal(lifecycle_event_name(EVENT_NODES_MOVED), "nodes-moved");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cell_is_hackings),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, read_hacking, NULL);
}
