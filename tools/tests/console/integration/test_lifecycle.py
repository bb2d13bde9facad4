# SPDX-License-Identifier: GPL-2.0-only
"""What happens to a domain while it is served: refusals, moves, losses, resets, and its end."""

import contextlib
import resource
import time

import pytest

from faultlib import Frozen
from helpers import (PATIENCE, Reader, converse, log_is, logged, numbered, report, serve, settle,
                     tty_of, until)
from hostlib import CONNECTED, DISCONNECTED


def held(daemon, domain):
    """The daemon's own port for that domain's primary console, None while it has none."""
    for port in daemon.host.ports():
        if (port["pid"], port["domid"], port["status"]) == (daemon.pid, domain.domid, "interdomain"):
            return port["port"]
    return None


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["bind", "map"])
def test_refused_three_times(host, call):
    """Then allowed: served without anybody having to kick it. Meanwhile not a bit was written."""
    domain = host.create(name="web")
    host.inject(call, errno="EPERM", times=0)
    guest = domain.guest()
    guest.print("patience\n")
    daemon = host.start_daemon()
    until(lambda: all(rule["hits"] >= 3 for rule in host.injections()
                      if call == "bind" or rule["call"] == "map-grant"), "three refusals")
    assert domain.console().flag == DISCONNECTED and domain.console().out_used == 9
    host.clear_injections()
    logged(host, "web", "patience\n")
    converse(host, daemon, domain, guest, "thanks")
    told = [line for line in daemon.output.splitlines() if f"domain {domain.domid}" in line]
    assert len([line for line in told if "cannot" in line]) == 1, told


def test_grant_refused(host):
    """The page comes by grant; where that is refused, by its frame number."""
    domain = host.create(name="web")
    host.inject("map-grant", errno="EINVAL", times=0)
    daemon = host.start_daemon()
    converse(host, daemon, domain, domain.guest(), "hello")
    assert {m["kind"] for m in host.mappings(daemon.pid)} == {"foreign"}


def test_grant_comes_first(host):
    daemon, domain, _ = serve(host, name="web")
    assert [m["kind"] for m in host.mappings(daemon.pid)] == ["grant"]


def test_served_by_grant_without_ring_ref(host):
    """Port and type are enough; a ring-ref that becomes known late is not a move."""
    daemon, domain, guest = serve(host, name="web", ring_ref=False)
    converse(host, daemon, domain, guest, "without")
    port = held(daemon, domain)
    host.inject("bind", errno=None, times=0, domid=domain.domid)
    domain.write_ring_ref()
    converse(host, daemon, domain, guest, "with")
    settle(daemon)
    assert held(daemon, domain) == port
    assert host.injections()[0]["hits"] == 0


def test_ring_ref_known_late(host):
    """Where there is no grant, nothing can be done before it is known, and all at once then."""
    domain = host.create(name="late", ring_ref=False)
    host.inject("map-grant", errno="EINVAL", times=0)
    daemon = host.start_daemon()
    guest = domain.guest()
    guest.print("early\n")
    until(lambda: host.injections()[0]["hits"], "an attempt")
    assert domain.console().flag == DISCONNECTED
    domain.write_ring_ref()
    logged(host, "late", "early\n")
    converse(host, daemon, domain, guest, "late")


def test_port_known_late(host):
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="late", port=False)
    guest = domain.guest()
    guest.print("early\n")
    guest.flush()
    settle(daemon)
    assert not domain.console().bound
    domain.console().set_node("port", domain.console().port)
    converse(host, daemon, domain, guest, "late")
    assert host.guest_log("late").startswith(b"early\n")


# -- moves and losses ---------------------------------------------------------------------------


def test_port_lost_with_a_watch_event(host):
    """The guest takes a new port and says so: what is in the ring meanwhile is not lost."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("one\n")
    logged(host, "web", "one\n")
    daemon.freeze()
    guest.print("two\n")
    guest.flush()
    domain.move_port()
    daemon.thaw()
    converse(host, daemon, domain, guest, "moved")
    assert host.guest_log("web").startswith(b"one\ntwo\n")
    assert domain.console().connected


def test_port_moves_while_the_old_one_stands(host):
    """The node changes while the guest still has both ports: no moment without one, and the flag is
    not written between, however long it takes to bind the new one."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    guest.lines(1 << 20, rate=1000)
    for _ in range(3):
        host.inject("bind", errno=None, delay=0.1, domid=domain.domid)
        domain.move_port(keep_old=True)
        until(lambda: domain.console().bound, "the new port to be bound")
    assert domain.console().connected
    status = guest.status()
    assert status["dropped"] == 0 and status["written"] > 64


@contextlib.contextmanager
def frozen_with_a_full_ring(host):
    """A daemon that does not run, and is not told so, and a guest that waits to be told of room."""
    daemon, domain, guest = serve(host, guest={"trusting": True}, name="web")
    settle(daemon)
    with Frozen(daemon):
        guest.lines(200)
        guest.wait_state("spinning")
        yield domain
    guest.flush(PATIENCE)
    log_is(host, "web", numbered(200))


def test_full_ring_and_the_port_moves(host):
    """Room is told of on the new port, since the guest's end of the old one has gone."""
    with frozen_with_a_full_ring(host) as domain:
        domain.move_port()


def test_full_ring_and_the_port_is_lost(host):
    """Room that was made before the loss was noticed is told of afterwards."""
    with frozen_with_a_full_ring(host) as domain:
        number = domain.console().port
        domain.close_port()
        assert domain.move_port(node=False) == number


def test_port_lost_without_a_watch_event(host):
    """A guest that kexecs closes its port and gets the same number again; nobody tells. The slow
    check finds out."""
    daemon, domain, guest = serve(host, name="web")
    number = domain.console().port
    domain.close_port()
    assert domain.move_port(node=False) == number
    guest.print("anybody?\n")
    guest.flush()
    logged(host, "web", "anybody?\n")
    converse(host, daemon, domain, guest, "found")
    assert guest.status()["unnoticed"] == 0


def test_port_gone_for_a_while(host):
    """A closed port cannot be bound: it is tried again until there is one, with the flag down."""
    daemon, domain, guest = serve(host, name="web")
    domain.close_port()
    until(lambda: domain.console().flag == DISCONNECTED, "the daemon to notice")
    until(lambda: domain.console().pins == 0, "the page to be unmapped")
    domain.move_port()
    converse(host, daemon, domain, guest, "back")
    assert domain.console().connected


def test_ring_ref_changes(host):
    """The console moves to another page, and the old one is told goodbye."""
    daemon, domain, guest = serve(host, name="web")
    converse(host, daemon, domain, guest, "first")
    old = domain.console()
    domain.move_page()
    until(lambda: domain.console().connected, "the new page to be served")
    converse(host, daemon, domain, guest, "second")
    assert old.flag == DISCONNECTED
    assert [m["gfn"] for m in host.mappings(daemon.pid)] == [domain.console().gfn]


def test_event_channel_handle_breaks(host):
    """As an overflow does it: another handle, all consoles bound anew, the flag kept."""
    daemon, domain, guest = serve(host, name="web")
    other = host.create(name="other")
    others = other.guest(mode="linux71")
    tty_of(daemon, other)
    host.break_evtchn(daemon.pid)
    guest.print("after the break\n")
    others.print("here too\n")
    logged(host, "web", "after the break\n")
    logged(host, "other", "here too\n")
    converse(host, daemon, domain, guest, "on")
    converse(host, daemon, other, others, "on")
    assert others.status()["dropped"] == 0
    host.hypervisor_print("(XEN) still heard\n")
    until(lambda: b"still heard" in host.hypervisor_log(), "the hypervisor's log")


def test_event_channel_handle_cannot_be_had(host):
    """Consoles wait for it; when there is one again they go on."""
    daemon, domain, guest = serve(host, name="web")
    host.inject("evtchn-open", errno="EMFILE", times=2)
    host.break_evtchn(daemon.pid)
    guest.print("meanwhile\n")
    logged(host, "web", "meanwhile\n")
    converse(host, daemon, domain, guest, "on")


# -- whose console it is ------------------------------------------------------------------------


def test_ioemu_from_the_start(host):
    """QEMU's console: never bound, mapped or written. When it becomes ours it is served."""
    daemon = host.start_daemon(wait=True)
    # Counts, and fails nothing. xenstored binds and maps a new domain too, once each.
    host.inject("bind", errno=None, times=0)
    host.inject("map-grant", errno=None, times=0)
    domain = host.create(name="qemu", type="ioemu")
    domain.console().set_node("limit", "4096")
    domain.console().set_node("limit", "8192")
    until(lambda: report(daemon, domain)["state"] == "idle", "the daemon to know it")
    settle(daemon)
    assert [rule["hits"] for rule in host.injections()] == [1, 1]
    assert domain.console().flag == DISCONNECTED and domain.console().tty == ""
    host.clear_injections()
    domain.console().set_node("type", "xenconsoled")
    guest = domain.guest()
    converse(host, daemon, domain, guest, "ours now")


def test_type_changes_both_ways(host):
    """Given to QEMU: emptied, let go, and left CONNECTED, since QEMU never sets it. And back."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    for number in range(2):
        daemon.freeze()
        guest.print(f"ours {number}\n")
        guest.flush()
        domain.console().set_node("type", "ioemu")
        daemon.thaw()
        until(lambda: not domain.console().bound and domain.console().pins == 0, "it to be let go")
        logged(host, "web", f"ours {number}\n")
        assert domain.console().flag == CONNECTED
        assert report(daemon, domain)["state"] == "idle"
        guest.print("QEMU's\n")
        guest.flush()
        settle(daemon)
        assert domain.console().out_used == 7
        domain.console().set_node("type", "xenconsoled")
        converse(host, daemon, domain, guest, f"back {number}")
    assert guest.status()["dropped"] == 0


def test_type_absent(host):
    """xenopsd writes none: served."""
    daemon, domain, guest = serve(host, name="xapi", type=None)
    converse(host, daemon, domain, guest, "hello")


# -- shut down, suspended, reset, restored ------------------------------------------------------


@pytest.mark.parametrize("reason", ["poweroff", "crash", "suspend", "watchdog"])
def test_shut_down_and_preserved(host, reason):
    """Still served: what is in the ring comes out, and the reader keeps his tty."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)
    daemon.freeze()
    guest.print("panic: no more\n")
    guest.flush()
    domain.shutdown(reason)
    daemon.thaw()
    logged(host, "web", "panic: no more\n")
    with Reader(tty) as reader:
        reader.expect("panic: no more\n")
    other = host.create(name="other")
    tty_of(daemon, other)
    assert domain.console().connected and domain.console().bound
    assert tty_of(daemon, domain) == tty
    assert report(daemon, domain)["state"] == "live"


def test_suspended_and_resumed(host):
    daemon, domain, guest = serve(host, name="web")
    domain.shutdown("suspend")
    guest.wait_state("shutdown", PATIENCE)
    domain.resume()
    converse(host, daemon, domain, guest, "awake")


def test_paused(host):
    daemon, domain, guest = serve(host, name="web")
    domain.pause()
    with Reader(tty_of(daemon, domain)) as reader:
        reader.write("typed meanwhile\n")
        until(lambda: domain.console().in_used == 16, "it to be in the ring")
        domain.unpause()
        until(lambda: guest.input == b"typed meanwhile\n", "the guest to read it")


@pytest.mark.parametrize("new_port", [True, False], ids=["new port", "same port"])
@pytest.mark.parametrize("hvm", [False, True], ids=["pv", "hvm"])
@pytest.mark.parametrize("mode", ["old", "linux71"])
def test_restore_on_one_domid(host, mode, hvm, new_port):
    """DISCONNECTED under the running daemon, with hvm all indexes cleared too: served on, CONNECTED."""
    daemon, domain, guest = serve(host, mode=mode, name="web")
    # A page that is cleared more than once a second is a hostile guest's.
    for number in range(1 if hvm and not new_port else 2):
        converse(host, daemon, domain, guest, f"before {number}")
        before = domain.console().port
        domain.shutdown("suspend")
        guest.wait_state("shutdown", PATIENCE)
        domain.restore(new_port=new_port, hvm=hvm)
        assert (domain.console().port != before) == new_port
        until(lambda: domain.console().connected, "CONNECTED again")
        converse(host, daemon, domain, guest, f"after {number}")
    assert guest.status()["unnoticed"] == 0


def test_soft_reset(host):
    """libxl removes the nodes, copies tty over, and kills a domain that has none."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    tty = tty_of(daemon, domain)
    for number in range(3):
        converse(host, daemon, domain, guest, f"before {number}")
        domain.shutdown("soft_reset")
        domain.soft_reset()
        until(lambda: domain.console().tty, "a tty")
        converse(host, daemon, domain, guest, f"after {number}")
        assert domain.console().connected
    assert tty_of(daemon, domain) == tty


def test_reboot(host):
    """A new domid under the old name and uuid: one log, both are in it."""
    daemon, domain, guest = serve(host, name="web")
    converse(host, daemon, domain, guest, "first life")
    again = domain.reboot()
    assert again.domid != domain.domid
    guest = again.guest()
    converse(host, daemon, again, guest, "second life")
    assert b"first life" in host.guest_log("web")
    domain.wait_gone(PATIENCE)


# -- nodes and names ----------------------------------------------------------------------------


def test_nodes_removed(host):
    """No nodes, no console: given up, flag down, and its directory is not brought back to life."""
    daemon, domain, guest = serve(host, name="web")
    domain.remove_nodes()
    until(lambda: not domain.console().bound and domain.console().pins == 0, "it to be let go")
    assert domain.console().flag == DISCONNECTED
    settle(daemon)
    assert host.store_read(domain.path) is None


def test_destroyed_leaves_nothing_behind(host):
    """Not even a tty node, however the daemon and the toolstack race."""
    daemon = host.start_daemon(wait=True)
    for number in range(15):
        domain = host.create(name=f"brief-{number}")
        domain.destroy()
        domain.wait_gone(PATIENCE)
        settle(daemon)
        until(lambda: host.store_read(domain.path) is None, "nothing to be left")


def test_renamed(host):
    """vm--incoming becomes vm: from then on in vm's log."""
    daemon, domain, guest = serve(host, name="vm--incoming")
    guest.print("migrating\n")
    logged(host, "vm--incoming", "migrating\n")
    domain.rename("vm")
    until(lambda: report(daemon, domain)["name"] == "vm", "the daemon to know")
    guest.print("arrived\n")
    logged(host, "vm", "arrived\n")
    assert host.guest_log("vm--incoming") == b"migrating\n"


def test_limit_changes(host):
    """Another limit holds at once, also for what is kept already."""
    daemon, domain, guest = serve(host, name="web", limit=100000)
    guest.lines(5000)
    guest.flush(PATIENCE)
    until(lambda: 90000 < report(daemon, domain)["buffered"] <= 100000, "a full buffer")
    domain.console().set_node("limit", 5000)
    guest.lines(1000)
    guest.flush(PATIENCE)
    until(lambda: report(daemon, domain)["buffered"] <= 5000, "the smaller limit to hold")


# -- the end ------------------------------------------------------------------------------------


def test_domid_reused_while_the_old_console_drains(host):
    """A new domain takes the domid while the old one's reader has not read all: he gets the rest,
    and the new one is served beside him."""
    daemon, domain, guest = serve(host, name="old")
    tty = tty_of(daemon, domain)
    text = numbered(6000)
    with Reader(tty) as reader:
        guest.lines(6000)
        guest.flush(PATIENCE)
        log_is(host, "old", text)
        domain.destroy()
        reader.read(16384)  # all of a pty: of less the daemon would not hear
        domain.wait_gone(PATIENCE)
        reader.read(16384)
        new = host.create(name="new", domid=domain.domid)
        assert new.domid == domain.domid
        reader.read(16384)
        guest = new.guest()
        reader.read(16384)
        new_tty = tty_of(daemon, new)
        assert new_tty != tty
        assert reader.take(len(text)) == text
    converse(host, daemon, new, guest, "I am new")
    assert b"I am new" not in host.guest_log("old")
    until(lambda: not daemon.has_open(tty), "the old tty to be closed")


def test_domid_reused_at_once(host):
    """Gone and there again between two looks: another incarnation, not a continuation."""
    daemon, domain, guest = serve(host, name="one")
    guest.print("old\n")
    logged(host, "one", "old\n")
    daemon.freeze()
    domain.destroy()
    # Its page is mapped, so that the domid stays taken: a zombie.
    assert domain.state()["state"] == "zombie"
    daemon.thaw()
    new = host.create(name="two", domid=domain.domid)
    converse(host, daemon, new, new.guest(), "new")
    assert host.guest_log("one") == b"old\n"


def test_reader_who_does_not_read_delays_nothing_for_long(host):
    """Five seconds in all, one without progress; then the tty is closed."""
    daemon, domain, guest = serve(host, name="web")
    tty = tty_of(daemon, domain)
    guest.lines(1000)
    guest.flush(PATIENCE)
    domain.destroy()
    domain.wait_gone(PATIENCE)
    began = time.monotonic()
    until(lambda: not daemon.has_open(tty), "the tty to be closed")
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("call", ["bind", "map"])
def test_refused_until_its_death(host, call):
    """Nothing of a console that never came to be served is left."""
    daemon, _, _ = serve(host, name="bystander")

    def files():
        return sorted(name for name in daemon.fds().values() if "/dev/pt" in name or "guest-web" in name)

    before = files()
    domain = host.create(name="web", port=False)
    host.inject(call, errno="EPERM", times=0)
    domain.console().set_node("port", domain.console().port)
    until(lambda: host.injections()[0]["hits"], "a refusal")
    domain.destroy()
    domain.wait_gone(PATIENCE)
    until(lambda: files() == before, lambda: f"its files to be closed: {files()}")
    host.clear_injections()
    new = host.create(name="new", domid=domain.domid)
    converse(host, daemon, new, new.guest(), "served")


def test_domain_list_fails(host):
    """Those served go on, a new one waits, and is found without a kick."""
    daemon, domain, guest = serve(host, name="web", domid=5)
    host.inject("getinfo", errno="ENOMEM", times=3, domid=1)
    other = host.create(name="other")
    others = other.guest()
    guest.print("meanwhile\n")
    logged(host, "web", "meanwhile\n")
    converse(host, daemon, other, others, "found")


def test_out_of_files(host):
    """Consoles that got no tty get one when files come free; their output is taken all the same."""
    daemon, domain, guest = serve(host, name="first")
    limit = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (len(daemon.fds()) + 4, limit[1]))
    domains = [host.create(name=f"more-{n}") for n in range(6)]
    for one in domains:
        until(lambda: one.console().connected, f"{one} to be attached")
        one.guest().print("heard\n")
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limit)
    for one in domains:
        tty_of(daemon, one)
        logged(host, one.name, "heard\n")
