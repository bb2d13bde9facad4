# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of packages share: the source archive, the packages made from it, chroots."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chroot import ROOT, Dom0, make_base

PLACE = Path(os.environ.get("PACKAGES_BUILD", ROOT / "build-packages"))


def pytest_collection_modifyitems(items):
    """The machine of test_systemd.py starts first, and goes its way while the other tests run."""
    items.sort(key=lambda item: item.name != "test_starts")


def sh(command, **options):
    """A shell command in the source tree: what it printed. Fails with all it said."""
    options = {"cwd": ROOT, **options}
    done = subprocess.run(["sh", "-ec", command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, f"{command}:\n{done.stdout[-8000:]}"
    return done.stdout


def fresh(name):
    """An empty directory below build-packages."""
    path = PLACE / name
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


@pytest.fixture(scope="session")
def archive():
    """The source archive, as `make dist` leaves it."""
    place = fresh("archive")
    sh(f"make -s dist DIST='{place}'")
    (made,) = place.iterdir()
    return made


@pytest.fixture(scope="session")
def source(archive):
    """It, unpacked: no git around."""
    place = fresh("source")
    sh(f"tar -xzf '{archive}' -C '{place}'")
    (tree,) = place.iterdir()
    sh("autoconf", cwd=tree)
    return tree


@pytest.fixture(scope="session")
def deb_build(source):
    """The directory with all that dpkg-buildpackage leaves."""
    place = fresh("deb")
    shutil.copytree(source, place / "xenconsoled", symlinks=True)
    sh("dpkg-buildpackage -b -us -uc", cwd=place / "xenconsoled",
       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEB_BUILD_OPTIONS": "parallel=2 noautodbgsym",
            "LC_ALL": "C.UTF-8"})
    return place


@pytest.fixture(scope="session")
def deb(deb_build):
    (package,) = deb_build.glob("xenconsoled_*.deb")
    return package


NEWER = "sed -i 's/^Version: .*/&+next/' DEBIAN/control"
FOR_THE_NEXT_XEN = NEWER + ("; mv usr/lib/xen-4.17 usr/lib/xen-4.18;"
                            " grep -rlI '4\\.17' . | grep -v control$ | xargs sed -i 's/4\\.17/4.18/g'")


def remade(deb, name, command):
    """The package, after a shell command in its unpacked tree."""
    tree = fresh(f"deb-{name}") / "tree"
    sh(f"dpkg-deb -R '{deb}' '{tree}'; cd '{tree}'; {command}; dpkg-deb --root-owner-group -b . ../xenconsoled-{name}.deb")
    return tree.parent / f"xenconsoled-{name}.deb"


@pytest.fixture(scope="session")
def newer(deb):
    """The same as the next version."""
    return remade(deb, "newer", NEWER)


@pytest.fixture(scope="session")
def next_xen(deb):
    """One for the next Xen, but for its dependency, since there is no such Xen here."""
    return remade(deb, "next-xen", FOR_THE_NEXT_XEN)


@pytest.fixture(scope="session")
def base():
    return make_base(PLACE, "base")


@pytest.fixture
def dom0(base, tmp_path):
    with Dom0(base, tmp_path) as machine:
        yield machine
