# SPDX-License-Identifier: GPL-2.0-only
"""Real Xen, real guests: each scenario (dom0/scenarios_*.py) is a test, for the daemon under test and for the
distribution's. The latter is known to fail some of the assertions: the table below. So these are shown to bite, and
one that passes though it is listed is a failure too."""

import pytest

# What each machine runs: which of the distribution's two xenstored (oxenstored is what Debian starts if nobody says
# otherwise), and the scenarios in this order. Two machines run at a time, the longest first.
PLANS = {
    "ours-1": ("oxenstored", [("ours", name) for name in ("late-start", "stop", "kill")]),
    "incumbent": ("xenstored", [("incumbent", name) for name in ("create", "late-start", "stop", "kill", "going-back",
                                                                      "grub")]),
    "ours-2": ("xenstored", [("ours", name) for name in ("create", "ends", "save", "pvh", "grub")]),
    "ours-3": ("oxenstored", [("ours", name) for name in ("going-back", "ten", "hostile", "hypervisor-log")]),
}

NO_FLAG = "it never writes the flag"
NO_HANDLER = "SIGTERM ends it by its default action: no clean-up"
TAKES_FIRST = "it frees the ring's place before the log has what was there"
NO_OPTION = "it has no such option"
NO_LOOK = "it looks for room in the ring only when something else wakes it, and here nothing does"

# (scenario, assertion): why the distribution's daemon fails it, every time
FAILS = {
    ("late-start", "old-flag-becomes-connected"): NO_FLAG,
    ("late-start", "newer-flag-becomes-connected"): NO_FLAG,
    ("late-start", "tiny-flag-becomes-connected"): NO_FLAG,
    ("late-start", "newer-answers"): NO_FLAG,
    ("late-start", "newer-was-up-before"): NO_FLAG,
    ("late-start", "tiny-moves-to-the-ring"): NO_FLAG,
    ("late-start", "tiny-answers"): NO_FLAG,
    ("late-start", "tiny-no-number-is-missing"): NO_FLAG,
    ("late-start", "tiny-has-what-it-said-before"): NO_FLAG,
    ("stop", "daemon-stops-with-status-0"): NO_HANDLER,
    ("stop", "tiny-flag-disconnected"): NO_FLAG,
    ("stop", "newer-flag-disconnected"): NO_FLAG,
    ("stop", "newer-leaves-its-ring-empty"): NO_FLAG,
    ("stop", "newer-does-not-spin"): NO_FLAG,
    ("stop", "tiny-keeps-its-lines"): NO_FLAG,
    ("stop", "tiny-nothing-is-lost"): TAKES_FIRST,
    ("stop", "each-stop-has-status-0"): NO_HANDLER,
    ("stop", "log-is-whole-over-all-cycles"): TAKES_FIRST,
    ("kill", "nothing-is-lost-or-repeated"): TAKES_FIRST,
    ("going-back", "stop-leaves-disconnected"): NO_FLAG,
    ("going-back", "mute-without-reconnect"): NO_FLAG,
    ("going-back", "reconnect-succeeds"): NO_OPTION,
    ("going-back", "disconnect-succeeds"): NO_OPTION,
    ("going-back", "disconnect-sets-disconnected"): NO_OPTION,
    ("grub", "silent-gets-all-while-it-sleeps"): NO_LOOK,
}


def cases_of(daemon):
    return [pytest.param(case, id=case[1]) for _, plan in PLANS.values() for case in plan if case[0] == daemon]


def judge(machine, results, excused=()):
    """Fails with every assertion that failed and is not excused, or with what ended the scenario early."""
    checks = [line for line in results if line["kind"] == "check"]
    failed = [f"{line['name']}: {line['detail']}" for line in checks if not line["ok"] and line["name"] not in excused]
    problem = next(line["problem"] for line in results if line["kind"] == "end")
    if failed or problem or not checks:
        steps = "\n".join(f"    {line['time']:8.2f} {line['text']}" for line in results if line["kind"] in ("step", "note"))
        pytest.fail("\n".join(failed + [problem, "steps:", steps, f"logs: {machine.directory}"]), pytrace=False)


@pytest.mark.parametrize("case", cases_of("ours"))
def test_ours(machines, case):
    judge(*machines.scenario(*case))


@pytest.mark.parametrize("case", cases_of("incumbent"))
def test_incumbent(machines, case):
    excused = {name for scenario, name in FAILS if scenario == case[1]}
    judge(*machines.scenario(*case), excused)


class Failed(Exception):
    """The assertion was made, and failed."""


def known_failures():
    for (scenario, name), reason in FAILS.items():
        yield pytest.param(("incumbent", scenario), name, id=f"{scenario}-{name}",
                           marks=pytest.mark.xfail(raises=Failed, strict=True, reason=reason))


@pytest.mark.parametrize("case, name", known_failures())
def test_incumbent_fails(machines, case, name):
    """Strictly: the assertion must have been made, and must have failed."""
    _, results = machines.scenario(*case)
    verdicts = [line for line in results if line["kind"] == "check" and line["name"] == name]
    assert len(verdicts) == 1, f"the scenario never came to {name}"
    if not verdicts[0]["ok"]:
        raise Failed(verdicts[0]["detail"])
