# SPDX-License-Identifier: GPL-2.0-only
"""The RPM package: rpmbuild and rpmlint take the spec, and what it makes is what it should be.
There is no Fedora here, so nothing is installed; what rpm calls dependencies are Debian's packages."""

import configparser

import pytest

from conftest import fresh, sh


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
    assert commands[1].startswith("/usr/libexec/xenconsoled/xenconsoled -i ")
    said = sh(f"systemd-analyze verify --root='{root}' --man=no '{unit}' 2>&1 || true")
    assert "more than one ExecStart" not in said, said
