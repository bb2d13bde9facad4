/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way to xenstored: by its socket, wherever there is one.
 */
#ifndef DAEMON_STORE_WAY_H
#define DAEMON_STORE_WAY_H

#include <stdbool.h>

#define STORE_SOCKET 108 /* of a socket's path, with its terminator */

/*
 * The socket, where xenstored is reached by it alone; from then on store_open() tries
 * nothing else. False, and path is empty: libxenstore may take the kernel's device as well. To be
 * called before there are threads, since it sets a variable of the environment.
 */
bool store_way(char path[STORE_SOCKET]);
/* The same, with these two files for the kernel's and init-xenstore-domain's. */
bool store_way_by(char path[STORE_SOCKET], const char *capabilities, const char *pid_file);

#endif
