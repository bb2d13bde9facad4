/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The benchmark's guests: any number of frontends in one process, and the reader beside them.
 *
 * They do as little as they can, so that what is measured is the daemon: one copy into the ring and one
 * notification for each piece. How long they slept with a full ring is reported, since a guest
 * that never had to wait was the bottleneck itself. The tests' guests (xenguest) take commands and
 * can misbehave; these keep clocks.
 */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <xen/io/console.h>

#define SECOND INT64_C(1000000000)
#define MESSAGE 64 /* bytes; its number in front, newline at its end */

struct guest {
	struct standin_domain *domain;
	struct xencons_interface *page;
	uint32_t domid;
	uint64_t written;
	int64_t slept; /* nanoseconds with the ring full, asleep or spinning */
	pthread_t thread;
};

static uint32_t chunk; /* of a flood */
static bool spins;     /* with a full ring, as Linux's hvc_xen does, instead of sleeping until an event */
static _Atomic bool over;

static struct {
	int fd;
	pthread_t thread;
	_Atomic uint64_t bytes;
	int64_t *sent, *came; /* of each message; NULL: not messages */
	uint32_t wanted, seen;
} reader = { .fd = -1 };

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "bench-guest: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *must(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

static void start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	errno = pthread_create(thread, NULL, run, arg);
	if (errno)
		die("a thread");
}

/* ---- a frontend ---- */

static void guest_init(struct guest *g, uint32_t domid)
{
	g->domid = domid;
	g->domain = standin_domain_get(domid);
	if (!g->domain) {
		errno = ESRCH;
		die("no such domain");
	}
	g->page = standin_page_map(domid, g->domain->console[0].page, PROT_READ | PROT_WRITE);
	if (g->page == MAP_FAILED)
		die("the page");
}

static struct standin_port *guest_port(struct guest *g)
{
	return standin_port_get(g->domid, g->domain->console[0].port);
}

static void guest_notify(struct guest *g)
{
	standin_port_notify(guest_port(g));
}

static void guest_sleep(struct guest *g, uint32_t seen, int64_t most)
{
	struct timespec t = { .tv_sec = most / SECOND, .tv_nsec = most % SECOND };

	syscall(SYS_futex, &g->domain->kick, FUTEX_WAIT, seen, &t, NULL, 0);
}

/* What fits of text. */
static uint32_t guest_put(struct guest *g, const char *text, uint32_t length)
{
	uint32_t prod = g->page->out_prod, at = prod % sizeof(g->page->out), first;
	uint32_t room = sizeof(g->page->out) - (prod - __atomic_load_n(&g->page->out_cons, __ATOMIC_ACQUIRE));

	length = room < length ? room : length;
	first = sizeof(g->page->out) - at < length ? sizeof(g->page->out) - at : length;
	memcpy(g->page->out + at, text, first);
	memcpy(g->page->out, text + first, length - first);
	__atomic_store_n(&g->page->out_prod, prod + length, __ATOMIC_SEQ_CST);
	g->written += length;
	return length;
}

/* All of text, unless it is over. */
static void guest_print(struct guest *g, const char *text, uint32_t length)
{
	while (length && !over) {
		uint32_t seen = g->domain->kick, put = guest_put(g, text, length);
		int64_t begun;

		text += put;
		length -= put;
		if (put) {
			guest_notify(g);
			continue;
		}
		begun = now();
		if (spins)
			sched_yield();
		else
			guest_sleep(g, seen, SECOND / 20);
		g->slept += now() - begun;
	}
}

static uint32_t guest_take(struct guest *g)
{
	uint32_t prod = __atomic_load_n(&g->page->in_prod, __ATOMIC_ACQUIRE), n = prod - g->page->in_cons;

	if (n) {
		__atomic_store_n(&g->page->in_cons, prod, __ATOMIC_SEQ_CST);
		guest_notify(g);
	}
	return n;
}

/* What it wrote and the daemon took. */
static uint64_t guest_moved(struct guest *g)
{
	return g->written - (uint32_t)(g->page->out_prod - g->page->out_cons);
}

/* ---- the reader ---- */

static void saw(const char *message)
{
	unsigned int number = strtoul(message, NULL, 10);

	if (number < reader.wanted && !reader.came[number]) {
		reader.came[number] = now();
		reader.seen++;
	}
}

static void *read_all(void *arg)
{
	static char text[65536];
	size_t kept = 0;
	ssize_t n;

	while ((n = read(reader.fd, text + kept, sizeof(text) - kept)) > 0) {
		reader.bytes += n;
		if (!reader.came)
			continue;
		kept += n;
		n = kept / MESSAGE * MESSAGE;
		for (ssize_t i = 0; i < n; i += MESSAGE)
			saw(text + i);
		memmove(text, text + n, kept -= n);
	}
	return arg;
}

static void reader_start(const char *tty)
{
	struct termios raw;
	struct pollfd p = { .events = POLLIN };
	char rest[65536];

	reader.fd = p.fd = open(tty, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (reader.fd < 0 || tcgetattr(reader.fd, &raw))
		die(tty);
	cfmakeraw(&raw);
	tcsetattr(reader.fd, TCSANOW, &raw);
	while (poll(&p, 1, 50) > 0)
		if (read(p.fd, rest, sizeof(rest)) <= 0)
			die(tty);
	start(&reader.thread, read_all, NULL);
}

/* ---- what they do ---- */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void *flood_one(void *arg)
{
	struct guest *g = arg;
	char text[2048];

	memset(text, 'x', sizeof(text));
	for (size_t i = MESSAGE - 1; i < sizeof(text); i += MESSAGE)
		text[i] = '\n';
	while (!over)
		guest_print(g, text, chunk);
	return NULL;
}

/* flood FIRST COUNT CHUNK MILLISECONDS [TTY] */
static void flood(char **arg)
{
	uint32_t first = atoi(arg[0]), count = atoi(arg[1]);
	struct guest *guest = must(calloc(count, sizeof(*guest)));
	uint64_t *before = must(calloc(count, sizeof(*before))), visits = 0;
	int64_t *moved = must(calloc(count, sizeof(*moved))), begun, lasted, slept = 0, all = 0, length;
	struct timespec t;

	chunk = atoi(arg[2]);
	length = atoi(arg[3]) * (SECOND / 1000);
	if (!chunk || chunk > 2048)
		exit(EINVAL);
	for (uint32_t i = 0; i < count; i++) {
		guest_init(&guest[i], first + i);
		before[i] = guest_moved(&guest[i]);
		visits -= guest_port(&guest[i])->events;
	}
	if (arg[4])
		reader_start(arg[4]);
	if (count > 1) /* guests do not compete with dom0's processes */
		setpriority(PRIO_PROCESS, 0, 10);
	begun = now();
	for (uint32_t i = 0; i < count; i++)
		start(&guest[i].thread, flood_one, &guest[i]);
	t = (struct timespec){ .tv_sec = length / SECOND, .tv_nsec = length % SECOND };
	nanosleep(&t, NULL);
	over = true;
	lasted = now() - begun;
	for (uint32_t i = 0; i < count; i++)
		moved[i] = guest_moved(&guest[i]) - before[i];
	for (uint32_t i = 0; i < count; i++)
		visits += guest_port(&guest[i])->events;
	for (uint32_t i = 0; i < count; i++) {
		pthread_join(guest[i].thread, NULL);
		slept += guest[i].slept;
		all += moved[i];
	}
	qsort(moved, count, sizeof(*moved), by_value);
	printf("{\"seconds\": %.4f, \"bytes\": %lld, \"read\": %llu, \"waited\": %.3f, \"least\": %lld, "
	       "\"mean\": %.0f, \"most\": %lld, \"visits\": %llu}\n",
	       (double)lasted / SECOND, (long long)all, (unsigned long long)reader.bytes,
	       (double)slept / lasted / count, (long long)moved[0], (double)all / count,
	       (long long)moved[count - 1], (unsigned long long)visits);
}

static void spin(char **arg)
{
	spins = true;
	flood(arg);
}

/* waited: the share of time in which the guest had nothing to do. */
static void pace_print(uint32_t count, double waited)
{
	int64_t *latency = must(calloc(count, sizeof(*latency)));
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++)
		if (reader.came[i])
			latency[n++] = reader.came[i] - reader.sent[i];
	qsort(latency, n, sizeof(*latency), by_value);
	printf("{\"sent\": %u, \"came\": %u, \"waited\": %.3f", count, n, waited);
	if (n)
		printf(", \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f", latency[n / 2] / 1e3,
		       latency[(n * 99 - 1) / 100] / 1e3, latency[n - 1] / 1e3);
	printf("}\n");
}

static void sleep_until(int64_t due)
{
	struct timespec t = { .tv_sec = due / SECOND, .tv_nsec = due % SECOND };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

/* The reader has message i, or if there is none the daemon has. */
static bool arrived(struct guest *g, uint32_t i)
{
	return reader.fd >= 0 ? reader.came[i] : guest_moved(g) == g->written;
}

static void await(struct guest *g, uint32_t i)
{
	for (int64_t end = now() + 2 * SECOND; !arrived(g, i) && now() < end;)
		sleep_until(now() + SECOND / 5000);
}

static void expect(const char *count)
{
	reader.wanted = atoi(count);
	reader.sent = must(calloc(reader.wanted, sizeof(*reader.sent)));
	reader.came = must(calloc(reader.wanted, sizeof(*reader.came)));
	prctl(PR_SET_TIMERSLACK, 1);
}

/*
 * pace DOMID MICROSECONDS COUNT [TTY]: so many messages, and when the reader has them.
 * talk: the same, but each so long after the one before has arrived; none ever shares its event.
 */
static void messages(char **arg, bool wait)
{
	int64_t every = atoi(arg[1]) * (SECOND / 1000000), due, begun, idle = 0;
	struct guest g = { 0 };
	char text[MESSAGE + 1];
	double waited;

	expect(arg[2]);
	guest_init(&g, atoi(arg[0]));
	if (arg[3])
		reader_start(arg[3]);
	due = begun = now();
	for (uint32_t i = 0; i < reader.wanted; i++) {
		due = (wait ? now() : due) + every;
		snprintf(text, sizeof(text), "%08u %054d\n", i % 100000000, 0);
		idle -= now();
		sleep_until(due);
		reader.sent[i] = now();
		idle += reader.sent[i];
		guest_print(&g, text, MESSAGE);
		if (wait)
			await(&g, i);
	}
	waited = (double)(idle + g.slept) / (now() - begun);
	await(&g, reader.wanted - 1);
	pace_print(reader.wanted, waited);
}

static void pace(char **arg)
{
	messages(arg, false);
}

static void talk(char **arg)
{
	messages(arg, true);
}

static int relay[2][2]; /* pipes */

static void *relay_all(void *arg)
{
	uint32_t i;

	while (read(relay[0][0], &i, sizeof(i)) == sizeof(i))
		if (write(relay[1][1], &i, sizeof(i)) != sizeof(i))
			die("a pipe");
	return arg;
}

static void *wake_all(void *arg)
{
	uint32_t i;

	while (read(relay[1][0], &i, sizeof(i)) == sizeof(i))
		reader.came[i] = now();
	return arg;
}

/*
 * wake MICROSECONDS COUNT: from one thread to another and from there to a third, as a message goes from guest
 * to daemon to reader, but nothing is done on the way: the noise of the machine.
 */
static void wake(char **arg)
{
	int64_t every = atoi(arg[0]) * (SECOND / 1000000), due;
	pthread_t thread;

	expect(arg[1]);
	if (pipe(relay[0]) || pipe(relay[1]))
		die("a pipe");
	start(&thread, relay_all, NULL);
	start(&thread, wake_all, NULL);
	due = now();
	for (uint32_t i = 0; i < reader.wanted; i++) {
		sleep_until(due += every);
		reader.sent[i] = now();
		if (write(relay[0][1], &i, sizeof(i)) != sizeof(i))
			die("a pipe");
	}
	for (int64_t end = now() + 2 * SECOND; !reader.came[reader.wanted - 1] && now() < end;)
		sleep_until(now() + SECOND / 5000);
	pace_print(reader.wanted, 1);
}

static char *pasted;
static size_t paste_length;

static void *paste_all(void *arg)
{
	for (size_t done = 0; done < paste_length;) {
		ssize_t n = write(reader.fd, pasted + done, paste_length - done);

		if (n < 0)
			die("paste");
		done += n;
	}
	return arg;
}

/* paste DOMID BYTES TTY */
static void paste(char **arg)
{
	struct guest g = { 0 };
	int64_t begun;
	size_t got = 0;
	pthread_t thread;

	paste_length = atoi(arg[1]);
	pasted = must(malloc(paste_length));
	memset(pasted, 'p', paste_length);
	guest_init(&g, atoi(arg[0]));
	guest_take(&g);
	reader_start(arg[2]);
	begun = now();
	start(&thread, paste_all, NULL);
	while (got < paste_length) {
		uint32_t seen = g.domain->kick, n = guest_take(&g);

		got += n;
		if (n)
			continue;
		g.slept -= now();
		guest_sleep(&g, seen, SECOND / 20);
		g.slept += now();
	}
	begun = now() - begun;
	printf("{\"seconds\": %.4f, \"bytes\": %zu, \"waited\": %.3f}\n", (double)begun / SECOND, got,
	       (double)g.slept / begun);
}

/* storm DOMID MILLISECONDS: events with nothing to say. */
static void storm(char **arg)
{
	struct guest g = { 0 };
	int64_t begun = now(), length = atoi(arg[1]) * (SECOND / 1000);
	unsigned long events = 0;

	guest_init(&g, atoi(arg[0]));
	for (; now() - begun < length; events++)
		guest_notify(&g);
	printf("{\"seconds\": %.4f, \"events\": %lu}\n", (double)(now() - begun) / SECOND, events);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int least;
		void (*run)(char **arg);
	} mode[] = {
		{ "flood", 4, flood }, { "spin", 4, spin },   { "pace", 3, pace }, { "talk", 3, talk },
		{ "paste", 3, paste }, { "storm", 2, storm }, { "wake", 2, wake },
	};

	signal(SIGPIPE, SIG_IGN);
	standin_host_or_exit();
	standin_handle_cache();
	for (size_t i = 0; i < sizeof(mode) / sizeof(*mode); i++)
		if (argc >= mode[i].least + 2 && !strcmp(argv[1], mode[i].name)) {
			mode[i].run(argv + 2);
			return 0;
		}
	fprintf(stderr, "usage: bench-guest flood FIRST COUNT CHUNK MILLISECONDS [TTY]\n"
			"       bench-guest spin, likewise, not sleeping while the ring is full\n"
			"       bench-guest pace DOMID MICROSECONDS COUNT [TTY]\n"
			"       bench-guest talk DOMID MICROSECONDS COUNT [TTY]\n"
			"       bench-guest paste DOMID BYTES TTY\n"
			"       bench-guest storm DOMID MILLISECONDS\n"
			"       bench-guest wake MICROSECONDS COUNT\n");
	return EINVAL;
}
