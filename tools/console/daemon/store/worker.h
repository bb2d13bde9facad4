/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker: a thread with a connection of its own.
 */
#ifndef DAEMON_STORE_WORKER_H
#define DAEMON_STORE_WORKER_H

void *store_worker_run(void *worker);

#endif
