# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of all that a program may do to a console's tty: the table in xenconsoled(8), and more.

Whatever modes a client sets, and whenever it goes: what was typed reaches the guest, whole and in order, and
nothing else does, least of all what the guest itself has said.
"""

import os
import sys
import termios
from pathlib import Path

import pytest

from helpers import (PATIENCE, Reader, let_pass, numbered, report, serve, set_modes, set_patience, settle, tty_of, typed,
                     typed_last, until)

ATTACHES = 20  # a loss of 30 % passes once in a thousand times
FOR_EVER = 1 << 30  # lines
NOT_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that to a terminal")


def cook(modes):
    """As stty sane."""
    modes[0] |= termios.BRKINT | termios.ICRNL | termios.IXON
    modes[1] |= termios.OPOST | termios.ONLCR
    modes[3] = (termios.ISIG | termios.ICANON | termios.IEXTEN |
                termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHOCTL)


def strip(modes):
    """Raw, in the eyes of those who do not know EXTPROC."""
    modes[3] = 0


def flags(tty):
    """Those that would do something to what passes."""
    with Reader(tty) as reader:
        iflag, oflag, _, lflag, *_ = termios.tcgetattr(reader.fd)
    return (iflag & (termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON),
            oflag & termios.OPOST,
            lflag & (termios.ISIG | termios.ICANON | termios.ECHO | termios.ECHONL | termios.IEXTEN))


def raw_again(tty):
    until(lambda: not any(flags(tty)), lambda: f"raw modes, they are {flags(tty)}")


# -- who types at once ----------------------------------------------------------------------------


def with_expect(host, tty, text):
    host.command("expect", "-c", f'spawn -open [open {tty} r+]; send "{text}"; exit')


def with_socat(host, tty, text):
    host.command("socat", "-t0.2", "-", f"{tty},rawer", input=text)


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


def test_types_at_once_at_a_vuart(host):
    daemon = host.start_daemon("--vuart=yes")
    domain = host.create(vuart=True)
    types_at_once_and_goes(host, daemon, domain, domain.guest(console=1), "raw", console=1)


@pytest.mark.parametrize("recipe", ["expect", "raw"])  # this socat goes when nobody has said anything for 0.2 s
def test_types_at_once_and_goes_while_the_guest_talks(host, recipe):
    daemon, domain, guest = serve(host)
    guest.lines(FOR_EVER, rate=1000)
    types_at_once_and_goes(host, daemon, domain, guest, recipe)


def types_at_once_and_goes(host, daemon, domain, guest, recipe, console=0):
    tty = tty_of(daemon, domain, console)
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


def test_output_is_not_input(host):
    """Modes are set while output is under way: the guest gets none of it back, and what is typed then as it was."""
    daemon, domain, guest = serve(host)
    tty = tty_of(daemon, domain)
    text = b""
    with Reader(tty) as reader:
        for number in range(10):
            daemon.freeze()
            guest.print(f"login {number}:\n")  # is before the news of the modes in the daemon's next turn
            guest.flush()
            set_modes(reader, cook)
            daemon.thaw()
            reader.expect(f"login {number}:\n")
            raw_again(tty)
            settle(daemon)  # and what was echoed until then to be dropped
            reader.write(f"user {number}\r\x03")
            text += b"user %d\r\x03" % number
            typed(guest, text)


def test_typed_right_after_modes(host):
    """Nor is what somebody types right after that taken for output that came back: the guest has not printed for a
    moment, or what it prints has not been handed on yet, although the slow check is due as well."""
    daemon, domain, guest = serve(host)
    text = b""
    with Reader(tty_of(daemon, domain)) as reader:
        for number in range(6):
            let_pass(0.1)  # what was written is at the tty
            daemon.freeze()
            if number % 2:
                guest.print(f"login {number}:\n")
                guest.flush()
                let_pass(1.1)
            set_modes(reader, cook)
            reader.write(f"user {number}\r")
            text += b"user %d\r" % number
            daemon.thaw()
            typed(guest, text)
            if number % 2:
                reader.expect(f"login {number}:\n")


def test_typed_while_output_waits(host):
    """News of modes also comes before output that waited for room at the tty itself."""
    daemon, domain, guest = serve(host)
    text = b""
    for number in range(4):
        guest.print(numbered(500))
        until(lambda: report(daemon, domain)["buffered"], "output to wait in the daemon")
        let_pass(0.1)  # what was written is at the tty
        daemon.freeze()
        with Reader(tty_of(daemon, domain)) as reader:
            while reader.read():
                pass
            set_modes(reader, cook)
            reader.write(f"line {number}\r")
            text += b"line %d\r" % number
            daemon.thaw()
            typed(guest, text)
            reader.expect(numbered(1, 499))


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


def full_ring(host):
    """A console whose guest reads nothing until it is told to, and has been typed more than it takes."""
    daemon, domain, guest = serve(host)
    guest.hold_input(True)
    tty = tty_of(daemon, domain)
    text = b"a" * 300000
    (host.dir / "text").write_bytes(text)
    paste = host.spawn("sh", "-c", f"cat {host.dir}/text >{tty}")
    until(lambda: domain.console().in_used == 1024, "the ring to be full")
    return daemon, guest, tty, paste, text


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
    daemon, guest, tty, paste, text = full_ring(host)
    with Reader(tty) as reader:
        for number in range(ATTACHES):
            guest.print(f"echo {number}\n")
            set_modes(reader, cook)
            reader.expect(f"echo {number}\n")
    settle(daemon)
    guest.hold_input(False)
    until(lambda: not paste.running(), "the paste to come to its end")
    raw_again(tty)
    until(lambda: len(guest.input) >= 1024, "what was in the ring")
    assert set(guest.input) == set(text)


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
            let_pass(0.1)  # the last of it has been carried
            set_modes(reader, cook)
            reader.write(f"line {number}\r")
            text += b"line %d\r" % number
            typed(guest, text)


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


def test_output_left_stopped_before_a_full_ring(host):
    """It goes on when there is room."""
    daemon, guest, tty, paste, text = full_ring(host)
    with Reader(tty) as reader:
        termios.tcflow(reader.fd, termios.TCOOFF)
    guest.hold_input(False)
    until(lambda: not paste.running(), "the paste to come to its end")
    typed(guest, text)
    typed_last(guest, tty, text)


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
    client = domain.client(typed=b"before\r")
    text = b"before\r"
    typed(guest, text)
    if guest_is == "talking":
        guest.lines(FOR_EVER, rate=1000)
    for number in range(2):
        tty = tty_of(daemon, domain)
        with Reader(tty):  # lest the new one have the old one's number
            host.command(sys.executable, "-c", HANG_UP, tty)
            new = until(lambda: (now := tty_of(daemon, domain)) != tty and now, "a new tty")
            # A terminal that is not read blocks xenconsole.
            until(lambda: client.read() is not None and client.has_open(new),
                  lambda: f"xenconsole to follow to {new}; {client.output}")
        client.write(f"after {number}\r", PATIENCE)
        text += b"after %d\r" % number
        typed(guest, text)
        if guest_is == "silent":
            guest.print("hello\n")
        until(client.read, "xenconsole to hear the guest")
    typed_last(guest, new, text)
