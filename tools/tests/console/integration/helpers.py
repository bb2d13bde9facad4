# SPDX-License-Identifier: GPL-2.0-only
"""What the integration tests share, on top of hostlib.

PATIENCE is how long anything may take before a test gives up: generous, since sanitizer builds on a
loaded machine are slow, and free, since nothing that works takes long. The environment may say
otherwise, for those who expect a test to fail.
"""

import contextlib
import os
import re
import select
import signal
import subprocess
import termios
import time

from hostlib import XENCONSOLED, Timeout, guest_line, wait_for

PATIENCE = int(os.environ.get("PATIENCE", 30))


def until(predicate, what):
    """wait_for() with PATIENCE."""
    return wait_for(predicate, PATIENCE, what)


def condition(daemon):
    """For whoever waited for the daemon in vain: is it up, what has it said, and where do its threads stand? The last
    only where there is a gdb."""
    if not daemon.running():
        return f"the daemon has ended with {daemon.popen.returncode}, and said:\n{daemon.output}"
    threads = ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        threads = subprocess.run(["gdb", "-nx", "-batch", "-p", str(daemon.pid), "-ex", "thread apply all backtrace"],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE).stdout
    return f"the daemon is up, and said:\n{daemon.output}{threads}"


def tty_of(daemon, domain, console=0):
    """Wait until daemon serves the console, and return its tty.

    A node may be a predecessor's, and the pty that it names may be another test's by now; so the
    daemon must hold it.
    """
    c = domain.console(console)

    def served():
        info, tty = c.info(), c.tty
        held = info["status"] == "interdomain" and info["pins"] >= 1
        a_pty = (tty or "").startswith("/dev/pts/")  # not what somebody hostile has written there
        return tty if held and a_pty and daemon.has_open(tty) else None

    return until(served, lambda: f"{domain} to be served; tty {c.tty!r}, {c.info()}; {condition(daemon)}")


def serve(host, *args, mode="old", guest=(), **options):
    """A daemon with args, a domain with options, and its guest: all at work."""
    daemon = host.start_daemon(*args)
    domain = host.create(**options)
    program = domain.guest(mode=mode, **dict(guest))
    tty_of(daemon, domain)
    return daemon, domain, program


def numbered(count, start=0, width=64):
    """What Guest.lines() prints."""
    return b"".join(guest_line(n, width) for n in range(start, start + count))


def logged(host, name, text):
    """Wait until text is in that guest's log."""
    if isinstance(text, str):
        text = text.encode()
    until(lambda: text in host.guest_log(name),
          lambda: f"{text[:80]!r} in the log of {name}, which has {host.guest_log(name)[-200:]!r}")


def log_is(host, name, text):
    """Wait until that guest's log has grown to text's length, and compare."""
    until(lambda: len(host.guest_log(name)) >= len(text),
          lambda: f"{len(text)} bytes in the log of {name}, which has {len(host.guest_log(name))};"
                  f" gaps: {re.findall(rb'.xenconsoled: .*', host.guest_log(name))}")
    same(host.guest_log(name), text)


def same(got, expected):
    """Compare bytes, and say where they differ in a line instead of a megabyte."""
    if got == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
              min(len(got), len(expected)))
    raise AssertionError(f"{len(got)} bytes instead of {len(expected)}, different from {at} on:"
                         f" {got[at - 40 if at > 40 else 0:at + 40]!r}"
                         f" instead of {expected[at - 40 if at > 40 else 0:at + 40]!r}")


class Reader:
    """A program that has a console's tty open and is not xenconsole: virsh, vncterm, conserver."""

    def __init__(self, tty):
        self.fd = os.open(tty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.received = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def read(self, most=1 << 20):
        """What there is now, at most so much; none if the other side has gone."""
        got = b""
        while len(got) < most:
            try:
                piece = os.read(self.fd, min(65536, most - len(got)))
            except (BlockingIOError, OSError):
                break
            if not piece:
                break
            got += piece
        self.received += got
        return got

    def expect(self, text):
        if isinstance(text, str):
            text = text.encode()
        until(lambda: self.read() is not None and text in self.received,
              lambda: f"{text[:80]!r} at the reader, which got {bytes(self.received[-200:])!r}")

    def take(self, count):
        """Read until so many bytes have come."""
        end = time.monotonic() + PATIENCE
        while len(self.received) < count:
            if not self.read():
                select.select([self.fd], [], [], 0.2)
            if time.monotonic() > end:
                raise Timeout(f"the reader got {len(self.received)} of {count} bytes")
        return bytes(self.received)

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        end = time.monotonic() + PATIENCE
        while data:
            try:
                data = data[os.write(self.fd, data):]
            except BlockingIOError:
                select.select([], [self.fd], [], 0.2)
            if time.monotonic() > end:
                raise Timeout(f"the tty took no more, {len(data)} bytes left")


def typed(guest, text):
    """Wait until the guest has got text, and nothing else."""
    until(lambda: len(guest.input) >= len(text) or not text.startswith(guest.input),
          lambda: f"{len(text)} bytes of input, there are {len(guest.input)}: {guest.input[-80:]!r}")
    same(guest.input, text)


def typed_last(guest, tty, text):
    """The same, and nothing lies in wait: it would come before what one types who comes now."""
    with Reader(tty) as reader:
        reader.write("last\r")
        typed(guest, text + b"last\r")


def set_modes(reader, change):
    """Have change() edit the modes, a list as of tcgetattr(), and set them at once."""
    modes = termios.tcgetattr(reader.fd)
    change(modes)
    termios.tcsetattr(reader.fd, termios.TCSANOW, modes)


def set_patience(tty, vmin, vtime):
    """How many bytes a read waits for, and for how long."""
    def change(modes):
        modes[6][termios.VMIN], modes[6][termios.VTIME] = vmin, vtime

    with Reader(tty) as reader:
        set_modes(reader, change)


def let_pass(seconds):
    """For what the daemon itself decides by the clock. Nothing else is to be waited for in this way."""
    since = time.monotonic()
    until(lambda: time.monotonic() - since > seconds, f"{seconds} s to pass")


def converse(host, daemon, domain, guest, word):
    """Both directions work: a line of output reaches the log, one of input the guest."""
    tty = tty_of(daemon, domain)
    guest.print(f"{word}, says the guest\n")
    logged(host, domain.name, f"{word}, says the guest\n")
    with Reader(tty) as reader:
        reader.write(f"{word}, says the reader\n")
        until(lambda: guest.input.endswith(f"{word}, says the reader\n".encode()),
              lambda: f"input, has {guest.input[-100:]!r}")


REPORT = re.compile(
    r"(?P<vuart>vuart )?console of domain (?P<domid>\d+)(?: \((?P<name>.*)\))?: "
    r"state (?P<state>[\w-]+), flag (?P<flag>\d+|not mapped)(?: \(\w+\))?, tty (?P<tty>\S+), "
    r"bytes out (?P<out>\d+), in (?P<in_>\d+), dropped (?P<dropped>\d+), "
    r"buffered (?P<buffered>\d+), log queue (?P<queue>\d+), log dropped (?P<log_dropped>\d+)")
HEADER = re.compile(r"(\d+) domains, (\d+) consoles served")


def report(daemon, domain, vuart=False):
    """What SIGUSR1 makes the daemon say of a console: {"state", "flag", "tty", "out", "in_",
    "dropped", "buffered", "queue", "log_dropped", "name"}, numbers as int."""
    before, asked = len(daemon.output), 0

    def line():
        nonlocal asked
        if time.monotonic() - asked > PATIENCE / 6:  # again, since it may not have known the domain yet
            asked = time.monotonic()
            daemon.signal(signal.SIGUSR1)
        said = daemon.output[before:]
        if not said.endswith("\n"):
            return None
        for match in REPORT.finditer(said):
            if int(match["domid"]) == domain.domid and bool(match["vuart"]) == vuart:
                return match.groupdict()
        return None

    found = until(line, lambda: f"a report of {domain} among:\n{daemon.output[before:]}")
    return {k: int(v) if v and v.isdigit() else v for k, v in found.items()}


def one_shot(host, *args, check=True):
    """Run `xenconsoled --disconnect` or the like to its end."""
    return host.command(XENCONSOLED, f"--log-dir={host.log_dir}", *args, own_run=True, check=check)


def settle(daemon):
    """Wait until all that was signalled before has been dealt with: the daemon has answered."""
    before = len(HEADER.findall(daemon.output))
    daemon.signal(signal.SIGUSR1)
    until(lambda: len(HEADER.findall(daemon.output)) > before, "an answer to SIGUSR1")


def memory(daemon):
    """Resident bytes of its own: all but the guests' pages and the stand-in hypervisor's state."""
    total, counts = 0, False
    with open(f"/proc/{daemon.pid}/smaps", encoding="utf-8") as lines:
        for line in lines:
            if re.match("[0-9a-f]+-[0-9a-f]+ ", line):
                path = line.split(None, 5)[5].strip() if len(line.split(None, 5)) > 5 else ""
                counts = not path.startswith((f"{daemon.host.dir}/pages", f"{daemon.host.dir}/state"))
            elif line.startswith("Rss:") and counts:
                total += int(line.split()[1]) * 1024
    return total
