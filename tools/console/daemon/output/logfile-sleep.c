/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the writer sleeps, and is woken: on a futex, the word that says how deep.  Who wakes it writes
 * AWAKE there, so that a writer that has yet to fall asleep does not.
 *
 * A condition would do, but cost each message a system call more: glibc takes its mutex back as if others
 * waited for it, and has to wake them.  A semaphore would not, but its wait with a clock that nobody sets,
 * sem_clockwait(), is only in glibc, and there only from 2.30 on.
 */
#define _GNU_SOURCE
#include "output/logfile-private.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void logs_sleep(struct logs *logs, enum sleep depth, int64_t at)
{
	/* As this call has it, however wide the C library's time is. */
	struct {
		long s, ns;
	} until = { at / 1000, at % 1000 * 1000000 };

	logs->sleep = depth;
	pthread_mutex_unlock(&logs->lock);
	syscall(SYS_futex, &logs->sleep, FUTEX_WAIT_BITSET_PRIVATE, depth, at ? &until : NULL, NULL,
		FUTEX_BITSET_MATCH_ANY);
	pthread_mutex_lock(&logs->lock);
	logs->sleep = AWAKE;
}

bool logs_rouse(struct logs *logs, enum sleep depth)
{
	bool slept = logs->sleep == depth;

	if (slept)
		logs->sleep = AWAKE;
	return slept;
}

void logs_wake(struct logs *logs)
{
	syscall(SYS_futex, &logs->sleep, FUTEX_WAKE_PRIVATE, 1);
}
