// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine as a paravirtual guest sees it: hypercalls, time, events.
 *
 * The guest never takes an upcall: it leaves them masked, as Xen starts it, and waits by SCHEDOP_poll, which looks at
 * the event's pending bit itself. So there are no handlers, and no interrupt can come at a wrong moment.
 */
#include "guest.h"

extern char hypercall_page[];

/* Xen's shared_info is mapped over this page. */
static char shared_page[4096] __attribute__((aligned(4096)));
static volatile struct shared_info *const shared = (void *)shared_page;

static long hypercall(unsigned int number, uint64_t a, uint64_t b, uint64_t c)
{
	long result;

	__asm__ volatile("call *%[entry]"
			 : "=a"(result), "+D"(a), "+S"(b), "+d"(c)
			 : [entry] "r"(hypercall_page + number * 32)
			 : "memory", "rcx", "r8", "r9", "r10", "r11");
	return result;
}

void xen_init(const struct start_info *info)
{
	/* present, writable, accessed by a guest kernel that runs in the user's ring */
	uint64_t entry = info->shared_info | 0x7;

	if (hypercall(__HYPERVISOR_update_va_mapping, (uint64_t)shared_page, entry, UVMF_INVLPG))
		xen_shutdown(SHUTDOWN_crash);
}

void *xen_page(const struct start_info *info, unsigned long mfn)
{
	const unsigned long *frames = (const unsigned long *)info->mfn_list;

	for (unsigned long pfn = 0; pfn < info->nr_pages; pfn++)
		if (frames[pfn] == mfn)
			return (void *)(pfn << 12);
	xen_shutdown(SHUTDOWN_crash);
}

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

uint64_t xen_now(void)
{
	volatile struct vcpu_time_info *time = &shared->vcpu_info[0].time;
	uint64_t now;
	uint32_t version;

	do {
		uint64_t delta;

		version = time->version;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		delta = tsc() - time->tsc_timestamp;
		delta = time->tsc_shift < 0 ? delta >> -time->tsc_shift : delta << time->tsc_shift;
		now = time->system_time +
		      (uint64_t)((unsigned __int128)delta * time->tsc_to_system_mul >> 32);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || version != time->version);
	return now;
}

void xen_notify(evtchn_port_t port)
{
	struct evtchn_send send = { .port = port };

	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (uint64_t)&send, 0);
}

void xen_close(evtchn_port_t port)
{
	struct evtchn_close close = { .port = port };

	hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_close, (uint64_t)&close, 0);
}

void xen_clear(evtchn_port_t port)
{
	__atomic_fetch_and(&shared->evtchn_pending[port / 64], ~(1UL << port % 64), __ATOMIC_SEQ_CST);
}

void xen_sleep(evtchn_port_t port, uint64_t deadline)
{
	struct sched_poll poll = { .nr_ports = port != 0, .timeout = deadline };

	set_xen_guest_handle(poll.ports, &port);
	hypercall(__HYPERVISOR_sched_op, SCHEDOP_poll, (uint64_t)&poll, 0);
}

void xen_shutdown(unsigned int reason)
{
	struct sched_shutdown shutdown = { .reason = reason };

	for (;;)
		hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (uint64_t)&shutdown, 0);
}
