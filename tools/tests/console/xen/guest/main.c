// SPDX-License-Identifier: GPL-2.0-only
/*
 * A paravirtual guest that is nothing but a console: it starts in milliseconds, numbers and stamps each of its lines,
 * and does on command what the scenarios want of a guest. Its commands, each a line of its console's input:
 *
 *	say TEXT	prints TEXT
 *	beat N		prints a line every N ms; 0 stops that
 *	flood N		prints N lines as fast as they go; 0 means until "stop"
 *	storm		sends events with nothing behind them, until "stop"
 *	stop		ends a flood or a storm
 *	index NAME N	writes N into the page's in_cons, in_prod, out_cons or out_prod, and notifies
 *	mend N		after N ms, writes the right values into the two indexes that are the guest's
 *	close		closes the console's event channel; the guest is deaf from then on, but beats on
 *	shutdown, reboot, crash
 *			prints its last words, and ends as soon as they are in the ring
 */
#include "guest.h"

#define MS 1000000ull
#define FLAG_PERIOD (20 * MS) /* nobody tells when the flag changes */
#define BATCH 64	      /* lines or events between two looks at the input */

static struct frontend console;
static uint64_t flood_left; /* UINT64_MAX: without end */
static bool storming;
static uint64_t beat_period, beat_next;
static uint64_t mend_at; /* 0: not */
static int ending = -1;	 /* a SHUTDOWN_*, once the last words are out */

/* The compiler calls these. */
void *memset(void *to, int byte, size_t length);
void *memcpy(void *to, const void *from, size_t length);

void *memset(void *to, int byte, size_t length)
{
	for (volatile char *at = to; length--; at++)
		*at = byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t length)
{
	volatile char *at = to;

	for (const char *source = from; length--; source++)
		*at++ = *source;
	return to;
}

/* If *line begins with word, steps over it and the blank after it. */
static bool take_word(const char **line, const char *word)
{
	const char *at = *line;

	while (*word && *at == *word)
		at++, word++;
	if (*word || (*at && *at != ' '))
		return false;
	*line = *at ? at + 1 : at;
	return true;
}

static uint64_t number(const char *text)
{
	uint64_t value = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (*text - '0');
	return value;
}

static volatile uint32_t *index_named(const char **line)
{
	if (take_word(line, "in_cons"))
		return &console.page->in_cons;
	if (take_word(line, "in_prod"))
		return &console.page->in_prod;
	if (take_word(line, "out_cons"))
		return &console.page->out_cons;
	if (take_word(line, "out_prod"))
		return &console.page->out_prod;
	return NULL;
}

static void write_index(const char *line)
{
	volatile uint32_t *index = index_named(&line);

	if (!index) {
		frontend_line(&console, "no such index");
		return;
	}
	*index = number(line);
	xen_notify(console.port);
}

static void mend(void)
{
	if (!mend_at || xen_now() < mend_at)
		return;
	mend_at = 0;
	console.page->in_cons = console.in_cons = console.page->in_prod;
	console.page->out_prod = console.out_prod;
	xen_notify(console.port);
}

static void end(int reason)
{
	frontend_line(&console, "last words");
	ending = reason;
}

static void obey(const char *line)
{
	if (take_word(&line, "say")) {
		frontend_line(&console, line);
	} else if (take_word(&line, "beat")) {
		beat_period = number(line) * MS;
		beat_next = xen_now() + beat_period;
	} else if (take_word(&line, "flood")) {
		flood_left = number(line) ? number(line) : UINT64_MAX;
	} else if (take_word(&line, "stop")) {
		flood_left = 0;
		storming = false;
		frontend_line(&console, "stopped");
	} else if (take_word(&line, "index")) {
		write_index(line);
	} else if (take_word(&line, "mend")) {
		mend_at = xen_now() + number(line) * MS;
	} else if (take_word(&line, "storm")) {
		storming = true;
	} else if (take_word(&line, "close")) {
		xen_close(console.port);
		console.port = 0;
	} else if (take_word(&line, "shutdown")) {
		end(SHUTDOWN_poweroff);
	} else if (take_word(&line, "reboot")) {
		end(SHUTDOWN_reboot);
	} else if (take_word(&line, "crash")) {
		end(SHUTDOWN_crash);
	} else if (*line) {
		frontend_line(&console, "no such command");
	}
}

static void take_input(void)
{
	static char line[256];
	static size_t length;
	int byte;

	while ((byte = frontend_input(&console)) >= 0) {
		if (byte == '\n' || byte == '\r') {
			line[length] = '\0';
			length = 0;
			obey(line);
		} else if (length < sizeof(line) - 1) {
			line[length++] = byte;
		}
	}
}

static void flood(void)
{
	static const char text[] = "flood abcdefghijklmnopqrstuvwxyz0123456789";

	for (int i = 0; flood_left && i < BATCH && frontend_has_room(&console); i++) {
		frontend_line(&console, text);
		if (flood_left != UINT64_MAX && !--flood_left)
			frontend_line(&console, "flood is over");
	}
}

static void storm(void)
{
	for (int i = 0; storming && i < BATCH; i++)
		xen_notify(console.port);
}

static void beat(void)
{
	if (beat_period && xen_now() >= beat_next) {
		if (frontend_has_room(&console))
			frontend_line(&console, "beat");
		beat_next += beat_period;
	}
}

/* The earlier of two times, of which 0 means never. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* When to look again though no event comes; 0: never. */
static uint64_t next_look(void)
{
	uint64_t flag = frontend_waits_for_flag(&console) ? xen_now() + FLAG_PERIOD : 0;

	return earlier(earlier(beat_period ? beat_next : 0, mend_at), flag);
}

_Noreturn void guest_main(const struct start_info *info)
{
	xen_init(info);
	frontend_init(&console, xen_page(info, info->console.domU.mfn), info->console.domU.evtchn);
	frontend_line(&console, "up");
	/* what the command line of the domain says is obeyed first */
	obey((const char *)info->cmd_line);
	for (;;) {
		if (console.port) {
			xen_clear(console.port);
			take_input();
		}
		flood();
		storm();
		beat();
		mend();
		if (!frontend_pump(&console) && !storming && !(flood_left && frontend_has_room(&console)))
			xen_sleep(console.port, next_look());
		if (ending >= 0 && console.kept_head == console.kept_tail)
			xen_shutdown(ending);
	}
}
