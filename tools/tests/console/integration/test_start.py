# SPDX-License-Identifier: GPL-2.0-only
"""Who comes first does not matter: guest, daemon, xenstored, in any order."""

import signal
import struct

import pytest

from helpers import PATIENCE, converse, log_is, logged, numbered, serve, tty_of, until
from hostlib import DISCONNECTED, Host
from storelib import StoreProxy


@pytest.mark.parametrize("mode", ["old", "linux71", "replay"])
def test_daemon_before_guest(host, mode):
    daemon, domain, guest = serve(host, mode=mode, name="web")
    converse(host, daemon, domain, guest, "hello")
    assert domain.console().connected
    assert guest.status()["unnoticed"] == 0


def test_guest_before_daemon(host):
    """What an old guest printed meanwhile is there, and it learns that it is served."""
    domain = host.create(name="early")
    guest = domain.guest()
    guest.print("booting\n")
    guest.flush()
    assert domain.console().flag == DISCONNECTED
    daemon = host.start_daemon()
    logged(host, "early", "booting\n")
    converse(host, daemon, domain, guest, "hello")
    assert domain.console().connected


def test_new_guest_before_daemon(host):
    """A guest that obeys the flag does not touch the ring, is never stuck, and moves to the ring
    when it is served."""
    domain = host.create(name="early")
    guest = domain.guest(mode="linux71")
    guest.lines(1000)
    status = guest.flush()
    assert status["state"] == "idle" and status["dropped"] == 64000 and status["written"] == 0
    assert domain.console().out_used == 0
    daemon = host.start_daemon()
    converse(host, daemon, domain, guest, "hello")
    assert host.guest_log("early") == b"hello, says the guest\n"


def test_replaying_guest_before_daemon(host):
    """One that keeps its output has all of it in the log, in order, once."""
    domain = host.create(name="early")
    guest = domain.guest(mode="replay")
    guest.lines(1000)
    guest.wait_state("keeping", PATIENCE)
    host.start_daemon()
    log_is(host, "early", numbered(1000))
    assert guest.flush()["replayed"] == 64000


def test_ring_full_at_start(host):
    """An old guest that spins on a full ring is freed, and told."""
    domain = host.create(name="full")
    guest = domain.guest()
    guest.lines(100)
    guest.wait_state("spinning", PATIENCE)
    assert domain.console().out_used == 2048
    host.start_daemon()
    log_is(host, "full", numbered(100))
    assert guest.flush()["unnoticed"] == 0


@pytest.mark.parametrize("start", [0xffffffff - 1000, 0x7fffff00])
def test_indexes_far_on_at_start(host, start):
    """The indexes are free-running: a ring that has been in use for long wraps in all places."""
    domain = host.create(name="old")
    page = domain.console().page
    struct.pack_into("<4I", page, 3072, start, start, start, start)
    guest = domain.guest()
    guest.lines(200)
    guest.wait_state("spinning", PATIENCE)
    daemon = host.start_daemon()
    log_is(host, "old", numbered(200))
    converse(host, daemon, domain, guest, "hello")


def test_input_waits_for_the_guest(host):
    """What was typed before the guest reads is delivered when it does."""
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="slow")
    client = domain.client()
    tty_of(daemon, domain)
    client.write("typed early\n")
    until(lambda: domain.console().in_used == 12, "the line to be in the ring")
    guest = domain.guest()
    until(lambda: guest.input == b"typed early\n", "the guest to read it")


def test_toolstack_waits_for_the_tty(host):
    """libxl gives up a domain that has no tty within ten seconds."""
    host.start_daemon()
    domain = host.create(name="patient", wait_tty=True)
    assert domain.console().tty.startswith("/dev/pts/")


def test_xenstored_after_the_daemon():
    with Host(store=False) as host:
        daemon = host.start_daemon()
        lock = host.run / "xen/xenconsoled.lock"
        until(lambda: lock.exists() and lock.read_text().strip(), "the daemon to be on its way")
        host.start_store()
        domain = host.create(name="web")
        converse(host, daemon, domain, domain.guest(), "hello")


def test_xenstored_frozen(host):
    """A xenstored that does not answer costs nobody's console a byte, also when it was just asked."""
    daemon, domain, guest = serve(host, name="web")
    converse(host, daemon, domain, guest, "before")
    domain.console().set_node("limit", "2000000")
    host.store.freeze()
    guest.lines(5000)
    logged(host, "web", numbered(1, start=4999))
    assert guest.status()["unnoticed"] == 0
    host.store.thaw()
    other = host.create(name="later")
    converse(host, daemon, other, other.guest(), "after")
    converse(host, daemon, domain, guest, "after")


def test_xenstored_starts_anew(host):
    """Consoles go on without xenstored; a new one is found, and new domains are served."""
    daemon, domain, guest = serve(host, name="web")
    host.stop_store()
    guest.print("nobody to ask\n")
    logged(host, "web", "nobody to ask\n")
    host.start_store()
    other = host.create(name="later")
    converse(host, daemon, other, other.guest(), "after")
    assert daemon.running()


@pytest.mark.parametrize("word", [b"domid", b"/console/port"])
def test_stopped_while_it_asks_the_store(host, word):
    """Before the loop runs xenstored is waited for; a daemon that was told to end does not."""
    host.create()
    with StoreProxy(host, word) as muted:
        daemon = host.start_daemon("--log=none", env=muted.env)
        assert muted.asked.wait(PATIENCE)
        assert daemon.stop(PATIENCE) == -signal.SIGTERM
    host.start_daemon(wait=True)


def test_stopped_before_the_store_answers(host):
    """Nor while the first connection is waited for."""
    host.store.freeze()
    daemon = host.start_daemon("--log=none")
    lock = host.run / "xen/xenconsoled.lock"
    until(lambda: lock.exists() and lock.read_text() == f"{daemon.pid}\n", "it to have begun")
    assert daemon.stop(PATIENCE) == -signal.SIGTERM
    host.store.thaw()
    host.start_daemon(wait=True)


@pytest.mark.parametrize("error", ["EIO", "EACCES", "E2BIG"])
def test_node_that_cannot_be_read(host, error):
    """It costs its own console a retry, nobody else's anything, and is said once."""
    poor, other = host.create(name="poor"), host.create(name="other")
    with StoreProxy(host, f"/{poor.domid}/console/port".encode(), error) as proxy:
        daemon = host.start_daemon(env=proxy.env)
        converse(host, daemon, other, other.guest(), "served")
        until(lambda: f"domain {poor.domid}: xenstored refuses" in daemon.output, "it to be said")
        proxy.asked.clear()
        assert proxy.asked.wait(PATIENCE)
        assert daemon.output.count("xenstored refuses") == 1
        proxy.word = b""
        converse(host, daemon, poor, poor.guest(), "served at last")


def test_whoever_serves_new_domains_is_served(host):
    """/tool/xenconsoled/domid is no name of ours: it tells a toolstack which domain serves new consoles.
    What ours is stands at domid, where everybody finds his own."""
    daemon_domain = host.create(name="other", domid=5)
    host.store_write("/tool/xenconsoled/domid", 5)
    framed = host.create(name="framed")
    host.inject("map-grant", times=0, domid=framed.domid)
    daemon = host.start_daemon()
    for domain in (daemon_domain, framed):
        converse(host, daemon, domain, domain.guest(), "served")
