/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One daemon at a time.
 */
#ifndef DAEMON_BASE_LOCK_H
#define DAEMON_BASE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Lock dir/xenconsoled.lock, which then has our pid, until lock_release(); dir is made if it is missing.
 * Returns a descriptor or -errno; -EWOULDBLOCK: another one runs, its pid in *holder (0: not known).
 */
int lock_take(const char *dir, pid_t *holder);

/* No pid is left in it: it could be another process's by the time that somebody signals it. */
void lock_release(int fd);

/* Lock and write a pid file; the incumbent's way, so that scripts find it.  A descriptor or -errno. */
int lock_pid_file(const char *path);

/* Is there a process of our name beside us and the one that waits for us?  One that does not know our lock, perhaps. */
bool lock_namesake_runs(void);

#endif
