/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures on order. A rule makes the next so many calls of one kind fail, or slow, or both; the
 * first rule that fits a call is the one that counts. With no rule armed a call pays one load.
 */
#include "standin.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const char *const names[STANDIN_CALLS] = {
	[STANDIN_MAP_GRANT] = "map-grant",
	[STANDIN_MAP_FOREIGN] = "map-foreign",
	[STANDIN_BIND] = "bind",
	[STANDIN_BIND_VIRQ] = "bind-virq",
	[STANDIN_UNMAP] = "unmap",
	[STANDIN_NOTIFY] = "notify",
	[STANDIN_UNMASK] = "unmask",
	[STANDIN_PENDING] = "pending",
	[STANDIN_OPEN_EVTCHN] = "evtchn-open",
	[STANDIN_OPEN_GRANT] = "gnttab-open",
	[STANDIN_OPEN_FOREIGN] = "foreign-open",
	[STANDIN_OPEN_CTRL] = "xc-open",
	[STANDIN_GETINFO] = "getinfo",
	[STANDIN_STATUS] = "status",
	[STANDIN_CONRING] = "conring",
};

const char *standin_call_name(enum standin_call call)
{
	return names[call];
}

static struct standin_rule *find(struct standin_state *host, enum standin_call call, uint32_t domid)
{
	for (struct standin_rule *r = host->rule; r < host->rule + STANDIN_RULES; r++)
		if (r->used && r->call == call && (r->domid == STANDIN_DOMIDS || r->domid == domid))
			return r;
	return NULL;
}

int standin_inject(enum standin_call call, uint32_t domid)
{
	struct standin_state *host = standin_host();
	struct standin_rule *rule, taken = { .used = 0 };

	if (!host || !host->rules)
		return 0;
	standin_lock();
	rule = find(host, call, domid);
	if (rule) {
		rule->hits++;
		taken = *rule;
		if (rule->left && !--rule->left) {
			rule->used = 0;
			host->rules--;
		}
	}
	standin_unlock();
	if (taken.delay)
		nanosleep(&(struct timespec){ .tv_sec = taken.delay / 1000000,
					      .tv_nsec = taken.delay % 1000000 * 1000 },
			  NULL);
	return taken.error;
}

int standin_inject_add(const struct standin_rule *rule)
{
	struct standin_state *host = standin_host();
	int error = -ENOSPC;

	standin_lock();
	for (int i = 0; i < STANDIN_RULES && error; i++)
		if (!host->rule[i].used) {
			host->rule[i] = *rule;
			host->rule[i].used = 1;
			host->rules++;
			error = 0;
		}
	standin_unlock();
	return error;
}

void standin_inject_clear(void)
{
	struct standin_state *host = standin_host();

	standin_lock();
	memset(host->rule, 0, sizeof(host->rule));
	host->rules = 0;
	standin_unlock();
}
