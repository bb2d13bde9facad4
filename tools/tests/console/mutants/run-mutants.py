#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Are the tests known to bite?

mutants.ini holds one-line breakages of the daemon, each with the test that it turns red: unit:test-ring,
or a pytest node below integration/. Each is applied to a copy of the tree, built, and its test run. A
mutant that no longer applies (its line has changed), does not compile, or that its test does not notice is
a failure here, and so is a test that fails without it.

    run-mutants.py COPIES [NAME...]     COPIES: a directory for copies of the built tree to work in
"""
import configparser
import os
import queue
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]
DEADLINE = 300  # seconds for one test, and for one with a mutant
FACTOR, ALLOWANCE = 3, 30  # times what it takes without, and so much more
PATIENCE = 10  # of an integration test that has to run out of it, see helpers.py
AT_A_TIME = 4  # they mostly wait
# With a test that is ended, all that it started ends: it is in a namespace whose first process is the shell.
APART = ["unshare", *([] if os.geteuid() == 0 else ["-Ur"]), "--pid", "--fork", "--mount-proc", "--kill-child",
         "sh", "-c", '"$@"; exit $?', "sh"]


class Broken(Exception):
    """What is said of a mutant that is no good."""


class Copy:
    """A copy of the tree and of what was built in it, where mutants are tried one after the other."""

    takes = {}  # seconds, by test, whichever copy it was in

    def __init__(self, path):
        self.path = path
        shutil.rmtree(path, ignore_errors=True)
        files = subprocess.run([ROOT / ".ci/files"], check=True, stdout=subprocess.PIPE, text=True).stdout
        made = path.parents[1]  # COPIES lies where make was run
        for place, names in ((ROOT, [*files.split(), "configure"]), (made, ["config.status", "config.mk", "config.h"])):
            for name in names:
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(place / name, path / name)
        shutil.copytree(made / "build", path / "build", ignore=lambda _, names: {"host", "xen"} & set(names))
        self.env = {**os.environ, "XENCONSOLED": str(path / "build/xenconsoled"), "SAN": "",
                    "HOST_BUILD": str(made / "build/host")}

    def run(self, *argv, deadline=DEADLINE, **env):
        return subprocess.run(argv, cwd=self.path, env={**self.env, **env}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=deadline)

    def failure(self, test, deadline=DEADLINE, **env):
        """Build, and run it: what it says if it fails, or None. Anything but a clean verdict is Broken."""
        unit = test.startswith("unit:")
        program = f"build/tools/tests/console/unit/{test[5:]}" if unit else "build/xenconsoled"
        built = self.run("make", program)
        if built.returncode:
            raise Broken(f"does not compile:\n{built.stdout[-2000:]}")
        pytest = ["/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x",
                  f"tools/tests/console/integration/{test}"]
        try:
            done = self.run(*APART, *([program] if unit else pytest), deadline=deadline, **env)
        except subprocess.TimeoutExpired:
            return f"no end within {deadline:.0f} s"
        if not unit and done.returncode not in (0, 1):
            raise Broken(f"{test} cannot be run:\n{done.stdout[-2000:]}")
        return done.stdout if done.returncode else None

    def check(self, test):
        """Without a mutant: what is said of it."""
        began = time.monotonic()
        failure = self.failure(test)
        if failure:
            raise Broken(f"fails without any mutant:\n{failure[-2000:]}")
        self.takes[test] = time.monotonic() - began
        return "passes"

    def try_mutant(self, mutant):
        path = self.path / "tools/console/daemon" / mutant["file"]
        whole = path.read_text()
        if whole.count(mutant["from"]) != 1:
            raise Broken(f"'{mutant['from']}' stands {whole.count(mutant['from'])} times in"
                         f" {mutant['file']}, not once")
        try:
            path.write_text(whole.replace(mutant["from"], mutant["to"]))
            usual = self.takes.get(mutant["test"], DEADLINE)
            if not self.failure(mutant["test"], min(DEADLINE, FACTOR * usual + ALLOWANCE),
                                PATIENCE=str(PATIENCE)):
                raise Broken(f"{mutant['test']} does not notice")
        finally:
            path.write_text(whole)
        return f"noticed by {mutant['test']}"


def for_each(copies, what, items):
    """what(copy, item) for all, as many at a time as there are copies: how many went wrong. items: a
    dictionary of what is told to what is worked on."""
    free = queue.SimpleQueue()
    for copy in copies:
        free.put(copy)

    def one(name):
        copy, began = free.get(), time.monotonic()
        try:
            verdict, wrong = what(copy, items[name]), 0
        except Broken as broken:
            verdict, wrong = f"FAILED: {broken}", 1
        finally:
            free.put(copy)
        print(f"{name}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
        return wrong

    with ThreadPoolExecutor(len(copies)) as pool:
        return sum(pool.map(one, items))


def main():
    place, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    mutants = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    mutants.read(HERE / "mutants.ini")
    names = names or mutants.sections()
    unknown = [name for name in names if name not in mutants]
    if unknown:
        sys.exit(f"no such mutant: {' '.join(unknown)}")
    began = time.monotonic()
    copies = [Copy(place / str(n)) for n in range(min(AT_A_TIME, len(names)))]
    tests = {mutants[name]["test"]: mutants[name]["test"] for name in names}
    failed = for_each(copies, Copy.check, tests)
    names.sort(key=lambda name: -Copy.takes.get(mutants[name]["test"], 0))  # so that none is left alone at the end
    failed += for_each(copies, Copy.try_mutant, {name: mutants[name] for name in names})
    print(f"{len(names)} mutants in {time.monotonic() - began:.0f} s")
    print(f"{len(names) - min(failed, len(names))} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
