/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mapping that makes separate processes one host.
 *
 * Whoever attaches maps STANDIN_DIR/state, a sparse file in which everything has its fixed place.
 * What changes rarely changes under one robust lock: a process that is killed while it holds the
 * lock costs the host nothing, since updates are ordered so that dying half-way leaks a slot at
 * worst. What changes with every event (struct standin_port) is single words, changed atomically.
 */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAGIC 0x31307473686e6578

uint32_t standin_self;

static struct standin_state *_Atomic attached;
static int pages_fd = -1;
static pthread_mutex_t attach_lock = PTHREAD_MUTEX_INITIALIZER;

int standin_path(char *path, size_t size, const char *name)
{
	const char *directory = getenv("STANDIN_DIR");

	if (!directory || !*directory)
		return -ENOENT;
	return (size_t)snprintf(path, size, "%s/%s", directory, name) < size ? 0 : -ENAMETOOLONG;
}

static int open_in_directory(const char *name, int flags)
{
	char path[4096];
	int error = standin_path(path, sizeof(path), name), fd;

	if (error)
		return error;
	fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

__attribute__((constructor)) static void know_thyself(void)
{
	const char *domid = getenv("STANDIN_DOMID");

	standin_self = domid ? strtoul(domid, NULL, 10) % STANDIN_DOMIDS : 0;
}

static int attach(struct standin_state **state)
{
	int fd = open_in_directory("state", 0), pages, error;

	if (fd < 0)
		return fd;
	*state = mmap(NULL, sizeof(**state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	error = *state == MAP_FAILED ? -errno : 0;
	close(fd);
	if (error)
		return error;
	pages = (*state)->magic == MAGIC ? open_in_directory("pages", 0) : -EPROTO;
	if (pages < 0) {
		munmap(*state, sizeof(**state));
		return pages;
	}
	pages_fd = pages;
	return 0;
}

struct standin_state *standin_host(void)
{
	struct standin_state *state = attached;
	int error = 0;

	if (state)
		return state;
	pthread_mutex_lock(&attach_lock);
	if (!attached) {
		error = attach(&state);
		if (!error)
			attached = state;
	}
	state = attached;
	pthread_mutex_unlock(&attach_lock);
	if (!state)
		errno = -error;
	return state;
}

struct standin_state *standin_host_or_exit(void)
{
	struct standin_state *state = standin_host();
	const char *directory = getenv("STANDIN_DIR");

	if (!state) {
		fprintf(stderr, "no stand-in host: STANDIN_DIR is %s: %s; 'xenhost init' makes one\n",
			directory ? directory : "not set", strerror(errno));
		exit(1);
	}
	return state;
}

static void set_up(struct standin_state *state, uint32_t conring)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&state->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);
	state->conring_size = conring;
	state->port_hint = state->port_top = 1;
	state->handle_top = state->pin_top = 1;
	state->domain[0].state = STANDIN_ALIVE;
	state->exists[0] = 1;
	state->magic = MAGIC;
}

int standin_init(uint32_t conring)
{
	struct standin_state *state;
	char path[4096];
	int fd, pages, error;

	if (!conring || conring > STANDIN_CONRING_MAX || (conring & (conring - 1)))
		return -EINVAL;
	error = standin_path(path, sizeof(path), "handle");
	if (error)
		return error;
	if (mkdir(path, 0700))
		return -errno;
	fd = open_in_directory("state", O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	pages = open_in_directory("pages", O_CREAT | O_EXCL);
	error = pages < 0 ? pages : 0;
	if (!error &&
	    (ftruncate(fd, sizeof(*state)) || ftruncate(pages, standin_page_offset(STANDIN_DOMIDS, 0))))
		error = -errno;
	if (pages >= 0)
		close(pages);
	state = error ? MAP_FAILED : mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!error && state == MAP_FAILED)
		error = -errno;
	close(fd);
	if (!error) {
		set_up(state, conring);
		munmap(state, sizeof(*state));
	}
	return error;
}

void standin_lock(void)
{
	struct standin_state *state = standin_host();

	if (pthread_mutex_lock(&state->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&state->lock);
}

void standin_unlock(void)
{
	pthread_mutex_unlock(&standin_host()->lock);
}

void standin_hypercall(void)
{
	syscall(SYS_getppid);
}

void *standin_page_map(uint32_t domid, uint32_t page, int prot)
{
	return mmap(NULL, STANDIN_PAGE_SIZE, prot, MAP_SHARED, pages_fd, standin_page_offset(domid, page));
}

void standin_page_clear(uint32_t domid, uint32_t page)
{
	fallocate(pages_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, standin_page_offset(domid, page),
		  STANDIN_PAGE_SIZE);
}
