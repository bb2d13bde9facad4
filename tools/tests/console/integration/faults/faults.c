/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Preloaded into a console daemon: what its host can run out of, runs out when a test says so.
 *
 * A test maps the same file (FAULTS) and arms it while the daemon runs.  Kinds of calls are counted
 * and made to fail from the n-th on: those that want memory, a descriptor, a thread.  The
 * clock can be set, or made to stand still, a descriptor can be reported broken, which no file that a
 * test can make does by itself, and the disk can fail, or keep a call for as long as the test likes.
 * faultlib.py is the other side.
 *
 * Where the thread sanitizer is in the daemon, its malloc() has to come first: NO_MEMORY leaves that kind
 * out.  The address sanitizer's is called from here, and with it what it would replace (strdup()).
 *
 * Only the process whose program is named by FAULTS_PROGRAM takes part, so that the shell that
 * starts it does not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { MEMORY, DESCRIPTOR, THREAD, KINDS };
enum call { NONE, OPEN, STAT, CLOSE };
enum disk { STALLED = -1, SLOW = -2, SILENT = -3 };

#define SLOW_US 50000

/* As faultlib.py has it. */
struct faults {
	struct {
		_Atomic uint32_t at;	/* the how-manieth call from now fails; 0: none */
		_Atomic uint32_t times; /* so many in a row, 0: for ever */
		_Atomic uint32_t calls; /* made since it was armed */
		_Atomic uint32_t hits;	/* that failed */
	} kind[KINDS];
	_Atomic int64_t realtime;  /* seconds that CLOCK_REALTIME is ahead */
	_Atomic int64_t stopped;   /* what CLOCK_MONOTONIC says, in nanoseconds; 0: the truth */
	_Atomic int32_t broken;	   /* 1 + a descriptor that epoll reports EPOLLERR for, once */
	_Atomic uint32_t answered; /* how often it was */
	_Atomic int32_t disk;	   /* writes to regular files: an errno; 0: they work; or one of these */
	_Atomic uint32_t waiting;  /* calls that do not return */
	_Atomic uint32_t stuck;	   /* such calls on a log do not return, until it changes */
};

static struct faults *faults;

#define NEXT(name)                                                                                           \
	static __typeof__(&name) next;                                                                       \
	if (!next)                                                                                           \
	next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static bool fails(enum kind kind)
{
	uint32_t at, times, call;

	if (!faults)
		return false;
	call = atomic_fetch_add(&faults->kind[kind].calls, 1) + 1;
	at = faults->kind[kind].at;
	times = faults->kind[kind].times;
	if (!at || call < at || (times && call >= at + times))
		return false;
	atomic_fetch_add(&faults->kind[kind].hits, 1);
	return true;
}

/* ---- memory --------------------------------------------------------------- */

#ifndef NO_MEMORY

/* What dlsym() itself wants before there is a malloc() to ask. */
static char early[4096];
static size_t early_used;

static void *early_memory(size_t size)
{
	void *at = early + early_used;

	size = (size + 15) & ~(size_t)15;
	if (size > sizeof(early) - early_used)
		abort();
	early_used += size;
	return at;
}

static bool is_early(const void *p)
{
	return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

/* dlsym() may allocate, or free, and come back to us meanwhile, though it is declared not to: hence volatile. */
#define NEXT_ALLOCATOR(name, instead)                                                                        \
	static __typeof__(&name) next;                                                                       \
	static volatile bool asking;                                                                         \
	if (!next) {                                                                                         \
		if (asking)                                                                                  \
			return instead;                                                                      \
		asking = true;                                                                               \
		next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                           \
		asking = false;                                                                              \
	}

/* The address sanitizer asks when a thread begins, and aborts where there is no memory for the answer. */
static __thread bool spared __attribute__((tls_model("initial-exec")));

int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	NEXT(pthread_getattr_np);
	int error;

	spared = true;
	error = next(thread, attributes);
	spared = false;
	return error;
}

static bool starved(void)
{
	if (spared || !fails(MEMORY))
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	NEXT_ALLOCATOR(malloc, early_memory(size));
	return starved() ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
	NEXT_ALLOCATOR(calloc, early_memory(count * size));
	return starved() ? NULL : next(count, size);
}

void *realloc(void *old, size_t size)
{
	NEXT_ALLOCATOR(realloc, NULL);
	return starved() ? NULL : next(old, size);
}

void free(void *p)
{
	NEXT_ALLOCATOR(free, (void)0);
	if (!is_early(p))
		next(p);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (starved())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}

/* Where a program was compiled for large files; likewise below. */
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

#endif

/* ---- a log that does not answer --------------------------------------------- */

static void nap(void)
{
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void get_stuck(enum call call, const char *name)
{
	size_t len = strlen(name);

	if (!faults || faults->stuck != call || len < 4 || strcmp(name + len - 4, ".log") != 0)
		return;
	atomic_fetch_add(&faults->waiting, 1);
	while (faults->stuck == call)
		nap();
	atomic_fetch_sub(&faults->waiting, 1);
}

int fstatat(int dir, const char *name, struct stat *st, int flags)
{
	NEXT(fstatat);
	get_stuck(STAT, name);
	return next(dir, name, st, flags);
}

int fstatat64(int dir, const char *name, struct stat64 *st, int flags) __attribute__((alias("fstatat")));

int close(int fd)
{
	NEXT(close);
	char path[32], name[4096];
	ssize_t len;

	if (faults && faults->stuck == CLOSE) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, name, sizeof(name) - 1);
		name[len > 0 ? len : 0] = '\0';
		get_stuck(CLOSE, name);
	}
	return next(fd);
}

/* ---- descriptors ---------------------------------------------------------- */

static bool full(void)
{
	if (!fails(DESCRIPTOR))
		return false;
	errno = EMFILE;
	return true;
}

#define OPEN_MODE(flags)                                                                                     \
	mode_t mode = 0;                                                                                     \
	if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                             \
		va_list args;                                                                                \
		va_start(args, flags);                                                                       \
		mode = va_arg(args, mode_t);                                                                 \
		va_end(args);                                                                                \
	}

int open(const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return full() ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	get_stuck(OPEN, path);
	return full() ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

int posix_openpt(int flags)
{
	NEXT(posix_openpt);
	return full() ? -1 : next(flags);
}

int socket(int domain, int type, int protocol)
{
	NEXT(socket);
	return full() ? -1 : next(domain, type, protocol);
}

int eventfd(unsigned int count, int flags)
{
	NEXT(eventfd);
	return full() ? -1 : next(count, flags);
}

int epoll_create1(int flags)
{
	NEXT(epoll_create1);
	return full() ? -1 : next(flags);
}

int pipe(int ends[2])
{
	NEXT(pipe);
	return full() ? -1 : next(ends);
}

int pipe2(int ends[2], int flags)
{
	NEXT(pipe2);
	return full() ? -1 : next(ends, flags);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int dir, const char *path, int flags, ...) __attribute__((alias("openat")));

/* ---- threads -------------------------------------------------------------- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *arg), void *arg)
{
	NEXT(pthread_create);
	return fails(THREAD) ? EAGAIN : next(thread, attributes, run, arg);
}

/* ---- clocks --------------------------------------------------------------- */

#define SECOND ((int64_t)1000000000)

static void set(struct timespec *t, int64_t nanoseconds)
{
	t->tv_sec = nanoseconds / SECOND;
	t->tv_nsec = nanoseconds % SECOND;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	NEXT(clock_gettime);
	if (next(clock, t))
		return -1;
	if (faults && clock == CLOCK_MONOTONIC && faults->stopped)
		set(t, faults->stopped);
	else if (faults && clock == CLOCK_REALTIME)
		t->tv_sec += faults->realtime;
	return 0;
}

time_t time(time_t *also)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (also)
		*also = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *t, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

/* Where time stands still, nobody's wait comes to an end by it. */
static int wait_for(int ms)
{
	return faults && faults->stopped && ms > 0 ? -1 : ms;
}

int poll(struct pollfd *fds, nfds_t count, int ms)
{
	NEXT(poll);
	return next(fds, count, wait_for(ms));
}

/* ---- a disk that fails, or does not answer ---------------------------------- */

static bool on_disk(int fd)
{
	struct stat st;

	return faults && faults->disk && fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
	NEXT(writev);
	int error;

	if (!on_disk(fd))
		return next(fd, pieces, count);
	atomic_fetch_add(&faults->waiting, 1);
	while ((error = faults->disk) == STALLED)
		nap();
	if (error == SLOW) {
		usleep(SLOW_US);
		error = 0;
	}
	atomic_fetch_sub(&faults->waiting, 1);
	if (error == SILENT) {
		next(fd, pieces, count);
		for (;;)
			pause();
	}
	if (!error)
		return next(fd, pieces, count);
	errno = error;
	return -1;
}

/* ---- a descriptor that fails ------------------------------------------------ */

/* Whose events epoll reports with which data: the daemon says so when it adds them. */
static epoll_data_t data_of[1024];

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	NEXT(epoll_ctl);
	if (what != EPOLL_CTL_DEL && fd >= 0 && fd < 1024)
		data_of[fd] = event->data;
	return next(epoll, what, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int room, int ms)
{
	NEXT(epoll_wait);
	int n = next(epoll, events, room, wait_for(ms)), broken;

	if (!faults || !faults->broken || n < 0 || n == room)
		return n;
	broken = atomic_exchange(&faults->broken, 0);
	if (!broken)
		return n;
	atomic_fetch_add(&faults->answered, 1);
	events[n].events = EPOLLERR;
	events[n].data = data_of[broken - 1];
	return n + 1;
}

/* ---- */

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv("FAULTS"), *program = getenv("FAULTS_PROGRAM");
	void *at;
	int fd;

	if (!path || !program || strcmp(program, program_invocation_short_name) != 0)
		return;
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	at = (void *)syscall(SYS_mmap, NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			     (off_t)0);
	if (at == MAP_FAILED)
		abort();
	close(fd);
	faults = at;
}
