/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What would be left if the process were killed just there?  Asked after each single instruction.
 */
#ifndef UNIT_STEPPING_H
#define UNIT_STEPPING_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Run work(arg) in a child, and look(arg) here before it, after each of its instructions, and at its end.
 * Returns how many instructions there were.
 */
static inline long step_through(void (*work)(void *arg), void (*look)(void *arg), void *arg)
{
	long count = 0;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
			perror("ptrace");
			_exit(1);
		}
		raise(SIGSTOP);
		work(arg);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		return -1;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL);
	for (; WIFSTOPPED(status); count++) {
		look(arg);
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0)
			return -1;
	}
	look(arg);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? count : -1;
}

#endif
