/* SPDX-License-Identifier: GPL-2.0-only */
/* The main process, for daemons that are the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"

#define PATIENCE_MS 30000

static int told[2]; /* by the daemon */

static void tell(pid_t value)
{
	if (write(told[1], &value, sizeof(value)) < 0)
		_exit(99);
}

static pid_t hear(void)
{
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	pid_t value;

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(read(told[0], &value, sizeof(value)), sizeof(value));
	return value;
}

static void pass_on(int number)
{
	tell(number);
}

/* A service's main process, whose daemon says its pid and does that. Daemons end with this program. */
static pid_t serve(void (*as_daemon)(void))
{
	pid_t main_process = fork();

	assert_true(main_process >= 0);
	if (main_process)
		return main_process;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	keeper_start();
	tell(getpid());
	as_daemon();
	_exit(98);
}

static int ended(pid_t process)
{
	int code;

	assert_int_equal(waitpid(process, &code, 0), process);
	return code;
}

static void exit_7(void)
{
	_exit(7);
}

static void crash(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
}

static void listen_to_signals(void)
{
	signal(SIGTERM, pass_on);
	signal(SIGUSR2, pass_on);
	tell(0);
	for (;;)
		pause();
}

static void tell_watchdog(void)
{
	tell(strtol(getenv("WATCHDOG_PID"), NULL, 10));
	_exit(0);
}

static void let_go(void)
{
	keeper_let_go(3);
	for (;;)
		pause();
}

static void ends_as_the_daemon_does(void **state)
{
	pid_t main_process = serve(exit_7);
	int code;

	(void)state;
	assert_int_not_equal(hear(), main_process);
	code = ended(main_process);
	assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 7);

	main_process = serve(crash);
	hear();
	code = ended(main_process);
	assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGSEGV && !WCOREDUMP(code));
}

static void passes_signals_on(void **state)
{
	pid_t main_process = serve(listen_to_signals), daemon = hear();
	int code;

	(void)state;
	assert_int_equal(hear(), 0);
	kill(main_process, SIGTERM);
	assert_int_equal(hear(), SIGTERM);
	kill(main_process, SIGUSR2);
	assert_int_equal(hear(), SIGUSR2);
	kill(daemon, SIGKILL);
	code = ended(main_process);
	assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL);
}

/* Though the daemon cannot end yet; and the status is its own. */
static void ends_when_the_daemon_has_let_go(void **state)
{
	pid_t main_process = serve(let_go);
	int code;

	(void)state;
	hear();
	code = ended(main_process);
	assert_true(WIFEXITED(code) && WEXITSTATUS(code) == 3);
}

/* Nobody else would know of it. */
static void takes_the_daemon_along(void **state)
{
	pid_t main_process = serve(listen_to_signals);
	struct pollfd p = { .fd = told[0], .events = POLLIN };
	pid_t none;

	(void)state;
	hear();
	hear();
	close(told[1]);
	kill(main_process, SIGKILL);
	ended(main_process);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(read(told[0], &none, sizeof(none)), 0);
}

static void watchdog_is_the_daemons(void **state)
{
	pid_t main_process, daemon;

	(void)state;
	setenv("WATCHDOG_PID", "1", 1);
	main_process = serve(tell_watchdog);
	unsetenv("WATCHDOG_PID");
	daemon = hear();
	assert_int_equal(hear(), daemon);
	assert_int_equal(ended(main_process), 0);
}

static void without_systemd_there_is_none(void **state)
{
	pid_t main_process;

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	main_process = serve(let_go); /* which nobody hears */
	assert_int_equal(hear(), main_process);
	kill(main_process, SIGKILL);
	assert_true(WIFSIGNALED(ended(main_process)));
}

static int set_up(void **state)
{
	(void)state;
	setenv("NOTIFY_SOCKET", "@nobody-listens-here", 1);
	return pipe(told);
}

static int tear_down(void **state)
{
	(void)state;
	close(told[0]);
	close(told[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ends_as_the_daemon_does, set_up, tear_down),
		cmocka_unit_test_setup_teardown(passes_signals_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ends_when_the_daemon_has_let_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_the_daemon_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(watchdog_is_the_daemons, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_systemd_there_is_none, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
