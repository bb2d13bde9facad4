# SPDX-License-Identifier: GPL-2.0-only
"""Hostile guests, each beside a neighbour: whatever they do, his output and input arrive byte for byte
and promptly, he is not complained of, and the daemon ends up holding no more than it did.

FLOOD is how many MiB the flooding guest prints (32; make check-flood: 4096).
"""

import hashlib
import os
import random
import re
import signal
import threading
import time

import pytest

from helpers import (PATIENCE, Reader, converse, logged, numbered, report, same, settle, tty_of, until)
from hostlib import CONNECTED

FLOOD = int(os.environ.get("FLOOD", 32))
PROMPT = 0.5  # seconds; ten milliseconds are usual
TRIES = 5
MIB = 1 << 20


class Neighbour:
    """A guest that behaves, and somebody at his tty; all that either says is compared."""

    def __init__(self, host, daemon):
        self.host, self.daemon = host, daemon
        self.domain = host.create(name="neighbour")
        self.guest = self.domain.guest()
        self.reader = Reader(tty_of(daemon, self.domain))
        self.lines = 0
        self.typed = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.reader.fd)

    def goes_on(self):
        """What is said takes no time that anybody would notice. A busy machine may be in the way now and
        then; who has to wait for somebody hostile always has to."""
        took = []
        while len(took) < TRIES and (not took or min(took) > PROMPT):
            began = time.monotonic()
            self.exchange()
            took.append(time.monotonic() - began)
        assert min(took) <= PROMPT, f"none of {TRIES} in a row was prompt: {took}"

    def exchange(self):
        """Ten lines of his reach the reader, and an answer reaches him."""
        self.guest.lines(10, start=self.lines)
        self.lines += 10
        self.reader.take(64 * self.lines)
        answer = b"answer to line %d\n" % self.lines
        self.reader.write(answer)
        self.typed += answer
        until(lambda: len(self.guest.input) >= len(self.typed), "the answer to reach him")

    def was_left_alone(self):
        self.goes_on()
        said = numbered(self.lines)
        same(bytes(self.reader.received), said)
        same(self.guest.input, self.typed)
        until(lambda: len(self.host.guest_log("neighbour")) >= len(said), "his log")
        same(self.host.guest_log("neighbour"), said)
        assert self.domain.console().flag == CONNECTED
        assert self.guest.status()["unnoticed"] == 0
        own = f"domain {self.domain.domid} "
        assert not [line for line in self.daemon.output.splitlines() if own in line and "state" not in line]


@pytest.fixture
def street(host):
    """A daemon, a neighbour, and room for somebody hostile: (daemon, neighbour)."""
    # What was freed and AddressSanitizer still holds counts as the daemon's: a little of it is enough.
    asan = f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=1"
    daemon = host.start_daemon(wait=True, env={"ASAN_OPTIONS": asan})
    with Neighbour(host, daemon) as neighbour:
        neighbour.goes_on()
        held = len(daemon.fds())
        yield daemon, neighbour
        neighbour.was_left_alone()
        for entry in host.domains():
            if entry["domid"] not in (0, neighbour.domain.domid) and entry["state"] == "alive":
                host.xenhost("destroy", entry["domid"])
        until(lambda: len(host.domains()) == 2, lambda: f"the hostile ones to go: {host.domains()}")
        until(lambda: len(daemon.fds()) == held, lambda: f"{held} files, not {daemon.fds()}")
        assert len(host.mappings(daemon.pid)) == 1
        neighbour.was_left_alone()


def hostile(host, daemon, **options):
    domain = host.create(name="hostile", **options)
    guest = domain.guest(chunk=512)
    tty_of(daemon, domain)
    return domain, guest


def complaints(daemon, domain):
    own = f"domain {domain.domid} "
    return [line for line in daemon.output.splitlines() if own in line and ": state " not in line]


# -- the page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("index, value", [
    ("out_prod", 0x7fffffff), ("out_prod", 2049), ("in_cons", 0x80000000), ("in_cons", 1025)])
def test_index_out_of_range(host, street, index, value):
    daemon, neighbour = street
    domain, guest = hostile(host, daemon)
    for _ in range(5):
        guest.hostile("index", index, value)
        neighbour.goes_on()
    until(lambda: report(daemon, domain)["state"] == "detached", "it to be fenced off")
    assert len(complaints(daemon, domain)) == 1
    assert getattr(domain.console().indexes, index) == value


@pytest.mark.parametrize("index", ["out_cons", "in_prod", "out_prod", "in_cons"])
def test_index_rewound(host, street, index):
    """Also those that are the daemon's own."""
    daemon, neighbour = street
    domain, guest = hostile(host, daemon)
    guest.lines(100)
    logged(host, "hostile", numbered(1, start=99))
    for number in range(5):
        guest.hostile("rewind", index, 64)
        guest.print(f"after {number}\n")
        neighbour.goes_on()
    assert host.guest_log("hostile").count(numbered(1, start=99)) == 1
    assert len(complaints(daemon, domain)) <= 1


@pytest.mark.parametrize("how", ["wild", "tame"])
def test_rewritten_while_it_is_read(host, street, how):
    """Indexes, bytes and flag, millions of times, from another processor: what is checked is what is
    used. Where indexes stay in range (tame) all is taken; else the console may end up fenced off, and
    a sane page is served again."""
    daemon, neighbour = street
    domain, guest = hostile(host, daemon, limit=65536)
    before = daemon.anon()
    said, end = None, time.monotonic() + PATIENCE
    with Reader(tty_of(daemon, domain)) as reader:
        while not said or said["out"] <= 2048 or not said["in_"]:  # with wild indexes, a matter of chance
            assert time.monotonic() < end, f"bytes did not go both ways: {said}"
            guest.hostile("scramble", how, 30 * 1000 * 1000)
            while guest.status()["scrambling"]:
                reader.read()
                reader.write("typed into the storm\n")
                if how == "wild":
                    domain.console().set_node("limit", 65536)  # has a fenced one looked at again
                neighbour.goes_on()
            said = report(daemon, domain)
    assert daemon.anon() - before < 4 * MIB
    assert len(complaints(daemon, domain)) <= (how == "wild")
    if how == "wild":  # it may be fenced off or not: make sure, or it would write into the page being cleared
        until(lambda: report(daemon, domain)["state"] == "detached" or guest.hostile("index", "out_prod", 1 << 30),
              "it to be fenced off")
        guest.hostile("fill", 0)
    domain.console().set_node("limit", 1048576)
    converse(host, daemon, domain, guest, "sane again")


def test_flag_scribbled(host, street):
    daemon, neighbour = street
    domain, guest = hostile(host, daemon)
    for number in range(100):
        guest.hostile("flag", number)
        guest.hostile("notify")
    neighbour.goes_on()
    converse(host, daemon, domain, guest, "still served")
    assert domain.console().flag == CONNECTED and complaints(daemon, domain) == []


# -- the port -------------------------------------------------------------------------------------


def test_port_closed_and_reopened(host, street):
    daemon, neighbour = street
    domain, guest = hostile(host, daemon)
    for number in range(20):
        domain.close_port()
        guest.print("to nobody\n")
        domain.move_port(node=number % 2 == 0)
        neighbour.goes_on()
    domain.move_port()
    converse(host, daemon, domain, guest, "settled down")
    assert len(complaints(daemon, domain)) <= 1


def test_storm_of_events(host, street):
    """From two sides, all the time that the neighbour talks."""
    daemon, neighbour = street
    domain, guest = hostile(host, daemon)
    other = host.create(name="other")
    tty_of(daemon, other)
    storms = [threading.Thread(target=domain.storm, args=(300000,)) for domain in (domain, other)]
    for storm in storms:
        storm.start()
    for _ in range(5):
        neighbour.goes_on()
    for storm in storms:
        storm.join()
    converse(host, daemon, domain, guest, "calm")


# -- the nodes ------------------------------------------------------------------------------------


def test_nodes_changed_in_a_loop(host, street):
    """ring-ref, port, type and limit: right, wrong, absurd and absent."""
    daemon, neighbour = street
    domain, guest = hostile(host, daemon)
    console = domain.console()
    right = {"port": str(console.port), "ring-ref": str(console.gfn), "type": "xenconsoled", "limit": "4096"}
    chance = random.Random(1)
    for number in range(60):
        node = chance.choice(list(right))
        value = chance.choice([right[node], "0", "1", "14", "-1", "4294967295", "9" * 30, "", "x\n\x1b[2J",
                               "ioemu", None])
        if value is None:
            if console.node(node) is not None:
                console.remove_node(node)
        else:
            console.set_node(node, value)
        if number % 10 == 0:
            neighbour.goes_on()
    for node, value in right.items():
        console.set_node(node, value)
    converse(host, daemon, domain, guest, "reformed")
    assert len(complaints(daemon, domain)) <= 4
    assert "\x1b" not in daemon.output


def test_domains_come_and_go_in_a_loop(host, street):
    """Under one domid, talking, and dead before anybody could look."""
    daemon, neighbour = street
    for number in range(20):
        domain = host.create(name=f"brief-{number % 3}", domid=77)
        if number % 2:
            guest = domain.guest()
            guest.print(f"brief {number}\n")
            guest.hostile("index", "in_cons", 12345)
        domain.destroy()
        if number % 4 == 0:
            neighbour.goes_on()
    settle(daemon)
    until(lambda: len(host.domains()) == 2, "all to be gone")
    until(lambda: host.store_read("/local/domain/77") is None, "nothing to be left")


def test_killed_in_the_middle(host, street):
    """A domain that dies while its page changes under everybody's hands."""
    daemon, neighbour = street
    for _ in range(5):
        domain, guest = hostile(host, daemon)
        guest.hostile("scramble", "tame", 1 << 40)
        neighbour.goes_on()
        domain.destroy()
        domain.wait_gone(PATIENCE)
        guest.stop()


# -- output ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [b"\x1b[2J\x1b]0;owned\x07\x1b[c", b"\0", b"\n", b"\x9b\xff\x80"],
                         ids=["escapes", "nuls", "newlines", "high bytes"])
@pytest.mark.parametrize("args", [[], ["--timestamp=all", "--replace-escape"]], ids=["plain", "filtered"])
def test_nothing_but(host, what, args):
    """Escape sequences, NULs, newlines: one byte that becomes a stamped line is still one byte of the
    ring. The reader has what was said; the log too, or with dots and stamps, as was asked for."""
    daemon = host.start_daemon(*args, wait=True)
    domain = host.create(name="hostile", limit=65536)
    guest = domain.guest(chunk=2048)
    tty = tty_of(daemon, domain)
    other = host.create(name="other")
    others = other.guest()
    text = what * (20000 // len(what))
    path = host.dir / "text"
    path.write_bytes(text)
    with Reader(tty) as reader:
        guest.file(path)
        same(reader.take(len(text)), text)
    converse(host, daemon, other, others, "on")

    def unfiltered():
        log = host.guest_log("hostile")
        if args:
            log = re.sub(rb"(?m)^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (Logfile Opened\n)?", b"", log)
        return log

    expected = text.replace(b"\x1b", b".") if args else text
    until(lambda: len(unfiltered()) >= len(expected), lambda: f"the log, has {len(unfiltered())}")
    same(unfiltered(), expected)
    guest.file(path)
    for _ in range(10):
        guest.file(path)
        converse(host, daemon, other, others, "and on")


def test_flood(host):
    """The indexes begin near their end and go round. All of it is in the log, which is rotated all
    the while; the neighbour does not notice."""
    domain = host.create(name="hostile", limit=65536)
    for index in ("in_cons", "in_prod", "out_cons", "out_prod"):
        domain.console().set_index(index, 0xffffffff - MIB)
    daemon = host.start_daemon("--log=guest")
    guest = domain.guest(chunk=2048)
    tty_of(daemon, domain)
    with Neighbour(host, daemon) as neighbour:
        piece = random.Random(FLOOD).randbytes(8 * MIB)
        path = host.dir / "piece"
        path.write_bytes(piece)
        expected, found = hashlib.sha256(), hashlib.sha256()
        for _ in range(FLOOD // 8):
            guest.file(path)
            expected.update(piece)
        log, aside, seen = host.log_dir / "guest-hostile.log", host.dir / "aside", 0
        while seen < FLOOD * MIB:
            neighbour.goes_on()
            wanted = min(64 * MIB, FLOOD * MIB - seen)
            if not log.exists() or log.stat().st_size < wanted:
                continue
            log.rename(aside)
            daemon.signal(signal.SIGHUP)
            until(lambda: log.exists(), "the next log")
            found.update(aside.read_bytes())
            seen += aside.stat().st_size
            aside.unlink()
        assert found.digest() == expected.digest() and seen == FLOOD * MIB
        said = report(daemon, domain)
        assert said["out"] == FLOOD * MIB and said["log_dropped"] == 0 and said["buffered"] <= 65536
        assert guest.status()["unnoticed"] == 0
        neighbour.was_left_alone()


def test_many_at_once(host, street):
    """All of it together."""
    daemon, neighbour = street
    domains, guests = [], []
    for number in range(6):
        domain = host.create(name=f"hostile-{number}")
        guest = domain.guest(chunk=2048)
        tty_of(daemon, domain)
        domains.append(domain)
        guests.append(guest)
    guests[0].hostile("scramble", "tame", 1 << 40)
    guests[1].lines(10 * 1000 * 1000)
    guests[2].hostile("index", "in_cons", 99999)
    storm = threading.Thread(target=lambda: domains[3].storm(200000))
    storm.start()
    for number in range(10):
        domains[4].move_port()
        neighbour.goes_on()
    storm.join()
    converse(host, daemon, domains[5], guests[5], "well behaved")
