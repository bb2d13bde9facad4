# SPDX-License-Identifier: GPL-2.0-only
"""Guests that live as guests do: made, used, shut down, saved, moved to another domid, and many at once."""

import os
import select
import subprocess
import time

import xenhost
from guests import Linux, PvhLinux, Tiny
from lines import Lines
from xenhost import CONNECTED, wait, xl


def start(report, daemon):
    """The daemon, and a guest that stays to the end; what is held then is what must be held again when another is gone."""
    report.step("starting the daemon, and a guest that stays")
    daemon.start()
    anchor = Tiny("anchor").create()
    report.need("anchor-answers", anchor.answers())
    anchor.close()
    return anchor, daemon.held()


def check_served(report, guest):
    """A guest is served: tty, flag, and an answer to what is typed."""
    report.check(f"{guest.name}-has-a-tty", wait(lambda: (guest.tty or "").startswith("/dev/pts/"), 60), guest.tty)
    report.check(f"{guest.name}-flag-connected", wait(lambda: guest.page.flag == CONNECTED, 60), guest.page)
    report.check(f"{guest.name}-answers", guest.answers())


class Client:
    """A console client of Xen's (xl console, xenconsole) on a terminal of its own."""

    def __init__(self, *command):
        self._master, slave = os.openpty()
        self._process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text = ""

    def type(self, text):
        os.write(self._master, text.encode())

    def hear(self, text, seconds=30):
        end = time.monotonic() + seconds
        while text not in self.text:
            rest = end - time.monotonic()
            if rest <= 0 or not select.select([self._master], [], [], rest)[0]:
                return False
            try:
                self.text += os.read(self._master, 65536).decode(errors="replace")
            except OSError:
                return False
        return True

    def end(self):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._master)


def create(report, daemon):
    """xl create, xl console, xenconsole and xl shutdown with the daemon running."""
    _, before = start(report, daemon)
    guest = Linux("linux")
    report.step("xl create")
    problem = ""
    try:
        guest.create()
    except RuntimeError as error:
        problem = str(error)
    report.need("xl-create-is-content", guest.domid is not None, problem)
    report.check("tty-is-a-terminal", (guest.tty or "").startswith("/dev/pts/"), guest.tty)
    report.step("booting")
    report.need("guest-boots", guest.is_up(), guest.log_text()[-200:])
    report.check("flag-connected", guest.page.flag == CONNECTED, guest.page)
    boot_log = guest.log_text()

    report.step("xl console")
    client = Client("xl", "console", "linux")
    client.type("echo typed-$((6*7))\n")
    report.check("xl-console-reads-and-types", client.hear("typed-42"), client.text[-200:])
    client.end()
    report.step("xenconsole")
    client = Client("/xen-bin/xenconsole", str(guest.domid))
    client.type(guest.DMESG + "\n")
    report.check("xenconsole-reads-and-types", client.hear(guest.DMESG_ENDS), client.text[-200:])
    client.end()
    missing = guest.missing_from_log(client.text)
    report.check("boot-log-is-complete", missing == [], f"missing {missing}")

    report.step("xl shutdown")
    xl("shutdown", "linux")
    guest.check_end(report, daemon, before)
    words = guest.log_text()[len(boot_log):]
    report.check("last-words-in-the-log", "guest: last words" in words and "reboot: " in words, words[-200:])


def ends(report, daemon):
    """A guest is destroyed, crashes, shuts down and reboots; each time its log is whole and nothing stays."""
    anchor, before = start(report, daemon)
    report.check("boots-in-well-under-a-second", anchor.state.cpu_seconds < 0.5, anchor.state)

    report.step("xl destroy, mid-flood")
    guest = Tiny("destroyed", "flood").create()
    report.check("flood-runs", wait(lambda: len(guest.log_text()) > 20000, 60), len(guest.log_text()))
    guest.destroy()
    guest.check_end(report, daemon, before)
    lines = Lines(guest.log_text())
    report.check("destroyed-log-is-whole-so-far", lines.is_whole(), lines)

    for word in ("crash", "shutdown"):
        report.step(word)
        guest = Tiny(word, "flood 2000").create('on_crash = "destroy"')
        report.need(f"{word}-is-up", guest.is_up())
        guest.command(word)
        guest.check_end(report, daemon, before)
        lines = Lines(guest.log_text())
        report.check(f"{word}-log-is-whole", lines.is_whole() and "last words" in guest.log_text(), lines)

    report.step("reboot")
    guest = Tiny("reboots").create('on_reboot = "restart"')
    report.need("reboots-is-up", guest.is_up())
    old = guest.domid
    guest.command("reboot")
    new = wait(lambda: xenhost.domid_of("reboots") not in (None, old) and xenhost.domid_of("reboots"), 60)
    report.need("reboot-gives-a-new-domid", new, f"{old}, then {new}")
    report.check("reboot-ends-the-old-domid", guest.is_gone(), guest.state)
    guest.domid = new
    check_served(report, guest)
    log = guest.log_text()
    report.check("reboot-log-has-both-lives", log.count(" up\n") == 2 and "last words" in log, log[-200:])
    guest.destroy()
    guest.check_end(report, daemon, before)
    report.check("anchor-still-answers", anchor.answers())


def save(report, daemon):
    """A Linux guest is paused and unpaused, saved and restored."""
    _, before = start(report, daemon)
    guest = Linux("linux").create()
    report.need("guest-boots", guest.is_up())
    report.step("xl pause, xl unpause")
    xl("pause", "linux")
    guest.command("echo paused-$((40+2))")
    report.check("paused-is-silent", not guest.hear("paused-42", 1))
    xl("unpause", "linux")
    report.check("unpaused-answers", guest.hear("paused-42"))

    report.step("xl save")
    old = guest.domid
    xl("save", "linux", "/run/saved/linux", seconds=120)
    guest.check_end(report, daemon, before)
    report.step("xl restore")
    xl("restore", "/run/saved/linux", seconds=120)
    os.remove("/run/saved/linux")
    guest.domid = xenhost.domid_of("linux")
    report.check("restored-has-a-new-domid", guest.domid not in (None, old), f"{old}, then {guest.domid}")
    check_served(report, guest)
    report.check("log-goes-on", "guest: up" in guest.log_text() and "answer-" in guest.log_text(),
                 guest.log_text()[-200:])
    guest.destroy()
    guest.check_end(report, daemon, before)


def pvh(report, daemon):
    """A PVH guest, whose page comes by another way of the builder's."""
    _, before = start(report, daemon)
    guest = PvhLinux("pvh").create()
    report.need("guest-boots", guest.is_up(), guest.log_text()[-200:])
    check_served(report, guest)
    xl("shutdown", "pvh")
    guest.check_end(report, daemon, before)
    report.check("last-words-in-the-log", "reboot: " in guest.log_text(), guest.log_text()[-200:])


def ten(report, daemon):
    """Ten guests started at once; then their names under other domids, and a domid under another name."""
    _, before = start(report, daemon)
    report.step("creating ten")
    guests = [Tiny(f"tiny{i}", "flood 200") for i in range(10)]
    creations = [subprocess.Popen(["xl", "create", guest.write_config("")], stdin=subprocess.DEVNULL) for guest in guests]
    report.need("all-ten-are-created", [creation.wait(120) for creation in creations] == [0] * 10)
    for guest in guests:
        guest.domid = xenhost.domid_of(guest.name)
    report.check("ten-terminals", len({guest.tty for guest in guests}) == 10, [guest.tty for guest in guests])
    report.step("talking to each")
    for guest in guests:
        report.check(f"{guest.name}-answers", guest.answers())
        lines = Lines(guest.log_text())
        report.check(f"{guest.name}-log-is-whole-and-its-own",
                     lines.is_whole() and set(re_names(guest.log_text())) == {guest.name}, lines)
    held = daemon.consoles_held()
    report.check("holds-terminals-logs-and-pages", all(any(kind in name for name in held) for kind in
                                                       ("/dev/ptmx", "guest-tiny", "/dev/xen/")), held)
    report.step("destroying ten")
    for guest in guests:
        guest.destroy()
    for guest in guests:
        guest.check_end(report, daemon, before)

    report.step("a name again, under another domid")
    again = Tiny("tiny0").create()
    report.check("name-under-another-domid", again.domid != guests[0].domid, again.domid)
    report.check("tiny0-again-answers", again.answers())
    report.step("a domid again, under another name, at once")
    domid = again.domid
    again.destroy()
    other = Tiny("other")
    create_as(other, domid)
    report.check("domid-under-another-name", other.domid == domid, other.domid)
    check_served(report, other)
    lines = Lines(other.log_text())
    report.check("other-log-is-its-own", lines.is_whole(), lines)
    other.destroy()
    other.check_end(report, daemon, before)


def re_names(text):
    """The names that a tiny guest's answers in a log carry."""
    return [line.rsplit("-by-", 1)[1] for line in text.split("\n") if "-by-" in line]


def create_as(guest, domid):
    """xl create with a domid of ours, for which Xen's tools have no option: a preloaded library asks Xen for it."""
    environment = dict(os.environ, LD_PRELOAD="/files/domid.so", WANTED_DOMID=str(domid), LIBXL_DOMID_REUSE_TIMEOUT="0")
    done = subprocess.run(["xl", "create", guest.write_config("")], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"xl create as domain {domid}: {done.stdout.decode(errors='replace')}")
    guest.domid = xenhost.domid_of(guest.name)


SCENARIOS = {"create": create, "ends": ends, "save": save, "pvh": pvh, "ten": ten}
