/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Xen keeps its messages in a ring of its own and raises VIRQ_CON_RING when it adds to it.
 * Nothing can hold Xen back, so a reader that is too slow loses the oldest part: that
 * is marked with a line in the log.  When the log's queue is full, or the daemon's share of the processor is used
 * up, text is left in Xen's ring instead of being taken and dropped, and the port stays masked.
 *
 * The ring keeps what was read of it.  How far that went is recorded with the text, so that the next daemon goes
 * on there, also after a kill; but only in the same boot, since another Xen begins another ring.
 */
#include "console/hvlog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <xen/xen.h>

#include "base/diag.h"

#define CHUNK 4096
#define RETRY_MS 200

static void complain(struct hvlog *h, const char *what, int err, int *said)
{
	if (err != *said)
		diag(LOG_WARNING, "hypervisor log: cannot %s: %s; it is tried again", what, strerror(-err));
	*said = err;
	loop_arm(h->loop, &h->retry, err ? 10 * RETRY_MS : RETRY_MS);
}

/* Up to index in Xen's ring. */
static void append(struct hvlog *h, const char *data, size_t len, uint32_t index)
{
	char text[CHUNK * (LINES_STAMP_LEN + 1)];
	size_t used;

	len = lines_filter(&h->lines, time(NULL), data, len, &used, text, sizeof(text));
	log_append(h->log, text, len, index);
}

static void mark_overrun(struct hvlog *h, uint32_t lost, uint32_t index)
{
	char line[96];
	int n = snprintf(line, sizeof(line),
			 "%s[xenconsoled: %u bytes of Xen's console ring lost, overwritten unread]\n",
			 h->lines.mid_line ? "\n" : "", lost);

	append(h, line, n, index);
}

/* Room for a chunk in which every byte is a line of its own, stamped. */
static bool has_room(struct hvlog *h)
{
	return log_queued(h->log) + CHUNK * (LINES_STAMP_LEN + 1) + 256 <= LOG_QUEUE_SIZE;
}

/* One chunk.  Returns its size, 0 when there was no more, or -errno: then the retry timer runs. */
static ssize_t take(struct hvlog *h)
{
	char buf[CHUNK];
	uint32_t lost = 0;
	ssize_t n;

	if (!has_room(h)) {
		loop_arm(h->loop, &h->retry, RETRY_MS);
		return -ENOBUFS;
	}
	n = hyper_conring(h->hyper, &h->index, buf, sizeof(buf), &lost);
	if (n < 0) {
		complain(h, "read Xen's console ring", n, &h->said_read);
		return n;
	}
	h->said_read = 0;
	if (lost)
		mark_overrun(h, lost, h->index - n);
	if (n)
		append(h, buf, n, h->index);
	return n;
}

static void run_turn(struct loop_task *task)
{
	struct hvlog *h = container_of(task, struct hvlog, turn);
	ssize_t n;

	if (!share_left(h->share, loop_now(h->loop))) {
		loop_arm(h->loop, &h->retry, share_wait(h->share));
		return;
	}
	n = take(h);
	if (n > 0)
		loop_post(h->loop, &h->turn);
	else if (n == 0)
		evtchn_unmask(h->evtchn, &h->port);
}

static void port_event(struct evtchn_port *port)
{
	struct hvlog *h = container_of(port, struct hvlog, port);

	loop_post(h->loop, &h->turn);
}

void hvlog_rebind(struct hvlog *h)
{
	int err;

	if (!h->log)
		return;
	err = evtchn_bind_virq(h->evtchn, &h->port, VIRQ_CON_RING);
	if (err)
		complain(h, "bind VIRQ_CON_RING (is another console daemon running?)", err, &h->said_bind);
	else
		h->said_bind = 0;
	loop_post(h->loop, &h->turn);
}

static void retry_due(struct loop_timer *timer)
{
	struct hvlog *h = container_of(timer, struct hvlog, retry);

	if (h->port.local < 0)
		hvlog_rebind(h);
	else
		loop_post(h->loop, &h->turn);
}

/* An UUID of this boot, which is Xen's too, since dom0 does not outlive it. */
static bool boot_id(uint8_t id[16])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	int n = 0;

	while (f && n < 16 && fscanf(f, "%2hhx%*[-]", &id[n]) == 1)
		n++;
	if (f)
		fclose(f);
	return n == 16;
}

int hvlog_init(struct hvlog *h, const struct options *options, struct loop *loop, struct share *share,
	       struct evtchn *evtchn, struct hyper *hyper, struct logs *logs)
{
	struct log_origin origin = { 0, 0, { 0 } };
	bool known = boot_id(origin.handle);

	memset(h, 0, sizeof(*h));
	h->loop = loop;
	h->share = share;
	h->evtchn = evtchn;
	h->hyper = hyper;
	h->port.local = -1;
	h->port.event = port_event;
	h->turn.run = run_turn;
	h->retry.fire = retry_due;
	lines_init(&h->lines, options->stamp_hv, options->replace_escape);
	int err = log_new(&h->log, logs, &origin, "hypervisor.log", options->stamp_hv);

	if (err)
		return err;
	if (!known || !logs_inherited(logs, &origin, &h->index))
		h->index = 0;
	hvlog_rebind(h);
	return 0;
}

void hvlog_fini(struct hvlog *h)
{
	if (!h->log)
		return;
	take(h);
	evtchn_unbind(h->evtchn, &h->port);
	loop_disarm(h->loop, &h->retry);
	loop_cancel(h->loop, &h->turn);
	log_leave(h->log);
	h->log = NULL;
}
