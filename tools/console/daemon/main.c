/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options, privilege, and becoming a daemon, before any handle or thread
 * exists.  The process that was started waits for the one that stays, and exits with what became
 * of it: an init script then knows that consoles are served, or that they are not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/lock.h"
#include "daemon.h"
#include "keeper.h"
#include "oneshot.h"
#include "options.h"

static void nothing(void *arg)
{
	(void)arg;
}

struct parent {
	int pipe_end;
	int level; /* of messages */
};

/* Let the parent go, and stderr with it. */
static void tell_parent(void *arg)
{
	struct parent *parent = arg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char status = 0;

	if (write(parent->pipe_end, &status, 1) < 0)
		diag(LOG_WARNING, "cannot tell the starting process: %s", strerror(errno));
	close(parent->pipe_end);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		dup2(null, fd);
	if (null >= 0)
		close(null);
	diag_init(false, parent->level);
}

/* In the parent: the child's verdict, or its exit status. */
static int await_child(pid_t child, int pipe_end)
{
	char status;
	int code;

	if (read(pipe_end, &status, 1) == 1)
		return status;
	if (waitpid(child, &code, 0) == child && WIFEXITED(code))
		return WEXITSTATUS(code);
	return 1;
}

static int detach(const struct options *o, int level)
{
	struct parent parent = { .level = level };
	int ends[2], pid_file;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		diag(LOG_ERR, "cannot become a daemon: %s", strerror(errno));
		return 1;
	}
	if (child) {
		close(ends[1]);
		return await_child(child, ends[0]);
	}
	close(ends[0]);
	setsid();
	umask(027);
	if (chdir("/") < 0) {
		diag(LOG_ERR, "cannot change to /: %s", strerror(errno));
		return 1;
	}
	pid_file = lock_pid_file(o->pid_file);
	if (pid_file < 0) {
		diag(LOG_ERR, "cannot lock the pid file %s: %s; does xenconsoled run already?", o->pid_file,
		     strerror(-pid_file));
		return 1;
	}
	parent.pipe_end = ends[1];
	return daemon_run(o, tell_parent, &parent);
}

/* Or a handle of ours would be taken for standard output. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct options o;
	int err = options_parse(&o, argc, argv, stderr), level;

	if (err)
		return -err;
	open_standard();
	if (o.mode == OPTIONS_HELP) {
		options_help(stdout);
		return 0;
	}
	if (o.mode == OPTIONS_VERSION) {
		puts("xenconsoled " PACKAGE_VERSION);
		return 0;
	}
	level = o.verbose ? LOG_DEBUG : LOG_NOTICE;
	diag_init(true, level);
	if (geteuid() != 0) {
		diag(LOG_ERR, "must be run as root, to reach /dev/xen; try sudo");
		return EPERM;
	}
	if (o.mode != OPTIONS_SERVE)
		return oneshot_run(&o);
	if (!o.interactive)
		return detach(&o, level);
	keeper_start();
	return daemon_run(&o, nothing, NULL);
}
