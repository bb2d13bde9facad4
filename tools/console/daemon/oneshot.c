/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flag without a daemon.
 *
 * --disconnect, when the daemon is gone for good: a guest that obeys the flag
 * stops writing to a ring that nobody empties.  The ring is emptied once as well, since a vCPU that
 * already waits for room in it does not look at the flag again.
 *
 * --reconnect, before going back to a daemon that does not know the flag: a guest that
 * was left DISCONNECTED would be mute under it for life.
 *
 * Both hold each console's port meanwhile, so that they never touch one that is served.
 */
#include "oneshot.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/lock.h"
#include "output/lines.h"
#include "output/logfile.h"
#include "output/logname.h"
#include "store/survey.h"
#include "xen/evtchn.h"
#include "xen/page.h"
#include "xen/ring.h"

#define LOGS_STOP_MS 5000
#define LOCK_MS 3000

struct oneshot {
	const struct options *options;
	struct loop *loop;
	struct hyper *hyper;
	struct evtchn *evtchn;
	struct pages *pages;
	struct logs *logs;
	uint32_t self; /* our own domid */
	unsigned int done, held, failed;
};

static void ignore(void *arg)
{
	(void)arg;
}

static void no_event(struct evtchn_port *port)
{
	(void)port;
}

/* What the ring holds, once, into the guest's log, but for what a killed daemon had queued already. */
static size_t empty_ring(struct oneshot *s, struct ring *ring, const struct hyper_domain *domain,
			 const struct store_nodes *nodes)
{
	struct log_origin origin = { domain->domid, nodes->key.kind, { 0 } };
	char buf[RING_OUT_SIZE], text[RING_OUT_SIZE * (LINES_STAMP_LEN + 1)], file[LOGNAME_MAX];
	size_t used, len, skipped = 0;
	struct lines lines;
	struct log *log;
	uint32_t position;
	ssize_t n;

	memcpy(origin.handle, domain->handle, sizeof(origin.handle));
	if (s->logs && logs_inherited(s->logs, &origin, &position))
		skipped = ring_skip(ring, position);
	n = ring_peek(ring, buf, sizeof(buf));
	if (n <= 0)
		return skipped;
	logname_console(file, domain->domid, nodes->name, nodes->key.kind == CONSOLE_VUART);
	if (s->logs && !log_new(&log, s->logs, &origin, file, s->options->stamp_guest)) {
		lines_init(&lines, s->options->stamp_guest, s->options->replace_escape);
		len = lines_filter(&lines, time(NULL), buf, n, &used, text, sizeof(text));
		log_append(log, text, len, ring->out_cons + n);
		log_free(log);
	}
	ring_taken(ring, n);
	return skipped + n;
}

static void mark(struct oneshot *s, struct ring *ring, struct evtchn_port *port,
		 const struct hyper_domain *domain, const struct store_nodes *nodes)
{
	if (s->options->mode == OPTIONS_RECONNECT) {
		ring_connect(ring);
		return;
	}
	ring_disconnect(ring);
	if (empty_ring(s, ring, domain, nodes) > 0)
		evtchn_notify(s->evtchn, port);
}

/* Held by somebody, or offered to another domain than ours. */
static bool is_others(struct oneshot *s, const struct hyper_domain *domain, int64_t number)
{
	uint32_t peer;
	int port = hyper_port(s->hyper, domain->domid, number, &peer);

	return port == HYPER_PORT_HELD || (port == HYPER_PORT_FREE && peer != s->self);
}

static bool visit(void *arg, const struct hyper_domain *domain, const struct store_nodes *nodes, int err)
{
	struct evtchn_port port = { .local = -1, .event = no_event };
	struct oneshot *s = arg;
	struct page page = { NULL, PAGE_NONE };
	const char *kind = nodes->key.kind == CONSOLE_VUART ? "vuart" : "console";
	struct ring ring;

	if (err) {
		diag(LOG_WARNING, "%s of domain %" PRIu32 ": cannot read its nodes in xenstore: %s", kind,
		     domain->domid, strerror(-err));
		s->failed++;
		return true;
	}
	if (is_others(s, domain, nodes->port)) {
		s->held++;
		return true;
	}
	err = evtchn_bind(s->evtchn, &port, domain->domid, nodes->port);
	if (!err)
		err = page_map(&page, s->pages, domain->domid, nodes->key.kind == CONSOLE_PRIMARY,
			       nodes->ring_ref);
	if (err) {
		diag(LOG_WARNING, "%s of domain %" PRIu32 ": cannot bind its port or map its page: %s", kind,
		     domain->domid, strerror(-err));
		s->failed++;
	} else {
		ring_init(&ring, page.at);
		mark(s, &ring, &port, domain, nodes);
		s->done++;
	}
	page_unmap(&page, s->pages);
	evtchn_unbind(s->evtchn, &port);
	return true;
}

/* The flag matters more than the log. */
static void open_logs(struct oneshot *s)
{
	char queues[4096];
	int err;

	if (s->options->mode != OPTIONS_DISCONNECT || !s->options->log_guest)
		return;
	snprintf(queues, sizeof(queues), "%s/xenconsoled.logs", s->options->run_dir);
	err = logs_new(&s->logs, s->loop, s->options->log_dir, queues);
	if (err)
		diag(LOG_WARNING, "cannot start the log writer: %s; what is in the rings is not logged",
		     strerror(-err));
}

static int run(struct oneshot *s)
{
	int err;

	s->loop = loop_new();
	if (!s->loop)
		return -errno;
	err = hyper_new(&s->hyper);
	if (!err)
		err = survey_self(&s->self);
	if (!err)
		err = pages_new(&s->pages);
	if (!err)
		err = evtchn_new(&s->evtchn, s->loop, ignore, s);
	if (!err)
		open_logs(s);
	if (!err)
		err = survey(s->hyper, s->self, s->options->vuart, true, visit, s);
	logs_free(s->logs, LOGS_STOP_MS);
	evtchn_free(s->evtchn);
	pages_free(s->pages);
	hyper_free(s->hyper);
	loop_free(s->loop);
	return err;
}

/* Whoever was told to stop a moment ago still holds it. */
static int wait_for_lock(const char *dir, pid_t *holder)
{
	int lock;

	for (int waited = 0; (lock = lock_take(dir, holder)) == -EWOULDBLOCK && waited < LOCK_MS;
	     waited += 50)
		usleep(50 * 1000);
	return lock;
}

int oneshot_run(const struct options *o)
{
	struct oneshot s = { .options = o };
	const char *state = o->mode == OPTIONS_RECONNECT ? "connected" : "disconnected";
	pid_t holder;
	int lock, err;

	/* What is meant for a daemon whose lock this holds must not end it half-way. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	lock = wait_for_lock(o->run_dir, &holder);
	if (lock == -EWOULDBLOCK)
		diag(LOG_ERR, "xenconsoled runs (pid %ld) and sets the flag itself; nothing was changed",
		     (long)holder);
	else if (lock < 0)
		diag(LOG_ERR, "cannot lock %s/xenconsoled.lock: %s", o->run_dir, strerror(-lock));
	if (lock < 0)
		return 1;
	err = run(&s);
	lock_release(lock);
	if (err) {
		diag(LOG_ERR, "cannot reach Xen or xenstored: %s; are both running, and is this dom0?",
		     strerror(-err));
		return 1;
	}
	diag(LOG_NOTICE, "%u consoles marked %s, %u left to the daemon that holds them, %u failed", s.done,
	     state, s.held, s.failed);
	return s.failed ? 1 : 0;
}
