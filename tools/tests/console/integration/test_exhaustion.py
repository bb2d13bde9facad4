# SPDX-License-Identifier: GPL-2.0-only
"""What cannot be had is missing, nothing else; and it is there as soon as it can be had again, without
a restart."""

import os
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from faultlib import DESCRIPTOR, FOR_EVER, MEMORY, THREAD, Faults, remount, start_within, within
from helpers import (PATIENCE, Reader, converse, log_is, logged, numbered, report, settle,
                     tty_of, until)
from hostlib import Host

OF_MEMORY = pytest.param(MEMORY, id="memory", marks=pytest.mark.malloc)
OF_DESCRIPTORS = pytest.param(DESCRIPTOR, id="descriptors")
OF_THREADS = pytest.param(THREAD, id="threads")
SHARDS = 16  # lives at a time: they mostly wait for something to be tried again


# -- the n-th call fails --------------------------------------------------------------------------


class Bystander:
    """A console that was served before: it must not notice anything."""

    def __init__(self, host, daemon):
        self.host, self.daemon = host, daemon
        self.domain = host.create(name="bystander")
        self.guest = self.domain.guest()
        self.tty = tty_of(daemon, self.domain)
        self.said = b""

    def talk(self, word):
        self.guest.print(f"{word}\n")
        self.said += f"{word}\n".encode()
        log_is(self.host, "bystander", self.said)

    def is_well(self):
        assert report(self.daemon, self.domain)["tty"] == self.tty
        assert self.guest.status()["unnoticed"] == 0
        with Reader(self.tty) as reader:
            reader.write("still here?\n")
            until(lambda: self.guest.input == b"still here?\n", "the bystander's input")


def life(host, daemon, number):
    """A domain comes, talks, is renamed, says more than its reader takes, and goes."""
    domain = host.create(name=f"early-{number}")
    guest = domain.guest(chunk=512)
    tty_of(daemon, domain)
    # What is said before there is memory for a log is lost.
    until(lambda: host.guest_log(domain.name) or guest.print("hello\n"), "a log")
    domain.rename(f"late-{number}")
    until(lambda: host.guest_log(domain.name) or guest.print("hello\n"), "a log of the new name")
    until(lambda: report(daemon, domain)["buffered"] > 4096 or guest.lines(300), "a reader's buffer")
    converse(host, daemon, domain, guest, "goodbye")
    domain.destroy()
    domain.wait_gone(PATIENCE)


def spare_coverage(faults, kind):
    """Before a daemon ends: the library that writes what was covered does not survive it."""
    if os.environ.get("SAN") == "cov":
        faults.relent(kind)


def every_call(kind, first, step):
    """Fail the first call in a life, then, in the next life, that step further on, and so on, until
    there are no more: how many there were."""
    with Host() as host, Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        bystander = Bystander(host, daemon)
        life(host, daemon, 0)
        at = first
        while True:
            faults.fail(kind, at=at)
            try:
                life(host, daemon, at)
                bystander.talk(f"after {at}")
            except AssertionError as error:
                raise AssertionError(f"with call {at} failing: {error}\n{daemon.output}") from error
            if not faults.hits(kind):
                break
            at += step
        spare_coverage(faults, kind)
        bystander.is_well()
        left = until(lambda: len(host.mappings(daemon.pid)) == 1, "all other pages to be unmapped")
        assert left and daemon.stop(PATIENCE) == 0
        return at


@pytest.mark.parametrize("kind", [OF_MEMORY, OF_DESCRIPTORS])
def test_every_call_fails_once(kind):
    """For each call for memory, or for a descriptor, that a domain's whole life makes: it is refused
    once, and in the end that domain is served, and nobody else has noticed."""
    with ThreadPoolExecutor(SHARDS) as pool:
        lives = list(pool.map(lambda first: every_call(kind, first, SHARDS), range(1, SHARDS + 1)))
    assert max(lives) > {MEMORY: 50, DESCRIPTOR: 5}[kind], "these are too few to be true"


def every_start(kind, first, step):
    """The same with a daemon's start: the set of what came of it."""
    outcomes = set()
    with Host() as host:
        domain = host.create(name="web")
        guest = domain.guest()
        for at in range(first, 1000, step):
            with Faults(host) as faults:
                faults.fail(kind, at=at)
                daemon = host.start_daemon(env=faults.env)
                until(lambda: not daemon.running() or domain.console().bound, lambda: f"it to serve, or to end; call {at}: {daemon.output}")
                if domain.console().bound:
                    word = f"started {at}\n".encode()
                    # What is said before there is memory for a log is lost.
                    until(lambda: word in host.guest_log("web") or guest.print(word), "a log")
                    spare_coverage(faults, kind)
                    assert daemon.stop(PATIENCE) == 0, daemon.output
                    outcomes.add("serves")
                else:
                    assert daemon.wait(PATIENCE) == 1, (at, daemon.output)
                    assert daemon.output.startswith("xenconsoled: "), (at, daemon.output)
                    outcomes.add("refuses")
                assert host.mappings(daemon.pid) == [], at
                if not faults.hits(kind):
                    return outcomes


@pytest.mark.parametrize("kind", [OF_MEMORY, OF_DESCRIPTORS, OF_THREADS])
def test_every_call_fails_once_at_start(kind):
    """A daemon that cannot start says why and exits 1, holding nothing; one that can, serves."""
    with ThreadPoolExecutor(SHARDS // 2) as pool:
        outcomes = pool.map(lambda first: every_start(kind, first, SHARDS // 2), range(1, SHARDS // 2 + 1))
    assert set().union(*outcomes) == {"serves", "refuses"}


# -- and when all fail ----------------------------------------------------------------------------


@pytest.mark.malloc
def test_no_memory_for_long(host):
    """Served consoles do without; those that need some wait, and are there when there is some."""
    with Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        bystander = Bystander(host, daemon)
        faults.fail(MEMORY, times=FOR_EVER)
        domain = host.create(name="late")
        guest = domain.guest()
        until(lambda: faults.hits(MEMORY) > 3, "it to be tried")
        for number in range(20):
            bystander.talk(f"without memory {number}")
        faults.relent(MEMORY)
        converse(host, daemon, domain, guest, "at last")
        bystander.is_well()
        assert len([line for line in daemon.output.splitlines() if "Cannot allocate" in line]) <= 3


def test_no_descriptors(host):
    """Output is taken and logged where a log is open; ttys, and xenstored itself, come back."""
    with Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        bystander = Bystander(host, daemon)
        limit = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
        domains = [host.create(name=f"more-{n}") for n in range(5)]
        guests = [domain.guest() for domain in domains]
        for domain, guest in zip(domains, guests):
            until(lambda: domain.console().connected, f"{domain} to be attached")
            guest.print("heard\n")
            until(lambda: domain.console().out_used == 0, "its output to be taken")
        host.stop_store()
        host.start_store()
        bystander.talk("without descriptors")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limit)
        new = host.create(name="new", domid=100)
        converse(host, daemon, new, new.guest(), "found")
        bystander.is_well()
        for domain, guest in zip(domains, guests):
            tty = until(lambda: (t := report(daemon, domain)["tty"]) != "none" and t, "its tty")
            with Reader(tty) as reader:
                reader.expect("heard\n")
            logged(host, domain.name, "heard\n")


def test_no_threads(host):
    """Workers that cannot be had are done without."""
    with Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        faults.fail(THREAD, times=FOR_EVER)
        domains = host.batch(80)
        until(lambda: sum(p["pid"] == daemon.pid and p["status"] == "interdomain"
                          for p in host.ports()) == 80, "all to be served")
        assert faults.hits(THREAD)
        for domain in domains[::20]:
            converse(host, daemon, domain, domain.guest(), "hello")


def test_no_ptys(host):
    """A console without a tty is served and logged all the same, and gets one when there is one."""
    daemon = start_within(host, "mount -t devpts -o newinstance,ptmxmode=0666,max=2 devpts /dev/pts;"
                          " mount --bind /dev/pts/ptmx /dev/ptmx",
                          "--log=guest", f"--log-dir={host.log_dir}")
    domains = [host.create(name=f"web-{n}") for n in range(4)]
    guests = [domain.guest() for domain in domains]
    for domain, guest in zip(domains, guests):
        guest.print("heard\n")
        logged(host, domain.name, "heard\n")
    ttys = [report(daemon, domain)["tty"] for domain in domains]
    assert ttys.count("none") == 2
    assert len([line for line in daemon.output.splitlines() if "cannot open a pty" in line]) == 2
    remount(host, daemon, "/dev/pts", "max=10")
    for domain, guest in zip(domains, guests):
        tty = until(lambda: (t := report(daemon, domain)["tty"]) != "none" and t, "a tty")
        until(lambda: domain.console().tty == tty, "it to be published")
        assert within(host, daemon, "head", "-c", "6", tty).stdout == "heard\n"


def test_no_room_for_queues(host):
    """Where RUNDIR has no room, memory holds what waits for logs; said once, and nothing is lost."""
    daemon = start_within(host, "mount -t tmpfs -o size=64k none /run/xen", "--log=guest",
                          f"--log-dir={host.log_dir}")
    domains = [host.create(name=f"web-{n}") for n in range(25)]
    for domain in domains:
        guest = domain.guest(chunk=512)
        guest.lines(2000)
        guest.flush(PATIENCE)
        log_is(host, domain.name, numbered(2000))
    assert daemon.output.count("kept in memory") == 1
    settle(daemon)
