// SPDX-License-Identifier: GPL-2.0-only
/*
 * A console frontend as the protocol means it. Every line goes into memory of the guest's own first and from there into
 * the ring, while the page says that a backend is there; while it says that none is, the lines stay and nothing waits.
 * What was written into the ring before the flag changed stays there for the next backend. So no line is ever lost, and
 * since each has a number, whoever reads the log can prove it.
 */
#include "guest.h"

#define KEPT (1u << 17) /* a power of two, as the indexes run freely; many times what the ring holds */

static char kept[KEPT];

void frontend_init(struct frontend *console, void *page, evtchn_port_t port)
{
	*console = (struct frontend){ .page = page, .port = port };
	console->in_cons = console->page->in_cons;
	console->out_prod = console->page->out_prod;
}

static uint32_t room(const struct frontend *console)
{
	return KEPT - (console->kept_tail - console->kept_head);
}

bool frontend_has_room(const struct frontend *console)
{
	return room(console) >= KEPT / 2;
}

static char *put_number(char *at, uint64_t number, unsigned int digits)
{
	for (unsigned int i = digits; i-- > 0; number /= 10)
		at[i] = '0' + number % 10;
	return at + digits;
}

static void keep(struct frontend *console, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		kept[console->kept_tail++ % KEPT] = bytes[i];
}

void frontend_line(struct frontend *console, const char *text)
{
	uint64_t now = xen_now();
	char head[40], *at = head;
	size_t length = 0;

	*at++ = '#';
	at = put_number(at, console->lines++, 8);
	*at++ = ' ';
	at = put_number(at, now / 1000000000, 6);
	*at++ = '.';
	at = put_number(at, now % 1000000000, 9);
	*at++ = ' ';
	while (text[length])
		length++;
	/* Only a guest that does not ask for room first can come here: a gap that shows. */
	if (room(console) < length + sizeof(head))
		return;
	keep(console, head, at - head);
	keep(console, text, length);
	keep(console, "\n", 1);
}

/* Copies the next kept line, or what of it the ring has room for. Returns whether that is anything. */
static bool copy_line(struct frontend *console)
{
	volatile struct xencons_interface *page = console->page;
	uint32_t start = console->out_prod;
	char byte = 0;

	while (byte != '\n' && console->kept_head != console->kept_tail &&
	       console->out_prod - page->out_cons < sizeof(page->out)) {
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		byte = kept[console->kept_head++ % KEPT];
		page->out[MASK_XENCONS_IDX(console->out_prod++, page->out)] = byte;
	}
	if (console->out_prod == start)
		return false;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	page->out_prod = console->out_prod;
	return true;
}

/* Looks at the flag for each line: once it says that nobody is there, at most the line in hand goes into the ring. */
bool frontend_pump(struct frontend *console)
{
	bool moved = false;

	while (console->page->connection != XENCONSOLE_DISCONNECTED && copy_line(console))
		moved = true;
	if (moved && console->port)
		xen_notify(console->port);
	return moved;
}

int frontend_input(struct frontend *console)
{
	volatile struct xencons_interface *page = console->page;
	char byte;

	if (console->in_cons == page->in_prod)
		return -1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	byte = page->in[MASK_XENCONS_IDX(console->in_cons++, page->in)];
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	page->in_cons = console->in_cons;
	/* there is room for more, and whoever sends much waits for it */
	if (console->port && console->in_cons == page->in_prod)
		xen_notify(console->port);
	return (unsigned char)byte;
}

bool frontend_waits_for_flag(const struct frontend *console)
{
	return console->kept_head != console->kept_tail &&
	       console->page->connection == XENCONSOLE_DISCONNECTED;
}
