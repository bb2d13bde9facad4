# SPDX-License-Identifier: GPL-2.0-only
"""Guests' logs and the hypervisor's: what is in them, where they lie, and what happens to them."""

import os
import re
import signal

import pytest

from faultlib import remount, start_within, within
from helpers import (PATIENCE, Reader, converse, log_is, logged, numbered, report, serve, settle,
                     tty_of, until)

STAMP = rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] "
OPENED = STAMP + rb"Logfile Opened\n"


# -- the hypervisor's log -------------------------------------------------------------------------


def hypervisor_logged(host, text):
    until(lambda: text in host.hypervisor_log(),
          lambda: f"{text!r} in the hypervisor's log, which has {host.hypervisor_log()[-300:]!r}")


def test_hypervisor_log(host):
    """First all that is in Xen's ring, then what it adds."""
    host.hypervisor_print("(XEN) booting\n(XEN) dom0 built\n")
    host.start_daemon()
    hypervisor_logged(host, b"dom0 built\n")
    host.hypervisor_print("(XEN) later\n")
    hypervisor_logged(host, b"later\n")
    host.hypervisor_print("(XEN) in pieces, ")
    host.hypervisor_print("one after the other\n")
    hypervisor_logged(host, b"other\n")
    assert host.hypervisor_log() == (b"(XEN) booting\n(XEN) dom0 built\n(XEN) later\n"
                                     b"(XEN) in pieces, one after the other\n")


def test_hypervisor_log_overrun(host):
    """Nothing can hold Xen back: what was overwritten unread is marked, not passed over."""
    daemon = host.start_daemon(wait=True)
    host.hypervisor_print("(XEN) before\n")
    hypervisor_logged(host, b"before\n")
    daemon.freeze()
    host.hypervisor_print("".join(f"(XEN) line {n}\n" for n in range(3000)))
    daemon.thaw()
    hypervisor_logged(host, b"line 2999\n")
    log = host.hypervisor_log()
    lost = int(re.search(rb"(\d+) bytes of Xen's console ring lost", log)[1])
    written = sum(len(f"(XEN) line {n}\n") for n in range(3000))
    assert log.count(b"bytes of Xen's console ring lost") == 1
    assert lost == written - 16384
    tail = log[log.index(b"unread]\n") + 8:]
    assert len(tail) == 16384
    assert "".join(f"(XEN) line {n}\n" for n in range(3000)).encode().endswith(tail)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGKILL])
def test_hypervisor_log_goes_on(host, number):
    """Xen's ring keeps what was read: a successor logs what is new in it, also what came while nobody
    was there, and also if a daemon in between has logged guests only, or nothing."""
    domain, said = host.create(), b""
    for life in ["all", "all", "guest", "none", "all", "hv"]:
        daemon = host.start_daemon(f"--log={life}")
        if life in ("all", "hv"):
            for word in ("one", "two"):
                said += f"(XEN) {word} to {daemon.pid}\n".encode()
                host.hypervisor_print(f"(XEN) {word} to {daemon.pid}\n")
                until(lambda: host.hypervisor_log() == said, lambda: f"{said}, not {host.hypervisor_log()}")
        tty_of(daemon, domain)
        daemon.signal(number)
        daemon.wait(PATIENCE)
        said += b"(XEN) alone\n"
        host.hypervisor_print("(XEN) alone\n")


def test_hypervisor_log_after_a_reboot(host):
    """Another Xen's ring is logged from its beginning, even where the run directory outlives a boot."""
    host.hypervisor_print("(XEN) booting\n")
    daemon = host.start_daemon()
    hypervisor_logged(host, b"booting\n")
    daemon.stop(PATIENCE)
    boot_id = host.dir / "boot_id"
    boot_id.write_text("00000000-0000-4000-8000-000000000000\n")
    mount = f"mount --bind {boot_id} /proc/sys/kernel/random/boot_id"
    said = 2 * b"(XEN) booting\n"
    for life in range(3):
        daemon = start_within(host, mount, "--log=all", f"--log-dir={host.log_dir}")
        until(lambda: host.hypervisor_log() == said, host.hypervisor_log)
        daemon.kill()
        host.hypervisor_print(f"(XEN) {life}\n")
        said += f"(XEN) {life}\n".encode()


def test_hypervisor_log_fails_for_a_while(host):
    host.inject("conring", errno="ENOMEM", times=3)
    host.hypervisor_print("(XEN) patience\n")
    daemon = host.start_daemon()
    hypervisor_logged(host, b"(XEN) patience\n")
    assert daemon.output.count("cannot read Xen's console ring") == 1


@pytest.mark.parametrize("which, guest, hv", [("none", False, False), ("guest", True, False),
                                              ("hv", False, True), ("all", True, True)])
def test_which_logs(host, which, guest, hv):
    host.hypervisor_print("(XEN) hello\n")
    daemon, domain, program = serve(host, f"--log={which}", name="web")
    program.print("hello\n")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.expect("hello\n")
    if hv:
        hypervisor_logged(host, b"hello\n")
    if guest:
        logged(host, "web", "hello\n")
    daemon.stop(PATIENCE)
    assert sorted(p.name for p in host.log_dir.iterdir()) == \
        ["guest-web.log"] * guest + ["hypervisor.log"] * hv


# -- stamps and escapes ---------------------------------------------------------------------------


@pytest.mark.parametrize("which, guest, hv", [("none", False, False), ("guest", True, False),
                                              ("hv", False, True), ("all", True, True)])
def test_timestamps(host, which, guest, hv):
    """At each line's start, in what was asked for; a file so stamped begins with Logfile Opened."""
    host.hypervisor_print("(XEN) one\n(XEN) two\n")
    daemon, domain, program = serve(host, f"--timestamp={which}", name="web")
    program.print("one\ntwo\n\nfour")
    logged(host, "web", "four")
    hypervisor_logged(host, b"two\n")
    guests = OPENED + STAMP + rb"one\n" + STAMP + rb"two\n" + STAMP + rb"\n" + STAMP + rb"four"
    hypervisors = OPENED + STAMP + rb"\(XEN\) one\n" + STAMP + rb"\(XEN\) two\n"
    assert re.fullmatch(guests if guest else rb"one\ntwo\n\nfour", host.guest_log("web"))
    assert re.fullmatch(hypervisors if hv else rb"\(XEN\) one\n\(XEN\) two\n", host.hypervisor_log())


def test_timestamps_of_two_guests_do_not_mix(host):
    """Whether a line has begun is known for each guest by itself."""
    daemon, domain, guest = serve(host, "--timestamp=all", name="one")
    other = host.create(name="two")
    others = other.guest()
    for half, end in (("a ", "b\n"), ("c ", "d\n")):
        guest.print(half)
        until(lambda: host.guest_log("one").endswith(half.encode()), "the half line")
        others.print(f"whole {half}\n")
        logged(host, "two", f"whole {half}\n")
        guest.print(end)
        logged(host, "one", half + end)
    assert re.fullmatch(OPENED + STAMP + rb"a b\n" + STAMP + rb"c d\n", host.guest_log("one"))
    assert re.fullmatch(OPENED + STAMP + rb"whole a \n" + STAMP + rb"whole c \n", host.guest_log("two"))


def test_replace_escape(host):
    """A dot for ESC in logs; the reader has the real thing."""
    text = b"\x1b[31mred\x1b[0m\n"
    host.hypervisor_print(text.decode())
    daemon, domain, guest = serve(host, "--replace-escape", name="web")
    guest.print(text)
    logged(host, "web", ".[31mred.[0m\n")
    hypervisor_logged(host, b".[31mred.[0m\n")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.expect(text)


def test_escape_kept_without_the_option(host):
    daemon, domain, guest = serve(host, name="web")
    guest.print(b"\x1b[31mred\x00\xff\r\n")
    log_is(host, "web", b"\x1b[31mred\x00\xff\r\n")


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pre/../../outside", "../outside", "/etc/outside", "..", ".",
                                  ".hidden", "with space", "esc\x1b[31m", "new\nline",
                                  "ünïcode", "x" * 1000, "%2f", "a" * 255 + "b"], ids=lambda n: ascii(n)[:20])
def test_any_name(host, name):
    """A file in the log directory, and nowhere else; names that differ have files that differ."""
    _, _, guest = serve(host, name=name)
    guest.print("here\n")

    def files():
        return [p for p in host.log_dir.rglob("*") if p.name.startswith("guest-")]

    until(lambda: files() and files()[0].read_bytes() == b"here\n", lambda: f"a log, {files()}")
    log, = files()
    assert log.parent == host.log_dir and log.name.endswith(".log")
    assert all(" " <= c != "\x7f" for c in log.name)
    assert not [p for p in host.dir.rglob("*outside*") if p != log]
    if re.fullmatch(r"[ -~]{1,100}", name) and not re.search(r"[/%]|^\.", name):
        assert log.name == f"guest-{name}.log"


def test_long_names_that_differ_at_the_end(host):
    host.start_daemon(wait=True)
    for end in "ab":
        domain = host.create(name="x" * 600 + end)
        guest = domain.guest()
        guest.print(f"I am {end}\n")
    until(lambda: len(list(host.log_dir.glob("guest-*.log"))) == 2, "two logs")
    until(lambda: sorted(p.read_text() for p in host.log_dir.glob("guest-*.log"))
          == ["I am a\n", "I am b\n"], "their lines")


def test_name_written_late(host):
    """What was printed before goes to a log too, and what comes later to the right one."""
    daemon, domain, guest = serve(host, name=None)
    guest.print("nameless\n")
    until(lambda: any(b"nameless\n" in p.read_bytes() for p in host.log_dir.glob("guest-*.log")),
          "a log")
    domain.rename("late")
    until(lambda: report(daemon, domain)["name"] == "late", "the daemon to know")
    guest.print("named\n")
    logged(host, "late", "named\n")


def test_two_domains_of_one_name(host):
    """As while migrating on one host: one file, both in it, whole lines."""
    daemon, domain, guest = serve(host, name="twin")
    other = host.create(name="twin")
    others = other.guest()
    guest.print("first\n")
    logged(host, "twin", "first\n")
    others.print("second\n")
    logged(host, "twin", "second\n")
    assert host.guest_log("twin") == b"first\nsecond\n"


# -- files ----------------------------------------------------------------------------------------


def test_appended_to(host):
    (host.log_dir / "guest-web.log").write_bytes(b"of yesterday\n")
    daemon, domain, guest = serve(host, name="web")
    guest.print("of today\n")
    log_is(host, "web", b"of yesterday\nof today\n")


def test_copytruncate(host):
    """logrotate may truncate the file under us: no hole, nothing lost."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("one\n")
    logged(host, "web", "one\n")
    os.truncate(host.log_dir / "guest-web.log", 0)
    guest.print("two\n")
    until(lambda: host.guest_log("web") == b"two\n", lambda: f"it, has {host.guest_log('web')!r}")


@pytest.mark.parametrize("what", ["symlink", "dangling", "fifo", "directory", "device link"])
def test_something_else_in_its_place(host, what):
    """Not followed, not waited for, not written: said once, and all else goes on. When it is gone
    the log is there, with what was kept meanwhile."""
    place, target = host.log_dir / "guest-web.log", host.dir / "target"
    if what == "symlink":
        target.write_bytes(b"precious\n")
        place.symlink_to(target)
    elif what == "dangling":
        place.symlink_to(target)
    elif what == "fifo":
        os.mkfifo(place)
    elif what == "directory":
        place.mkdir()
    else:
        place.symlink_to("/dev/full")
    daemon, domain, guest = serve(host, name="web")
    guest.print("meanwhile\n")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.expect("meanwhile\n")
    other = host.create(name="other")
    others = other.guest()
    others.print("fine\n")
    logged(host, "other", "fine\n")
    until(lambda: "guest-web.log" in daemon.output, "a word about it")
    if what == "symlink":
        assert target.read_bytes() == b"precious\n"
    if what == "dangling":
        assert not target.exists()
    if what == "directory":
        place.rmdir()
    else:
        place.unlink()
    logged(host, "web", "meanwhile\n")
    until(lambda: "guest-web.log is written again" in daemon.output, "the end of it to be told")
    assert daemon.output.count("guest-web.log") == 2


def test_log_directory_comes_late(host):
    """Not there when the daemon starts: served all the same, and nothing is lost."""
    late = host.dir / "late"
    daemon, domain, guest = serve(host, f"--log-dir={late}", name="web")
    guest.print("early\n")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.expect("early\n")
    if not late.exists():
        late.mkdir()
    until(lambda: (late / "guest-web.log").exists()
          and (late / "guest-web.log").read_bytes() == b"early\n", "the log")


def test_log_directory_is_a_file(host):
    """Served all the same; when it is a directory, the logs come."""
    place = host.dir / "place"
    place.write_text("in the way")
    daemon, domain, guest = serve(host, f"--log-dir={place}", name="web")
    with Reader(tty_of(daemon, domain)) as reader:
        guest.print("meanwhile\n")
        reader.expect("meanwhile\n")
    place.unlink()
    place.mkdir()
    until(lambda: (place / "guest-web.log").exists()
          and (place / "guest-web.log").read_bytes() == b"meanwhile\n", "the log")


def test_log_file_removed(host):
    """By somebody who tidies up: after SIGHUP there is one again."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("one\n")
    logged(host, "web", "one\n")
    (host.log_dir / "guest-web.log").unlink()
    daemon.signal(signal.SIGHUP)
    settle(daemon)
    guest.print("two\n")
    logged(host, "web", "two\n")


def test_disk_full(host):
    """A full disk costs its own log some bytes, which are counted and marked in it; nothing else."""
    daemon = start_within(host, "mkdir /run/small; mount -t tmpfs -o size=64k none /run/small",
                          "--log=guest", "--log-dir=/run/small/logs")
    domain = host.create(name="web")
    guest = domain.guest(chunk=512, trusting=True)
    tty_of(daemon, domain)
    within(host, daemon, "mkdir", "/run/small/logs")
    guest.print("first\n")
    until(lambda: "are written again" in daemon.output, "the directory to be found")
    guest.lines(10000)
    assert guest.flush(PATIENCE)["unnoticed"] == 0
    until(lambda: report(daemon, domain)["out"] == 640006, "all of it")
    until(lambda: report(daemon, domain)["log_dropped"] >= 640000 - 65536 - 262144, "the queue to be full")
    remount(host, daemon, "/run/small", "size=4m")

    def content():
        return within(host, daemon, "cat", "/run/small/logs/guest-web.log").stdout.encode()

    until(lambda: b"[xenconsoled: " in content(), "the gap to be told of")
    guest.print("room again\n")
    until(lambda: b"room again\n" in content(), "the log to go on")
    log = content()
    whole = b"first\n" + numbered(10000)
    kept = len(os.path.commonprefix([log, whole]))
    gap = log[kept:log.index(b"room again\n")]
    said = report(daemon, domain)
    assert kept + said["log_dropped"] >= 640000
    assert b"xenconsoled" in gap
    assert len([line for line in daemon.output.splitlines() if "No space left" in line]) == 1


def test_queue_of_a_killed_daemon(host):
    """What was taken off a ring is in the log, or waits for the next daemon: here behind a FIFO."""
    place = host.log_dir / "guest-web.log"
    os.mkfifo(place)
    daemon, domain, guest = serve(host, name="web")
    guest.lines(100)
    guest.flush(PATIENCE)
    until(lambda: report(daemon, domain)["out"] == 6400, "all of it")
    daemon.kill()
    place.unlink()
    daemon = host.start_daemon()
    log_is(host, "web", numbered(100))
    converse(host, daemon, domain, guest, "next")
    assert host.guest_log("web") == numbered(100) + b"next, says the guest\n"


def test_vuart_log(host):
    """A log of its own beside the primary console's."""
    daemon = host.start_daemon("--vuart=yes", wait=True)
    domain = host.create(name="arm", vuart=True)
    vuart, guest = domain.guest(console=1), domain.guest()
    tty_of(daemon, domain, 1)
    vuart.print("from the uart\n")
    guest.print("from the console\n")
    until(lambda: host.guest_log("arm", "-vuart0") == b"from the uart\n", "the vuart's log")
    logged(host, "arm", "from the console\n")
    assert report(daemon, domain, vuart=True)["out"] == 14


@pytest.mark.parametrize("option, wanted", [
    ("--vuart=no", False), ("--vuart=auto", os.uname().machine.startswith(("arm", "aarch64")))])
def test_vuart_where_there_is_one(host, option, wanted):
    """Only Arm has them; elsewhere asking xenstore for each domain's would be for nothing."""
    daemon = host.start_daemon(option, wait=True)
    domain = host.create(name="arm", vuart=True)
    tty_of(daemon, domain)
    if wanted:
        tty_of(daemon, domain, 1)
    settle(daemon)
    assert domain.console(1).bound == wanted
