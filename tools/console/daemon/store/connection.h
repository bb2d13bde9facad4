/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker's connection, made again when it is lost. For its thread.
 */
#ifndef DAEMON_STORE_CONNECTION_H
#define DAEMON_STORE_CONNECTION_H

#include "store/threads.h"

int store_link_first(struct store_worker *w);
int64_t store_link_due(struct store_worker *w); /* to be made again; -1: when the first worker wakes it */
void store_link_again(struct store_worker *w);	/* if it is due */
void store_link_probe(struct store_worker *w, bool hung_up); /* if somebody asked for it */
void store_link_lost(struct store_worker *w);
void store_link_close(struct store_worker *w);

#endif
