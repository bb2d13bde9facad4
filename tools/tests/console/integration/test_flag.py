# SPDX-License-Identifier: GPL-2.0-only
"""The connection flag, with old and new ends in every combination.

The old backend is the distribution's xenconsoled, which never writes the flag. An old guest never
looks at it; linux71 drops what it prints while DISCONNECTED, replay keeps it.
"""

import errno
import os
import re
import signal
from pathlib import Path

import pytest

from faultlib import start_within
from helpers import (PATIENCE, converse, log_is, logged, numbered, one_shot, report, serve,
                     tty_of, until)
from hostlib import CONNECTED, DISCONNECTED, XENCONSOLED, wait_for
from storelib import StoreProxy

MODES = ["old", "linux71", "replay"]


def start(host, backend):
    return host.start_daemon() if backend == "ours" else host.start_incumbent()


def stop(host, daemon, domain, backend):
    """End a backend cleanly. Ours says goodbye; the other leaves the flag as it was."""
    before = domain.console().flag
    daemon.stop(PATIENCE)
    until(lambda: not domain.console().bound, "the port to be free")
    assert domain.console().flag == (DISCONNECTED if backend == "ours" else before)


def print_unserved(host, domain, guest, mode, word):
    """Between two backends: what becomes of it is the guest's affair. True if it is still to come."""
    served = domain.console().flag == CONNECTED
    before = guest.status()["dropped"]
    guest.print(f"{word}\n")
    if mode == "linux71" and not served:
        until(lambda: guest.status()["dropped"] == before + len(word) + 1, "the guest to drop it")
        return False
    if mode == "replay" and not served:
        guest.wait_state("keeping", PATIENCE)
    else:
        until(lambda: guest.status()["queued"] == 0, "it to be in the ring")
    return True


@pytest.mark.parametrize("order", [["incumbent", "ours", "incumbent", "ours"],
                                   ["ours", "incumbent", "ours", "incumbent"]],
                         ids=["upgrade first", "downgrade first"])
@pytest.mark.parametrize("mode", MODES)
def test_one_after_the_other(host, mode, order):
    """One guest, four backends: it talks with each, and what it said in between comes or was
    dropped by itself. Before an old backend comes --reconnect, as the packages do it."""
    domain = host.create(name="web", old_builder=order[0] == "incumbent")
    guest = domain.guest(mode=mode)
    for number, backend in enumerate(order):
        if number:
            waiting = print_unserved(host, domain, guest, mode, f"between-{number}")
        if backend == "incumbent" and number:
            one_shot(host, "--reconnect")
        daemon = start(host, backend)
        if number and waiting:
            logged(host, "web", f"between-{number}\n")
        converse(host, daemon, domain, guest, f"{backend} {number}")
        assert domain.console().flag == CONNECTED
        if number and not waiting:
            assert f"between-{number}".encode() not in host.guest_log("web")
        stop(host, daemon, domain, backend)
    assert guest.status()["unnoticed"] == 0


def test_mute_without_reconnect(host):
    """Why --reconnect is there: under an old backend a guest left DISCONNECTED stays mute."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    stop(host, daemon, domain, "ours")
    incumbent = host.start_incumbent()
    tty_of(incumbent, domain)
    guest.print("anybody there?\n")
    assert guest.flush()["dropped"] == 15
    incumbent.stop(PATIENCE)
    one_shot(host, "--reconnect")
    converse(host, host.start_incumbent(), domain, guest, "at last")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_says_goodbye(host, number):
    """DISCONNECTED, the ring empty and in the log, port and page let go, tty as it was."""
    daemon, domain, guest = serve(host, name="web")
    tty = domain.console().tty
    daemon.freeze()
    guest.print("last line\n")
    guest.flush()
    daemon.signal(number)
    daemon.thaw()
    assert daemon.wait(PATIENCE) == 0
    console = domain.console()
    assert console.flag == DISCONNECTED
    assert console.out_used == 0 and host.guest_log("web") == b"last line\n"
    assert not console.bound and console.pins == 0
    assert console.tty == tty


def test_stop_frees_a_spinning_guest(host):
    """A vCPU that already waits for room does not look at the flag again: only room frees it."""
    daemon, domain, guest = serve(host, "--overflow-data=keep", "--buffer-limit=2K",
                                  mode="linux71", name="web")
    guest.lines(2000)
    guest.wait_state("spinning", PATIENCE)
    daemon.stop(PATIENCE)
    status = guest.wait_state("idle", PATIENCE)
    assert status["dropped"] > 0 and status["unnoticed"] == 0
    assert domain.console().flag == DISCONNECTED


def test_restart_with_the_flag_kept(host):
    """SIGUSR2, as an upgrade does it: the guest sees no gap, and loses nothing."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    daemon.signal(signal.SIGUSR2)
    assert daemon.wait(PATIENCE) == 0
    assert domain.console().flag == CONNECTED and not domain.console().bound
    guest.print("between two daemons\n")
    daemon = host.start_daemon()
    converse(host, daemon, domain, guest, "again")
    assert b"between two daemons\n" in host.guest_log("web")
    assert guest.status()["dropped"] == 0


LINES = 40000


def restart_under_load(host, guest, domain, daemon, number):
    """Three restarts while numbered lines come, each when some more of them are in the log."""
    log = host.log_dir / f"guest-{domain.name}.log"
    guest.lines(LINES, rate=20000)
    for _ in range(3):
        before = log.stat().st_size if log.exists() else 0
        until(lambda: log.stat().st_size > before + LINES * 64 // 20 or not guest.status()["queued"],
              "lines in the log")
        daemon.signal(number)
        daemon.wait(PATIENCE)
        daemon = host.start_daemon()
    return daemon


@pytest.mark.parametrize("number, mode", [
    (signal.SIGTERM, "old"), (signal.SIGTERM, "replay"), (signal.SIGUSR2, "linux71"),
    (signal.SIGUSR2, "old"), (signal.SIGKILL, "old"), (signal.SIGKILL, "linux71")])
def test_restart_under_load(host, number, mode):
    """However the daemon ends: each line is in the log, once, in order."""
    # Killed when room was made and nobody told of it, the guest has to wait for the next daemon.
    daemon, domain, guest = serve(host, mode=mode, name="web", guest={"trusting": number == signal.SIGKILL})
    restart_under_load(host, guest, domain, daemon, number)
    log_is(host, "web", numbered(LINES))
    status = guest.flush(PATIENCE)
    assert status["dropped"] == 0 and status["unnoticed"] == 0


def test_killed_between_log_and_ring(host):
    """A daemon that is killed when it has queued output for the log, and not yet given its place back
    to the guest: the next one frees it, and does not log it twice."""
    daemon, domain, guest = serve(host, name="web")
    guest.lines(50)
    log_is(host, "web", numbered(50))
    until(lambda: domain.console().out_used == 0, "the ring to be freed")
    daemon.kill()
    domain.console().set_index("out_cons", domain.console().indexes.out_cons - 640)
    assert domain.console().out_used == 640
    guest.print("after\n")
    host.start_daemon()
    logged(host, "web", "after\n")
    log_is(host, "web", numbered(50) + b"after\n")


def test_restart_under_load_of_a_dropping_guest(host):
    """What it did not drop is in the log: not a byte more or less."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    restart_under_load(host, guest, domain, daemon, signal.SIGTERM)
    status = guest.flush(PATIENCE)
    assert status["written"] + status["dropped"] == LINES * 64
    until(lambda: len(host.guest_log("web")) >= status["written"], "all of it in the log")
    assert len(host.guest_log("web")) == status["written"]
    everything = numbered(LINES)
    for line in host.guest_log("web").split(b"\n"):
        assert line[-16:] in everything


@pytest.mark.parametrize("how", ["take", "watch"])
def test_asserted_again(host, how):
    """A restore or a resume may set DISCONNECTED under a running daemon: the next byte, or the next
    word from xenstore, puts it right. Five times, sooner than the slow check could do it."""
    daemon, domain, guest = serve(host, name="web")
    host.batch(9)  # so that the slow check comes to it once in ten seconds
    console = domain.console()

    def five_times():
        for number in range(5):
            console.flag = DISCONNECTED
            if how == "take":
                guest.print("x")
            else:
                console.set_node("limit", 65536 + number)
            while not console.connected:
                yield False
        yield True

    rounds = five_times()
    wait_for(lambda: next(rounds), PATIENCE, "the flag, five times")


def test_asserted_by_the_slow_check(host):
    """Without any event, within about ten seconds."""
    _, domain, _ = serve(host, name="web")
    domain.console().flag = DISCONNECTED
    until(lambda: domain.console().connected, "the flag")


def test_scribbled_flag_is_not_believed(host):
    """The daemon decides nothing by the flag's value: the guest can write it."""
    daemon, domain, guest = serve(host, name="web")
    for value in (1, 2, 255):
        guest.hostile("flag", value)
        converse(host, daemon, domain, guest, f"with {value}")
        assert domain.console().flag == CONNECTED


def test_disconnect_one_shot(host):
    """When the daemon is gone for good: DISCONNECTED, and the ring emptied once, into the log."""
    served = host.create(name="served", old_builder=True)
    incumbent = host.start_incumbent()
    tty_of(incumbent, served)
    incumbent.freeze()
    domain = host.create(name="left", old_builder=True)
    guest = domain.guest()
    guest.lines(100)
    guest.wait_state("spinning", PATIENCE)
    qemus = host.create(name="qemu", type="ioemu", old_builder=True)
    done = one_shot(host, "--disconnect", "--log=guest")
    assert "1 consoles marked disconnected, 1 left to the daemon that holds them" in done.stderr
    assert domain.console().flag == DISCONNECTED
    assert served.console().flag == CONNECTED and qemus.console().flag == CONNECTED
    assert not domain.console().bound and domain.console().pins == 0
    log_is(host, "left", numbered(32))
    until(lambda: guest.status()["written"] == 4096, "the guest to write on")
    assert guest.status()["unnoticed"] == 0


def test_reconnect_one_shot(host):
    """CONNECTED, and nothing else: the ring is left to the daemon that comes."""
    domain = host.create(name="left")
    guest = domain.guest()
    guest.print("keep me\n")
    guest.flush()
    done = one_shot(host, "--reconnect", "--log=guest")
    assert "1 consoles marked connected" in done.stderr
    assert domain.console().flag == CONNECTED and domain.console().out_used == 8
    assert host.guest_log("left") == b""


@pytest.mark.parametrize("option", ["--disconnect", "--reconnect"])
def test_one_shot_without_xenstored_midway(host, option):
    """Not to know of a console is not to have none: it fails, so that whoever called it tries again."""
    domains = [host.create(name=f"left-{n}") for n in range(3)]
    host.inject("bind", errno=None, delay=3, domid=domains[0].domid)
    before = host.injections()[0]["hits"]
    shot = start_within(host, "", option, f"--log-dir={host.log_dir}")
    until(lambda: not host.injections() or host.injections()[0]["hits"] > before, "it to be at the first one")
    host.stop_store()
    assert shot.wait(PATIENCE) == 1
    assert "cannot reach" in shot.output and "marked" not in shot.output


@pytest.mark.parametrize("name", ["EIO", "EACCES"])
def test_one_shot_and_a_node_that_cannot_be_read(host, name):
    """That console is named and counted, the others are done, and the status says that something failed."""
    first, poor, last = (host.create(name=one) for one in ("first", "poor", "last"))
    for domain in (first, poor, last):
        domain.console().flag = CONNECTED
    for leaf in ("port", "limit"):
        with StoreProxy(host, f"/{poor.domid}/console/{leaf}".encode(), name) as proxy:
            shot = start_within(host, "", "--disconnect", f"--log-dir={host.log_dir}", env=proxy.env)
            assert shot.wait(PATIENCE) == 1
        named = f"console of domain {poor.domid}: cannot read its nodes in xenstore: {os.strerror(getattr(errno, name))}"
        assert shot.output.count(named) == 1 and shot.output.count("cannot") == 1
        assert "2 consoles marked disconnected, 0 left to the daemon that holds them, 1 failed" in shot.output
        assert [d.console().flag for d in (first, poor, last)] == [DISCONNECTED, CONNECTED, DISCONNECTED]


@pytest.mark.parametrize("option", ["--disconnect", "--reconnect"])
def test_one_shot_beside_a_daemon(host, option):
    """A running daemon sets the flag itself: nothing is changed, and it is said whose it is."""
    daemon, domain, guest = serve(host, name="web")
    stopped = host.create(name="qemu", type="ioemu")
    done = one_shot(host, option, check=False)
    assert done.returncode == 1
    assert f"pid {daemon.pid}" in done.stderr and len(done.stderr.splitlines()) == 1
    assert domain.console().flag == CONNECTED and stopped.console().flag == DISCONNECTED
    converse(host, daemon, domain, guest, "still")


def waits_deaf_to(process, number):
    """It ignores the signal, and sleeps."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    ignored = int(re.search(r"^SigIgn:\t([0-9a-f]+)", status, re.M)[1], 16)
    return bool(ignored >> (number - 1) & 1) and "\nState:\tS" in status


def test_one_shot_right_after_a_stop(host):
    """`kill PID; xenconsoled --reconnect`: kill does not wait for the daemon's end, the one-shot does."""
    daemon, domain, _ = serve(host, name="web")
    daemon.freeze()
    daemon.signal(signal.SIGTERM)
    reconnect = host.spawn(XENCONSOLED, "--reconnect", own_run=True)
    until(lambda: not reconnect.running() or waits_deaf_to(reconnect, signal.SIGHUP), "it to wait")
    assert reconnect.running(), reconnect.output
    reconnect.signal(signal.SIGHUP)  # as logrotate might, which finds its pid in the lock file
    daemon.thaw()
    assert daemon.wait(PATIENCE) == 0
    assert reconnect.wait(PATIENCE) == 0
    assert domain.console().flag == CONNECTED and not domain.console().bound


def test_disconnect_leaves_a_broken_ring_alone(host):
    """Indexes out of range: the flag is written, the ring is not believed."""
    domain = host.create(name="bad", old_builder=True)
    domain.console().set_index("out_prod", 5000)
    one_shot(host, "--disconnect", "--log=guest", check=False)
    assert domain.console().flag == DISCONNECTED
    assert domain.console().indexes.out_cons == 0
    assert host.guest_log("bad") == b""


def test_one_shot_without_anything_to_do(host):
    done = one_shot(host, "--disconnect")
    assert done.returncode == 0 and "0 consoles marked disconnected" in done.stderr


def test_killed_daemon_leaves_the_flag(host):
    """SIGKILL leaves CONNECTED, which an old guest and a quick successor want; the one-shot mends."""
    daemon, domain, guest = serve(host, mode="linux71", name="web")
    daemon.kill()
    until(lambda: not domain.console().bound, "the kernel to let go of the port")
    assert domain.console().flag == CONNECTED
    guest.print("into the ring\n")
    guest.flush()
    one_shot(host, "--disconnect", "--log=guest")
    assert domain.console().flag == DISCONNECTED
    assert host.guest_log("web") == b"into the ring\n"
    guest.print("dropped\n")
    assert guest.flush()["dropped"] == 8


def test_report_tells_the_flag_as_it_is(host):
    """SIGUSR1 reads it from the page."""
    daemon, domain, _ = serve(host, name="web")
    assert report(daemon, domain)["flag"] == CONNECTED
    domain.console().flag = 7
    assert report(daemon, domain)["flag"] in (7, CONNECTED)
