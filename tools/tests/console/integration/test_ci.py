# SPDX-License-Identifier: GPL-2.0-only
"""What .ci/run rests on: a test that fails is run again where UNSTEADY says so, one that hangs is named."""

import os
import shutil
import subprocess
import sys

import pytest

from hostlib import ROOT

RUN_TEST = ROOT / "tools/tests/console/unit/run-test"
# Passes from the time on when it has failed so often.
FLAKY = 'echo x >>tries; echo "try $(wc -l <tries)"; [ $(wc -l <tries) -gt $1 ]'
PY_FLAKY = """
def test_flaky():
    with open("tries", "a+") as tries:
        tries.write("x\\n")
        tries.seek(0)
        n = len(tries.readlines())
    print("try", n)
    assert n > %d
"""


def run(directory, *argv, **env):
    kept = {k: v for k, v in os.environ.items() if k not in ("UNSTEADY", "UNIT_LIMIT", "NO_SKIPS") and not k.startswith("PYTEST_")}
    return subprocess.run(argv, cwd=directory, env={**kept, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)


def unit(directory, fails, **env):
    return run(directory, RUN_TEST, "test-flaky", "log", "sh", "-c", FLAKY, "sh", str(fails), **env)


def integration(directory, fails, **env):
    (directory / "test_one.py").write_text(PY_FLAKY % fails)
    again = ("-p", "unsteady", "--reruns", "2") if "UNSTEADY" in env else ()
    return run(directory, sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", *again, "test_one.py",
               PYTHONPATH=str(ROOT / ".ci"), **env)


@pytest.fixture(params=[unit, integration])
def runner(request):
    if request.param is integration:
        pytest.importorskip("pytest_rerunfailures", reason="CI's: python3-pytest-rerunfailures is not installed")
    return request.param


@pytest.mark.parametrize("fails, passes", [(1, True), (2, True), (3, False)])
def test_what_fails_is_run_again(tmp_path, runner, fails, passes):
    done = runner(tmp_path, fails, UNSTEADY=str(tmp_path / "unsteady"))
    assert (done.returncode == 0) == passes, done.stdout
    kept = list((tmp_path / "unsteady").iterdir())
    assert len(kept) == passes, done.stdout
    if passes:
        assert "flaky" in kept[0].name
        assert "try 1" in kept[0].read_text() and "try 2" not in kept[0].read_text()


def test_nobody_who_tests_by_hand_is_told_that_all_is_well(tmp_path, runner):
    done = runner(tmp_path, 1)
    assert done.returncode != 0 and "try 1" in done.stdout
    assert (tmp_path / "tries").read_text() == "x\n"


@pytest.mark.parametrize("status", [0, 1])
def test_a_sanitizers_report_is_a_failure_each_time(tmp_path, status):
    """Also of a process that the test made, of which its own status says nothing."""
    report = f'echo x >>tries; echo "data race" >"${{TSAN_OPTIONS##*log_path=}}.1234"; exit {status}'
    done = run(tmp_path, RUN_TEST, "test-racy", "log", "sh", "-c", report, UNSTEADY=str(tmp_path / "unsteady"))
    assert done.returncode != 0 and "data race" in done.stdout
    assert (tmp_path / "tries").read_text() == "x\n"
    assert not (tmp_path / "unsteady").exists()


def test_a_unit_test_that_hangs_is_named(tmp_path):
    done = run(tmp_path, RUN_TEST, "test-slow", "log", "sh", "-c", "echo '[ RUN      ] it_hangs'; exec sleep 1000",
               UNIT_LIMIT="1")
    assert done.returncode != 0
    assert "still running after 1 s, and ended: it_hangs" in done.stdout


@pytest.mark.parametrize("unsteady, status, passes", [(0, 0, True), (3, 0, True), (4, 0, False), (0, 1, False)])
def test_a_run_says_what_was_unsteady(tmp_path, unsteady, status, passes):
    """Three steps, one of them beside the others, two with half of the unsteady tests; more than three in all are too
    many."""
    (tmp_path / ".ci").mkdir()
    for name in ("run", "files"):
        shutil.copy(ROOT / ".ci" / name, tmp_path / ".ci")
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_text("#!/bin/sh\n[ $1 != --install-only ] || { echo would install: $*; exit; }\n"
                         "case $1 in lint) from=1 to=2 ;; check-xen) from=3 to=9 ;; *) from=1 to=0 ;; esac\n"
                         "mkdir -p $UNSTEADY\n"
                         f"for n in $(seq $from $to); do [ $n -gt {unsteady} ] || echo why >$UNSTEADY/test-$n; done\n"
                         f"pwd; echo '12 passed'; [ $1 != check-xen ] || exit {status}\n")
    bootstrap.chmod(0o755)
    done = run(tmp_path, ".ci/run", "lint", "xen", "distcheck")
    assert (done.returncode == 0) == passes, done.stdout
    assert done.stdout.count("\nunsteady: test-") == unsteady
    assert ("all passed" in done.stdout) == passes and ("FAILED" in done.stdout) == bool(status)
    table = done.stdout[done.stdout.index("== steps"):].split("\n")[1:]
    assert [line.split()[0] for line in table[:4]] == ["install", "lint", "xen", "distcheck"]
    assert [" 12 passed" in line for line in table[:4]] == [False, True, True, True]
    assert "would install: --install-only lint check-xen distcheck\n" in done.stdout
    assert f"\n{tmp_path}/build-ci/beside\n" in done.stdout  # where they build


def test_what_never_ran_has_failed(tmp_path):
    """The copy of the tree for the steps beside the others could not be made."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_text("#!/bin/sh\n")
    bootstrap.chmod(0o755)
    done = run(tmp_path, ".ci/run", "xen", "lint")
    assert done.returncode != 0
    assert "xen          FAILED before it began" in done.stdout and "1 failed" in done.stdout


def test_a_user_without_sudo_is_told_what_root_has_to_do(tmp_path):
    """In one line, when nothing else can be done."""
    for name in ("sh", "dirname", "awk", "sort", "grep", "tr", "env"):
        (tmp_path / name).symlink_to(shutil.which(name))
    for name, does in (("dpkg-query", "exit 1"), ("apt-get", "exit 1"), ("id", "echo 1000"), ("su", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    done = run(tmp_path, ROOT / "bootstrap", "demo", PATH=str(tmp_path))
    assert done.returncode != 0
    missing, advice = done.stdout.strip().split("\n")
    assert "gcc" in missing and "needs root" in missing
    assert "have root install these" in advice


def test_a_path_with_a_blank_is_refused_at_once(tmp_path):
    done = run(tmp_path, "make", "-s", "-C", ROOT, "need-host", "CURDIR=/some where")
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.split("\n") if "/some where" in line]
    assert "LD_PRELOAD" in line and "clone the tree elsewhere" in line


@pytest.mark.parametrize("env, status", [({"NO_SKIPS": "yes"}, 1), ({}, 0)])
def test_in_ci_nothing_is_skipped(tmp_path, env, status):
    (tmp_path / "test_one.py").write_text("import pytest\ndef test_one():\n    pytest.skip('why')\n"
                                          "@pytest.mark.xfail\ndef test_known():\n    assert 0\n")
    done = run(tmp_path, sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-p", "unsteady", "test_one.py",
               PYTHONPATH=str(ROOT / ".ci"), UNSTEADY=str(tmp_path / "unsteady"), **env)
    assert done.returncode == status, done.stdout
    assert "why" in done.stdout or not status
    assert "1 xfailed" in done.stdout
