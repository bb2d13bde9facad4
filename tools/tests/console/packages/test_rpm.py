# SPDX-License-Identifier: GPL-2.0-only
"""The RPM package: rpmbuild and rpmlint take the spec, and rpm installs what it makes, in a chroot. There is no
Fedora here: what rpm calls dependencies are Debian's packages, and systemctl is a script that does what it is told."""

import configparser

import pytest

from chroot import INCUMBENT
from conftest import fresh, sh
from helpers import until

OURS = "/usr/libexec/xenconsoled/xenconsoled"
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/run/systemctl
case $1 in
is-active) pidof xenconsoled >/dev/null ;;
try-restart) /usr/libexec/xenconsoled/helper takeover && /usr/libexec/xenconsoled/xenconsoled ;;
start) /etc/init.d/xen start ;;
esac
"""


@pytest.fixture(scope="session")
def built(archive):
    place = fresh("rpm")
    # The same unit tests have just passed in the other package's build.
    sh(f"rpmbuild -ta --nodeps --nocheck --define '_topdir {place}' --define 'debug_package %{{nil}}' '{archive}'")
    return place


def test_rpmlint_is_silent(built, source):
    said = sh(f"rpmlint -c '{source}/packaging/rpmlint.toml' '{source}/packaging/xenconsoled.spec'"
              f" {built}/RPMS/*/*.rpm {built}/SRPMS/*.rpm")
    assert "0 errors, 0 warnings" in said, said


def test_the_units_of_xen_are_not_overwritten(built):
    files = sh(f"rpm -qpl {built}/RPMS/*/*.rpm").split("\n")
    assert "/usr/sbin/xenconsoled" not in files
    assert not [f for f in files if f.endswith("system/xenconsoled.service")]
    assert "/usr/libexec/xenconsoled/xenconsoled" in files
    assert [f for f in files if f.startswith("/usr/share/man/man8/xenconsoled.8")]


def test_the_drop_in_replaces_all_that_is_run(built):
    """With Xen's own unit beneath it, systemd sees one program to run: ours."""
    root = fresh("rpm-root")
    sh(f"for p in {built}/RPMS/*/*.rpm; do rpm2cpio $p | cpio -idm --quiet; done", cwd=root)
    drop_in = root / "usr/lib/systemd/system/xenconsoled.service.d/10-replacement.conf"
    unit = root / "usr/lib/systemd/system/xenconsoled.service"
    unit.write_text("[Unit]\nDescription=Xen's own\nBefore=xendomains.service\n[Service]\nType=simple\n"
                    "ExecStart=/usr/sbin/xenconsoled -i --log=none\n")
    (root / "usr/sbin").mkdir()
    (root / "usr/sbin/xenconsoled").touch(mode=0o755)
    merged = sh(f"systemd-analyze --root='{root}' cat-config systemd/system/xenconsoled.service")
    assert "OnFailure=xenconsoled-disconnect.service" in merged
    parser = configparser.RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
    parser.optionxform = str
    commands = [line.partition("=")[2] for line in drop_in.read_text().split("\n")
                if line.startswith("ExecStart=")]
    assert commands[0] == "" and len(commands) == 2
    assert "After=" in merged and "var-log-xen-console.mount" in merged
    assert commands[1].startswith("/usr/libexec/xenconsoled/xenconsoled -i ")
    said = sh(f"systemd-analyze verify --root='{root}' --man=no '{unit}' 2>&1 || true")
    assert "more than one ExecStart" not in said, said


@pytest.fixture
def machine(dom0):
    """Xen's own daemon serves a guest."""
    systemctl = dom0.file("/usr/bin/systemctl")
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    dom0.inside("/etc/init.d/xen", "start")
    dom0.domain = dom0.create(name="one", old_builder=True)
    until(lambda: dom0.domain.console().bound, "it to be served")
    dom0.file("/etc/sysconfig").mkdir()
    return dom0


def rpm(dom0, built, *options):
    """The package's file is the last argument, unless it is removed. What rpm says."""
    (path,) = built.glob("RPMS/*/xenconsoled-0*.rpm")
    package = ["xenconsoled"] if "-e" in options else [dom0.copy_in(path)]
    return dom0.inside("rpm", "--force-debian", "--nodeps", *options, *package).stdout


def asked(dom0):
    """What systemctl was told, once each."""
    said = dom0.file("/run/systemctl")
    lines = said.read_text().split("\n")[:-1] if said.exists() else []
    said.unlink(missing_ok=True)
    return lines


def test_installed_and_removed(machine, built):
    dom0 = machine
    rpm(dom0, built, "-i")
    assert asked(dom0) == ["daemon-reload", "try-restart xenconsoled.service"]
    pid, path = dom0.console_daemon()
    assert str(path) == OURS
    until(lambda: dom0.domain.console().bound, "ours to serve it")
    rpm(dom0, built, "-U", "--force")  # an upgrade: another one takes its place
    assert dom0.console_daemon()[0] != pid
    until(lambda: dom0.domain.console().bound, "the new one to serve it")
    asked(dom0)
    rpm(dom0, built, "-e")
    assert asked(dom0)[-1] == "start xenconsoled.service"
    assert dom0.console_daemon()[1] == INCUMBENT
    assert dom0.domain.console().connected
    assert not dom0.file("/usr/libexec/xenconsoled").exists()


@pytest.mark.parametrize("why", ["another Xen", "a wrong setting"])
def test_who_serves_is_left_alone(machine, built, why):
    dom0 = machine
    pid, _ = dom0.console_daemon()
    if why == "another Xen":
        dom0.file("/sys/hypervisor/version/minor").write_text("16\n")
    else:
        dom0.file("/etc/sysconfig/xenconsoled").write_text("XENCONSOLED_ARGS=--overflow-data=kep\n")
    said = rpm(dom0, built, "-i")
    assert asked(dom0) == ["daemon-reload"]
    assert dom0.console_daemon()[0] == pid
    if why == "a wrong setting":
        assert "discard, keep" in said and "XENCONSOLED_ARGS" in said and "not restarted" in said, said
