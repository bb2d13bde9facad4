# SPDX-License-Identifier: GPL-2.0-only
"""xenstored slow, stopped, killed, restarted, restarted empty: served consoles go on untouched, each
trouble is said once, and what changed meanwhile is found when somebody answers again."""

import os
import threading

import pytest

from faultlib import Faults
from helpers import (PATIENCE, Reader, condition, converse, log_is, logged, numbered, report, serve, settle,
                     tty_of, until)
from hostlib import CONNECTED, wait_for
from storelib import StoreProxy

LOST, FOUND = "connection to xenstored broke", "connected to xenstored again"
SILENT, ANSWERS = "xenstored does not answer", "xenstored answers again"


def write_nodes(host, domain, tty=""):
    """A console's nodes as a toolstack writes them, in one transaction, into a store that lost them."""
    console = domain.console()
    pairs = {f"{domain.path}/name": domain.name, f"{console.path}/port": console.port,
             f"{console.path}/ring-ref": console.gfn, f"{console.path}/limit": 1048576,
             f"{console.path}/type": "xenconsoled", f"{console.path}/tty": tty}
    host.command("xenstore-write", *(str(word) for pair in pairs.items() for word in pair))


def works(host, domain, guest, tty, word):
    """Both ways, without a look at xenstore."""
    guest.print(f"{word}, says the guest\n")
    logged(host, domain.name, f"{word}, says the guest\n")
    with Reader(tty) as reader:
        reader.write(f"{word}, says the reader\n")
        until(lambda: guest.input.endswith(f"{word}, says the reader\n".encode()), "the input")


def said(daemon, text, times=1):
    """Three heartbeats may go by before it is noticed, fifteen seconds."""
    wait_for(lambda: daemon.output.count(text) >= times, 3 * PATIENCE,
             lambda: f"'{text}' to be said {times} times; {condition(daemon)}")
    assert daemon.output.count(text) == times, daemon.output


def test_slow(host):
    """One that only ever answers for a moment: consoles do not notice, new ones come in their time."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)
    over = threading.Event()

    def hinder():
        while not over.is_set():
            host.store.freeze()
            over.wait(0.1)
            host.store.thaw()
            over.wait(0.02)

    hindrance = threading.Thread(target=hinder)
    hindrance.start()
    try:
        for number in range(5):
            works(host, domain, guest, tty, f"on {number}")
            new = host.create(name=f"new-{number}")
            converse(host, daemon, new, new.guest(), "found")
    finally:
        over.set()
        hindrance.join()
    assert LOST not in daemon.output


def test_stopped(host):
    """Said once when it does not answer for a while, once when it does; it has missed nothing."""
    daemon, domain, guest = serve(host, name="web")
    other = host.create(name="other")
    others = other.guest()
    tty = tty_of(daemon, domain)
    tty_of(daemon, other)
    domain.console().set_node("limit", "5000")
    host.store.freeze()
    said(daemon, SILENT)
    works(host, domain, guest, tty, "meanwhile")
    other.kill()
    host.store.thaw()
    said(daemon, ANSWERS)
    other.wait_gone(PATIENCE)
    guest.lines(1000)
    guest.flush(PATIENCE)
    until(lambda: 0 < report(daemon, domain)["buffered"] <= 5000, "the limit to hold")
    new = host.create(name="new")
    converse(host, daemon, new, new.guest(), "found")
    assert LOST not in daemon.output and others.status()["state"] == "dead"


def test_killed_and_restarted_empty(host):
    """Guests that run are served on, though nobody knows them any more; those who come are served; and
    one whose toolstack writes its nodes again is as before, its tty put right, its changes noticed."""
    daemon, domain, guest = serve(host, name="web")
    other = host.create(name="other")
    others = other.guest()
    ttys = [tty_of(daemon, one) for one in (domain, other)]
    host.stop_store()
    works(host, domain, guest, ttys[0], "nobody there")
    said(daemon, LOST)
    host.start_store()
    said(daemon, FOUND)
    new = host.create(name="new", domid=50)
    converse(host, daemon, new, new.guest(), "new")
    for one, program, tty in ((domain, guest, ttys[0]), (other, others, ttys[1])):
        works(host, one, program, tty, "unknown")
        assert one.console().flag == CONNECTED and one.console().bound
        assert host.store_read(one.path) is None
    write_nodes(host, domain, tty="/dev/pts/99999")
    until(lambda: domain.console().tty == ttys[0], lambda: f"its tty, is {domain.console().tty}")
    domain.console().set_node("type", "ioemu")
    until(lambda: not domain.console().bound, "its type to be noticed")
    domain.console().set_node("type", "xenconsoled")
    converse(host, daemon, domain, guest, "known again")
    works(host, other, others, ttys[1], "still unknown")


def test_loss_is_noticed_at_once(host):
    """While nothing asks, and time stands still, so that no heart beats either."""
    with Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        domain = host.create(name="web")
        guest = domain.guest()
        tty = tty_of(daemon, domain)
        settle(daemon)
        faults.stop_clock()
        host.stop_store()
        said(daemon, LOST)
        works(host, domain, guest, tty, "nobody there")
        faults.run_clock()


def test_killed_while_it_is_asked(host):
    """In the midst of a dozen domains being looked up: whoever is served goes on, whoever comes is found."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)
    for number in range(12):
        host.create(name=f"dozen-{number}")
    host.stop_store()
    said(daemon, LOST)
    works(host, domain, guest, tty, "nobody there")
    host.start_store()
    said(daemon, FOUND)
    new = host.create(name="new", domid=50)
    converse(host, daemon, new, new.guest(), "found")


def test_gone_for_long(host):
    """However long it takes, and however often it is tried: two messages, and the daemon lives. Who
    asks for a report is told as well."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)
    host.stop_store()
    said(daemon, LOST)
    (host.dir / "store/socket").unlink()
    for number in range(4):
        works(host, domain, guest, tty, f"alone {number}")
        settle(daemon)
    assert daemon.output.count("1 domains, 1 consoles served, without xenstored") == 4
    host.start_store()
    new = host.create(name="new", domid=50)
    converse(host, daemon, new, new.guest(), "found")
    said(daemon, FOUND)
    said(daemon, LOST)
    settle(daemon)
    assert "2 domains, 2 consoles served\n" in daemon.output


def test_came_and_went_meanwhile(host):
    """One domain dies while nobody answers, one is made; both are noticed."""
    daemon, domain, guest = serve(host, name="web")
    gone = host.create(name="gone")
    last = gone.guest()
    tty_of(daemon, gone)
    host.stop_store()
    said(daemon, LOST)
    daemon.freeze()
    last.lines(20)
    last.flush()
    gone.kill()
    daemon.thaw()
    host.start_store()
    gone.wait_gone(PATIENCE)
    log_is(host, "gone", numbered(20))
    came = host.create(name="came", nodes=False)
    write_nodes(host, came)
    host.create(name="bell")  # what an introduction rings
    converse(host, daemon, came, came.guest(), "here I am")


def test_replaced_while_stopped(host):
    """A domid is given to another domain while nobody answers: two domains, two logs."""
    daemon, domain, guest = serve(host, name="old")
    guest.print("I am old\n")
    logged(host, "old", "I am old\n")
    host.stop_store()
    said(daemon, LOST)
    domain.kill()
    guest.stop()
    host.start_store()
    domain.wait_gone(PATIENCE)
    new = host.create(name="new", domid=domain.domid)
    converse(host, daemon, new, new.guest(), "I am new")
    assert host.guest_log("old") == b"I am old\n"
    assert b"old" not in host.guest_log("new")


def test_restarted_again_and_again(host):
    """Nothing is left over of any of the connections: no descriptor, no thread."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)

    def holds():
        return len(daemon.fds()), len(os.listdir(f"/proc/{daemon.pid}/task"))

    for number in range(3):
        host.stop_store()
        said(daemon, LOST, number + 1)
        host.start_store()
        said(daemon, FOUND, number + 1)
        new = host.create(name=f"new-{number}", domid=50 + number)
        converse(host, daemon, new, new.guest(), "found")
        new.destroy()
        new.wait_gone(PATIENCE)
        works(host, domain, guest, tty, f"on {number}")
        until(lambda: not any("guest-new" in file for file in daemon.fds().values())
              and sum("/dev/pt" in file for file in daemon.fds().values()) == 2, "the new one's console to be closed")
        if number == 0:
            before = holds()
    until(lambda: holds() == before, lambda: f"it to hold what it held: {holds()}, {before}")


def test_one_connection_that_is_never_answered(host):
    """It holds up its own consoles, and no other's tty."""
    first = host.create(name="first", domid=1)
    others = [host.create(name=f"other-{number}") for number in range(24)]
    host.inject("bind", errno="EPERM", times=0, domid=1)
    with StoreProxy(host, b"/500/console/limit") as proxy:
        daemon = host.start_daemon(env=proxy.env)
        for other in others:
            tty_of(daemon, other)
        host.create(name="new", domid=500)
        assert proxy.asked.wait(PATIENCE)
        host.clear_injections()
        tty_of(daemon, first)


@pytest.mark.parametrize("state", ["stopped", "killed"])
def test_stop_without_xenstored(host, state):
    """The daemon ends by itself, in order."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("last line\n")
    if state == "stopped":
        host.store.freeze()
    else:
        host.stop_store()
    assert daemon.stop(PATIENCE) == 0
    log_is(host, "web", b"last line\n")
    assert domain.console().flag != CONNECTED
    assert host.mappings(daemon.pid) == []


def test_start_while_stopped(host):
    """A xenstored that does not answer at the start is an error with a name, not a daemon that hangs."""
    host.store.freeze()
    daemon = host.start_daemon()
    assert daemon.wait(PATIENCE) == 1
    assert "xenstored" in daemon.output
    host.store.thaw()
    daemon, domain, guest = serve(host, name="web")
    converse(host, daemon, domain, guest, "up")
