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
    kept = {k: v for k, v in os.environ.items() if k not in ("UNSTEADY", "UNIT_LIMIT") and not k.startswith("PYTEST_")}
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
    """Two steps, each with half of the unsteady tests; more than three in all are too many."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_text("#!/bin/sh\nmkdir -p $UNSTEADY\ncase $1 in lint) from=1 to=2 ;; *) from=3 to=9 ;; esac\n"
                         f"for n in $(seq $from $to); do [ $n -gt {unsteady} ] || echo why >$UNSTEADY/test-$n; done\n"
                         f"echo '12 passed'; exit {status}\n")
    bootstrap.chmod(0o755)
    done = run(tmp_path, ".ci/run", "lint", "distcheck")
    assert (done.returncode == 0) == passes, done.stdout
    assert done.stdout.count("\nunsteady: test-") == unsteady
    assert ("all passed" in done.stdout) == passes and ("FAILED" in done.stdout) == bool(status)
    assert done.stdout.count(" 12 passed") == 2
