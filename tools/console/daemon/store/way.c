/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which way to xenstored. libxenstore tries xenstored's socket, and where that is not there the
 * kernel's device; every flag that once forbade it is ignored (4.17). In dom0 that is a trap: what
 * is there before xenstored, or while it is restarted, talks to the device for ever after, where
 * requests to a xenstored that is gone wait for ever. So the rule is:
 *
 *   XENSTORED_PATH is set     what it names and nothing else, which is libxenstore's own rule
 *   a dom0                    the socket alone
 *   a dom0 whose xenstored    the device: such a xenstored has no socket. init-xenstore-domain
 *     is a domain             writes "domid:N" where xenstored itself writes its pid
 *   another domain            as libxenstore does: the device, if there is no socket
 */
#define _GNU_SOURCE
#include "store/way.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xenstore.h>

#define CAPABILITIES "/proc/xen/capabilities"
#define PID_FILE RUN_DIR "/xenstored.pid"
#define XENS_OWN "/run/xen/xenstored.pid" /* also where our own run directory is another one */

static bool begins(const char *path, const char *with)
{
	char text[32] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return !strncmp(text, with, strlen(with));
}

/* Where XENSTORED_PATH is set, libxenstore takes it for the device's path, too: so the device is out of its reach. */
bool store_way_by(char path[STORE_SOCKET], const char *capabilities, const char *pid_file)
{
	const char *chosen = getenv("XENSTORED_PATH"), *socket = xs_daemon_socket();
	struct stat st;
	bool only;

	path[0] = '\0';
	if (!socket || strlen(socket) >= STORE_SOCKET)
		return false;
	if (chosen)
		only = stat(chosen, &st) < 0 || !S_ISCHR(st.st_mode);
	else
		only = begins(capabilities, "control_d") && !begins(pid_file, "domid:") &&
		       !begins(XENS_OWN, "domid:") && !setenv("XENSTORED_PATH", socket, 0);
	if (only)
		strcpy(path, socket);
	return only;
}

bool store_way(char path[STORE_SOCKET])
{
	return store_way_by(path, CAPABILITIES, PID_FILE);
}
