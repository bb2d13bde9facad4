# SPDX-License-Identifier: GPL-2.0-only
"""What real frontends, toolstacks and other backends do that nobody announces: guests that never send an event, ports
that are closed and offered again under their old number, pages made anew, domains that get another handle, backends
that do not know the flag."""

import os
import re
import signal
import time

import pytest

from faultlib import Frozen
from helpers import (PATIENCE, Reader, converse, log_is, logged, numbered, one_shot, report, serve, settle, tty_of,
                     until)
from hostlib import BUILD, DISCONNECTED, IN_SIZE, OUT_SIZE, ROOT, wait_for


def ring_a_bell(host):
    """A domain event that has nothing to do with any of the test's domains."""
    bell = host.create(name="bell", domid=1000)
    bell.destroy()
    bell.wait_gone(PATIENCE)


def five_times(what):
    """what() is a generator that yields until its round is over. With ten domains a slow check comes to one after the
    other, to each once in ten seconds, so that five rounds in PATIENCE are not its doing."""
    def rounds():
        for number in range(5):
            for _ in what(number):
                yield False
        yield True

    going = rounds()
    wait_for(lambda: next(going), PATIENCE, "the fifth round to be over")


def counted(host, call, domain):
    """Counts that call from now on, and fails nothing."""
    host.inject(call, errno=None, times=0, domid=domain.domid if domain else None)
    return lambda: next(rule["hits"] for rule in host.injections() if rule["call"] == call)


# -- guests that never send an event ------------------------------------------------------------


@pytest.mark.parametrize("console", [0, 1], ids=["primary", "vuart"])
def test_typed_to_a_guest_that_never_notifies(host, console):
    """GRUB, unikraft and NetBSD at first read their input and tell nobody: what did not fit into the ring follows all
    the same, though the guest prints nothing. Meanwhile it is served as ever."""
    daemon = host.start_daemon("--vuart=yes")
    domain = host.create(name="grub", vuart=True)
    guest = domain.guest(silent=True, console=console)
    text = bytes(b"abcdefghijklmnopqrstuvwxyz"[n % 26] for n in range(5 * IN_SIZE + 7))
    with Reader(tty_of(daemon, domain, console)) as reader:
        guest.hold_input(True)
        reader.write(text)
        until(lambda: domain.console(console).in_used == IN_SIZE, "a full ring")
        domain.console(console).set_node("limit", 70000)
        settle(daemon)
        assert domain.console(console).in_used == IN_SIZE
        guest.hold_input(False)
        until(lambda: guest.input == text, lambda: f"all of it; the guest has {len(guest.input)} of {len(text)}")
    assert guest.status()["notifies"] == 0


@pytest.mark.parametrize("console", [0, 1], ids=["primary", "vuart"])
def test_printed_without_an_event(host, console):
    """mini-os and unikraft print so until their console is set up. The slow check takes it."""
    daemon = host.start_daemon("--vuart=yes")
    domain = host.create(name="early", vuart=True)
    tty_of(daemon, domain, console)
    guest = domain.guest(silent=True, console=console)
    guest.print("nobody was told of this\n")
    until(lambda: host.guest_log("early", "-vuart0" if console else "") == b"nobody was told of this\n", "the log")


@pytest.mark.parametrize("reason", ["crash", "poweroff"])
def test_last_words_without_an_event(host, reason):
    """A guest that crashes early (on_crash=preserve): what it printed is taken as soon as it is listed as shut down."""
    daemon = host.start_daemon()
    domains = [host.create(name=f"early-{number}") for number in range(5)]
    host.batch(5)
    guests = [domain.guest(silent=True) for domain in domains]
    for domain in domains:
        tty_of(daemon, domain)

    def dies(number):
        domain, guest = domains.pop(), guests.pop()  # against the slow check's order
        guest.print(f"last words {number}\n")
        guest.flush()
        domain.shutdown(reason)
        while host.guest_log(domain.name) != f"last words {number}\n".encode():
            yield

    five_times(dies)


# -- pages and ports ----------------------------------------------------------------------------


def test_page_rebuilt_in_place(host):
    """Same domid, port and handle; the indexes begin at 0 again and the flag says DISCONNECTED: connected again, and
    nothing of what the new guest says and hears is lost or made up, since the old positions count no more."""
    daemon, domain, guest = serve(host, name="web")
    converse(host, daemon, domain, guest, "the first one")
    guest.stop()
    before = host.guest_log("web")
    domain.rebuild_page()
    assert domain.console().flag == DISCONNECTED and domain.console().indexes == (0, 0, 0, 0)
    new = domain.guest(mode="replay")
    until(lambda: domain.console().connected, "CONNECTED")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.write("hello\n")
        until(lambda: new.input, "input")
        assert new.input == b"hello\n"
    text = numbered(12)
    new.print(text)
    log_is(host, "web", before + text)
    assert new.status()["bad_indexes"] == 0


def test_page_rebuilt_is_seen_at_a_domain_event(host):
    """Whatever the event is about: who makes a page anew mostly has something else to announce as well."""
    _, domain, _ = serve(host, name="web")
    host.batch(8)

    def rebuilt(_):
        domain.rebuild_page()
        ring_a_bell(host)
        while not domain.console().connected:
            yield

    five_times(rebuilt)


def test_page_rebuilt_under_a_guest_that_speaks_at_once(host):
    """An old guest writes into the new page before anybody has looked: all of it is in the log, the first bytes too."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("x" * 100)
    log_is(host, "web", b"x" * 100)
    guest.stop()
    daemon.freeze()
    domain.rebuild_page()
    domain.guest().print("y" * 150)
    daemon.thaw()
    log_is(host, "web", b"x" * 100 + b"y" * 150)


def test_typed_into_a_page_that_was_just_rebuilt(host):
    """Before anybody has looked at it: the new guest gets what was typed, and nothing made up in front."""
    daemon, domain, guest = serve(host, name="web")
    host.batch(9)
    with Reader(tty_of(daemon, domain)) as reader:
        reader.write("typed to the old one\n")
        until(lambda: guest.input == b"typed to the old one\n", "the old guest's input")
        guest.stop()
        domain.rebuild_page()
        new = domain.guest()
        reader.write("hello\n")
        until(lambda: new.input.endswith(b"hello\n"), "the new guest's input")
    assert new.input == b"hello\n"


@pytest.mark.parametrize("how", ["stop", "death", "kill"])
def test_page_rebuilt_right_before_the_end(host, how):
    """What the new guest said without an event is taken from its page's beginning, whoever takes it: the daemon that
    stops, the one whose domain dies, or the successor of one that was killed before."""
    daemon, domain, guest = serve(host, name="web")
    host.batch(9)
    guest.print("x" * 100)
    log_is(host, "web", b"x" * 100)
    settle(daemon)
    guest.stop()
    if how == "kill":
        daemon.kill()
    domain.rebuild_page()
    new = domain.guest(silent=True)
    new.print("y" * 150)
    new.flush()
    if how == "stop":
        assert daemon.stop(PATIENCE) == 0
    elif how == "death":
        domain.kill()
    else:
        host.start_daemon()
    log_is(host, "web", b"x" * 100 + b"y" * 150)


def test_port_and_page_move_together(host):
    """What lay in the old page, and was said without an event, is not lost."""
    _, domain, guest = serve(host, name="web")
    host.batch(9)
    guest.stop()
    old = domain.guest(silent=True)
    old.print("from the old page\n")
    old.flush()
    old.stop()
    domain.move_page(node=False)
    domain.move_port()
    until(lambda: domain.console().bound and domain.console().connected, "the new page to be served")
    domain.guest().print("from the new page\n")
    log_is(host, "web", b"from the old page\nfrom the new page\n")


def another_serves(host, domain, guest, same_number):
    """Ours is stopped; the guest closes its port and offers it again, and the distribution's daemon binds it. It, and
    not ours, is the backend then."""
    ours = host.start_daemon("--log=guest")  # Xen's own messages are the other one's to log
    tty_of(ours, domain)
    guest.print("served by ours\n")
    logged(host, "web", "served by ours\n")
    settle(ours)  # not in the midst of taking it
    ours.freeze()
    guest.print("nobody reads this in time\n")
    guest.flush()
    domain.move_port(same_number=same_number)
    theirs = host.start_incumbent()
    until(lambda: domain.console().bound and domain.console().pins == 2, "the other daemon to serve it")
    until(lambda: domain.console().out_used == 0, "it to have emptied the ring")
    return ours, theirs


@pytest.mark.parametrize("same_number", [True, False], ids=["same number", "another number"])
@pytest.mark.parametrize("then", ["stop", "go on"])
def test_another_daemon_serves_it_now(host, then, same_number):
    """To have bound a port once is no leave to write its page: ours goes on, and neither writes the flag nor takes from
    the ring."""
    domain = host.create(name="web")
    guest = domain.guest(mode="linux71")
    ours, theirs = another_serves(host, domain, guest, same_number)
    console = domain.console()
    theirs.freeze()
    guest.print("for the other one\n")
    guest.flush()
    assert console.connected
    used = console.out_used
    assert used == len("for the other one\n")
    if then == "stop":
        ours.signal(signal.SIGTERM)
    ours.thaw()
    if then == "stop":
        assert ours.wait(PATIENCE) == 0
    else:
        until(lambda: console.pins == 1, "ours to let go of the page")
        settle(ours)
    assert console.connected and console.out_used == used
    assert b"for the other one" not in host.guest_log("web")
    theirs.thaw()
    until(lambda: console.out_used == 0, "the other one to take it")


def test_another_daemon_serves_it_and_ours_was_frozen(host):
    """Nobody tells a process that it was frozen; it notices that it slept for too long."""
    domain = host.create(name="web")
    guest = domain.guest(mode="linux71")
    ours = host.start_daemon("--log=guest")
    tty_of(ours, domain)
    guest.print("served by ours\n")
    logged(host, "web", "served by ours\n")
    settle(ours)
    with Frozen(ours):
        since = time.monotonic()
        guest.print("nobody reads this in time\n")
        guest.flush()
        domain.move_port(same_number=True)
        theirs = host.start_incumbent()
        until(lambda: domain.console().pins == 2 and domain.console().out_used == 0, "the other daemon to serve it")
        theirs.freeze()
        guest.print("for the other one\n")
        guest.flush()
        # It looks around once a second, and a second is nothing unusual.
        until(lambda: time.monotonic() - since > 3, "it to have been away for longer than a busy machine explains")
    until(lambda: domain.console().pins == 1, "ours to let go of the page")
    settle(ours)
    assert domain.console().connected and domain.console().out_used == len("for the other one\n")
    assert b"for the other one" not in host.guest_log("web")


def test_typed_after_another_daemon_took_it(host):
    """What somebody types at ours is not put into a ring that another daemon serves; it waits."""
    domain = host.create(name="web")
    guest = domain.guest()
    ours, theirs = another_serves(host, domain, guest, True)
    theirs.freeze()
    guest.hold_input(True)
    # the node is the other one's; and the master may be /dev/pts/ptmx
    tty = next(f"/dev/pts/{pts}" for name in ours.fds().values() for pts in re.findall(r"/dev/pts/(\d+)$", name))
    with Reader(tty) as reader:
        reader.write("typed\n")
        ours.thaw()
        until(lambda: domain.console().pins == 1, "ours to let go of the page")
        assert domain.console().in_used == 0
        theirs.kill()
        guest.hold_input(False)
        until(lambda: guest.input == b"typed\n", "the guest to get it from ours")


def test_port_offered_again_under_its_number(host):
    """The guest closes its port and offers it again, and the nodes are written anew, with the same number: bound again
    by that, not by the slow check, and CONNECTED is not written on a port that nobody holds. Five times, sooner than
    the slow check could do it."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    host.batch(9)
    console = domain.console()

    def offered_again(_):
        number = console.port
        assert domain.move_port(same_number=True) == number
        while not console.bound:
            yield

    five_times(offered_again)
    converse(host, daemon, domain, guest, "on")
    assert guest.status()["dropped"] == 0 and console.connected


def test_connected_is_not_written_on_a_port_that_cannot_be_bound(host):
    """The nodes are written anew with the same number, and the port cannot be had yet: DISCONNECTED stays."""
    daemon, domain, guest = serve(host, name="web")
    console = domain.console()
    host.inject("bind", errno="EPERM", times=0, domid=domain.domid)
    console.flag = DISCONNECTED
    domain.move_port(same_number=True)
    seen = set()

    def refused_twice():
        seen.add(console.flag)
        return host.injections()[0]["hits"] >= 2

    until(refused_twice, "two refusals")
    assert seen == {DISCONNECTED} and not console.bound
    host.clear_injections()
    converse(host, daemon, domain, guest, "at last")


# -- who is who ---------------------------------------------------------------------------------


def test_handle_of_a_living_domain_changes(host):
    """xenopsd and init-dom0less do it. While its port stands it is the same domain: same tty, same port, no gap in the
    flag; and its log's queue follows, so that a kill right after loses and repeats nothing."""
    daemon, domain, guest = serve(host, "--vuart=yes", mode="linux71", name="web", vuart=True)
    ttys = [tty_of(daemon, domain, console) for console in (0, 1)]
    binds = counted(host, "bind", domain)
    for number in range(2):
        domain.set_handle(f"deadbeef-dead-beef-dead-00000000000{number}")
        ring_a_bell(host)
        converse(host, daemon, domain, guest, f"handle {number}")
    assert binds() == 0 and [tty_of(daemon, domain, console) for console in (0, 1)] == ttys
    text = host.guest_log("web")
    until(lambda: domain.console().out_used == 0, "the ring to be freed")
    daemon.kill()
    domain.console().set_index("out_cons", domain.console().indexes.out_cons - len("handle 1, says the guest\n"))
    guest.print("after\n")
    host.start_daemon()
    logged(host, "web", "after\n")
    log_is(host, "web", text + b"after\n")
    assert guest.status()["dropped"] == 0


def in_domain(domain):
    """The environment of a daemon that runs in that domain instead of in dom0."""
    return {"STANDIN_DOMID": str(domain.domid), "LD_PRELOAD": str(BUILD / "lib/domid-preload.so"),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def start_in(host, driver, *args):
    """A daemon in another domain: it has a run directory and logs of its own."""
    run, log = host.dir / "driver-run", host.dir / "driver-log"
    run.mkdir()
    log.mkdir()
    return host.start_daemon(f"--run-dir={run}", f"--log-dir={log}", "--log=guest", *args, env=in_domain(driver)), log


def test_console_driver_domain(host):
    """dom0's daemon and one in a console driver domain, side by side: each serves the consoles whose ports are offered
    to its domain, and leaves the others alone, without a word. The one in the driver domain may not map frames."""
    driver = host.create(name="driver")
    dom0s = host.start_daemon()
    theirs, log = start_in(host, driver)
    web, db = host.create(name="web", backend=driver.domid), host.create(name="db")
    webs, dbs = web.guest(mode="linux71"), db.guest(mode="linux71")
    converse(host, dom0s, db, dbs, "in dom0")
    until(lambda: web.console().connected and web.console().bound, "the driver domain to serve it")
    webs.print("in the driver domain\n")
    until(lambda: (log / "guest-web.log").read_bytes() == b"in the driver domain\n", "its log")
    tty = web.console().tty
    assert theirs.has_open(tty) and not dom0s.has_open(tty)
    with Reader(tty) as reader:
        reader.write("typed\n")
        until(lambda: webs.input == b"typed\n", "the input")
    assert host.guest_log("web") == b"" and not (log / "guest-db.log").exists()
    assert report(dom0s, web)["state"] == "idle" and report(theirs, db)["state"] == "idle"
    for daemon in (dom0s, theirs):
        assert "cannot" not in daemon.output, daemon.output
    # It moves from one to the other.
    web.move_port(same_number=True, backend=0)
    converse(host, dom0s, web, webs, "moved to dom0")
    # It moves back and forth once more, and nobody tells: the slow check of the one who may bind it finds out.
    web.move_port(node=False, same_number=True, backend=driver.domid)
    until(lambda: web.console().bound and theirs.has_open(web.console().tty), "the driver domain to find it")
    web.move_port(node=False, same_number=True, backend=0)
    converse(host, dom0s, web, webs, "found by dom0")
    assert theirs.stop(PATIENCE) == 0
    assert web.console().connected and db.console().connected


def test_another_domains_port_that_is_closed(host):
    """Its guest closes it for good: still not ours, and not worth a word or a terminal."""
    driver = host.create(name="driver")
    daemon = host.start_daemon(wait=True)
    web = host.create(name="web", backend=driver.domid)
    asked = counted(host, "status", web)
    until(asked, "the daemon to have asked whose it is")
    web.close_port()
    before = asked()
    until(lambda: asked() >= before + 2, "the daemon to have asked again, twice")
    assert report(daemon, web)["state"] == "idle" and report(daemon, web)["tty"] == "none"
    assert "cannot" not in daemon.output


def test_domid_of_another_daemons_domain(host):
    """/tool/xenconsoled/domid tells the toolstack who serves new domains. It is not who we are."""
    host.store_write("/tool/xenconsoled/domid", "5")
    domain = host.create(name="five", domid=5)
    host.inject("map-grant", errno="EINVAL", times=0, domid=5)
    converse(host, host.start_daemon(), domain, domain.guest(), "served")


def test_one_shot_leaves_other_domains_consoles_alone(host):
    """A port that is offered to another domain than ours is another's console."""
    driver = host.create(name="driver", old_builder=True)
    web = host.create(name="web", backend=driver.domid, old_builder=True)
    done = one_shot(host, "--disconnect")
    assert done.returncode == 0 and "1 consoles marked disconnected, 1 left to" in done.stderr, done.stderr
    assert web.console().connected and not driver.console().connected


# -- backends that do not know the flag ---------------------------------------------------------


class Backend:
    """Holds a console's port as QEMU does, without a look at the flag. domid: of the domain that it runs in."""

    CODE = "import sys; from calls import *; say(Evtchn().bind(*map(int, sys.argv[1:]))); select.select([], [], [])"

    def __init__(self, host, domain, domid=0):
        self.process = host.spawn("/usr/bin/python3", "-B", "-c", self.CODE, domain.domid, domain.console().port,
                                  name="backend", env={"PYTHONPATH": str(ROOT / "tools/tests/console/host"),
                                                       "STANDIN_DOMID": str(domid)})
        until(lambda: self.process.output, "the backend to have bound the port")


def test_connected_on_behalf_of_qemu(host):
    """libxenguest sets DISCONNECTED whoever serves the page, and QEMU never sets the byte. For a port that our own
    domain holds it is set, at once and again; and nothing else of the page is touched, or kept."""
    daemon = host.start_daemon(wait=True)
    domain = host.create(name="stubdom", type="ioemu")
    console = domain.console()
    guest = domain.guest()
    guest.print("for QEMU\n")
    until(lambda: report(daemon, domain)["state"] == "idle", "the daemon to know it")
    assert console.flag == DISCONNECTED
    backend = Backend(host, domain)
    for _ in range(2):
        until(lambda: console.connected, "CONNECTED")
        assert console.out_used == len("for QEMU\n") and console.in_used == 0
        until(lambda: console.pins == 0, "the page to be unmapped")
        assert backend.process.running() and console.bound
        console.flag = DISCONNECTED
    assert console.tty == "" and report(daemon, domain)["state"] == "idle"


def test_not_connected_for_another_domains_backend(host):
    """A driver domain's backend has to know the flag itself. Nor is it set while nobody holds the port."""
    daemon = host.start_daemon(wait=True)
    driver = host.create(name="driver")
    domain = host.create(name="web", type="ioemu", backend=driver.domid)
    asked = counted(host, "status", domain)
    until(lambda: asked() >= 2, "the daemon to have asked")
    assert domain.console().flag == DISCONNECTED
    Backend(host, domain, driver.domid)
    before = asked()
    # What it learns it may act on until it asks the next time.
    until(lambda: asked() >= before + 2, "the daemon to have asked again")
    assert domain.console().flag == DISCONNECTED and domain.console().pins == 0
    assert daemon.running()


def test_given_to_qemu_after_it_was_let_go(host):
    """Its nodes go, and it is DISCONNECTED; when QEMU has it, it is CONNECTED."""
    daemon, domain, guest = serve(host, name="web")
    console = domain.console()
    console.remove_node("port")
    until(lambda: console.flag == DISCONNECTED and not console.bound, "it to be let go")
    console.set_node("type", "ioemu")
    console.set_node("port", console.port)
    Backend(host, domain)
    until(lambda: console.connected, "CONNECTED")
    assert daemon.running() and guest.running()


# -- hand-over ----------------------------------------------------------------------------------


def test_hand_over_of_a_domain_that_is_over(host):
    """There is no successor for it: its last words are taken, whatever its reader has room for."""
    daemon, domain, guest = serve(host, "--overflow-data=keep", "--buffer-limit=4K", name="web")
    guest.lines(2000)
    until(lambda: report(daemon, domain)["state"] == "held" and domain.console().out_used == OUT_SIZE, "a full ring")
    logged_before = len(host.guest_log("web"))
    daemon.freeze()
    daemon.signal(signal.SIGUSR2)
    host.stop_store()  # nobody tells of the death
    domain.kill()
    daemon.thaw()
    assert daemon.wait(PATIENCE) == 0
    assert len(host.guest_log("web")) == logged_before + OUT_SIZE


def test_hand_over_leaves_what_the_reader_cannot_be_given(host):
    """--overflow-data=keep and SIGUSR2: what the reader has no room for stays in the ring, for the successor."""
    daemon, domain, guest = serve(host, "--overflow-data=keep", "--buffer-limit=4K", name="web")
    guest.lines(2000)
    until(lambda: report(daemon, domain)["state"] == "held" and domain.console().out_used == OUT_SIZE, "a full ring")
    before = domain.console().indexes
    daemon.signal(signal.SIGUSR2)
    assert daemon.wait(PATIENCE) == 0
    assert domain.console().indexes == before and domain.console().connected
    assert guest.wait_state("spinning")["dropped"] == 0
