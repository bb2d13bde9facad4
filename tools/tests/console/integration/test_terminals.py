# SPDX-License-Identifier: GPL-2.0-only
"""Programs that were made for serial lines, and what they and their users do to a tty.

Whatever modes a client sets, and whenever it goes: what was typed reaches the guest, whole and in order, and
nothing else does, least of all what the guest itself has said.
"""

import fcntl
import os
import sys
import termios
import time
from pathlib import Path

import pytest

from faultlib import preload
from helpers import PATIENCE, Reader, numbered, same, serve, settle, tty_of, until
from seatlib import PROGRAMS, Conserver, all_gone, device, seat

ATTACHES = 20  # a loss of 30 % passes once in a thousand times
SLOW = ("conserver_device", "conserver_exec")  # these never type sooner than a fifth of a second after they attach
OLD_KERNEL = preload("old-readv")
FOR_EVER = 1 << 30  # lines
NOT_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that to a terminal")


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


# screen wants to give its own terminal to its user, which it cannot where others have no number.
ALL = [pytest.param(name, marks=NOT_ROOT if name == "screen" else ()) for name in PROGRAMS]


@pytest.mark.parametrize("program", ALL)
def test_program(host, program):
    sessions(host, *serve(host), program, 3 if program in SLOW else ATTACHES)


@pytest.mark.parametrize("program", ALL)
def test_program_on_an_old_kernel(host, program):
    sessions(host, *serve_an_old_kernel(host), program, 2)


def test_two_at_one_conserver(host):
    """Both see the console, and either may type when it is his turn."""
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


# -- who types at once, by recipe ---------------------------------------------------------------------


def with_expect(host, tty, text):
    host.command("expect", "-c", f'spawn -open [open {tty} r+]; send "{text}"; exit')


def with_socat(host, tty, text):
    host.command("socat", "-t0.2", "-", f"{tty},rawer", input=text)


def cook(modes):
    """As stty sane."""
    modes[0] |= termios.BRKINT | termios.ICRNL | termios.IXON
    modes[1] |= termios.OPOST | termios.ONLCR
    modes[3] = (termios.ISIG | termios.ICANON | termios.IEXTEN |
                termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHOCTL)


def strip(modes):
    """Raw, in the eyes of those who do not know EXTPROC."""
    modes[3] = 0


def set_modes(reader, change):
    modes = termios.tcgetattr(reader.fd)
    change(modes)
    termios.tcsetattr(reader.fd, termios.TCSANOW, modes)


def with_modes(change):
    def recipe(_, tty, text):
        with Reader(tty) as reader:
            set_modes(reader, change)
            reader.write(text)

    return recipe


RECIPES = {"expect": with_expect, "socat": with_socat, "raw": with_modes(strip), "cooked": with_modes(cook)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_types_at_once_and_goes(host, recipe):
    types_at_once_and_goes(host, *serve(host), recipe)


@pytest.mark.parametrize("recipe", ["expect", "raw"])  # this socat goes when nobody has said anything for 0.2 s
def test_types_at_once_and_goes_while_the_guest_talks(host, recipe):
    daemon, domain, guest = serve(host)
    guest.lines(FOR_EVER, rate=1000)
    types_at_once_and_goes(host, daemon, domain, guest, recipe)


def types_at_once_and_goes(host, daemon, domain, guest, recipe):
    tty = tty_of(daemon, domain)
    text = b""
    for number in range(ATTACHES):
        line = f"{recipe} {number}\r"
        RECIPES[recipe](host, tty, line)
        text += line.encode()
    typed(guest, text)
    typed_last(guest, tty, text)


def test_asks_for_echo_while_the_guest_talks(host):
    """What is typed in the very moment may be dropped, line by line, since it cannot be told from an echo. What
    arrives was typed, and after that moment all of it does."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    guest.lines(FOR_EVER, rate=1000)
    lines = [f"line {number}\r".encode() for number in range(ATTACHES)] + [b"last\r"]
    for line in lines[:-1]:
        RECIPES["cooked"](host, tty, line)
    raw_again(tty)
    settle(daemon)
    with Reader(tty) as reader:
        reader.write("last\r")
        until(lambda: guest.input.endswith(b"last\r"), lambda: f"the last line, there is {guest.input[-80:]!r}")
    rest = iter(lines)
    assert all(line in rest for line in guest.input.splitlines(keepends=True)), guest.input


def test_asks_for_echo_of_a_daemon_that_is_late(host):
    """On a busy machine much time may pass between the look for news of the tty and the write to it."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    late = host.spawn("strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=writev",
                      "-e", "inject=writev:delay_enter=50000", "-p", daemon.pid)
    until(lambda: "TracerPid:\t0" not in Path(f"/proc/{daemon.pid}/status").read_text(),
          lambda: f"strace: {late.output}")
    for number in range(ATTACHES):
        with Reader(tty) as reader:
            guest.print(f"do not obey this {number}\n")
            set_modes(reader, cook)
            reader.expect(f"do not obey this {number}\n")
    late.stop()
    raw_again(tty)
    settle(daemon)
    typed_last(guest, tty, b"")


# -- what is left behind ------------------------------------------------------------------------


def test_modes_left_cooked_in_a_flood(host):
    """To the tty a client that is killed is one that closes it: echo stays on, and the guest goes on."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    guest.lines(FOR_EVER)
    with Reader(tty) as reader:
        reader.write("mine\r")
        typed(guest, b"mine\r")
        set_modes(reader, cook)
        reader.take(1 << 18)
    typed(guest, b"mine\r")
    typed_last(guest, tty, b"mine\r")


def test_modes_left_cooked_and_nobody_reads_what_is_typed(host):
    """Echoes that find no room wait in the kernel, even when echo is off again."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    guest.hold_input(True)
    with Reader(tty) as reader:
        text = numbered(32)
        reader.write(text)
        until(lambda: domain.console().in_used == 1024, "the ring to be full")
        set_modes(reader, cook)
        guest.print(numbered(200))
        reader.expect(numbered(1, 199))
    guest.hold_input(False)
    typed(guest, text)
    typed_last(guest, tty, text)


def test_echo_beside_somebody_who_cannot_go_on(host):
    """A client is stuck in a write, since the guest does not read: whoever asks for echo meanwhile, the daemon goes on,
    and so do others."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    guest.hold_input(True)
    paste = host.spawn("sh", "-c", f"head -c 300000 /dev/zero | tr '\\0' a >{tty}")
    until(lambda: domain.console().in_used == 1024, "the ring to be full")
    with Reader(tty) as reader:
        for number in range(ATTACHES):
            guest.print(f"echo {number}\n")
            set_modes(reader, cook)
            reader.expect(f"echo {number}\n")
    settle(daemon)
    guest.hold_input(False)
    until(lambda: not paste.running(), "the paste to come to its end")
    raw_again(tty)
    assert set(guest.input) == {ord("a")}


def test_all_that_was_printed_has_been_read(host):
    """However much it was: it cannot come back, so what is typed right after modes is not taken for it."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    host.batch(9)
    text = b""
    for number in range(6):
        with Reader(tty) as reader:
            guest.print(numbered(100, 100 * number))
            reader.expect(numbered(1, 100 * number + 99))
            since = time.monotonic()
            until(lambda: time.monotonic() - since > 0.1, "the last of it to be carried")
            set_modes(reader, cook)
            reader.write(f"line {number}\r")
            text += b"line %d\r" % number
            typed(guest, text)


def flags(tty):
    """Those that would do something to what passes."""
    with Reader(tty) as reader:
        iflag, oflag, _, lflag, *_ = termios.tcgetattr(reader.fd)
    return (iflag & (termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON),
            oflag & termios.OPOST,
            lflag & (termios.ISIG | termios.ICANON | termios.ECHO | termios.ECHONL | termios.IEXTEN))


def raw_again(tty):
    until(lambda: not any(flags(tty)), lambda: f"raw modes, they are {flags(tty)}")


def test_stty_sane(host):
    """Whether stty thinks that it has worked or not."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    host.command("stty", "-F", tty, "sane", check=False)
    raw_again(tty)
    with Reader(tty) as reader:
        guest.print("login: \x03\x04\x13\n")
        reader.expect("login: \x03\x04\x13\n")
    typed_last(guest, tty, b"")


def set_patience(tty, vmin, vtime):
    def change(modes):
        modes[6][termios.VMIN], modes[6][termios.VTIME] = vmin, vtime

    with Reader(tty) as reader:
        set_modes(reader, change)


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


def test_no_patience_left_behind(host):
    """Silence looks like the end of the file then, and the manual says what helps."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    set_patience(tty, 0, 0)
    assert host.command("cat", tty).stdout == ""
    host.command("stty", "-F", tty, "min", "1")
    cat = host.spawn("cat", tty)
    guest.print("login: ")
    until(lambda: cat.output == "login: ", lambda: f"a prompt, cat has {cat.output!r}")
    typed_last(guest, tty, b"")


def test_output_left_stopped(host):
    """Who stops the tty's output, as ^S does, and goes, would have the next one type in vain."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    with Reader(tty) as reader:
        termios.tcflow(reader.fd, termios.TCOOFF)
    typed_last(guest, tty, b"")


@NOT_ROOT
def test_left_exclusive(host):
    """Root opens it all the same."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    with Reader(tty) as reader:
        fcntl.ioctl(reader.fd, termios.TIOCEXCL)
    with seat("xenconsole", host, domain, tty, "first\r"):
        typed(guest, b"first\r")
    typed_last(guest, tty, b"first\r")


# As login and agetty do. Nothing can happen to a terminal but this one, since the process has no other.
HANG_UP = """
import ctypes, fcntl, os, signal, sys, termios
os.setsid()
signal.signal(signal.SIGHUP, signal.SIG_IGN)
fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY), termios.TIOCSCTTY, 0)
sys.exit(ctypes.CDLL(None).vhangup())
"""


@NOT_ROOT
@pytest.mark.parametrize("guest_is", ["silent", "talking"])
def test_hung_up(host, guest_is):
    """A vhangup() takes the tty from all who have it. There is a new one, which an attached xenconsole follows; and
    what the guest says meanwhile is not echoed, though the old one has become cooked."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    client = domain.client(typed=b"before\r")
    typed(guest, b"before\r")
    with Reader(tty):  # lest the new one have the old one's number
        host.command(sys.executable, "-c", HANG_UP, tty)
        if guest_is == "talking":
            guest.lines(FOR_EVER, rate=1000)
        new = until(lambda: (now := tty_of(daemon, domain)) != tty and now, "a new tty")
        until(lambda: new in client.fds().values(), lambda: f"xenconsole to follow to {new}; {client.output}")
    client.write("after\r", PATIENCE)
    typed(guest, b"before\rafter\r")
    if guest_is == "silent":
        guest.print("hello\n")
    until(client.read, "xenconsole to hear the guest")
    typed_last(guest, new, b"before\rafter\r")


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
