# SPDX-License-Identifier: GPL-2.0-only
"""Boots machines for the scenarios that the selected tests ask for, two at a time, and hands each test its scenario's
results."""

import os
import time

import pytest

from machine import Machine

IMAGES = os.environ["XEN_IMAGES"]
LOGS = os.environ["XEN_LOGS"]
PARALLEL = 2


def case_of(item):
    """The daemon and the scenario of a test; None of one that needs no machine."""
    return item.callspec.params.get("case") if hasattr(item, "callspec") else None


def pytest_collection_modifyitems(config, items):
    """Keeps the tests of the SCENARIO and the DAEMON that the environment names, if it names any."""
    for place, variable in enumerate(("DAEMON", "SCENARIO")):
        wanted = os.environ.get(variable)
        choices = {case_of(item)[place] for item in items if case_of(item)}
        if wanted and wanted not in choices:
            raise pytest.UsageError(f"{variable}={wanted}: the choices are {', '.join(sorted(choices))}")
        other = [item for item in items if wanted and case_of(item) and case_of(item)[place] != wanted]
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in other]


class Machines:
    """All machines of this run. Each is started when there is room, in the order in which they are listed."""

    def __init__(self, plans):
        self._machines = [Machine(IMAGES, os.path.join(LOGS, name), plan, store)
                          for name, (store, plan) in plans.items() if plan]
        self._waiting = list(self._machines)
        self._running = []

    def _turn(self):
        self._running = [machine for machine in self._running if machine.poll()]
        while self._waiting and len(self._running) < PARALLEL:
            machine = self._waiting.pop(0)
            machine.start()
            self._running.append(machine)

    def scenario(self, daemon, name):
        """Waits for the scenario's end; its machine and its results."""
        machine = next(m for m in self._machines if (daemon, name) in m.plan)
        title = f"{name}-{daemon}"
        while True:
            self._turn()
            results = [line for line in machine.results if line["scenario"] == title]
            if any(line["kind"] == "end" for line in results):
                return machine, results
            if machine not in self._running and machine not in self._waiting:
                pytest.fail(f"{title} did not end: the machine {machine.problem}; {machine.where()}", pytrace=False)
            time.sleep(0.2)

    def notes(self):
        """What was seen and is no matter of right or wrong, with the scenario it was seen in and how long that took."""
        for machine in self._machines:
            begin = {}
            for line in machine.results:
                if line["kind"] == "begin":
                    begin[line["scenario"]] = line["time"]
                elif line["kind"] == "note":
                    yield f"{line['scenario']:24} {line['text']}"
                elif line["kind"] == "end":
                    yield f"{line['scenario']:24} took {line['time'] - begin[line['scenario']]:.0f} s"

    def stop(self):
        for machine in self._running:
            machine.stop()


MACHINES = pytest.StashKey()


@pytest.fixture(scope="session")
def machines(request):
    """A machine for each plan of which something is wanted, and only that."""
    cases = {item: case_of(item) for item in request.session.items if case_of(item)}
    plans = next(iter(cases)).module.PLANS
    wanted = set(cases.values())
    started = Machines({name: (store, [case for case in plan if case in wanted])
                        for name, (store, plan) in plans.items()})
    request.config.stash[MACHINES] = started
    yield started
    started.stop()


def pytest_terminal_summary(terminalreporter, config):
    """Also when all is well."""
    if MACHINES in config.stash:
        terminalreporter.section("seen under real Xen")
        for note in config.stash[MACHINES].notes():
            terminalreporter.write_line(note)
