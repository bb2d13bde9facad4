# SPDX-License-Identifier: GPL-2.0-only
"""The Debian package: deb_build from the source archive, and put into the place of the distribution's
daemon and out of it again, by dpkg and the distribution's init script, while guests talk."""

import re

import pytest

from chroot import DIVERTED, INCUMBENT
from conftest import FOR_THE_NEXT_XEN, PLACE, remade, sh
from helpers import PATIENCE, until
from hostlib import guest_line

HELPER = "/usr/libexec/xenconsoled/helper"


@pytest.fixture(scope="session")
def broken(deb):
    """One for the next Xen, whose installation fails half-way."""
    return remade(deb, "broken", f"{FOR_THE_NEXT_XEN}; echo exit 1 >>DEBIAN/preinst")


def test_lintian_is_silent(deb_build):
    (changes,) = deb_build.glob("*.changes")
    said = sh(f"lintian --allow-root --display-info --fail-on error,warning,info '{changes}'")
    assert not [line for line in said.splitlines() if not line.startswith("N:")]


def test_versions_agree(source):
    versions = {
        "configure.ac": re.search(r"AC_INIT\(\[xenconsoled\], \[(.*)\]\)", (source / "configure.ac").read_text()),
        "debian/changelog": re.search(r"^xenconsoled \((.*)\)", (source / "debian/changelog").read_text()),
        "the spec": re.search(r"^Version: *(.*)$", (source / "packaging/xenconsoled.spec").read_text(), re.M),
        "CHANGES": re.search(r"^(\d[\d.]*)", (source / "CHANGES").read_text(), re.M),
    }
    assert len({found.group(1) for found in versions.values()}) == 1, versions


class Talker:
    """A guest that prints numbered lines all the time, and what its log has to be."""

    def __init__(self, dom0, name, mode, **options):
        self.dom0, self.name = dom0, name
        self.domain = dom0.create(name=name, **options)
        until(lambda: self.domain.console().bound, f"{name} to be served")
        self.guest = self.domain.guest(mode=mode)
        self.lines = 0

    def talk(self):
        """Some seconds' worth of lines, from now on."""
        self.guest.lines(600, 200, self.lines)
        self.lines += 600

    def has_said_all(self):
        """And not a byte of it is missing or there twice, in the log either."""
        status = self.guest.flush(60)
        assert status["dropped"] == 0, f"{self.name}: {status}"
        expected = b"".join(guest_line(n) for n in range(self.lines))
        until(lambda: len(self.dom0.guest_log(self.name)) >= len(expected),
                 lambda: f"{self.name}'s log: {len(self.dom0.guest_log(self.name))} of {len(expected)}")
        assert self.dom0.guest_log(self.name) == expected

    def answers(self):
        """The distribution's xenconsole reaches it, both ways."""
        client = self.domain.client()
        before = len(self.guest.input)
        client.write(b"hello\r")
        until(lambda: self.guest.input[before:] == b"hello\r",
                 lambda: f"input, got {self.guest.input[before:]!r}")
        self.guest.lines(1, 0, self.lines)
        self.lines += 1
        client.expect(guest_line(self.lines - 1), PATIENCE)
        client.close()


@pytest.fixture
def incumbent(dom0):
    """A dom0 as xen-utils leaves it, and guests that it serves: one of each kind."""
    dom0.inside("/etc/init.d/xen", "start")
    assert dom0.console_daemon()[1] == INCUMBENT
    dom0.talkers = [Talker(dom0, mode, mode, old_builder=True) for mode in ("old", "linux71", "replay")]
    return dom0


def step(dom0, *command):
    """While all of them talk."""
    for talker in dom0.talkers:
        talker.talk()
    print(dom0.inside(*command).stdout)
    for talker in dom0.talkers:
        talker.has_said_all()


def is_ours(dom0):
    pid, path = dom0.console_daemon()
    assert path == INCUMBENT, f"runs {path}"
    assert dom0.file(INCUMBENT).read_bytes() != (dom0.base / str(INCUMBENT).lstrip("/")).read_bytes()
    assert dom0.inside(HELPER, "pid").stdout.strip() == str(pid)
    return pid


def diversions(dom0):
    """Files that the package has others diverted from."""
    return re.findall(r"diversion of (\S+) to \S+ by xenconsoled", dom0.inside("dpkg-divert", "--list").stdout)


def is_incumbents(dom0):
    """As if the package had never been there."""
    original = (dom0.base / str(INCUMBENT).lstrip("/")).read_bytes()
    assert dom0.file(INCUMBENT).read_bytes() == original
    assert not dom0.file(DIVERTED).exists()
    assert not diversions(dom0)
    assert dom0.console_daemon()[1] == INCUMBENT
    for talker in dom0.talkers:
        assert talker.domain.console().connected, talker.name


def test_install_upgrade_remove_purge(incumbent, deb, newer):
    dom0 = incumbent
    original = dom0.file(INCUMBENT).read_bytes()

    step(dom0, "dpkg", "-i", dom0.copy_in(deb))
    first = is_ours(dom0)
    assert dom0.file(DIVERTED).read_bytes() == original
    dom0.talkers.append(Talker(dom0, "later", "linux71"))
    for talker in dom0.talkers:
        talker.answers()

    step(dom0, "dpkg", "-i", dom0.copy_in(newer))
    assert is_ours(dom0) != first
    assert dom0.file(DIVERTED).read_bytes() == original
    for talker in dom0.talkers:
        talker.answers()

    step(dom0, "dpkg", "-r", "xenconsoled")
    is_incumbents(dom0)
    assert dom0.file("/etc/default/xenconsoled").exists()

    step(dom0, "dpkg", "-i", dom0.copy_in(deb))
    is_ours(dom0)
    step(dom0, "dpkg", "-P", "xenconsoled")
    is_incumbents(dom0)
    for left in ("/etc/default/xenconsoled", "/etc/logrotate.d/xenconsoled", "/usr/libexec/xenconsoled"):
        assert not dom0.file(left).exists(), left


def test_guests_left_disconnected_can_speak_again_under_the_incumbent(incumbent, deb):
    dom0 = incumbent
    dom0.inside("dpkg", "-i", dom0.copy_in(deb))
    is_ours(dom0)
    for talker in dom0.talkers:  # or it would end before it had served them
        until(lambda: talker.domain.console().bound, "ours to serve them")
    dom0.inside("/etc/init.d/xen", "stop")
    assert not dom0.processes("xenconsoled")
    for talker in dom0.talkers:
        assert not talker.domain.console().connected
    dom0.inside("dpkg", "-r", "xenconsoled")
    is_incumbents(dom0)
    step(dom0, "true")


def test_xen_utils_is_upgraded_beneath(incumbent, deb):
    dom0 = incumbent
    dom0.inside("dpkg", "-i", dom0.copy_in(deb))
    before = is_ours(dom0)
    # Its own scripts stop and start all of Xen's daemons: a guest of Linux 7.1 would drop.
    dom0.talkers = [t for t in dom0.talkers if t.name != "linux71"]
    step(dom0, "sh", "-c", "dpkg -i /var/cache/apt/archives/xen-utils-4.17_*.deb")
    assert is_ours(dom0) != before
    assert dom0.file(DIVERTED).exists()


def test_another_xen_is_left_to_its_own_daemon(incumbent, deb):
    """As after an upgrade of the package to one for the next Xen, before the reboot."""
    dom0 = incumbent
    pid, _ = dom0.console_daemon()
    dom0.file("/sys/hypervisor/version/minor").write_text("16\n")
    step(dom0, "dpkg", "-i", dom0.copy_in(deb))
    assert dom0.console_daemon()[0] == pid
    step(dom0, "dpkg", "-r", "xenconsoled")
    assert dom0.console_daemon()[0] == pid


def test_rebuilt_for_the_next_xen(incumbent, deb, next_xen):
    """Installed before the reboot: ours serves on, and the file of xen-utils has its place back."""
    dom0 = incumbent
    original = dom0.file(INCUMBENT).read_bytes()
    dom0.inside("dpkg", "-i", dom0.copy_in(deb))
    pid = is_ours(dom0)
    step(dom0, "dpkg", "-i", dom0.copy_in(next_xen))
    assert dom0.console_daemon()[0] == pid
    assert dom0.file(INCUMBENT).read_bytes() == original and not dom0.file(DIVERTED).exists()
    assert diversions(dom0) == [str(INCUMBENT).replace("4.17", "4.18")]
    step(dom0, "dpkg", "-r", "xenconsoled")
    assert dom0.console_daemon()[0] == pid and not diversions(dom0)


def test_an_upgrade_that_fails_leaves_all_as_it_was(incumbent, deb, broken):
    dom0 = incumbent
    dom0.inside("dpkg", "-i", dom0.copy_in(deb))
    step(dom0, "sh", "-c", f"! dpkg -i {dom0.copy_in(broken)}")
    is_ours(dom0)
    assert diversions(dom0) == [str(INCUMBENT)]
    assert "ok installed" in dom0.inside("dpkg", "-s", "xenconsoled").stdout


def test_policy_forbids_to_start(incumbent, deb):
    dom0 = incumbent
    policy = dom0.file("/usr/sbin/policy-rc.d")
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    pid, _ = dom0.console_daemon()
    step(dom0, "dpkg", "-i", dom0.copy_in(deb))
    assert dom0.console_daemon()[0] == pid


def test_a_wrong_setting_fails_the_upgrade_and_says_why(incumbent, deb, newer):
    dom0 = incumbent
    dom0.inside("dpkg", "-i", dom0.copy_in(deb))
    pid = is_ours(dom0)
    dom0.settings(XENCONSOLED_ARGS="--log=gest")
    done = dom0.inside("dpkg", "-i", dom0.copy_in(newer), check=False)
    assert done.returncode != 0
    assert "--log=gest" in done.stdout and "none, guest, hv, all" in done.stdout, done.stdout
    assert dom0.console_daemon()[0] == pid
    step(dom0, "true")


def test_builds_without_git(source):
    assert not (source / ".git").exists() and PLACE in source.parents
