/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stand-in host's hypervisor: what the stand-in libraries, xenhost and xenguest share.
 *
 * All state is one file mapped by everybody (STANDIN_DIR/state), the pages are another
 * (STANDIN_DIR/pages), and every open handle is a FIFO (STANDIN_DIR/handle/N). There is no server.
 * README says how the pieces fit. Functions return 0 or a count, or -errno, unless said otherwise.
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STANDIN_PAGE_SIZE 4096

enum {
	STANDIN_DOMIDS = 0x7ff0, /* Xen's DOMID_FIRST_RESERVED */
	STANDIN_HANDLES = 16384,
	STANDIN_PINS = 32768,
	STANDIN_DOM0_PORTS = 16384,
	STANDIN_PORTS = 16,   /* of each other domain */
	STANDIN_PAGES = 8,    /* of each domain */
	STANDIN_CONSOLES = 6, /* of each domain: primary, vuart, additional ones */
	STANDIN_VIRQS = 32,
	STANDIN_RULES = 32,
	STANDIN_CONRING_MAX = 1 << 20,
	STANDIN_GFN_BASE = 0xfe000, /* a domain's page n is its GFN_BASE + n */
};

/* A domain's pages: one for xenstore, then one for each console, then spare ones to move to. */
enum { STANDIN_PAGE_STORE = 0, STANDIN_PAGE_CONSOLE = 1, STANDIN_PAGE_NONE = 0xff };

enum { STANDIN_CONSOLE_PRIMARY = 0, STANDIN_CONSOLE_VUART = 1, STANDIN_CONSOLE_EXTRA = 2 };

enum standin_domain_state { STANDIN_FREE, STANDIN_ALIVE, STANDIN_DYING };

/* The values of Xen's EVTCHNSTAT_*. */
enum standin_port_state {
	STANDIN_CLOSED = 0,
	STANDIN_UNBOUND = 1,
	STANDIN_INTERDOMAIN = 2,
	STANDIN_VIRQ = 4,
};

enum standin_handle_kind {
	STANDIN_HANDLE_FREE,
	STANDIN_HANDLE_EVTCHN,
	STANDIN_HANDLE_GRANT,
	STANDIN_HANDLE_FOREIGN,
	STANDIN_HANDLE_GUEST,
};

/* Calls that can be told to fail; their names stand in inject.c. */
enum standin_call {
	STANDIN_MAP_GRANT,
	STANDIN_MAP_FOREIGN,
	STANDIN_BIND,
	STANDIN_BIND_VIRQ,
	STANDIN_UNMAP,
	STANDIN_NOTIFY,
	STANDIN_UNMASK,
	STANDIN_PENDING,
	STANDIN_OPEN_EVTCHN,
	STANDIN_OPEN_GRANT,
	STANDIN_OPEN_FOREIGN,
	STANDIN_OPEN_CTRL,
	STANDIN_GETINFO,
	STANDIN_STATUS,
	STANDIN_CONRING,
	STANDIN_CALLS,
};

/*
 * link says what the port is connected to: state, then the other end's domid and port (UNBOUND: the
 * domid that may bind it; VIRQ: the number in place of the port). line is its interrupt: pending
 * and masked, and who is to be told. Each is one word, so that the fast path needs no lock.
 */
struct standin_port {
	_Atomic uint64_t link;
	_Atomic uint64_t line;
	_Atomic uint32_t events; /* how often it was raised */
	uint32_t unused;
};

struct standin_console {
	_Atomic uint32_t page; /* index among the domain's pages, or STANDIN_PAGE_NONE */
	_Atomic uint32_t port; /* 0: none */
};

struct standin_domain {
	_Atomic uint32_t state;
	_Atomic uint32_t incarnation; /* never the same twice on one host */
	_Atomic uint32_t kick;	      /* futex: moves whenever its guests should look around */
	_Atomic uint32_t paused;
	_Atomic uint32_t shutdown; /* 0, or 1 + the reason */
	uint32_t hvm;
	uint32_t pins;	 /* mappings of its pages, but for those of guest programs */
	uint32_t guests; /* guest programs attached to it */
	uint32_t store_port;
	uint8_t uuid[16];
	struct standin_console console[STANDIN_CONSOLES];
	struct standin_port port[STANDIN_PORTS];
};

struct standin_handle {
	_Atomic uint32_t generation; /* never 0 while open */
	_Atomic uint32_t queued;     /* events in the FIFO */
	_Atomic uint32_t broken;     /* overflowed: pending() fails from now on */
	uint32_t kind;
	int32_t pid;
	uint32_t domid;	   /* that it is open in, or of a guest program */
	uint32_t capacity; /* of the FIFO, in events */
	uint32_t ports;
	uint32_t pins; /* head of a list through struct standin_pin */
	uint32_t next_free;
};

struct standin_pin {
	uint32_t handle; /* 0: this pin is free */
	uint32_t next;	 /* in the handle's list, or in that of free pins */
	uint16_t domid;
	uint16_t page;
	uint32_t unused;
	uint64_t address; /* in the process that mapped it */
};

struct standin_rule {
	uint32_t used;
	uint32_t call;
	uint32_t domid; /* STANDIN_DOMIDS: any */
	int32_t error;	/* errno, 0: succeed (after the delay) */
	uint32_t left;	/* 0: for ever */
	uint32_t hits;
	uint64_t delay; /* microseconds */
};

struct standin_state {
	uint64_t magic;
	pthread_mutex_t lock;	/* robust: its holder may be killed */
	_Atomic uint32_t rules; /* how many are armed */
	uint32_t last_incarnation;
	uint32_t last_generation;
	uint32_t last_domid;
	uint32_t port_hint; /* no port of dom0 below this one is free */
	uint32_t port_top;  /* no port of dom0 from here on was ever used */
	uint32_t handle_free, handle_top;
	uint32_t pin_free, pin_top;
	_Atomic uint32_t virq[STANDIN_VIRQS]; /* the port of dom0 bound to it */
	struct standin_rule rule[STANDIN_RULES];
	_Atomic uint64_t exists[STANDIN_DOMIDS / 64 + 1];
	uint32_t conring_size;
	uint32_t conring_consumer, conring_producer;
	char conring[STANDIN_CONRING_MAX];
	struct standin_handle handle[STANDIN_HANDLES];
	struct standin_pin pin[STANDIN_PINS];
	struct standin_port dom0_port[STANDIN_DOM0_PORTS];
	struct standin_domain domain[STANDIN_DOMIDS];
};

/* ---- state.c: the mapping and its lock ---- */

/* The host of STANDIN_DIR, attached at first use; NULL with errno when there is none. */
struct standin_state *standin_host(void);
/* The same for programs that cannot go on without: prints why and exits 1. */
struct standin_state *standin_host_or_exit(void);
/* Makes the state in STANDIN_DIR. conring: bytes, a power of two. */
int standin_init(uint32_t conring);
void standin_lock(void);
void standin_unlock(void);
extern uint32_t standin_self; /* the domain that this process runs in: STANDIN_DOMID, or dom0 */
/* One cheap system call, in the place of a hypercall that needs none here. */
void standin_hypercall(void);
/* STANDIN_DIR/NAME into path; -ENAMETOOLONG. */
int standin_path(char *path, size_t size, const char *name);
/* Maps a page shared and read-write (prot as for mmap); MAP_FAILED with errno. Pins nothing. */
void *standin_page_map(uint32_t domid, uint32_t page, int prot);
void standin_page_clear(uint32_t domid, uint32_t page);
/* Where the page is in STANDIN_DIR/pages. */
static inline off_t standin_page_offset(uint32_t domid, uint32_t page)
{
	return ((off_t)domid * STANDIN_PAGES + page) * STANDIN_PAGE_SIZE;
}

/* ---- handle.c: open handles, and how their holders' deaths are noticed ---- */

/* A new handle, its FIFO opened read-write: slot and fd. cloexec as for open(). */
int standin_handle_open(enum standin_handle_kind kind, bool cloexec, uint32_t *slot, int *fd);
/* The handle whose FIFO fd is; -EBADF. */
int standin_handle_find(int fd, uint32_t *slot);
/* Closes fd. The handle ends with the last copy of fd, in whichever process that is. */
void standin_handle_close(uint32_t slot, int fd);
/* Ends the handle if nobody has it open any more. Lock held. True if it is dead. */
bool standin_handle_reap(uint32_t slot);
/* The same for all. Lock held. */
void standin_reap_all(void);
/*
 * Puts a port into a handle's FIFO. generation guards against a handle that was replaced.
 * -EMFILE and the like: not delivered. A handle that is dead takes it silently.
 */
int standin_handle_push(uint32_t slot, uint32_t generation, uint32_t port);
/* The next port from this process's own handle, as read() does it: -EAGAIN, -EFBIG if broken. */
int standin_handle_pop(uint32_t slot, int fd);
/* Grows the FIFO to the handle's number of ports. */
int standin_handle_make_room(uint32_t slot, int fd);
/* Breaks a handle as an overflow does. */
void standin_handle_break(uint32_t slot);
/* Lets this process keep other processes' FIFOs open. Not for libraries: it costs fds. */
void standin_handle_cache(void);

/* ---- port.c: event channels ---- */

struct standin_port *standin_port_get(uint32_t domid, uint32_t port);
enum standin_port_state standin_port_state(struct standin_port *p);
uint32_t standin_port_peer_domid(struct standin_port *p);
/* The other end's port, or the VIRQ. */
uint32_t standin_port_peer(struct standin_port *p);
/* The handle that holds it, 0 if none. */
uint32_t standin_port_handle(struct standin_port *p);
bool standin_port_pending(struct standin_port *p);
bool standin_port_masked(struct standin_port *p);

/* These return the new port of domid. Lock held. */
int standin_port_unbound(uint32_t domid, uint32_t remote, uint32_t handle);
int standin_port_bind(uint32_t handle, uint32_t remote, uint32_t remote_port);
int standin_port_bind_virq(uint32_t handle, uint32_t virq);
/* Lock held. The other end goes unbound; nobody is told. */
void standin_port_close(uint32_t domid, uint32_t port);
/* Who holds it may have died: after this its state is the true one. Lock held. */
void standin_port_settle(uint32_t domid, uint32_t port);
/* No lock needed for these. */
int standin_port_notify(struct standin_port *p); /* raises the other end */
void standin_port_raise(uint32_t domid, uint32_t port);
void standin_port_unmask(uint32_t domid, uint32_t port);
void standin_virq_raise(uint32_t virq);

/* ---- domain.c ---- */

/* NULL unless it exists (a zombie does). dom0 always does. */
struct standin_domain *standin_domain_get(uint32_t domid);
/* The first one from domid on; STANDIN_DOMIDS if there is none. */
uint32_t standin_domain_next(uint32_t domid);
/*
 * The rest: lock held. domid 0 takes the next free one. The domid, or -EBUSY if it is taken.
 */
int standin_domain_create(uint32_t domid, const uint8_t uuid[16], bool hvm, bool paused);
/* Dying from now on; gone when its last pin is. Raises VIRQ_DOM_EXC. */
void standin_domain_kill(uint32_t domid);
void standin_domain_free_if_unused(uint32_t domid);
void standin_domain_kick(struct standin_domain *d);
/* The page behind a grant reference or a frame number; -EINVAL, or -ESRCH without a domain. */
int standin_domain_page_of_grant(uint32_t domid, uint32_t reference);
int standin_domain_page_of_gfn(uint32_t domid, uint64_t gfn);

/* ---- pin.c: mappings of domains' pages ---- */

/* Maps and pins; NULL with errno. Takes the lock. */
void *standin_pin_map(uint32_t handle, uint32_t domid, uint32_t page, int prot);
/* Undoes it; -EINVAL if there is no such mapping. Takes the lock. */
int standin_pin_unmap(uint32_t handle, void *address);
/* Unmaps all that a handle of this process still maps. Takes the lock. */
void standin_pin_unmap_all(uint32_t handle);
/* Forgets them without unmapping: their process is gone. Lock held. */
void standin_pin_drop_all(uint32_t handle);
/* Who maps pages of domid may have died: after this its pins are the true ones. Lock held. */
void standin_pin_settle(uint32_t domid);

/* ---- conring.c ---- */

/* Appends to the hypervisor's console ring (oldest is lost) and raises VIRQ_CON_RING. */
void standin_conring_write(const char *text, size_t length);
/*
 * As Xen's sysctl: up to length bytes from the ring's start, or with incremental from *index if that
 * is still there; *index becomes where the next read goes on. clear forgets what was read.
 */
size_t standin_conring_read(char *text, size_t length, bool clear, bool incremental, uint32_t *index);

/* ---- inject.c ---- */

const char *standin_call_name(enum standin_call call);
/* The call's delay if a rule says so, then 0 or the errno it is to fail with (positive). */
int standin_inject(enum standin_call call, uint32_t domid);
/* -ENOSPC */
int standin_inject_add(const struct standin_rule *rule);
void standin_inject_clear(void);

#endif
