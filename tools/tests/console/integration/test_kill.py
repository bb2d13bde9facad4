# SPDX-License-Identifier: GPL-2.0-only
"""A daemon killed again and again under load: every numbered line, Xen's too, is in the log, once.

KILLS is how often (20; make check-kill: 200). What is lost and what is repeated is counted and printed.
"""

import os
import random
import signal
import time
from collections import Counter

import pytest

from helpers import PATIENCE, converse, numbered, tty_of, until
from hostlib import guest_line

KILLS = int(os.environ.get("KILLS", 20))
TWIN = b"another of this name\n"  # what the others of one name say, in the middle of whatever line
BATCH = 4000  # lines that a guest has to say at least: enough to talk on until the kill
XENS = 50  # lines of Xen's in a life
CONRING = 16384  # bytes that its ring holds


class Talker:
    """A guest that always has something to say: numbered lines."""

    def __init__(self, domain, **options):
        self.domain = domain
        self.guest = domain.guest(**options)
        self.count = 0

    def go_on(self):
        if self.guest.status()["queued"] < BATCH * 64:
            self.guest.lines(BATCH, start=self.count)
            self.count += BATCH

    def moved(self, since):
        return self.domain.console().indexes.out_cons != since


class Xen:
    """It has something to say now and then: numbered lines. Nothing could hold it back, so it says no
    more than its ring has room for, however early daemons are killed."""

    def __init__(self, host):
        self.host, self.count = host, 0

    def go_on(self):
        text = numbered(XENS, start=self.count)
        logged = len(whole_log(self.host, "hypervisor.log"))
        if self.count * len(guest_line(0)) - logged + len(text) <= CONRING:
            self.host.hypervisor_print(text.decode())
            self.count += XENS


def verdict(log, count):
    """(lost, repeated, torn) lines of a log that should have lines 0 to count - 1, in order."""
    lines = log.splitlines(keepends=True)
    whole = [line for line in lines if line[:10].isdigit() and line == guest_line(int(line[:10]))]
    times = Counter(int(line[:10]) for line in whole)
    assert sorted(times) == list(dict.fromkeys(int(line[:10]) for line in whole)), "out of order"
    lost = sum(n not in times for n in range(count))
    return lost, sum(n - 1 for n in times.values()), len(lines) - len(whole)


def kill_and_start_again(host, daemon, talkers, xen, number, chance):
    """At any moment of its life, from its first byte on."""
    before = [talker.domain.console().indexes.out_cons for talker in talkers]
    for talker in talkers:
        talker.go_on()
    until(lambda: any(talker.moved(at) for talker, at in zip(talkers, before)),
          lambda: f"daemon {number} to move a byte: {daemon.output}")
    xen.go_on()
    end = time.monotonic() + chance.random() ** 2 * 0.02
    while time.monotonic() < end:
        pass
    daemon.signal(number)
    daemon.wait(PATIENCE)
    return host.start_daemon()


def rotate(host):
    """As logrotate does it, with no SIGHUP: everything is kept, in order."""
    for log in host.log_dir.glob("*.log"):
        log.rename(f"{log}.{len(list(host.log_dir.glob(f'{log.name}.*'))):06}")


def whole_log(host, name):
    parts = [*sorted(host.log_dir.glob(f"{name}.*")), host.log_dir / name]
    return b"".join(part.read_bytes() for part in parts if part.exists())


def count_lines(host, talkers, xen, times, text):
    result = Counter()
    for talker in talkers:
        talker.guest.flush(2 * PATIENCE)
    logs = [(f"guest-{talker.domain.name}.log", talker.count) for talker in talkers]
    for name, count in [*logs, ("hypervisor.log", xen.count)]:
        last = guest_line(count - 1)
        until(lambda: whole_log(host, name).endswith(last), f"the last line in {name}")
        lost, repeated, torn = verdict(whole_log(host, name).replace(TWIN, b""), count)
        result.update(lost=lost, repeated=repeated, torn=torn, lines=count)
    print(f"\n{times} times {text}, {result['lines']} lines: {result['lost']} lost,"
          f" {result['repeated']} repeated, {result['torn']} torn")
    return result["lost"], result["repeated"], result["torn"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR2, signal.SIGTERM])
def test_killed_under_load(host, number):
    """Killed, or replaced in order: nothing is lost, nothing twice. An old guest does not even notice;
    one that obeys the flag drops nothing where the flag stays, and one that replays nothing where it
    does not."""
    modes = ["old", "replay" if number == signal.SIGTERM else "linux71"]
    daemon = host.start_daemon()
    xen = Xen(host)
    talkers = [Talker(host.create(name=mode), mode=mode, chunk=256) for mode in modes]
    for talker in talkers:
        tty_of(daemon, talker.domain)
    chance = random.Random(KILLS)
    times = KILLS if number == signal.SIGKILL else KILLS // 4
    for _ in range(times):
        daemon = kill_and_start_again(host, daemon, talkers, xen, number, chance)
    assert count_lines(host, talkers, xen, times, signal.Signals(number).name) == (0, 0, 0)
    for talker in talkers:
        converse(host, daemon, talker.domain, talker.guest, "alive")
        assert talker.guest.status()["dropped"] == 0


def test_killed_in_the_midst_of_life(host):
    """After anything up to five seconds, in which logs are rotated, looked for by name and queues given
    back; and a guest that shares its name, and so its log, with another loses nothing to it."""
    daemon = host.start_daemon()
    xen = Xen(host)
    talkers = [Talker(host.create(name=mode), mode=mode, chunk=256) for mode in ("old", "linux71")]
    twin = host.create(name="old")
    guest = twin.guest(chunk=64)  # each line in one piece
    for talker in talkers:
        tty_of(daemon, talker.domain)
    chance = random.Random(KILLS)
    times = max(KILLS // 5, 1)
    for _ in range(times):
        end = time.monotonic() + chance.random() * 5
        while time.monotonic() < end:
            guest.print(TWIN)
            for talker in talkers:
                talker.guest.lines(20, start=talker.count)
                talker.count += 20
            time.sleep(0.05)
        if chance.random() < 0.5:
            rotate(host)
        daemon = kill_and_start_again(host, daemon, talkers, xen, signal.SIGKILL, chance)
    tty_of(daemon, twin)
    guest.flush(PATIENCE)
    twins = guest.status()["written"] // len(TWIN)
    until(lambda: whole_log(host, "guest-old.log").count(TWIN) == twins, "all of the twin's")
    talkers[0].guest.lines(1, start=talkers[0].count)
    talkers[0].count += 1
    assert count_lines(host, talkers, xen, times, "killed in the midst of life") == (0, 0, 0)
    assert whole_log(host, "guest-old.log").count(TWIN) == guest.status()["written"] // len(TWIN)
