# SPDX-License-Identifier: GPL-2.0-only
"""The source archive is the same bytes whoever makes it, where and when."""

import hashlib
import os

from conftest import ROOT, fresh, sh


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def dist(tree, env):
    place = tree.parent / f"dist-{tree.name}"
    place.mkdir()
    sh(f"make -s dist DIST='{place}'", cwd=tree, env={**os.environ, **env})
    (made,) = place.iterdir()
    return digest(made)


ODD = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "tr_TR.UTF-8"}


def test_from_an_archive(archive):
    place = fresh("reproduce")
    made = set()
    for name, umask, env in (("one", "022", {}), ("two", "077", ODD)):
        sh(f"umask {umask}; mkdir {name}; tar --no-same-permissions -xzf '{archive}' -C {name}"
           f" --strip-components=1; find {name} -type f ! -name CHANGES -exec touch {{}} +", cwd=place)
        made.add(dist(place / name, env))
    assert made == {digest(archive)}


def test_from_git():
    """Two clones; where there is no git (in the archive, say) there is nothing to clone."""
    if not (ROOT / ".git").exists():
        return
    place = fresh("clones")
    made = set()
    for name, umask, env in (("one", "022", {}), ("two", "077", ODD)):
        sh(f"umask {umask}; git -c safe.directory='*' clone -q '{ROOT}' {name}", cwd=place)
        made.add(dist(place / name, env))
    assert len(made) == 1
