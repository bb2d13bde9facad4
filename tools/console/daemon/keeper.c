/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diag.h"

static pid_t keeper; /* of this daemon; 0: it has none */

/* The daemon has ended. */
static void end_likewise(int code)
{
	sigset_t set;

	if (WIFEXITED(code))
		_exit(WEXITSTATUS(code));
	prctl(PR_SET_DUMPABLE, 0); /* one core suffices */
	signal(WTERMSIG(code), SIG_DFL);
	sigfillset(&set);
	raise(WTERMSIG(code));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(1);
}

static void keep(pid_t daemon, const sigset_t *all)
{
	siginfo_t info;
	int code;

	prctl(PR_SET_NAME, "xenconsole-keep"); /* pgrep and killall find one xenconsoled */
	for (;;) {
		if (sigwaitinfo(all, &info) < 0)
			continue;
		if (info.si_code == SI_QUEUE && info.si_pid == daemon)
			_exit(info.si_value.sival_int);
		if (info.si_signo != SIGCHLD)
			kill(daemon, info.si_signo);
		else if (waitpid(daemon, &code, WNOHANG) == daemon)
			end_likewise(code);
	}
}

void keeper_start(void)
{
	const char *socket = getenv("NOTIFY_SOCKET");
	pid_t parent = getpid(), child;
	sigset_t all, was;
	char pid[16];

	if (!socket || !*socket)
		return;
	signal(SIGCHLD, SIG_DFL); /* ignored, nothing would be heard of the daemon's end */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &was);
	child = fork();
	if (child > 0)
		keep(child, &all);
	if (child < 0) {
		diag(LOG_WARNING, "cannot make a process of its own: %s; a dead disk may delay a restart",
		     strerror(errno));
	} else {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		keeper = parent;
		snprintf(pid, sizeof(pid), "%d", getpid());
		if (getenv("WATCHDOG_PID"))
			setenv("WATCHDOG_PID", pid, 1);
	}
	sigprocmask(SIG_SETMASK, &was, NULL);
}

void keeper_let_go(int status)
{
	if (keeper)
		sigqueue(keeper, SIGRTMIN, (union sigval){ .sival_int = status });
}
