# SPDX-License-Identifier: GPL-2.0-only
"""Runs in dom0 what the host put into DIR/plan, one "DAEMON SCENARIO SECONDS" a line, each from the same start: no
guest, no daemon, no log; and looks afterwards that nothing is left. usage: run.py DIR

A scenario that is not done after its seconds is ended by an exception; where even that does not come through, since a
call into Xen's libraries hangs, the runner ends a little later and says which."""

import faulthandler
import os
import signal
import sys
import traceback

import xenhost
from checks import Needed, Report
from daemons import LOG_DIR, Daemon
from keeper import Keeper, files_in
from scenarios import SCENARIOS

MESSAGES = "/run/daemon-messages"
KEPT = (LOG_DIR, "/var/log/xen", MESSAGES)
CLEAN_UP_SECONDS = 120


class TooLate(BaseException):
    """The scenario's time is over: no OSError, nor an Exception, that something on the way might take for its own."""


def too_late(*_):
    raise TooLate()


def clean_up(report, daemon):
    """Ends what the scenario left, and checks that nothing of it stays."""
    report.step("ending what is left")
    report.check("daemon-did-not-die", daemon.death() is None, f"status {daemon.death()}")
    for domid in xenhost.domains():
        xenhost.run("xl", "destroy", str(domid))
    if daemon.is_running():
        gone = xenhost.wait(lambda: not xenhost.domains(), 60)
        report.check("no-zombie-while-the-daemon-runs", gone, xenhost.domains())
        report.check("daemon-holds-no-console", xenhost.wait(lambda: not daemon.consoles_held(), 30), daemon.consoles_held())
        status, seconds = daemon.end(signal.SIGTERM)
        report.check("daemon-stops", status is not None, f"status {status} after {seconds:.2f} s")
    report.check("no-domain-is-left", xenhost.wait(lambda: not xenhost.domains(), 60), xenhost.domains())


def run(report, kind, name, seconds, directory):
    report.scenario = f"{name}-{kind}"
    report.patience = 60 if kind == "ours" else 8
    report.write("begin", text=(SCENARIOS[name].__doc__ or "").split("\n")[0])
    for path in files_in(KEPT):
        os.remove(path)
    daemon = Daemon(kind, MESSAGES)
    problem = ""
    faulthandler.dump_traceback_later(seconds + CLEAN_UP_SECONDS, exit=True)
    with Keeper(os.path.join(directory, report.scenario), KEPT) as keeper:
        signal.alarm(seconds)
        try:
            SCENARIOS[name](report, daemon)
        except Needed as error:
            problem = f"cannot go on without {error}\n"
        except TooLate:
            problem = f"not done after {seconds} s:\n{traceback.format_exc()}"
        except Exception:  # pylint: disable=broad-except
            problem = traceback.format_exc()
        signal.alarm(0)
        if problem:
            keeper.look()
        try:
            clean_up(report, daemon)
        except Exception:  # pylint: disable=broad-except
            problem += traceback.format_exc()
    faulthandler.cancel_dump_traceback_later()
    report.write("end", problem=problem)


def main():
    directory = sys.argv[1]
    signal.signal(signal.SIGALRM, too_late)
    report = Report(os.path.join(directory, "results"))
    report.write("boot", text=xenhost.run("uname", "-r")[1].strip())
    with open(os.path.join(directory, "plan"), encoding="ascii") as plan:
        for line in plan:
            kind, name, seconds = line.split()
            run(report, kind, name, int(seconds), directory)
    report.scenario = None
    report.write("done")


main()
