# SPDX-License-Identifier: GPL-2.0-only
"""A log directory that is full, read-only, gone, replaced, or does not answer: consoles go on, it is
said once when it begins and once when it ends, the log resumes by itself, and in it stands what is
missing, to the byte."""

import errno
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest

from faultlib import SILENT, STALLED, Endless, Faults, remount, start_within, within
from helpers import (PATIENCE, Reader, converse, log_is, logged, numbered, report, same,
                     serve, settle, tty_of, until)

MARK = re.compile(rb"\n?\[xenconsoled: (\d+) bytes of output lost from (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)"
                  rb" to (?:(\d{4}-\d\d-\d\d) )?(\d\d:\d\d:\d\d): [^]]*\]\n")


def account(log, whole, since):
    """The log is whole but for gaps, each with a mark that counts it and tells its times, since then:
    the number of bytes missing."""
    at = told = missing = 0
    while at < len(log):
        kept = len(os.path.commonprefix([log[at:], whole[told:]]))
        at += kept
        told += kept
        if at == len(log):
            break
        mark = MARK.match(log, at)
        assert mark, f"no mark at {at}: {log[at - 80:at + 80]!r}"
        day, clock, other_day, other_clock = (part and part.decode() for part in mark.groups()[1:])
        first, last = f"{day} {clock}", f"{other_day or day} {other_clock}"
        assert since <= first <= last <= now(), mark[0]
        at = mark.end()
        told += int(mark[1])
        missing += int(mark[1])
    assert told == len(whole), f"{told} bytes accounted for, of {len(whole)}"
    return missing


def now():
    return time.strftime("%Y-%m-%d %H:%M:%S")


def lines_about(daemon, *words):
    return [line for line in daemon.output.splitlines() if any(word in line for word in words)]


def flood(guest, start=0, count=8000):
    """More than a log's queue takes."""
    guest.lines(count, start=start)
    guest.flush(2 * PATIENCE)


def resume(read, guest, start):
    """Numbered lines after a gap, until the log goes on, and one more; the number after the last. The first ones may
    still become part of the gap, while its mark is being written."""
    count = start

    def goes_on():
        nonlocal count
        log = read()
        if any(numbered(1, start=n) in log for n in range(start, count)):
            return True
        guest.lines(1, start=count)
        count += 1
        return False

    until(goes_on, "the log to go on")
    guest.lines(1, start=count)
    until(lambda: numbered(1, start=count) in read(), "the next line")
    return count + 1


# -- the disk fails, or does not answer -----------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO],
                         ids=errno.errorcode.get)
def test_disk_fails(host, error):
    """Whatever it is: two messages for all logs, and to the byte what each has lost."""
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=guest", wait=False, env=faults.env)
        domains = [host.create(name=f"web-{n}") for n in range(3)]
        guests = [domain.guest(chunk=512, trusting=True) for domain in domains]
        for domain, guest in zip(domains, guests):
            tty_of(daemon, domain)
            guest.lines(100)
            log_is(host, domain.name, numbered(100))
        faults.disk(error)
        since = now()
        for domain, guest in zip(domains, guests):
            flood(guest, start=100)
            assert guest.status()["unnoticed"] == 0
        for domain in domains:
            until(lambda: report(daemon, domain)["log_dropped"] > 0, "a full queue")
        faults.disk(0)
        for domain, guest in zip(domains, guests):
            until(lambda: report(daemon, domain)["queue"] == 0, "the queue to be written")
            count = resume(lambda: host.guest_log(domain.name), guest, 8100)
            missing = account(host.guest_log(domain.name), numbered(count), since)
            assert missing == report(daemon, domain)["log_dropped"] > 0
        until(lambda: lines_about(daemon, "written again"), "the end to be said")
        told = lines_about(daemon, str(host.log_dir))
        assert len(told) == 2 and os.strerror(error) in told[0], told


def test_disk_stalls(host):
    """A write that does not return holds up nobody: not consoles, not a SIGHUP, not other guests'
    first lines; what the queue held is not lost, and what it did not is counted."""
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=guest", env=faults.env)
        domain = host.create(name="web")
        guest = domain.guest(chunk=512, trusting=True)
        tty = tty_of(daemon, domain)
        faults.disk(STALLED)
        guest.print("begin\n")
        until(lambda: faults.stalled, "a write to be stuck")
        flood(guest)
        with Reader(tty) as reader:
            reader.expect(numbered(1, start=7999))
            reader.write("typed\n")
            until(lambda: guest.input == b"typed\n", "the input")
        daemon.signal(signal.SIGHUP)
        other = host.create(name="other")
        others = other.guest()
        with Reader(tty_of(daemon, other)) as reader:
            others.print("hello\n")
            reader.expect("hello\n")
        until(lambda: lines_about(daemon, "does not answer") or guest.print("on\n"), "it to be said")
        dropped = report(daemon, domain)["log_dropped"]
        assert dropped > 0 and guest.status()["unnoticed"] == 0
        faults.disk(0)
        logged(host, "other", "hello\n")
        until(lambda: report(daemon, domain)["queue"] == 0, "the queue to be written")
        until(lambda: host.guest_log("web").endswith(b"goes on\n") or guest.print("goes on\n"), "the log")
        converse(host, daemon, domain, guest, "again")
        until(lambda: lines_about(daemon, "answers again"), "the end to be said")
        assert len(lines_about(daemon, "does not answer", "answers again")) == 2, daemon.output
        log = host.guest_log("web")
        assert log.startswith(b"begin\n" + numbered(2000))
        assert sum(int(m[1]) for m in MARK.finditer(log)) == report(daemon, domain)["log_dropped"]


@pytest.mark.parametrize("state", [STALLED, errno.ENOSPC], ids=["stalled", "full"])
def test_stop_while_the_disk_fails(host, state):
    """A stop does not wait for it; what is not written is there for the next daemon."""
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=guest", env=faults.env)
        domain = host.create(name="web")
        guest = domain.guest()
        tty_of(daemon, domain)
        faults.disk(state)
        guest.lines(100)
        guest.flush(PATIENCE)
        assert daemon.stop(PATIENCE) == 0
    host.start_daemon("--log=guest")
    log_is(host, "web", numbered(100))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_replaced_while_the_disk_is_dead(host, number):
    """A write that not even the end of the process interrupts keeps that from ending, but no successor
    from serving: not by the lock, not by ports that are held."""
    with Faults(host) as faults:
        no_leaks = f"{faults.env['ASAN_OPTIONS']}:detect_leaks=0"  # it would wait for that thread
        daemon = host.start_daemon("--log=guest", env={**faults.env, "ASAN_OPTIONS": no_leaks})
        domain = host.create(name="web")
        guest = domain.guest()
        tty_of(daemon, domain)
        faults.disk(STALLED)
        guest.lines(100)
        guest.flush(PATIENCE)
        until(lambda: faults.stalled, "a write to be stuck")
        with Endless(daemon, "log-writer"):
            daemon.signal(number)
            until(lambda: daemon._stat()[0] == "Z", "its first thread to end")
            successor = host.start_daemon("--log=guest")
            log_is(host, "web", numbered(100))
            converse(host, successor, domain, guest, "on")
            assert daemon.running()
        assert daemon.wait(PATIENCE) == 0


def test_systemd_does_not_wait_for_a_dead_disk(host):
    """The service's main process ends, and with it the service, when the daemon has let go of all."""
    with Faults(host) as faults:
        no_leaks = f"{faults.env['ASAN_OPTIONS']}:detect_leaks=0"
        service = host.start_daemon("--log=guest", env={**faults.env, "ASAN_OPTIONS": no_leaks,
                                                        "NOTIFY_SOCKET": f"{host.dir}/nobody-listens"})
        main = Path(f"/proc/{service.pid}/task/{service.pid}")
        until(lambda: (main / "comm").read_text() == "xenconsole-keep\n", "the daemon")
        daemon = host.adopt(int((main / "children").read_text()))
        domain = host.create(name="web")
        guest = domain.guest()
        tty_of(daemon, domain)
        faults.disk(STALLED)
        guest.lines(100)
        until(lambda: faults.stalled, "a write to be stuck")
        with Endless(daemon, "log-writer"):
            service.signal(signal.SIGUSR2)
            assert service.wait(PATIENCE) == 0
            assert daemon.running()
            host.start_daemon("--log=guest")
            log_is(host, "web", numbered(100))
        until(lambda: not daemon.running(), "the daemon to end at last")


def test_file_size_limit(host):
    """What ulimit -f does: no signal ends the daemon, and when there is room the log goes on."""
    daemon, domain, guest = serve(host, "--log=guest", name="web", guest={"chunk": 512})
    was = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (20000, was[1]))
    guest.lines(1000)
    guest.flush(PATIENCE)
    until(lambda: lines_about(daemon, "File too large"), "it to be said")
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, was)
    log_is(host, "web", numbered(1000))
    converse(host, daemon, domain, guest, "on")


# -- a real file system ---------------------------------------------------------------------------


def content(host, daemon, path):
    return within(host, daemon, "cat", path, check=False).stdout.encode()


def test_full_file_system(host):
    """The last bytes that fit are kept, the gap is marked, and a file cut by a full disk in the middle
    of a line goes on on a line of its own."""
    daemon = start_within(host, "mkdir /run/logs; mount -t tmpfs -o size=68k none /run/logs",
                          "--log=guest", "--log-dir=/run/logs")
    domain = host.create(name="web")
    guest = domain.guest(chunk=512)
    tty_of(daemon, domain)
    since = now()
    flood(guest)
    until(lambda: report(daemon, domain)["log_dropped"] > 0, "a full queue")
    remount(host, daemon, "/run/logs", "size=4m")
    until(lambda: report(daemon, domain)["queue"] == 0, "the queue to be written")
    log = "/run/logs/guest-web.log"
    count = resume(lambda: content(host, daemon, log), guest, 8000)
    missing = account(content(host, daemon, log), numbered(count), since)
    assert missing == report(daemon, domain)["log_dropped"]
    until(lambda: lines_about(daemon, "written again"), "the end to be said")
    assert len(lines_about(daemon, "/run/logs")) == 2, daemon.output


def test_read_only(host):
    """From the start: nothing is lost that the queue could hold."""
    daemon = start_within(host, "mkdir /run/logs; mount -t tmpfs -o ro none /run/logs",
                          "--log=guest", "--log-dir=/run/logs")
    domain = host.create(name="web")
    guest = domain.guest()
    tty_of(daemon, domain)
    guest.lines(1000)
    guest.flush(PATIENCE)
    until(lambda: lines_about(daemon, "Read-only"), "it to be said")
    remount(host, daemon, "/run/logs", "rw")
    until(lambda: content(host, daemon, "/run/logs/guest-web.log") == numbered(1000), "the log")
    until(lambda: lines_about(daemon, "written again"), "the end to be said")
    assert len(lines_about(daemon, "/run/logs")) == 2, daemon.output


# -- a directory that goes and comes --------------------------------------------------------------


def test_directory_vanishes(host):
    """Deleted with all that is in it: when there is one again the logs are, and they own up to what
    went into deleted files."""
    daemon, domain, guest = serve(host, "--log=guest", name="web")
    guest.print("one\n")
    logged(host, "web", "one\n")
    shutil.rmtree(host.log_dir)
    guest.print("two\n")
    until(lambda: lines_about(daemon, str(host.log_dir)), "it to be said")
    guest.print("three\n")
    host.log_dir.mkdir()
    logged(host, "web", "three\n")
    converse(host, daemon, domain, guest, "on")
    assert b"bytes of output lost" in host.guest_log("web") or host.guest_log("web").startswith(b"two\n")
    until(lambda: lines_about(daemon, "written again"), "the end to be said")
    assert len(lines_about(daemon, str(host.log_dir))) == 2, daemon.output


def test_directory_replaced(host):
    """Another one takes its name: the logs move to it by themselves."""
    daemon, domain, guest = serve(host, "--log=guest", name="web")
    guest.print("one\n")
    logged(host, "web", "one\n")
    aside = host.dir / "aside"
    host.log_dir.rename(aside)
    host.log_dir.mkdir()
    until(lambda: host.guest_log("web") or guest.print("two\n"), "the log in the new one")
    converse(host, daemon, domain, guest, "on")
    both = (aside / "guest-web.log").read_bytes() + host.guest_log("web")
    assert both.startswith(b"one\ntwo\n") and both.endswith(b"two\non, says the guest\n")
    assert guest.status()["written"] == len(both)


# -- rotation -------------------------------------------------------------------------------------


def rotated(host):
    """All there is of the log, oldest first."""
    parts = sorted(host.log_dir.glob("guest-web.log.*"), key=lambda p: int(p.suffix[1:]))
    return b"".join(p.read_bytes() for p in [*parts, host.log_dir / "guest-web.log"] if p.exists())


class Talker:
    """Says numbered lines, more whenever it is asked."""

    def __init__(self, guest):
        self.guest, self.count = guest, 0

    def more(self):
        self.guest.lines(500, start=self.count)
        self.count += 500


@pytest.mark.parametrize("hup", [True, False], ids=["SIGHUP", "unasked"])
def test_rotated_under_load(host, hup):
    """Moved aside again and again while lines come: each line is in one of the files, whole, once; with
    no SIGHUP too, when the log is found to have moved."""
    daemon, domain, guest = serve(host, "--log=guest", name="web", guest={"chunk": 64})
    log = host.log_dir / "guest-web.log"
    talker = Talker(guest)
    for number in range(5 if hup else 2):
        until(lambda: log.exists() and log.stat().st_size or talker.more(), "a log")
        log.rename(host.log_dir / f"guest-web.log.{number}")
        talker.more()
        if hup:
            daemon.signal(signal.SIGHUP)
    until(lambda: log.exists() and log.stat().st_size or talker.more(), "a log")
    guest.flush(2 * PATIENCE)
    until(lambda: len(rotated(host)) == talker.count * 64, "all of it")
    same(rotated(host), numbered(talker.count))


def test_copytruncate_under_load(host):
    """Cut again and again: what is in the log is what came since, with no hole, and every line whole."""
    daemon, domain, guest = serve(host, "--log=guest", name="web", guest={"chunk": 64})
    log = host.log_dir / "guest-web.log"
    talker = Talker(guest)
    for _ in range(5):
        until(lambda: log.exists() and log.stat().st_size or talker.more(), "some log")
        os.truncate(log, 0)
        talker.more()
    guest.flush(2 * PATIENCE)
    logged(host, "web", numbered(1, start=talker.count - 1))
    lines = log.read_bytes().splitlines(keepends=True)[1:]
    first = int(lines[0][:10])
    same(b"".join(lines), numbered(talker.count - first, start=first))


def test_storm_of_hangups(host):
    """They cost what one costs: neither a line, nor the console's time."""
    daemon, domain, guest = serve(host, "--log=guest", name="web", guest={"chunk": 64})
    guest.lines(20000)
    for number in range(3000):
        daemon.signal(signal.SIGHUP)
    guest.flush(2 * PATIENCE)
    log_is(host, "web", numbered(20000))
    settle(daemon)
    assert lines_about(daemon, "cannot") == []
    converse(host, daemon, domain, guest, "on")


@pytest.mark.parametrize("moved", ["", ".1"], ids=["stays", "rotated"])
def test_killed_between_a_write_and_the_note_of_it(host, moved):
    """What the log has of it is not written again, nor if the log was rotated before anybody could look."""
    first, second, third = numbered(100), numbered(100, start=100), b"and on\n"
    place = host.log_dir / "guest-web.log"
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=guest", wait=False, env=faults.env)
        domain = host.create(name="web")
        guest = domain.guest(chunk=512)
        tty_of(daemon, domain)
        guest.print(first)
        log_is(host, "web", first)
        faults.disk(SILENT)
        guest.print(second)
        until(lambda: len(host.guest_log("web")) > len(first), "the write")
        daemon.kill()
    if moved:
        place.rename(f"{place}{moved}")
    host.start_daemon("--log=guest", wait=False)
    guest.print(third)
    until(lambda: host.guest_log("web").endswith(third), "the log to go on")
    assert (place.with_name(f"{place.name}.1").read_bytes() if moved else b"") + host.guest_log("web") \
        == first + second + third


# -- the hypervisor's log ---------------------------------------------------------------------------


def test_hypervisor_floods_a_stuck_log(host):
    """Its queue is bounded like a guest's: the rest stays in Xen's ring, where the oldest goes, and that
    is marked."""
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=all", wait=True, env=faults.env)
        host.hypervisor_print("(XEN) first\n")
        until(lambda: b"first\n" in host.hypervisor_log(), "the hypervisor's log")
        faults.disk(STALLED)
        lines = [f"(XEN) line {n:06} {'x' * 40}\n" for n in range(12000)]
        before = daemon.anon()
        for at in range(0, len(lines), 200):
            host.hypervisor_print("".join(lines[at:at + 200]))
        settle(daemon)
        assert daemon.anon() - before < 1 << 20
        port, = (p for p in host.ports() if p["pid"] == daemon.pid and p["status"] == "virq")
        assert port["masked"]  # until there is room, no event of Xen's takes the loop's time
        faults.disk(0)
        host.hypervisor_print("(XEN) last\n")
        until(lambda: host.hypervisor_log().endswith(b"(XEN) last\n"), "the log to go on")
        log = host.hypervisor_log()
        whole = "".join(["(XEN) first\n", *lines, "(XEN) last\n"]).encode()
        gaps = [int(n) for n in re.findall(rb"(\d+) bytes of Xen's console ring lost", log)]
        marked = sum(len(m) for m in re.findall(rb"\n?\[xenconsoled: [^]]*\]\n", log))
        assert gaps and len(log) - marked + sum(gaps) in range(len(whole) - len(gaps), len(whole) + 1)
