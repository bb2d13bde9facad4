# SPDX-License-Identifier: GPL-2.0-only
"""Which console a path means: somebody may have kept /dev/pts/N, so N is never another living console's.

The daemons of a test come and go in a devpts of their own, where nobody else takes numbers."""

import os

import pytest

from faultlib import enter, need_unshare
from helpers import until
from hostlib import XENCONSOLED, Daemon, mount_namespace


class Seat:
    """Ptys of its own, and one daemon after another there."""

    def __init__(self, host):
        self.host = host
        ready = host.dir / "seat"
        self.keeper = host.spawn(
            "sh", "-ec", "mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts;"
            f" mount --bind /dev/pts/ptmx /dev/ptmx; : >{ready}; exec sleep infinity", own_run=True)
        until(ready.exists, "a devpts")

    def start(self):
        return Daemon(self.host, [*enter(self.keeper), XENCONSOLED, "-i"], "xenconsoled")

    def take(self):
        """The lowest number that is free, for a program that holds it until it is killed."""
        here = self.host.dir / f"taken.{self.host._started}"
        program = self.host.spawn(*enter(self.keeper), "/usr/bin/python3", "-c", f"""if True:
            import os, time
            slave = os.ttyname(os.openpty()[1])
            open("{here}.new", "w").write(slave)
            os.rename("{here}.new", "{here}")
            time.sleep(1 << 20)""")
        until(here.exists, "a pty")
        return program, number(here.read_text())


@pytest.fixture
def seat(host):
    need_unshare(mount_namespace() or "-m")
    return Seat(host)


def number(tty):
    assert tty.startswith("/dev/pts/"), tty
    return int(tty[len("/dev/pts/"):])


def served(domain, daemon):
    """The number of its tty, once daemon has opened and said it."""
    def there():
        # Daemons before this one said a number, too.
        said = domain.console().tty
        path = f"/proc/{daemon.pid}/root{said}"
        return said and domain.console().info()["status"] == "interdomain" and daemon.has_open(path) and said

    return number(until(there, lambda: f"{domain} to be served; its tty is {domain.console().tty}: {daemon.output}"))


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_each_has_its_former_number(host, seat, how):
    """Three guests on 0, 1 and 2, the first destroyed: the others keep theirs, whoever is found first."""
    daemon = seat.start()
    domains = [host.create(name=f"guest-{i}") for i in range(3)]
    before = [served(domain, daemon) for domain in domains]
    assert sorted(before) == [0, 1, 2]
    domains[before.index(0)].destroy()
    living = [(domain, n) for domain, n in zip(domains, before) if n]
    for _ in range(3):
        getattr(daemon, how)()
        daemon = seat.start()
        for domain, was in living:
            assert served(domain, daemon) == was
    assert served(host.create(name="new"), daemon) == 0


def test_a_number_that_is_taken(host, seat):
    """A former number is another program's: its console has a further one, and no other console ever gets the former."""
    daemon = seat.start()
    first = host.create(name="first")
    assert served(first, daemon) == 0
    second = host.create(name="second")
    assert served(second, daemon) == 1
    daemon.stop()
    other, taken = seat.take()
    assert taken == 0
    daemon = seat.start()
    assert served(second, daemon) == 1 and served(first, daemon) == 2
    other.kill()
    assert served(host.create(name="third"), daemon) == 3
    first.destroy()
    until(lambda: not daemon.has_open(f"/proc/{daemon.pid}/root/dev/pts/2"), "the first console to end")
    assert served(host.create(name="fourth"), daemon) == 0


def test_the_same_number_twice(host, seat):
    """Two nodes name one tty, as after a restart by Xen's own daemon that was killed: the consoles have two."""
    daemon = seat.start()
    domains = [host.create(name=f"guest-{i}") for i in range(2)]
    assert {served(domain, daemon) for domain in domains} == {0, 1}
    daemon.kill()
    for domain in domains:
        domain.console().set_node("tty", "/dev/pts/1")
    daemon = seat.start()
    until(lambda: {served(domain, daemon) for domain in domains} == {0, 1}, "two consoles on 0 and 1")


def test_a_number_among_many(host, seat):
    """Where there are many consoles numbers are high, and the first that is looked at may have had the highest."""
    domains = [host.create(name="guest"), *host.batch(150)]
    domains[0].console().set_node("tty", "/dev/pts/500")
    daemon = seat.start()
    assert served(domains[0], daemon) == 500
    assert served(domains[-1], daemon) < 151


def test_a_number_beyond_all_measure(host, seat):
    """Only a number that this many consoles could have had is taken for one: it costs as many descriptors."""
    daemon = seat.start()
    domain = host.create(name="guest")
    assert served(domain, daemon) == 0
    daemon.kill()
    domain.console().set_node("tty", "/dev/pts/4000")
    daemon = seat.start()
    assert served(domain, daemon) == 0
    assert sum(os.readlink(f"/proc/{daemon.pid}/fd/{fd}").endswith("ptmx") for fd in daemon.fds()) <= 1
