# SPDX-License-Identifier: GPL-2.0-only
"""What the distribution's xenconsoled does wrong, and this daemon does not.

Each test runs twice: against our daemon, which must pass, and against the distribution's, which must
fail, and at the very point that the test is about: only judge() may raise Fault, and nothing but a
Fault is an expected failure. So each test is known to bite, and a test that stops noticing the fault,
like a distribution that has mended it, is reported.
"""

import contextlib
import os
import re
import resource
import signal
import termios

import pytest

from faultlib import Faults, remount, start_within, within
from helpers import PATIENCE, Reader, numbered, until
from hostlib import DISCONNECTED, Timeout, wait_for

INCUMBENT_HAS = 3  # seconds for the incumbent to do right, which it never does


class Fault(AssertionError):
    """The misbehaviour that a test is about."""


class Candidate:
    """A daemon under test: ours, or the incumbent."""

    def __init__(self, host, incumbent):
        self.host = host
        self.incumbent = incumbent
        self.daemon = None

    def start(self, *args, preparation=":", **options):
        self.daemon = start_within(self.host, preparation, "--log=guest",
                                   f"--log-dir={self.host.log_dir}", *args,
                                   incumbent=self.incumbent, **options)
        return self.daemon

    def start_timeless(self, faults):
        """For a clock that will be stopped: that would never renew the share of processor time, which ours
        may have overdrawn as it started."""
        return self.start(*[] if self.incumbent else ["--cpu-share=100"], env=faults.env)

    def serve(self, **options):
        """A domain, served, and its guest."""
        domain = self.host.create(**options)
        self.daemon.ready(domain, deadline=PATIENCE)
        return domain, domain.guest(chunk=512)

    def judge(self, predicate, what):
        """What the incumbent fails at."""
        try:
            wait_for(predicate, INCUMBENT_HAS if self.incumbent else PATIENCE, what)
        except Timeout as error:
            raise Fault(str(error)) from None

    def judge_log(self, name, text):
        """What is in that guest's log in the end."""
        log = self.host.guest_log
        self.judge(lambda: log(name) == text,
                   lambda: f"the log of {name} to be {text!r}, has {log(name)!r}")

    def logged(self, name, text):
        """What both manage."""
        until(lambda: text in self.host.guest_log(name), f"{text!r} in the log of {name}")


BOTH = [pytest.param(False, id="ours"),
        pytest.param(True, id="incumbent", marks=pytest.mark.xfail(strict=True, raises=Fault))]


@pytest.fixture(params=BOTH)
def candidate(host, request):
    return Candidate(host, request.param)


STAMP = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] "


def served(domain):
    return domain.console().bound and os.path.exists(domain.console().tty or "")


def test_incumbent_01(host, candidate):
    """Whether a line has begun is known for each guest by itself."""
    candidate.start("--timestamp=all")
    (_, one), (_, two) = candidate.serve(name="one"), candidate.serve(name="two")
    one.print("half a line, ")
    candidate.logged("one", b"half a line, ")
    two.print("a whole one\n")
    candidate.logged("two", b"a whole one\n")
    one.print("and its end\n")
    candidate.logged("one", b"and its end\n")
    opened = STAMP + "Logfile Opened\n"
    for name, line in (("one", "half a line, and its end\n"), ("two", "a whole one\n")):
        candidate.judge(lambda: re.fullmatch((opened + STAMP + line).encode(), host.guest_log(name)),
                        lambda: f"one stamp for each line, not {host.guest_log(name)!r}")


def left_lying(domain, guest):
    """Whether what the guest has printed is not taken, three events on."""
    for _ in range(3):
        with contextlib.suppress(Timeout):
            wait_for(lambda: domain.console().out_used == 0, 0.5, "the daemon to take it", 0.001)
            return False
        guest.hostile("notify")
    return True


def test_incumbent_02(host, candidate):
    """A guest's last words: all that is in the ring when it dies. Time stands still, so that an
    allowance for what it may say is never renewed."""
    with Faults(host) as faults:
        candidate.start_timeless(faults)
        domain, guest = candidate.serve(name="web")
        faults.stop_clock()
        said = b""
        while len(said) < 2000 and not left_lying(domain, guest):
            line = b"line %d\n" % len(said)
            guest.print(line)
            guest.flush()
            said += line
        domain.kill()
        domain.wait_gone(PATIENCE)
        candidate.judge_log("web", said)


def test_incumbent_03(host, candidate):
    """A xenstored that does not answer stops nobody's console."""
    daemon = candidate.start()
    (domain, guest), (_, other) = candidate.serve(name="web"), candidate.serve(name="other")
    daemon.freeze()
    domain.console().set_node("limit", "65536")
    host.store.freeze()
    daemon.thaw()
    # The first ones may be taken before the event of that node is.
    for number in range(50):
        for name, program in (("web", guest), ("other", other)):
            program.print(f"line {number}\n")
            candidate.judge(lambda: host.guest_log(name).endswith(f"line {number}\n".encode()),
                            lambda: f"line {number} in the log of {name}")


def test_incumbent_04(host, candidate):
    """A restarted xenstored is found, and what comes to be in it."""
    daemon = candidate.start()
    domain, guest = candidate.serve(name="web")
    host.stop_store()
    host.start_store()
    guest.print("still there\n")
    candidate.logged("web", b"still there\n")
    new = host.create(name="new")
    candidate.judge(lambda: served(new), "the new domain to be served")
    assert "xenstored" in daemon.output


def test_incumbent_05(host, candidate):
    """A console for which there was no descriptor is served when there is one."""
    daemon = candidate.start()
    first, _ = candidate.serve(name="first")
    was = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (max(daemon.fds()) + 1, was[1]))
    domain = host.create(name="late")
    until(lambda: domain.console().pins, "the daemon to try")
    first.move_port()  # its event comes when all of late's have been dealt with
    until(lambda: first.console().bound, "the daemon to follow")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, was)
    candidate.judge(lambda: served(domain), "the domain to be served")


def test_incumbent_06(host, candidate):
    """A daemon that is told to stop tells its guests so. (Its tty nodes stay, and may come to name other ptys
    until there is a daemon again: HACKING, "A console's lifecycle", says why.)"""
    daemon = candidate.start()
    domain, _ = candidate.serve(name="web", old_builder=True)
    daemon.stop(PATIENCE)
    candidate.judge(lambda: domain.console().flag == DISCONNECTED, "the guest to be told")


def test_incumbent_06_reader(host, candidate):
    """And lets those read on who are reading."""
    daemon = candidate.start()
    domain, guest = candidate.serve(name="web")
    text = numbered(1000)
    with Reader(domain.console().tty) as reader:
        guest.lines(1000)
        guest.flush(PATIENCE)
        reader.read(64)
        daemon.signal(signal.SIGTERM)
        candidate.judge(lambda: reader.read() is not None and bytes(reader.received) == text,
                        lambda: f"all {len(text)} bytes to reach the reader, {len(reader.received)} did")
    daemon.wait(PATIENCE)


# -- 7: names -------------------------------------------------------------------------------------


def logs_below(directory):
    return [p for p in directory.rglob("*.log") if b"here\n" in p.read_bytes()]


def test_incumbent_07_path(host, candidate):
    """A name is a name, not a path."""
    (host.log_dir / "guest-pre").mkdir()
    candidate.start()
    domain, guest = candidate.serve(name="pre/../../x")
    guest.print("here\n")
    until(lambda: logs_below(host.dir), "a log somewhere")
    candidate.judge(lambda: [p.parent for p in logs_below(host.dir)] == [host.log_dir],
                    lambda: f"one log in {host.log_dir}, not {logs_below(host.dir)}")


def test_incumbent_07_symlink(host, candidate):
    """Logs do not go where somebody's link leads."""
    target = host.dir / "precious"
    target.write_bytes(b"untouched\n")
    (host.log_dir / "guest-web.log").symlink_to(target)
    daemon = candidate.start()
    domain, guest = candidate.serve(name="web")
    guest.print("here\n")
    with Reader(domain.console().tty) as reader:
        reader.expect("here\n")
    (host.log_dir / "guest-web.log").unlink()
    daemon.signal(signal.SIGHUP)
    until(lambda: b"and again\n" in host.guest_log("web") or guest.print("and again\n"), "the log")
    candidate.judge(lambda: target.read_bytes() == b"untouched\n", "the link's target to be as it was")


def test_incumbent_07_bytes(host, candidate):
    """File names are safe to print."""
    candidate.start()
    domain, guest = candidate.serve(name="a\x1b[31m\x01b")
    guest.print("here\n")
    until(lambda: logs_below(host.log_dir), "a log")
    name, = (p.name for p in logs_below(host.log_dir))
    candidate.judge(lambda: name.isascii() and name.isprintable(), f"a printable name, not {name!r}")


def test_incumbent_07_long(host, candidate):
    """A name that is too long for a file still has a log."""
    candidate.start()
    domain, guest = candidate.serve(name="x" * 300)
    guest.print("here\n")
    candidate.judge(lambda: logs_below(host.log_dir), "a log")


def test_incumbent_07_late(host, candidate):
    """A name that is known only after the console still names the log."""
    candidate.start()
    domain, guest = candidate.serve(name=None)
    guest.print("nameless\n")
    until(lambda: domain.console().out_used == 0, "it to be taken")  # a daemon that asks for a name has done so
    domain.rename("late")
    guest.print("here\n")
    candidate.judge(lambda: host.guest_log("late") or guest.print("here\n"), "a log of that name")


def test_incumbent_07_rename(host, candidate):
    """As a migration renames it: the log is that of its name."""
    candidate.start()
    domain, guest = candidate.serve(name="vm--incoming")
    guest.print("migrating\n")
    candidate.logged("vm--incoming", b"migrating\n")
    domain.rename("vm")
    candidate.judge(lambda: host.guest_log("vm") or guest.print("here\n"), "a log of its new name")


# -- 8, 9: files ----------------------------------------------------------------------------------


def test_incumbent_08(host, candidate):
    """A FIFO in a log's place stops nobody, not even the console whose log it is not."""
    os.mkfifo(host.log_dir / "guest-web.log")
    candidate.start()
    _, other = candidate.serve(name="other")
    domain = host.create(name="web")
    candidate.judge(lambda: served(domain), "the console to be served")
    other.print("on\n")
    candidate.judge_log("other", b"on\n")


def content(host, daemon, path):
    return within(host, daemon, "cat", path, check=False).stdout.encode()


def test_incumbent_09_full(host, candidate):
    """A full log directory is complained of once, and what is missing in the log is marked in it."""
    daemon = candidate.start("--log-dir=/run/small", preparation="mkdir /run/small;"
                             " mount -t tmpfs -o size=64k none /run/small")
    domain, guest = candidate.serve(name="web")
    guest.lines(10000)
    guest.flush(PATIENCE)
    until(lambda: "No space left" in daemon.output, "a complaint")
    remount(host, daemon, "/run/small", "size=4m")
    guest.print("room again\n")
    log = "/run/small/guest-web.log"
    until(lambda: b"room again\n" in content(host, daemon, log) or guest.print("room again\n"),
          "the log to go on")
    text = content(host, daemon, log)
    whole = numbered(10000)
    kept = len(os.path.commonprefix([text, whole]))
    candidate.judge(lambda: re.match(rb"\n?\[.*\b\d+ bytes\b.*\]\n", text[kept:]),
                    lambda: f"a mark, after {kept} bytes, not {text[kept:kept + 200]!r}")
    complaints = [line for line in daemon.output.splitlines() if "web" in line or "/run/small" in line]
    candidate.judge(lambda: len(complaints) <= 2, lambda: f"two messages, not {len(complaints)}")


def test_incumbent_09_read_only(host, candidate):
    """A log that cannot be opened is tried again."""
    daemon = candidate.start("--log-dir=/run/ro",
                             preparation="mkdir /run/ro; mount -t tmpfs -o ro none /run/ro")
    domain, guest = candidate.serve(name="web")
    guest.print("early\n")
    with Reader(domain.console().tty) as reader:
        reader.expect("early\n")
    remount(host, daemon, "/run/ro", "rw")
    candidate.judge(lambda: content(host, daemon, "/run/ro/guest-web.log").endswith(b"late\n")
                    or guest.print("late\n"), "the log")


# -- 10, 11, 12: bytes ----------------------------------------------------------------------------


def test_incumbent_10(host, candidate):
    """A guest's output does not come back to it as input, whatever mode a client leaves the tty in."""
    candidate.start()
    domain, guest = candidate.serve(name="web")
    with Reader(domain.console().tty) as reader:
        modes = termios.tcgetattr(reader.fd)
        modes[0] |= termios.ICRNL
        modes[3] |= termios.ECHO | termios.ICANON
        termios.tcsetattr(reader.fd, termios.TCSANOW, modes)
        guest.print("login: \n")
        reader.expect("login: ")
        modes[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(reader.fd, termios.TCSANOW, modes)
        reader.write("root\n")
        until(lambda: guest.input.endswith(b"root\n"), "what was typed")
    candidate.judge(lambda: guest.input == b"root\n", lambda: f"what was typed alone, not {guest.input!r}")


def test_incumbent_11(host, candidate):
    """A guest that sets out_cons back does not have its old output logged again."""
    candidate.start()
    domain, guest = candidate.serve(name="web")
    guest.print("said once\n")
    candidate.logged("web", b"said once\n")
    guest.hostile("rewind", "out_cons", 10)
    guest.print("and this\n")
    until(lambda: b"and this\n" in host.guest_log("web"), "the next line")
    candidate.judge(lambda: host.guest_log("web").count(b"said once\n") == 1,
                    lambda: f"it to be logged once: {host.guest_log('web')!r}")


def test_incumbent_12(host, candidate):
    """A paste waits for nothing but the guest: what the guest reads is not charged to an allowance for
    what it prints. Time stands still meanwhile, so that an allowance is never renewed."""
    with Faults(host) as faults:
        candidate.start_timeless(faults)
        domain, guest = candidate.serve(name="web")
        text = numbered(48)
        with Reader(domain.console().tty) as reader:
            faults.stop_clock()
            number = 0
            while number < 100 and not left_lying(domain, guest):  # an event each
                guest.print(f"{number}\n")
                number += 1
            guest.hold_input(True)
            reader.write(text)
            until(lambda: domain.console().in_used == 1024, "a full ring")
            guest.hold_input(False)
            candidate.judge(lambda: guest.input == text,
                            lambda: f"{len(text)} bytes in the guest, {len(guest.input)} came")
