# SPDX-License-Identifier: GPL-2.0-only
"""Programs that were made for serial lines, each at a console's tty, on this kernel and as on an old one."""

import fcntl
import sys
import termios

import pytest

from faultlib import preload
from helpers import PATIENCE, Reader, numbered, serve, set_patience, tty_of, typed, typed_last
from hostlib import may_administrate
from seatlib import PROGRAMS, Conserver, all_gone, device, seat

ATTACHES = 20  # a loss of 30 % passes once in a thousand times
SLOW = ("conserver_device", "conserver_exec")  # these never type sooner than a fifth of a second after they attach
OLD_KERNEL = preload("old-readv")
EXCLUSIVE = pytest.mark.skipif(not may_administrate(), reason="who has a terminal for itself (TIOCEXCL) leaves it so, and"
                               " the next one needs CAP_SYS_ADMIN")


def serve_an_old_kernel(host):
    daemon = host.start_daemon(env=OLD_KERNEL)
    domain = host.create()
    return daemon, domain, domain.guest()


# -- real programs ------------------------------------------------------------------------------


def sessions(host, daemon, domain, guest, program, count):
    """One after the other types at once, works both ways, is killed, and the next one comes."""
    tty = tty_of(daemon, domain)
    text = b""
    for number in range(count):
        line = f"{program} {number}\r"
        with seat(program, host, domain, tty, line) as terminal:
            text += line.encode()
            typed(guest, text)
            if number in (0, count - 1):
                guest.print(f"to number {number}\n")
                terminal.expect(f"to number {number}", PATIENCE)
                paste = numbered(512, 1000 * number).replace(b"\n", b"\r")
                terminal.write(paste, PATIENCE)
                text += paste
                typed(guest, text)
    typed_last(guest, tty, text)


ALL = [pytest.param(name, marks=EXCLUSIVE if name == "screen" else ()) for name in PROGRAMS]


@pytest.mark.parametrize("program", ALL)
def test_program(host, program):
    sessions(host, *serve(host), program, 3 if program in SLOW else ATTACHES)


@pytest.mark.parametrize("program", ALL)
def test_program_on_an_old_kernel(host, program):
    sessions(host, *serve_an_old_kernel(host), program, 2)


def test_two_at_one_conserver(host):
    """Both see the console, and either may type in its turn."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    with all_gone(host):
        conserver = Conserver(host, device(tty))
        first = conserver.client(text="first\r")
        typed(guest, b"first\r")
        second = conserver.client("-f", text="second\r")
        typed(guest, b"first\rsecond\r")
        guest.print("to both\n")
        for terminal in first, second:
            terminal.expect("to both\n", PATIENCE)
        first.write("\x05cf", PATIENCE)  # what conserver calls forcing an attach
        first.expect("[bumped root", PATIENCE)
        first.write("third\r", PATIENCE)
        typed(guest, b"first\rsecond\rthird\r")
    typed_last(guest, tty, b"first\rsecond\rthird\r")


@pytest.mark.parametrize("program", ALL)
def test_patience_left_behind(host, program):
    """One who reads no less than a hundred bytes at a time has gone: the next one sees a prompt all the same."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    set_patience(tty, 100, 0)
    with seat(program, host, domain, tty, "first\r") as terminal:
        typed(guest, b"first\r")
        guest.print("login: ")
        terminal.expect("login: ", PATIENCE)


@EXCLUSIVE
def test_left_exclusive(host):
    """Root opens it all the same."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    with Reader(tty) as reader:
        fcntl.ioctl(reader.fd, termios.TIOCEXCL)
    with seat("xenconsole", host, domain, tty, "first\r"):
        typed(guest, b"first\r")
    typed_last(guest, tty, b"first\r")


# -- old kernels --------------------------------------------------------------------------------

READ_PACKETS = """
import fcntl, os, struct, termios, tty
master, slave = os.openpty()
tty.setraw(slave)
fcntl.ioctl(master, termios.TIOCPKT, struct.pack("i", 1))
os.write(slave, b"typed")
head, rest = bytearray(1), bytearray(100)
count = os.readv(master, [head, rest])
print(bytes(head + rest)[:count])
"""


def test_old_kernel_is_old(host):
    """What stands in for one does what it should: a status byte before each segment."""
    old = [f"{name}={value}" for name, value in OLD_KERNEL.items()]
    assert eval(host.command(sys.executable, "-c", READ_PACKETS).stdout) == b"\0typed"
    assert eval(host.command("env", *old, sys.executable, "-c", READ_PACKETS).stdout) == b"\0\0typed"
