# SPDX-License-Identifier: GPL-2.0-only
"""The programs with which people sit at a serial line, each at a console's tty.

    with seat("picocom", host, domain, tty, "root\\r") as terminal:    types that once it has the tty
        terminal.write("ls\\r")
        terminal.expect("README")

PROGRAMS says how each is started.  Whoever leaves does so by SIGKILL, with all that belongs to it; and one
sits at a time on each host, since what a program leaves behind is known by belonging to nobody else.
"""

import contextlib
import os
import signal
import socket
import sys
import tempfile

from helpers import until
from hostlib import HostError, Terminal, distribution

EXPECT = """
spawn -noecho -open [open $env(SEAT_TTY) r+]
send -- $env(SEAT_TEXT)
interact
"""

PYSERIAL = """
import os, select, serial, sys
line = serial.Serial(sys.argv[1])
line.write(sys.argv[2].encode())
while True:
    ready = select.select([0, line], [], [])[0]
    if 0 in ready:
        line.write(os.read(0, 4096))
    if line in ready:
        os.write(1, line.read(line.in_waiting))
"""

SCREENRC = """
startup_message off
deflogin off
screen {tty} 115200
stuff "{text}"
"""

CONSERVER = """
config * {{ sslrequired no; }}
access * {{ trusted 127.0.0.1; }}
default * {{ rw *; master 127.0.0.1; }}
console seat {{ {console} }}
"""


def expect(host, _, tty, text):
    return Terminal(host, ["expect", "-c", EXPECT], "expect", env={"SEAT_TTY": tty, "SEAT_TEXT": text})


def socat(host, _, tty, text):
    return Terminal(host, ["socat", "-", f"{tty},rawer"], "socat", text.encode())


def picocom(host, _, tty, text):
    return Terminal(host, ["picocom", "--quiet", "--initstring", text, tty], "picocom")


def pyserial(host, _, tty, text):
    return Terminal(host, [sys.executable, "-c", PYSERIAL, tty, text], "pyserial")


def xenconsole(_, domain, __, text):
    return domain.client(typed=text.encode())


class Screen(Terminal):
    """Typing that comes faster than the tty takes it screen drops, with a bell; what it pastes itself it does not."""

    def __init__(self, host, tty, text):
        self.room = tempfile.mkdtemp(prefix="screen.", dir=host.dir)  # screen insists on one for its owner alone
        with open(f"{self.room}/rc", "w", encoding="ascii") as rc:
            rc.write(SCREENRC.format(tty=tty, text=text.replace("\r", "\\015")))
        super().__init__(host, ["screen", "-c", f"{self.room}/rc"], "screen",
                         env={"SCREENDIR": self.room, "SYSSCREENRC": os.devnull, "TERM": "vt100"})

    def write(self, data, deadline=30):
        with open(f"{self.room}/paste", "wb") as file:
            file.write(data)
        for command in ("readreg", "p", file.name), ("paste", "p"):
            self.host.command("env", f"SCREENDIR={self.room}", "screen", "-X", *command, deadline=deadline)


def screen(host, _, tty, text):
    return Screen(host, tty, text)


class Conserver:
    """A conserver with one console, "seat", on a port of its own."""

    def __init__(self, host, console):
        self.host = host
        self.room = tempfile.mkdtemp(prefix="conserver.", dir=host.dir)
        (host.run / "conserver").mkdir(exist_ok=True)
        with open(f"{self.room}/cf", "w", encoding="ascii") as cf:
            cf.write(CONSERVER.format(console=console))
        with open(f"{self.room}/passwd", "w", encoding="ascii"):
            pass
        until(self._start, "a port for conserver")

    def _start(self):
        """A port that is free now may be somebody else's a moment later: then with another one."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        server = self.host.spawn("/usr/sbin/conserver", "-E", "-M", "127.0.0.1", "-p", self.port, "-C", f"{self.room}/cf",
                                 "-P", f"{self.room}/passwd", "-L", f"{self.room}/log", own_run=True)
        pid_file = self.host.run / "conserver/conserver.pid"  # written once it listens
        until(lambda: not server.running() or pid_file.read_text() == f"{server.pid}\n",
              lambda: f"conserver to listen: {server.output}")
        if not server.running():
            raise HostError(f"conserver: {server.output}")
        return True

    def client(self, *args, text=""):
        return Terminal(self.host, ["console", "-E", "-n", "-M", "127.0.0.1", "-p", self.port, "-l", "root",
                                    *args, "seat"], "console", text.encode())


def device(tty):
    return f"type device; device {tty}; baud 115200; parity none;"


def conserver_device(host, _, tty, text):
    return Conserver(host, device(tty)).client("-f", text=text)


def conserver_exec(host, domain, _, text):
    command = f"exec {distribution('xenconsole')} {domain.domid}"
    return Conserver(host, f'type exec; exec "{command}";').client("-f", text=text)


PROGRAMS = {program.__name__: program for program in (
    expect, socat, picocom, pyserial, screen, xenconsole, conserver_device, conserver_exec)}


@contextlib.contextmanager
def seat(program, *args):
    """Sit down: host, domain, tty, and what to type at once."""
    with all_gone(args[0]):
        yield PROGRAMS[program](*args)


@contextlib.contextmanager
def all_gone(host):
    """All that was started within this block is killed at its end."""
    before = len(host._processes)
    try:
        yield
    finally:
        for process in host._processes[before:]:
            process.kill()
        until(lambda: not kill_leftovers(host), lambda: f"{host.leftovers()} to be gone")


def kill_leftovers(host):
    """Those of a host: how many there were."""
    found = host.leftovers()
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(found)
