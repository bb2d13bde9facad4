# SPDX-License-Identifier: GPL-2.0-only
"""Those who sit at the tty: the distribution's xenconsole, and others who just open it."""

import os
import signal
import termios

import pytest

from helpers import (PATIENCE, Reader, converse, logged, numbered, report, serve, tty_of, until)


def at(host, daemon, domain, **options):
    """An attached xenconsole: it has shown a line that came after it was started."""
    tty_of(daemon, domain)
    return domain.client(**options)


@pytest.mark.parametrize("mode", ["old", "linux71", "replay"])
def test_reads_and_types(host, mode):
    daemon, domain, guest = serve(host, mode=mode, name="web")
    client = at(host, daemon, domain)
    guest.print("login: ")
    client.expect("login: ", PATIENCE)
    client.write("root\n")
    until(lambda: guest.input == b"root\n", lambda: f"input, is {guest.input!r}")
    guest.echo(True)
    client.write("echo me\n")
    client.expect("echo me\n", PATIENCE)
    assert client.received == b"login: echo me\n"


def test_what_was_said_before_he_came(host):
    """A reader who comes late finds what was kept for him, and a second one what came since."""
    daemon, domain, guest = serve(host, name="web")
    guest.lines(500)
    guest.flush(PATIENCE)
    client = at(host, daemon, domain)
    client.expect(numbered(500), PATIENCE)
    client.close()
    guest.print("while nobody looked\n")
    logged(host, "web", "while nobody looked\n")
    second = domain.client()
    second.expect("while nobody looked\n", PATIENCE)
    assert second.received == b"while nobody looked\n"


def test_comes_and_goes(host):
    """The tty is not hung up when nobody has it open, and each new one can type."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)
    for number in range(5):
        client = domain.client()
        client.write(f"visit {number}\n")
        until(lambda: guest.input.endswith(f"visit {number}\n".encode()), "the line")
        client.close()
    assert tty_of(daemon, domain) == tty


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGKILL])
def test_follows_a_restart(host, number):
    """The daemon is replaced under an attached xenconsole: it follows to the new tty, and the session
    goes on in both directions."""
    daemon, domain, guest = serve(host, name="web")
    client = at(host, daemon, domain)
    guest.print("before\n")
    client.expect("before\n", PATIENCE)
    daemon.signal(number)
    daemon.wait(PATIENCE)
    guest.print("between\n")
    daemon = host.start_daemon()
    tty_of(daemon, domain)
    client.expect("between\n", PATIENCE)
    client.write("still there\n")
    until(lambda: guest.input == b"still there\n", "the line")
    assert client.running()


def test_follows_from_the_incumbent_and_back(host):
    """An upgrade in mid-session, and a downgrade."""
    daemon = host.start_incumbent()
    domain = host.create(name="web", old_builder=True)
    guest = domain.guest()
    client = at(host, daemon, domain)
    for number, start in enumerate((host.start_daemon, host.start_incumbent, host.start_daemon)):
        guest.print(f"said {number}\n")
        client.expect(f"said {number}\n", PATIENCE)
        daemon.stop(PATIENCE)
        daemon = start()
        tty_of(daemon, domain)
    guest.print("last\n")
    client.expect("last\n", PATIENCE)
    client.write("here\n")
    until(lambda: guest.input == b"here\n", "the line")


def test_vuart_client(host):
    """xenconsole --type vuart, with the primary console beside it."""
    daemon = host.start_daemon("--vuart=yes", wait=True)
    domain = host.create(name="arm", vuart=True)
    guest = domain.guest(console=1)
    tty_of(daemon, domain, 1)
    client = domain.client(type="vuart")
    guest.print("uart\n")
    client.expect("uart\n", PATIENCE)
    client.write("typed\n")
    until(lambda: guest.input == b"typed\n", "the line")
    assert domain.console(1).tty != tty_of(daemon, domain)


def test_reader_in_echo_mode(host):
    """One who leaves the tty cooked and echoing: the guest's output does not come back to it as
    input, and a control character in it does nothing."""
    daemon, domain, guest = serve(host, name="web")
    with Reader(tty_of(daemon, domain)) as reader:
        modes = termios.tcgetattr(reader.fd)
        modes[0] |= termios.ICRNL | termios.IXON
        modes[3] |= termios.ECHO | termios.ICANON | termios.ISIG
        termios.tcsetattr(reader.fd, termios.TCSANOW, modes)
        guest.print("password? \x03\x04\x13\nnext\n")
        reader.expect("next\n")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.write("mine\n")
        until(lambda: guest.input.endswith(b"mine\n"), lambda: f"input, is {guest.input!r}")
    assert guest.input == b"mine\n"


def test_raw_from_the_start(host):
    """Whoever opens the tty first finds it raw, without a race for its modes."""
    daemon, domain, guest = serve(host, name="web")
    with Reader(tty_of(daemon, domain)) as reader:
        modes = termios.tcgetattr(reader.fd)
    assert not modes[1] & termios.OPOST
    assert not modes[3] & (termios.ECHO | termios.ICANON | termios.ISIG)


def test_reader_who_does_not_read(host):
    """He costs his own console's oldest output; not the guest's time, nor anybody else's."""
    daemon, domain, guest = serve(host, name="web", limit=10000)
    other = host.create(name="other")
    others = other.guest()
    with Reader(tty_of(daemon, domain)):
        guest.lines(20000)
        assert guest.flush(PATIENCE)["unnoticed"] == 0
        converse(host, daemon, other, others, "fine")
        assert report(daemon, domain)["dropped"] > 0


def test_tty_belongs_to_root_alone(host):
    """A console is a root shell: nobody else may open it."""
    daemon, domain, _ = serve(host, name="web")
    mode = os.stat(tty_of(daemon, domain)).st_mode
    assert not mode & 0o007
