/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reconciles the known with the listed.  Both are sorted by domid, so one walk
 * over the two finds who came and who went; nothing else ever walks all
 * domains but the slow check, which takes a tenth of them each second.
 *
 * A domid is reused, so a domain is (domid, incarnation). The old one is over when it is absent from the list, or
 * dying, or when the list has another UUID. But toolstacks give living domains another UUID, too: while a port of its
 * consoles still stands it is the one that it was. The consoles of one that is over leave by themselves, however long
 * their readers take, while a new incarnation is served beside them; only the new one is known to the store.
 *
 * Each refresh casts a glance at all that lives on: what happens to a domain may have happened to its pages.
 */
#include "console/domains.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "console/claims.h"
#include "console/flag.h"
#include "console/steps.h"
#include "console/whose.h"

#define KINDS 2
#define CHECK_MS 1000
#define CHECK_PARTS 10
#define RETRY_MS 1000
#define REPORT_MS 10 /* a syslogd without systemd's settings has room for ten lines at a time */
#define REPORT_PART 8

struct domain {
	uint32_t domid;
	uint8_t handle[16];
	bool shut_down;
	uint64_t cookie;
	struct console *console[KINDS]; /* by enum console_kind; NULL: none of that kind */
};

struct domains {
	struct console_env *env;
	struct domain **known; /* ascending domid */
	size_t count;
	uint64_t cookies;
	size_t consoles; /* of all domains, and those on their way out */
	struct loop_task refresh;
	struct loop_timer retry, check, report;
	size_t checked;	    /* where the slow check goes on */
	uint64_t report_at; /* where the report does: domid and kind as one number */
	bool listed;	    /* once, at the start */
	bool mute;
	void (*stopped)(void *arg);
	void *arg;
};

static void free_console(struct loop_corpse *corpse)
{
	console_free(container_of(corpse, struct console, corpse));
}

static void console_gone(struct console *c, void *arg)
{
	struct domains *d = arg;

	d->consoles--;
	loop_bury(d->env->loop, &c->corpse, free_console);
	if (d->stopped && !d->consoles)
		d->stopped(d->arg);
}

/* The place of the first domain whose domid is not below. */
static size_t find(const struct domains *d, uint32_t domid)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (d->known[mid]->domid < domid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The incarnation is over; its consoles say good-bye in their own time. */
static void end_domain(struct domains *d, struct domain *domain, enum lifecycle_event event)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct console *c = domain->console[kind];

		if (!c)
			continue;
		console_claimed(c);
		store_forget(d->env->store, &c->key);
		console_feed(c, event);
	}
	free(domain);
}

static int follow(struct domains *d, struct domain *domain, enum console_kind kind)
{
	struct store_key key = { domain->domid, kind, domain->cookie };
	struct console *c = console_new(d->env, &key, domain->handle);
	int err;

	if (!c)
		return -ENOMEM;
	err = store_follow(d->env->store, &key, !d->listed);
	if (err) {
		console_free(c);
		return err;
	}
	domain->console[kind] = c;
	d->consoles++;
	if (!d->listed)
		console_found(c);
	return 0;
}

static struct domain *begin_domain(struct domains *d, const struct hyper_domain *listed)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	domain->domid = listed->domid;
	memcpy(domain->handle, listed->handle, sizeof(domain->handle));
	domain->cookie = ++d->cookies;
	if (follow(d, domain, CONSOLE_PRIMARY) ||
	    (d->env->options->vuart && follow(d, domain, CONSOLE_VUART))) {
		end_domain(d, domain, EVENT_DYING);
		return NULL;
	}
	return domain;
}

static void each_of(const struct domain *domain, void (*what)(struct console *c))
{
	for (int kind = 0; kind < KINDS; kind++)
		if (domain->console[kind])
			what(domain->console[kind]);
}

static bool stands(const struct domain *domain)
{
	for (int kind = 0; kind < KINDS; kind++)
		if (domain->console[kind] && console_port_stands(domain->console[kind]))
			return true;
	return false;
}

static bool same(const struct domain *domain, const struct hyper_domain *listed)
{
	return !listed->dying &&
	       (!memcmp(domain->handle, listed->handle, sizeof(domain->handle)) || stands(domain));
}

/* It lives on; what of it has changed? */
static void notice(struct domain *domain, const struct hyper_domain *listed)
{
	bool shut_down = listed->shut_down && !domain->shut_down;

	domain->shut_down = listed->shut_down;
	if (memcmp(domain->handle, listed->handle, sizeof(domain->handle)) != 0) {
		memcpy(domain->handle, listed->handle, sizeof(domain->handle));
		for (int kind = 0; kind < KINDS; kind++)
			if (domain->console[kind])
				console_set_handle(domain->console[kind], domain->handle);
	}
	each_of(domain,
		shut_down ? console_check : console_glance); /* a guest that crashed may not have notified */
}

/* Walk both lists; fresh has room for all that is listed.  Returns false if memory was short for some. */
static bool merge(struct domains *d, const struct hyper_domain *list, size_t listed, struct domain **fresh,
		  size_t *count)
{
	struct domain **old = d->known;
	size_t olds = d->count, o = 0;
	bool all = true;

	*count = 0;
	for (size_t l = 0; l < listed; l++) {
		while (o < olds && old[o]->domid < list[l].domid)
			end_domain(d, old[o++], EVENT_DYING);
		if (o < olds && old[o]->domid == list[l].domid) {
			if (same(old[o], &list[l])) {
				notice(old[o], &list[l]);
				fresh[(*count)++] = old[o++];
				continue;
			}
			end_domain(d, old[o++], EVENT_DYING);
		}
		if (list[l].dying || list[l].domid == d->env->self)
			continue;
		fresh[*count] = begin_domain(d, &list[l]);
		if (fresh[*count])
			(*count)++;
		else
			all = false;
	}
	while (o < olds)
		end_domain(d, old[o++], EVENT_DYING);
	return all;
}

static void later(struct domains *d, int err)
{
	if (!d->mute)
		diag(LOG_ERR,
		     "cannot list the domains: %s; those served go on, new ones wait, it is tried every %d ms",
		     strerror(-err), RETRY_MS);
	d->mute = true;
	loop_arm(d->env->loop, &d->retry, RETRY_MS);
}

static void refresh(struct loop_task *task)
{
	struct domains *d = container_of(task, struct domains, refresh);
	struct hyper_domain *list;
	struct domain **fresh;
	size_t count;
	ssize_t listed;

	if (d->env->stopping)
		return;
	listed = hyper_list(d->env->hyper, 1, &list);
	if (listed < 0) {
		later(d, listed);
		return;
	}
	fresh = calloc(listed + 1, sizeof(*fresh));
	if (!fresh) {
		free(list);
		later(d, -ENOMEM);
		return;
	}
	if (merge(d, list, listed, fresh, &count))
		d->mute = false;
	else
		later(d, -ENOMEM);
	free(list);
	free(d->known);
	d->known = fresh;
	d->count = count;
	if (!d->listed)
		console_all_found(d->env);
	d->listed = true;
	if (count && !d->check.armed)
		loop_arm(d->env->loop, &d->check, CHECK_MS);
}

static void retry_due(struct loop_timer *timer)
{
	struct domains *d = container_of(timer, struct domains, retry);

	loop_post(d->env->loop, &d->refresh);
}

static void check_due(struct loop_timer *timer)
{
	struct domains *d = container_of(timer, struct domains, check);

	for (size_t n = (d->count + CHECK_PARTS - 1) / CHECK_PARTS; n; n--) {
		if (d->checked >= d->count)
			d->checked = 0;
		each_of(d->known[d->checked++], console_check);
	}
	if (d->count)
		loop_arm(d->env->loop, timer, CHECK_MS);
}

static void report_due(struct loop_timer *timer)
{
	struct domains *d = container_of(timer, struct domains, report);
	int said = 0;

	for (size_t i = find(d, d->report_at / KINDS); i < d->count; i++)
		for (int kind = 0; kind < KINDS; kind++) {
			uint64_t at = (uint64_t)d->known[i]->domid * KINDS + kind;

			if (at < d->report_at || !d->known[i]->console[kind])
				continue;
			if (said++ == REPORT_PART) {
				d->report_at = at;
				loop_arm(d->env->loop, timer, REPORT_MS);
				return;
			}
			console_report(d->known[i]->console[kind]);
		}
}

static void list_again(void *arg)
{
	domains_refresh(arg);
}

struct domains *domains_new(struct console_env *env)
{
	struct domains *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->env = env;
	d->refresh.run = refresh;
	d->retry.fire = retry_due;
	d->check.fire = check_due;
	d->report.fire = report_due;
	env->gone = console_gone;
	env->stranger = list_again;
	env->arg = d;
	return d;
}

void domains_free(struct domains *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->count; i++)
		free(d->known[i]);
	loop_cancel(d->env->loop, &d->refresh);
	loop_disarm(d->env->loop, &d->retry);
	loop_disarm(d->env->loop, &d->check);
	loop_disarm(d->env->loop, &d->report);
	free(d->known);
	free(d);
}

void domains_refresh(struct domains *d)
{
	loop_post(d->env->loop, &d->refresh);
}

void domains_nodes(struct domains *d, const struct store_nodes *nodes)
{
	size_t i = find(d, nodes->key.domid);
	struct domain *domain = i < d->count ? d->known[i] : NULL;

	if (!domain || domain->domid != nodes->key.domid || domain->cookie != nodes->key.cookie)
		return;
	if (domain->console[nodes->key.kind])
		console_nodes(domain->console[nodes->key.kind], nodes);
}

static void each(const struct domains *d, void (*what)(struct console *c))
{
	for (size_t i = 0; i < d->count; i++)
		each_of(d->known[i], what);
}

static void rebind(struct console *c)
{
	console_feed(c, EVENT_EVTCHN_LOST);
}

void domains_rebind(struct domains *d)
{
	each(d, rebind);
}

void domains_stop(struct domains *d, void (*stopped)(void *arg), void *arg)
{
	size_t count = d->count;

	each(d, console_flag_down);
	if (d->env->logs)
		logs_stop(d->env->logs);
	d->env->stopping = true;
	d->env->stop_end = loop_now(d->env->loop) + DOMAINS_STOP_MS;
	d->count = 0;
	for (size_t i = 0; i < count; i++)
		end_domain(d, d->known[i], EVENT_STOP);
	d->stopped = stopped;
	d->arg = arg;
	if (!d->consoles)
		stopped(arg);
}

void domains_report(struct domains *d)
{
	diag(LOG_NOTICE, "%zu domains, %zu consoles served%s", d->count, d->env->attached,
	     store_up(d->env->store) ? "" : ", without xenstored");
	d->report_at = 0;
	loop_arm(d->env->loop, &d->report, 0);
}
