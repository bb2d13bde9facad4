/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opens what everybody shares, in the order in which a lack of it is worth
 * telling, wires events to those whom they concern, and takes it all down again.
 * Nothing of a guest is touched before the lock is held and no incumbent is seen.
 */
#include "daemon.h"

#include <errno.h>
#ifdef __GLIBC__
#include <execinfo.h>
#endif
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/lock.h"
#include "base/notify.h"
#include "console/domains.h"
#include "console/hvlog.h"
#include "incumbent.h"
#include "keeper.h"
#include "store/survey.h"

#define STORE_WAIT_MS 10000 /* inits may start us and xenstored together */
#define STORE_STEP_MS 50
#define STORE_STOP_MS 100 /* at least, and what readers have left of their time */
#define LOGS_STOP_MS 150
#define FILES_WANTED (0x7ff0 * 3 + 1000) /* for as many guests as Xen has domids */

struct daemon {
	const struct options *options;
	int lock;
	struct console_env env;
	struct logs *logs; /* guests', the hypervisor's, or both */
	struct hvlog hvlog;
	struct domains *domains;
	struct notify notify;
};

static int failed(const char *what, int err, const char *hint)
{
	diag(LOG_ERR, "cannot %s: %s; %s", what, strerror(-err), hint);
	return err;
}

static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_max < FILES_WANTED)
		limit.rlim_max = FILES_WANTED;
	limit.rlim_cur = limit.rlim_max;
	if (!setrlimit(RLIMIT_NOFILE, &limit))
		return;
	/* Less than that the system may still grant. */
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		diag(LOG_WARNING, "cannot raise the limit of open files: %s; each console takes up to three",
		     strerror(errno));
}

static int take_lock(struct daemon *d)
{
	pid_t holder;

	d->lock = lock_take(d->options->run_dir, &holder);
	if (d->lock >= 0)
		return 0;
	if (d->lock == -EWOULDBLOCK)
		diag(LOG_ERR, "xenconsoled runs already (pid %ld); stop it first", (long)holder);
	else
		diag(LOG_ERR, "cannot lock %s/xenconsoled.lock: %s; is the directory there and writable?",
		     d->options->run_dir, strerror(-d->lock));
	return d->lock;
}

/*
 * They wait for the loop.  Before it runs xenstored may be waited for, by asking it directly: meanwhile they end the
 * daemon at once, since it holds nothing of a guest's.
 */
static sigset_t end_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	return signals;
}

static int check_incumbent(struct daemon *d)
{
	sigset_t terms = end_signals();
	int err;

	pthread_sigmask(SIG_UNBLOCK, &terms, NULL);
	err = incumbent_check(d->env.hyper, d->env.evtchn, d->env.self);
	pthread_sigmask(SIG_BLOCK, &terms, NULL);
	if (err && err != -EBUSY)
		return failed("look at the consoles in xenstore", err, "is xenstored healthy?");
	return err;
}

static void on_domains(void *arg)
{
	struct daemon *d = arg;

	domains_refresh(d->domains);
}

static void on_nodes(void *arg, const struct store_nodes *nodes)
{
	struct daemon *d = arg;

	domains_nodes(d->domains, nodes);
}

static const struct store_events store_events = { on_domains, on_nodes };

/* xenstored may be starting beside us.  It is asked on a thread, so that one that is stopped does not hold us. */
static int open_store(struct daemon *d)
{
	struct timespec step = { 0, STORE_STEP_MS * 1000000 };
	sigset_t terms = end_signals();
	int err;

	for (int ms = 0;; ms += STORE_STEP_MS) {
		pthread_sigmask(SIG_UNBLOCK, &terms, NULL);
		err = store_new(&d->env.store, d->env.loop, &store_events, d, d->options->log_guest);
		pthread_sigmask(SIG_BLOCK, &terms, NULL);
		if (!err || err == -ETIMEDOUT || ms >= STORE_WAIT_MS)
			break;
		if (sigtimedwait(&terms, NULL, &step) > 0)
			return -EINTR; /* told to end before it began */
	}
	if (err == -ETIMEDOUT)
		return failed("talk to xenstored", err, "it does not answer; is it stopped? (waited 10 s)");
	if (err)
		return failed("connect to xenstored", err, "start it first (waited 10 s)");
	pthread_sigmask(SIG_UNBLOCK, &terms, NULL);
	err = survey_self(&d->env.self);
	pthread_sigmask(SIG_BLOCK, &terms, NULL);
	if (err)
		return failed("ask xenstored which domain this is", err, "is xenstored healthy?");
	return 0;
}

static void on_evtchn_lost(void *arg)
{
	struct daemon *d = arg;

	domains_rebind(d->domains);
	hvlog_rebind(&d->hvlog);
}

static void on_stopped(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->env.loop);
}

static void on_term(void *arg)
{
	struct daemon *d = arg;

	if (d->env.stopping)
		return;
	notify_stopping(&d->notify);
	domains_stop(d->domains, on_stopped, d);
}

static void on_leave(void *arg)
{
	struct daemon *d = arg;

	d->env.keep_flag = true;
	on_term(d);
}

static void on_hup(void *arg)
{
	struct daemon *d = arg;

	if (d->logs)
		logs_reopen(d->logs);
	if (!d->env.stopping)
		notify_reloaded(&d->notify);
}

static void on_report(void *arg)
{
	struct daemon *d = arg;

	domains_report(d->domains);
}

static int wire_signals(struct daemon *d)
{
	static const struct {
		int signo;
		void (*handler)(void *arg);
	} signals[] = {
		{ SIGTERM, on_term }, { SIGINT, on_term },    { SIGUSR2, on_leave },
		{ SIGHUP, on_hup },   { SIGUSR1, on_report },
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int err = loop_signal(d->env.loop, signals[i].signo, signals[i].handler, d);

		if (err)
			return failed("take signals", err, "is memory short?");
	}
	return 0;
}

static int open_xen(struct daemon *d)
{
	int err = hyper_new(&d->env.hyper);

	if (err)
		return failed("open Xen's control interface", err, "is this a dom0 with /dev/xen/privcmd?");
	err = open_store(d);
	if (err)
		return err;
	err = pages_new(&d->env.pages);
	if (err)
		return failed("open /dev/xen/gntdev", err, "is the module xen-gntdev loaded?");
	err = evtchn_new(&d->env.evtchn, d->env.loop, on_evtchn_lost, d);
	if (err)
		return failed("open /dev/xen/evtchn", err, "is the module xen-evtchn loaded?");
	return check_incumbent(d);
}

static int open_logs(struct daemon *d)
{
	const struct options *o = d->options;
	char queues[4096];
	int err;

	if (!o->log_guest && !o->log_hv)
		return 0;
	snprintf(queues, sizeof(queues), "%s/xenconsoled.logs", o->run_dir);
	err = logs_new(&d->logs, d->env.loop, o->log_dir, queues);
	if (err)
		return failed("start the log writer", err, "is memory short?");
	if (o->log_guest)
		d->env.logs = d->logs;
	if (!o->log_hv)
		return 0;
	err = hvlog_init(&d->hvlog, o, d->env.loop, &d->env.share, d->env.evtchn, d->env.hyper, d->logs);
	if (err)
		return failed("log the hypervisor", err, "is memory short?");
	return 0;
}

/*
 * libxenstore cancels a thread when a connection is closed. For that glibc loads libgcc_s, and aborts where
 * it has no memory or descriptor just then; so have it loaded now.
 */
static int load_unwinder(void)
{
#ifdef __GLIBC__
	void *frame;

	if (backtrace(&frame, 1) < 1)
		return failed("load libgcc_s.so.1", -ENOENT, "is it installed?");
#endif
	return 0;
}

static int open_all(struct daemon *d)
{
	int err = load_unwinder();

	if (err)
		return err;
	err = take_lock(d);
	if (err < 0)
		return err;
	raise_fd_limit();
	d->env.loop = loop_new();
	if (!d->env.loop)
		return failed("make an event loop", -errno, "is memory short?");
	console_env_init(&d->env);
	d->env.ttys = ttys_new();
	if (!d->env.ttys)
		return failed("keep a list of ttys", -ENOMEM, "is memory short?");
	/* From here on each waits for the loop; but see end_signals(). */
	err = wire_signals(d);
	if (err)
		return err;
	err = open_xen(d);
	if (err)
		return err;
	notify_init(&d->notify, d->env.loop, &d->env.attached);
	err = open_logs(d);
	if (err)
		return err;
	d->domains = domains_new(&d->env);
	if (!d->domains)
		return failed("keep a list of domains", -ENOMEM, "is memory short?");
	return 0;
}

/* status: of the process */
static void close_all(struct daemon *d, int status)
{
	bool ended;
	int64_t left = d->env.stopping ? d->env.stop_end - loop_now(d->env.loop) : 0;

	hvlog_fini(&d->hvlog);
	store_free(d->env.store, left > STORE_STOP_MS ? left : STORE_STOP_MS);
	domains_free(d->domains);
	if (d->env.loop)
		console_env_fini(&d->env);
	ended = logs_free(d->logs, LOGS_STOP_MS);
	evtchn_free(d->env.evtchn);
	pages_free(d->env.pages);
	hyper_free(d->env.hyper);
	/*
	 * A log writer that a dead disk holds keeps the process from ending, and a descriptor from being closed with it:
	 * so the lock is let go by hand, when nothing else is held and our pid file cannot be taken for a successor's.
	 */
	if (!d->options->interactive)
		unlink(d->options->pid_file);
	if (d->lock >= 0)
		lock_release(d->lock);
	if (!ended)
		keeper_let_go(status);
	notify_fini(&d->notify);
	loop_free(d->env.loop);
	ttys_free(d->env.ttys);
}

int daemon_run(const struct options *o, void (*ready)(void *arg), void *arg)
{
	struct daemon d = { .options = o, .lock = -1 };
	int err;

	d.env.options = o;
	err = open_all(&d);
	if (!err) {
		diag(LOG_INFO, "xenconsoled " PACKAGE_VERSION " serves consoles");
		ready(arg);
		notify_ready(&d.notify);
		domains_refresh(d.domains);
		err = loop_run(d.env.loop);
		if (err)
			failed("wait for events", err, "leaving");
	}
	close_all(&d, err ? 1 : 0);
	return err ? 1 : 0;
}
