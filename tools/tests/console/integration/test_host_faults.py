# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon's own host does to it beside running out of things: the event channel handle fails,
clocks are set or stand still, and the disk keeps a call of another kind than a write."""

import errno
import re
import signal
import time
from pathlib import Path

import pytest

from faultlib import CLOSE, OPEN, STAT, Faults
from helpers import PATIENCE, Reader, converse, log_is, logged, numbered, report, tty_of, until
from hostlib import CONNECTED

DAY = 86400
STAMP = re.compile(rb"^\[(.{19})\] ", re.MULTILINE)
MARK = re.compile(rb"\[xenconsoled: (\d+) bytes of output lost from -?\d+-")


def event_channel(daemon):
    """The descriptor of its event channel handle: the one FIFO, on the stand-in host, that it polls."""
    fds = daemon.fds()
    polled = "".join(Path(f"/proc/{daemon.pid}/fdinfo/{fd}").read_text()
                     for fd, what in fds.items() if what == "anon_inode:[eventpoll]")
    fd, = (int(fd) for fd in re.findall(r"^tfd: *(\d+)", polled, re.MULTILINE)
           if Path(f"/proc/{daemon.pid}/fd/{fd}").is_fifo())
    return fd


def said(daemon, text):
    return daemon.output.count(text)


def test_event_channel_handle_reports_an_error(host):
    """As poll() does it after an overflow: another handle, all consoles bound anew, none of them told."""
    with Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        domain, other = host.create(name="web"), host.create(name="other")
        guest, others = domain.guest(), other.guest(mode="linux71")
        for one in (domain, other):
            tty_of(daemon, one)
        faults.break_descriptor(event_channel(daemon))
        guest.print("heard\n")
        logged(host, "web", "heard\n")
        until(lambda: faults.reported, "it to be reported")
        converse(host, daemon, domain, guest, "on")
        converse(host, daemon, other, others, "on")
        assert others.status()["dropped"] == 0 and guest.status()["unnoticed"] == 0
        host.hypervisor_print("(XEN) still heard\n")
        until(lambda: b"still heard" in host.hypervisor_log(), "the hypervisor's log")
        assert said(daemon, "event channel handle failed") == 1


# -- clocks ---------------------------------------------------------------------------------------


@pytest.fixture
def clocked(host):
    """A console whose log is stamped, and whose daemon's clocks can be set: (faults, daemon, domain, guest).
    A clock that stands still would never renew a share of processor time, so there is none."""
    with Faults(host) as faults:
        daemon = host.start_daemon("--timestamp=guest", "--cpu-share=100", wait=True, env=faults.env)
        domain = host.create(name="web")
        guest = domain.guest(chunk=512)
        tty_of(daemon, domain)
        converse(host, daemon, domain, guest, "before")
        yield faults, daemon, domain, guest


LEAPS = pytest.mark.parametrize("leap", [DAY, -DAY, 8000 * 365 * DAY, -100 * 365 * DAY],
                                ids=["a day on", "a day back", "past 9999", "before 1970"])


@LEAPS
def test_clock_is_set_while_it_talks(host, clocked, leap):
    """The next stamp is of the new time, or all zeros where that has no four digits."""
    faults, daemon, domain, guest = clocked
    began = int(time.time())
    faults.jump(leap)
    converse(host, daemon, domain, guest, "after")
    stamp = STAMP.findall(host.guest_log("web"))[-1].decode()
    if leap > DAY:
        assert stamp == "0000-00-00 00:00:00"
    else:
        assert began + leap <= time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) <= time.time() + leap


@LEAPS
def test_clock_is_set_while_the_disk_fails(host, clocked, leap):
    """It is tried again as it would have been, and the gap counts what is missing."""
    faults, daemon, domain, guest = clocked
    faults.disk(errno.EIO)
    guest.lines(8000)
    guest.flush(2 * PATIENCE)
    until(lambda: report(daemon, domain)["log_dropped"], "a full queue")
    faults.jump(leap)
    faults.disk(0)
    until(lambda: report(daemon, domain)["queue"] == 0, "the queue to be written")
    until(lambda: host.guest_log("web").endswith(b"goes on\n") or guest.print("goes on\n"), "the log")
    converse(host, daemon, domain, guest, "after")
    dropped = report(daemon, domain)["log_dropped"]
    assert sum(int(count) for count in MARK.findall(host.guest_log("web"))) == dropped
    until(lambda: said(daemon, "written again"), "the end to be said")
    assert said(daemon, str(host.log_dir)) == 2


def refused(host, daemon, times):
    """A domain whose port cannot be bound, so many times. Xenstored could bind its own."""
    domain = host.create(name="late", port=False)
    host.inject("bind", errno="EBUSY", times=times)
    domain.console().set_node("port", domain.console().port)
    until(lambda: said(daemon, "cannot bind"), "it to be refused")
    return domain


@LEAPS
def test_clock_is_set_while_a_guest_waits(host, clocked, leap):
    """A port that could not be bound is tried again as it would have been."""
    faults, daemon, _, _ = clocked
    domain = refused(host, daemon, times=3)
    faults.jump(leap)
    converse(host, daemon, domain, domain.guest(), "served")
    assert said(daemon, "cannot bind") == 1


def test_clock_stands_still(host, clocked):
    """Bytes pass all the same; what waits for its time is done when time goes on, even if in a leap."""
    faults, daemon, domain, guest = clocked
    faults.stop_clock()
    late = refused(host, daemon, times=1)
    for number in range(100):
        converse(host, daemon, domain, guest, f"no time {number}")
    assert not late.console().bound and domain.console().flag == CONNECTED
    faults.run_clock()
    guest.print("time goes on\n")  # nobody else wakes a daemon whose clock stood still
    converse(host, daemon, late, late.guest(), "served")
    converse(host, daemon, domain, guest, "after")


# -- a disk that keeps other calls than writes ------------------------------------------------------


@pytest.mark.parametrize("call", [OPEN, STAT, CLOSE], ids=["open", "stat", "close"])
def test_disk_keeps_a_call(host, call):
    """As the logs are opened anew: consoles do not notice, whoever comes or goes meanwhile neither;
    nothing that the queues hold is lost; and it is said when it begins and when it ends."""
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=guest", wait=False, env=faults.env)
        domain, other = host.create(name="web"), host.create(name="other")
        guest, others = domain.guest(chunk=512), other.guest()
        converse(host, daemon, domain, guest, "before")
        converse(host, daemon, other, others, "before")
        tty = tty_of(daemon, domain)
        faults.log(call)
        daemon.signal(signal.SIGHUP)
        until(lambda: faults.stalled, "the call to be stuck")
        guest.lines(3000)
        with Reader(tty) as reader:
            reader.expect(numbered(1, start=2999))
            reader.write("typed\n")
            until(lambda: guest.input.endswith(b"typed\n"), "the input")
        others.print("last words\n")
        others.flush(PATIENCE)
        other.destroy()
        other.wait_gone(PATIENCE)
        new = host.create(name="new")
        news = new.guest()
        with Reader(tty_of(daemon, new)) as reader:
            news.print("first words\n")
            reader.expect("first words\n")
        until(lambda: said(daemon, "does not answer") or news.print("on\n"), "it to be said")
        faults.log(0)
        log_is(host, "web", b"before, says the guest\n" + numbered(3000))
        log_is(host, "other", b"before, says the guest\nlast words\n")
        logged(host, "new", "first words\n")
        until(lambda: said(daemon, "answers again"), "the end to be said")
        assert said(daemon, str(host.log_dir)) == 2, daemon.output

        faults.log(call)
        daemon.signal(signal.SIGHUP)
        until(lambda: faults.stalled, "the call to be stuck")
        guest.lines(100)
        guest.flush(PATIENCE)
        assert daemon.stop(PATIENCE) == 0
    host.start_daemon("--log=guest")
    log_is(host, "web", b"before, says the guest\n" + numbered(3000) + numbered(100))


def test_link_put_in_the_way(host):
    """Right before a log is opened, after it has been looked at: the link is not followed."""
    log, target = host.log_dir / "guest-web.log", host.dir / "precious"
    target.write_bytes(b"untouched\n")
    with Faults(host) as faults:
        daemon = host.start_daemon("--log=guest", wait=False, env=faults.env)
        domain = host.create(name="web")
        guest = domain.guest()
        converse(host, daemon, domain, guest, "before")
        faults.log(OPEN)
        daemon.signal(signal.SIGHUP)
        until(lambda: faults.stalled, "it to be opened")
        log.unlink()
        log.symlink_to(target)
        guest.print("meanwhile\n")
        faults.log(0)
        until(lambda: said(daemon, "guest-web.log"), "it to be refused")
        log.unlink()
        logged(host, "web", "meanwhile\n")
        assert target.read_bytes() == b"untouched\n"
