/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest prints, and what becomes of it: into the ring, dropped, or kept, as its mode has it.
 *
 * Output is cut into chunks as Linux's hvc cuts it. The flag is looked at before a chunk is begun
 * and not again (linux71), or all the time (replay), or never (old).
 */
#include "xenguest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECOND ((int64_t)1000000000)
#define LOOK_AGAIN (SECOND / 100) /* nobody tells of the flag */

static void *must(void *memory)
{
	if (!memory) {
		fprintf(stderr, "xenguest: out of memory\n");
		exit(1);
	}
	return memory;
}

void output_init(struct guest *g)
{
	g->jobs_end = &g->jobs;
	g->echoes.kind = JOB_TEXT;
}

static struct job *add(struct guest *g, int kind)
{
	struct job *job = must(calloc(1, sizeof(*job)));

	job->kind = kind;
	*g->jobs_end = job;
	g->jobs_end = &job->next;
	return job;
}

static void remove_first(struct guest *g)
{
	struct job *job = g->jobs;

	g->jobs = job->next;
	if (!g->jobs)
		g->jobs_end = &g->jobs;
	if (job->kind == JOB_FILE)
		close(job->fd);
	free(job->text);
	free(job);
}

void output_text(struct guest *g, const uint8_t *text, size_t length)
{
	struct job *job = add(g, JOB_TEXT);

	job->text = must(malloc(length + 1));
	memcpy(job->text, text, length);
	job->length = length;
}

void output_echo(struct guest *g, const uint8_t *text, size_t length)
{
	struct job *job = &g->echoes;

	if (job->done == job->length)
		job->done = job->length = 0;
	job->text = must(realloc(job->text, job->length + length));
	memcpy(job->text + job->length, text, length);
	job->length += length;
}

int output_file(struct guest *g, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	struct job *job;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &status)) {
		close(fd);
		return -EIO;
	}
	job = add(g, JOB_FILE);
	job->fd = fd;
	job->length = status.st_size;
	return 0;
}

static void format_line(struct job *job)
{
	static const char filler[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	char number[24];
	size_t digits = snprintf(number, sizeof(number), "%010llu ", (unsigned long long)job->line);

	for (size_t i = 0; i < job->length; i++)
		job->text[i] = i < digits ? number[i] : filler[(i - digits) % (sizeof(filler) - 1)];
	job->text[job->length - 1] = '\n';
	job->done = 0;
}

void output_lines(struct guest *g, uint64_t count, uint32_t rate, uint64_t first, uint32_t width)
{
	struct job *job = add(g, JOB_LINES);

	job->text = must(malloc(width));
	job->length = width;
	job->line = job->first = first;
	job->end = first + count;
	job->rate = rate;
	job->started = guest_now();
	format_line(job);
}

static uint64_t left_of(const struct job *job)
{
	if (job->kind == JOB_LINES)
		return (job->end - job->line) * job->length - job->done;
	return job->length - job->done;
}

uint64_t output_queued(struct guest *g)
{
	uint64_t queued = left_of(&g->echoes) + g->chunk_length - g->chunk_done;

	for (struct job *job = g->jobs; job; job = job->next)
		queued += left_of(job);
	return queued;
}

static int64_t due(const struct job *job)
{
	return job->started + (int64_t)((job->line - job->first) * SECOND / job->rate);
}

static uint32_t copy_from(struct job *job, uint8_t *to, uint32_t length)
{
	ssize_t got;

	length = job->length - job->done < length ? job->length - job->done : length;
	if (job->kind == JOB_FILE) {
		got = pread(job->fd, to, length, job->done);
		/* A file that shrank ends here. */
		if (got <= 0)
			job->length = job->done;
		length = got < 0 ? 0 : got;
	} else {
		memcpy(to, job->text + job->done, length);
	}
	job->done += length;
	return length;
}

/* Up to a chunk of the first job; 0 if there is none, or none that is due before *wake. */
static uint32_t fetch_from_jobs(struct guest *g, int64_t *wake)
{
	struct job *job = g->jobs;
	uint32_t length;

	if (!job)
		return 0;
	if (job->kind == JOB_LINES && job->rate && !job->done && due(job) > guest_now()) {
		*wake = due(job);
		return 0;
	}
	length = copy_from(job, g->chunk, g->chunk_size);
	if (job->kind == JOB_LINES && job->done == job->length && ++job->line < job->end)
		format_line(job);
	if (!left_of(job) || (job->kind == JOB_LINES && job->line == job->end))
		remove_first(g);
	return length;
}

static bool disconnected(struct guest *g)
{
	return __atomic_load_n((uint8_t *)g->page + CONNECTION_OFFSET, __ATOMIC_SEQ_CST) != 0;
}

static bool begin_chunk(struct guest *g, int64_t *wake)
{
	g->chunk_done = 0;
	g->chunk_length = copy_from(&g->echoes, g->chunk, g->chunk_size);
	if (!g->chunk_length)
		g->chunk_length = fetch_from_jobs(g, wake);
	if (!g->chunk_length)
		return false;
	if (g->mode == MODE_LINUX71 && disconnected(g)) {
		g->dropped += g->chunk_length;
		g->chunk_length = 0;
	}
	return true;
}

static uint32_t put(struct guest *g)
{
	struct xencons_interface *page = g->page;
	uint32_t prod = __atomic_load_n(&page->out_prod, __ATOMIC_RELAXED);
	uint32_t cons = __atomic_load_n(&page->out_cons, __ATOMIC_ACQUIRE);
	uint32_t used = prod - cons, length = g->chunk_length - g->chunk_done;

	if (used > sizeof(page->out)) {
		g->bad_indexes++;
		return 0;
	}
	length = sizeof(page->out) - used < length ? sizeof(page->out) - used : length;
	for (uint32_t i = 0; i < length; i++)
		page->out[(prod + i) & (sizeof(page->out) - 1)] = g->chunk[g->chunk_done + i];
	if (length) {
		__atomic_store_n(&page->out_prod, prod + length, __ATOMIC_SEQ_CST);
		guest_notify(g);
	}
	return length;
}

/* While blocked: may it look again? events: as of before the ring is looked at. */
static bool unblock(struct guest *g, uint32_t events, int64_t *wake)
{
	if (!g->blocked || events != g->blocked_events)
		return true;
	*wake = g->blocked_until;
	return g->blocked_until && guest_now() >= g->blocked_until;
}

static void block(struct guest *g, uint32_t events, int64_t *wake)
{
	g->state = "spinning";
	g->blocked = true;
	g->blocked_events = events;
	*wake = g->blocked_until = g->trusting ? 0 : guest_now() + SECOND;
}

static bool keep(struct guest *g, int64_t *wake)
{
	if (!disconnected(g)) {
		if (g->keeping)
			g->replay_left = output_queued(g);
		g->keeping = false;
		return false;
	}
	g->state = "keeping";
	g->keeping = true;
	*wake = guest_now() + LOOK_AGAIN;
	return true;
}

static void count(struct guest *g, uint32_t length)
{
	uint64_t replayed = length < g->replay_left ? length : g->replay_left;

	g->written += length;
	g->replayed += replayed;
	g->replay_left -= replayed;
}

bool output_step(struct guest *g, uint32_t events, int64_t *wake)
{
	uint32_t length;

	if (g->chunk_done == g->chunk_length && !begin_chunk(g, wake)) {
		g->state = "idle";
		return false;
	}
	if (g->chunk_done == g->chunk_length)
		return true;
	if (g->mode == MODE_REPLAY && keep(g, wake))
		return false;
	if (!unblock(g, events, wake))
		return false;
	length = put(g);
	if (!length) {
		block(g, events, wake);
		return false;
	}
	if (g->blocked && events == g->blocked_events)
		g->unnoticed++;
	g->blocked = false;
	g->state = "running";
	g->chunk_done += length;
	count(g, length);
	return true;
}
