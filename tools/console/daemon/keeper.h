/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The service's main process, where the init system waits for that one to end before it starts a successor.
 * A log writer that a dead disk holds in the kernel keeps its whole process from ending. So the daemon is a child, and
 * the main process ends as soon as the daemon says that it has let go of everything.
 *
 * The main process waits, passes signals on, and ends as the daemon does; if it is killed, so is the daemon.
 */
#ifndef DAEMON_KEEPER_H
#define DAEMON_KEEPER_H

/*
 * Under systemd (NOTIFY_SOCKET) returns in a child of the process that called it, else in itself. Before there are
 * threads or handles. The child may tell the init system things (NotifyAccess=all), and the watchdog is its own.
 */
void keeper_start(void);

/* Of the daemon: nothing is held any more, though this process may take its time to end. The main process exits with status. */
void keeper_let_go(int status);

#endif
