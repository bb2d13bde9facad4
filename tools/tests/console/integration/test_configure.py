# SPDX-License-Identifier: GPL-2.0-only
"""./configure --host: nothing of the building machine says anything of the one that the daemon is for. And where it
is run."""

import os
import re
import shutil
import subprocess

import pytest

from hostlib import ROOT

# Where ./configure looks for init systems, units and settings, and whom it asks, when it builds for its own machine.
OF_THIS_MACHINE = r'"(?:/[^"/]+)+/(?:systemd|init\.d|sysconfig|openrc-run|systemctl)\b[^"]*"'
MODULES = ["xencontrol", "xenevtchn", "xengnttab", "xenforeignmemory", "xenstore"]


@pytest.fixture
def configure(tmp_path):
    """Runs it with the arguments: its status, what it said, and the names of files that it looked at."""
    (tmp_path / "pc").mkdir()
    for name in MODULES:
        (tmp_path / f"pc/{name}.pc").write_text(f"Name: {name}\nDescription: none\nVersion: 4.17.9\n")

    def run(*arguments):
        done = subprocess.run(["strace", "-f", "-qq", "--seccomp-bpf", "-s", "200", "-e", "trace=%file", "-o", "trace",
                               ROOT / "configure", "CC=gcc", *arguments],
                              cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.returncode, done.stdout, (tmp_path / "trace").read_text()

    run.place = tmp_path
    return run


def made(place):
    """What config.mk has."""
    return dict(re.findall(r"^(\w+) = ?(.*)$", (place / "config.mk").read_text(), re.M))


def test_the_trace_shows_what_is_looked_at(configure):
    """Without --host, it is found: the pattern says something."""
    assert re.search(OF_THIS_MACHINE, configure()[2])


def test_for_another_machine(configure):
    status, said, trace = configure("--host=riscv64-linux-gnu", "--with-initsystem=systemd",
                                    f"PKG_CONFIG_LIBDIR={configure.place}/pc")
    assert status == 0, said
    assert not re.findall(OF_THIS_MACHINE, trace) and not re.findall(r'"/usr/[^"]*\.pc"', trace)
    found = made(configure.place)
    assert found["XEN_VERSION"] == "4.17.9"
    assert found["INITSYSTEM"] == "systemd" and found["SYSTEMD_VERSION"] == "219"
    assert found["SYSTEMD_REQUIRES"] == "proc-xen.mount xenstored.service"
    assert found["DEFAULTS_DIR"] == "/etc/default"


@pytest.mark.parametrize("arguments, wanted", [
    (["PKG_CONFIG_LIBDIR=/nowhere"], "--with-initsystem"),
    (["--with-initsystem=none"], "PKG_CONFIG_LIBDIR"),
])
def test_what_cannot_be_known_is_asked_for(configure, arguments, wanted):
    status, said, _ = configure("--host=riscv64-linux-gnu", *arguments)
    assert status != 0 and wanted in said.strip().split("\n")[-1], said


@pytest.mark.parametrize("arguments", [["--build=x86_64-linux-gnu"],
                                       ["--host=x86_64-linux-gnu", "--build=x86_64-linux-gnu"]])
def test_the_host_is_this_machine(configure, arguments):
    """As packagers' tools call it."""
    status, said, _ = configure(*arguments)
    assert status == 0, said


@pytest.mark.parametrize("place", ["build", "build-arm", "in a blank"])
def test_places_that_do_not_do(tmp_path, place):
    """make clean in the source removes the first two, and make takes no blanks."""
    (tmp_path / "tools/include/xen/io").mkdir(parents=True)
    for name in ("configure", "tools/include/xen/io/console.h"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / place).mkdir()
    done = subprocess.run(["../configure", "CC=gcc"], cwd=tmp_path / place, capture_output=True, text=True)
    assert done.returncode != 0 and done.stderr.count("\n") == 1, done.stderr
    assert re.search("take another name|blank", done.stderr)
    assert not (tmp_path / place / "Makefile").exists()


def test_a_gitignore_that_is_there(configure):
    (configure.place / ".gitignore").write_text("mine\n")
    status, said, _ = configure()
    assert status == 0, said
    subprocess.run(["make", "distclean"], cwd=configure.place, check=True, capture_output=True)
    assert (configure.place / ".gitignore").read_text() == "mine\n"
    assert not (configure.place / "Makefile").exists()


def test_the_units_are_the_same_wherever_they_are_built(configure):
    """What they require is not looked for here; and they wait for whatever the log directory is mounted on, as systemd
    calls it."""
    status, said, _ = configure("--with-initsystem=systemd", "--with-log-dir=/srv/my-logs/xen")
    assert status == 0, said
    subprocess.run(["make", "-s", "hotplug"], cwd=configure.place, env=os.environ | {"MAKEFLAGS": ""}, check=True,
                   capture_output=True)
    unit, = configure.place.glob("build/**/xenconsoled.service")
    (requires,) = re.findall(r"^Requires=(.*)", unit.read_text(), re.M)
    (after,) = re.findall(r"^After=(.*)", unit.read_text(), re.M)
    assert requires == "proc-xen.mount xenstored.service"
    assert {"srv.mount", r"srv-my\x2dlogs.mount", r"srv-my\x2dlogs-xen.mount"} < set(after.split())
