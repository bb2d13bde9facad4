# SPDX-License-Identifier: GPL-2.0-only
"""What a guest or xenstore says may be anything: it is said once, with the value, that console is
left alone or fenced off, and all else goes on."""

import pytest

from helpers import PATIENCE, converse, logged, report, serve, settle, tty_of, until
from hostlib import CONNECTED, DISCONNECTED


def neighbours(host, *args, **options):
    """A daemon, the one that misbehaves, and one beside him: daemon, (domain, guest) twice."""
    daemon, domain, guest = serve(host, *args, name="bad", **options)
    other = host.create(name="good")
    others = other.guest()
    tty_of(daemon, other)
    return daemon, (domain, guest), (other, others)


def complaints(daemon, domain):
    """The daemon's messages about a domain, but for those of SIGUSR1."""
    return [line for line in daemon.output.splitlines()
            if f"domain {domain.domid}" in line and "bytes out" not in line]


@pytest.mark.parametrize("index, value", [
    ("out_prod", 5000), ("out_prod", 0xffffffff), ("in_cons", 5000), ("in_cons", 0x80000000)])
def test_indexes_out_of_range(host, index, value):
    """Fenced off: page and port let go, flag down, not one index stored. The neighbour goes on."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    before = domain.console().indexes
    guest.hostile("index", index, value)
    until(lambda: report(daemon, domain)["state"] == "detached", "the console to be fenced off")
    after = domain.console().indexes
    assert domain.console().flag == DISCONNECTED and not domain.console().bound
    assert after.out_cons == before.out_cons and after.in_prod == before.in_prod
    assert getattr(after, index) == value
    converse(host, daemon, other, others, "on")
    said = complaints(daemon, domain)
    assert len(said) == 1 and str(value) in said[0], said
    assert complaints(daemon, other) == []


def test_fenced_off_and_repaired(host):
    """A guest that was rebooted inside its domain is looked at again; here a word from xenstore."""
    daemon, (domain, guest), _ = neighbours(host)
    guest.hostile("index", "out_prod", 5000)
    until(lambda: report(daemon, domain)["state"] == "detached", "the console to be fenced off")
    domain.console().set_index("out_prod", 0)
    domain.console().set_node("limit", 4096)
    converse(host, daemon, domain, guest, "sane again")


@pytest.mark.parametrize("index", ["out_cons", "in_prod"])
def test_our_indexes_are_ours(host, index):
    """The guest writes the daemon's own indexes: nothing is logged twice, and nothing is lost."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    guest.print("said once\n")
    logged(host, "bad", "said once\n")
    guest.hostile("rewind", index, 10)
    guest.print("and this\n")
    settle(daemon)
    converse(host, daemon, other, others, "on")
    until(lambda: b"and this\n" in host.guest_log("bad")
          or report(daemon, domain)["state"] == "detached", "the line, or the fence")
    assert host.guest_log("bad").count(b"said once\n") == 1


def test_page_filled_with_rubbish(host):
    """Again and again, with any byte: the daemon lives, its memory is its own, neighbours go on."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    for byte in (0xff, 0x00, 0x41, 0x80, 0x7f, 0x01):
        guest.hostile("fill", byte)
        guest.hostile("notify")
        settle(daemon)
        converse(host, daemon, other, others, f"on {byte}")
    assert len(complaints(daemon, domain)) <= 1


def test_cleared_page_goes_on(host):
    """As a restore leaves it: all indexes 0, which is in range by itself."""
    daemon, domain, guest = serve(host, name="web")
    guest.lines(100)
    guest.flush()
    logged(host, "web", "0000000099")
    until(lambda: domain.console().out_used == 0, "the ring to be freed")
    guest.hostile("fill", 0)
    guest.hostile("notify")
    settle(daemon)
    converse(host, daemon, domain, guest, "from the beginning")
    assert complaints(daemon, domain) == []


def test_storm_of_events(host):
    """Events with nothing to say cost the neighbour nothing."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    for number in range(5):
        domain.storm(20000)
        converse(host, daemon, other, others, f"on {number}")
    converse(host, daemon, domain, guest, "me too")


def test_storm_of_flags(host):
    """A guest that writes the flag all the time only confuses itself."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    for value in range(200):
        guest.hostile("flag", value)
    converse(host, daemon, other, others, "on")
    converse(host, daemon, domain, guest, "me too")
    assert domain.console().flag == CONNECTED


BAD_NODES = [("port", "abc"), ("port", "-1"), ("port", "0"), ("port", "99999999999999999999"),
             ("port", "2147483648"), ("port", ""), ("ring-ref", "-5"), ("ring-ref", "1e3"),
             ("ring-ref", "99999999999999999999999"), ("limit", "-1"), ("limit", "lots"),
             ("limit", "99999999999999999999999")]


@pytest.mark.parametrize("node, value", BAD_NODES)
def test_nodes_out_of_range(host, node, value):
    """Named once, with the value. A console that can be served without it is; it recovers."""
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="bad", nodes=True, port=node != "port", ring_ref=node != "ring-ref",
                         limit=None if node == "limit" else 65536)
    domain.console().set_node(node, value)
    domain.console().set_node(node, value)
    other = host.create(name="good")
    converse(host, daemon, other, other.guest(), "on")
    until(lambda: complaints(daemon, domain), "a complaint")
    guest = domain.guest()
    if node == "port":
        settle(daemon)
        assert not domain.console().bound
        domain.console().set_node("port", domain.console().port)
    converse(host, daemon, domain, guest, "served")
    said = complaints(daemon, domain)
    assert len(said) == 1 and node in said[0] and f"'{value}'" in said[0], said


@pytest.mark.parametrize("port", [3000, 15])
def test_port_that_is_not_there(host, port):
    """In range, and nobody's: refused, said once, tried again; the right one is served at once."""
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="bad", port=False)
    domain.console().set_node("port", port)
    until(lambda: complaints(daemon, domain), "a complaint")
    guest = domain.guest()
    domain.console().set_node("port", domain.console().port)
    converse(host, daemon, domain, guest, "served")
    assert len(complaints(daemon, domain)) == 1


def test_port_in_any_base(host):
    """Any C base, as the incumbent reads it."""
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="hex", port=False)
    domain.console().set_node("port", hex(domain.console().port))
    converse(host, daemon, domain, domain.guest(), "hex")


def test_port_of_another_domain(host):
    """A node that names somebody's port which is served already: his console is not disturbed."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    domain.console().set_node("port", 999)
    until(lambda: complaints(daemon, domain), "a complaint")
    converse(host, daemon, other, others, "on")
    domain.console().set_node("port", domain.console().port)
    converse(host, daemon, domain, guest, "back")


@pytest.mark.parametrize("tty", ["/etc/passwd", "/dev/null", "x" * 2000])
def test_tty_node_is_never_opened(host, tty):
    """Once, guests could write it. Ours replaces it, and nobody opens what it said."""
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="web", tty=tty)
    guest = domain.guest()
    assert tty_of(daemon, domain).startswith("/dev/pts/")
    converse(host, daemon, domain, guest, "hello")


def test_closed_port_under_a_talking_guest(host):
    daemon, (domain, guest), (other, others) = neighbours(host)
    guest.hostile("close-port")
    guest.print("into the void\n")
    converse(host, daemon, other, others, "on")
    domain.move_port()
    logged(host, "bad", "into the void\n")
    converse(host, daemon, domain, guest, "back")


def test_guest_that_dies_mid_index(host):
    """Broken ring and death at once: what is held is let go."""
    daemon, (domain, guest), (other, others) = neighbours(host)
    daemon.freeze()
    guest.hostile("index", "out_prod", 70000)
    domain.destroy()
    daemon.thaw()
    domain.wait_gone(PATIENCE)
    converse(host, daemon, other, others, "on")
