# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a Debian dom0 whose PID 1 is systemd, with the package installed: boot, start, list, reload, restart, crash,
hang, wrong setting, exhaustion, stop, upgrades, removal, each with a guest that numbers its lines and keeps them while it
is told that nobody listens, and somebody who looks at its flag all the time. So a whole log, the flag and how often it was
taken back say for each step what became of the guest. usage: scenario.py DIR"""

import contextlib
import ctypes
import glob
import os
import re
import signal
import stat
import sys
import threading
import time
import traceback

import guests
import xenhost
from checks import Needed, Report
from xenhost import CONNECTED, DISCONNECTED, wait

UNIT = "xenconsoled.service"
SETTINGS = "/etc/default/xenconsoled"
LOG_DIR = "/var/log/xen/console"
DAEMON = "/usr/lib/xen-4.17/bin/xenconsoled"
HELPER = "/usr/libexec/xenconsoled/helper"
DROP_IN = f"/run/systemd/system/{UNIT}.d/step.conf"
PACKAGES = "/packages"
DAC_OVERRIDE = 1 << 1
SECONDS = 180  # everything is slow under emulation, and more so on a busy host


def systemctl(*arguments):
    return xenhost.run("systemctl", "--no-pager", *arguments, seconds=600)


def shown(name, unit=UNIT):
    return systemctl("show", "--value", "-p", name, unit)[1].strip()


def pid():
    """The daemon's; 0: none runs. The unit's main process is its parent."""
    return int(xenhost.run(HELPER, "pid")[1] or 0)


def daemons():
    found = []
    for comm in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            found += [int(comm.split("/")[2])] if xenhost.file_text(comm) == "xenconsoled\n" else []
    return found


def active():
    return shown("ActiveState") == "active"


def settings(text):
    with open(SETTINGS, "w", encoding="ascii") as file:
        file.write(text)


@contextlib.contextmanager
def drop_in(text):
    """The unit with these settings meanwhile. The disk has some already, that nothing decide on time on a busy host."""
    os.makedirs(os.path.dirname(DROP_IN), exist_ok=True)
    with open(DROP_IN, "w", encoding="ascii") as file:
        file.write(text)
    systemctl("daemon-reload")
    yield
    os.remove(DROP_IN)
    systemctl("daemon-reload")


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class Watcher(threading.Thread):
    """Counts how often a guest's flag goes from connected to disconnected."""

    def __init__(self, domid):
        super().__init__(daemon=True)
        self.domid = domid
        self.count = 0

    def run(self):
        before = CONNECTED
        with xenhost._console_page(self.domid) as address:  # pylint: disable=protected-access
            flag = ctypes.c_uint8.from_address(address + 3088)
            while True:
                now = flag.value
                self.count += before == CONNECTED and now == DISCONNECTED
                before = now
                time.sleep(0.01)


class Scenario:
    def __init__(self, report):
        self.report = report
        self.check = report.check
        self.guest = guests.Tiny("tiny")
        self.guest.log = f"{LOG_DIR}/guest-tiny.log"
        self.watcher = None
        self.expected = 0  # how often the flag may have been taken back
        self.earlier = []  # logs, before the one that is written now

    def numbers(self):
        """Those of the lines in the log, in order; a line that was damaged has none."""
        text = "".join(map(xenhost.file_text, self.earlier)) + self.guest.log_text()
        return [int(number) for number in re.findall(r"^#(\d{8}) .*\n", text, re.M)]

    def served(self, name):
        """The flag is connected, and was it all the time since it was last looked at here."""
        self.check(f"{name}-flag-connected", wait(lambda: self.guest.page.flag == CONNECTED, SECONDS), self.guest.page)
        self.check(f"{name}-flag-was-kept", self.watcher.count == self.expected, f"{self.watcher.count}, not {self.expected}")
        self.goes_on(name)

    def told(self, name):
        """The flag is disconnected, and that has been seen."""
        self.expected += 1
        self.check(f"{name}-flag-disconnected", wait(lambda: self.guest.page.flag == DISCONNECTED
                                                     and self.watcher.count == self.expected, SECONDS),
                   f"{self.guest.page}, {self.watcher.count} times, not {self.expected}")

    def goes_on(self, name):
        """More lines come, and none is missing."""
        before = len(self.numbers())
        self.check(f"{name}-guest-goes-on", wait(lambda: len(self.numbers()) > before + 4, SECONDS), before)
        numbers = self.numbers()
        self.check(f"{name}-log-is-whole", numbers == list(range(len(numbers))),
                   [pair for pair in enumerate(numbers) if pair[0] != pair[1]][:1])

    def new_pid(self, name, old):
        self.check(f"{name}-another-process", wait(lambda: active() and pid() not in (0, old), SECONDS),
                   f"{old}, then {pid()}, {shown('ActiveState')}")

    def boot(self):
        self.report.need("boot-active", wait(active, SECONDS), systemctl("status", UNIT)[1])
        self.check("boot-after-xen-service", shown("ActiveState", "xen.service") == "active")
        self.check("boot-daemon-is-ours", os.readlink(f"/proc/{pid()}/exe") == DAEMON)
        self.check("boot-one-daemon", daemons() == [pid()], daemons())
        self.check("boot-modes", (mode("/run/xen"), mode(LOG_DIR)) == (0o700, 0o750), f"{mode('/run/xen'):o} {mode(LOG_DIR):o}")
        self.check("boot-status-says-0", shown("StatusText") == "Serving 0 consoles", shown("StatusText"))

    def start(self):
        self.guest.create()
        self.report.need("start-guest-is-up", self.guest.is_up(SECONDS), self.guest.log_text()[-300:])
        self.watcher = Watcher(self.guest.domid)
        self.watcher.start()
        self.check("start-status-says-1", wait(lambda: shown("StatusText") == "Serving 1 console", SECONDS), shown("StatusText"))
        self.check("start-guest-answers", self.guest.answers(SECONDS))
        self.served("start")

    def list(self):
        self.check("list-shows-the-guest", "tiny" in xenhost.xl("list"))
        os.kill(pid(), signal.SIGUSR1)

        def reported():
            return re.search(r"tiny.*flag 0 \(connected\)", xenhost.run("journalctl", "--no-pager", "-u", UNIT)[1])

        self.check("list-report-has-its-flag", wait(reported, SECONDS))

    def sandbox(self):
        """While it serves, under exactly the unit that is installed."""
        text = xenhost.run("systemd-analyze", "--no-pager", "security", UNIT, seconds=600)[1]
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
        self.check("sandbox-exposure", found and float(found[1]) < 2.0, text[-300:])
        self.report.note(found[0] if found else text)
        with open(f"/proc/{pid()}/status", encoding="ascii") as file:
            status = dict(re.findall(r"^(\w+):\s*(.*)$", file.read(), re.M))
        for name, value in (("CapEff", f"{DAC_OVERRIDE:016x}"), ("CapBnd", f"{DAC_OVERRIDE:016x}"), ("NoNewPrivs", "1"), ("Seccomp", "2")):
            self.check(f"sandbox-{name}", status.get(name) == value, status.get(name))
        journal = xenhost.run("journalctl", "--no-pager", "-u", UNIT, "-p", "warning")[1]
        self.check("sandbox-no-complaint", not re.search(r"EPERM|not permitted|denied", journal, re.I), journal[-500:])

    def set_aside(self, suffix):
        os.rename(self.guest.log, self.guest.log + suffix)
        self.earlier.append(self.guest.log + suffix)

    def reload(self):
        old = pid()
        self.check("reload-ends", systemctl("reload", UNIT)[0] == 0)
        self.check("reload-same-process", wait(active, SECONDS) and pid() == old)
        self.goes_on("reload")
        self.set_aside(".1")
        with open(self.guest.log, "wb"):  # as logrotate's create makes it
            os.chown(self.guest.log, 1, 1)
            os.chmod(self.guest.log, 0o640)
        systemctl("reload", UNIT)
        self.check("reload-log-is-opened-anew", wait(lambda: "\n" in self.guest.log_text(), SECONDS))
        self.served("rotation")

    def restart(self):
        old = pid()
        self.check("restart-ends", systemctl("restart", UNIT)[0] == 0)
        self.new_pid("restart", old)
        self.served("restart")

    def restarts(self):
        """An administrator's are not counted as if it had failed."""
        refused = [number for number in range(6) if systemctl("restart", UNIT)[0] != 0]
        self.check("restarts-are-not-refused", not refused, refused)
        self.served("restarts")

    def crash(self):
        old = pid()
        os.kill(old, signal.SIGSEGV)
        self.new_pid("crash", old)
        self.served("crash")
        old = pid()
        os.kill(int(shown("MainPID")), signal.SIGKILL)
        self.new_pid("main-process", old)
        self.served("main-process")
        with open(f"{LOG_DIR}/hypervisor.log", encoding="latin-1") as file:
            began = file.read().count("Xen version ")
        self.check("crash-xen-is-not-logged-again", began == 1, f"its beginning is there {began} times")

    def hang(self):
        with drop_in("[Service]\nWatchdogSec=20\nTimeoutStopSec=5\n"):
            systemctl("restart", UNIT)
            old = pid()
            os.kill(old, signal.SIGSTOP)
            self.new_pid("hang", old)
            journal = xenhost.run("journalctl", "--no-pager", "-u", UNIT)[1]
            self.check("hang-was-the-watchdog", "Watchdog timeout" in journal, journal[-500:])
        systemctl("restart", UNIT)
        self.served("hang")

    def wrong_setting(self):
        settings("XENCONSOLED_TRACE=/var/log/xen/trace\n")
        self.check("wrong-trace-starts", systemctl("restart", UNIT)[0] == 0)
        self.check("wrong-trace-is-said", wait(lambda: re.search(
            r"/var/log/xen/trace.*XENCONSOLED_TRACE.*none, guest, hv, all", systemctl("status", UNIT)[1]), SECONDS))
        settings("XENCONSOLED_ARGS=--overflow-data=kep\n")
        self.check("wrong-fails", systemctl("restart", UNIT)[0] != 0)
        self.check("wrong-is-failed", shown("ActiveState") == "failed" and shown("ExecMainStatus") == "22",
                   f"{shown('ActiveState')} {shown('ExecMainStatus')}")

        def said():
            status = systemctl("status", UNIT)[1]
            return [line for line in status.split("\n") if "=kep" in line and "[" in line]

        lines = wait(said, SECONDS) or []
        self.check("wrong-one-line-says-why", len(lines) == 1 and "XENCONSOLED_ARGS" in lines[0]
                   and "discard, keep" in lines[0], lines)
        self.told("wrong")
        for _ in range(6):
            systemctl("restart", UNIT)
        settings("")
        self.check("wrong-put-right", systemctl("start", UNIT)[0] == 0)
        self.served("put-right")

    def log_dir(self):
        """Another one is made; where the unit forbids it, that is said, and what waits is logged when it may be."""
        systemctl("reset-failed", UNIT)
        elsewhere = f"{LOG_DIR}/elsewhere/deep"
        for which, place in (("allowed", elsewhere), ("forbidden", "/srv/xen")):
            settings(f"XENCONSOLED_LOG_DIR={place}\n")
            self.check(f"log-dir-{which}-restart", systemctl("restart", UNIT)[0] == 0)
            self.check(f"log-dir-{which}-is-there", os.path.isdir(place) and mode(place) == 0o750, place)
            if place == elsewhere:
                self.set_aside(".2")  # nobody writes to it any more
                self.earlier.append(f"{place}/{os.path.basename(self.guest.log)}")
                self.check("log-dir-is-used", wait(lambda: xenhost.file_text(self.earlier[-1]), SECONDS))

        def said(place):
            return f"ReadWritePaths={place}" in xenhost.run("journalctl", "--no-pager", "-u", UNIT)[1]

        self.check("log-dir-forbidden-is-said", wait(lambda: said("/srv/xen"), SECONDS))
        self.check("log-dir-allowed-is-not-said", not said(elsewhere))
        settings("")
        self.check("log-dir-put-back", systemctl("restart", UNIT)[0] == 0)
        self.served("log-dir")

    def dead_disk(self):
        """It holds the log writer, and so the process, but not the successor. systemd would wait ten minutes here."""
        place = f"{LOG_DIR}/disk"
        status, text = xenhost.run("sh", "-ec", f"truncate -s 16M /disk; mke2fs -q -t ext4 /disk; mkdir {place};"
                                   f" mount -o loop /disk {place}")
        self.report.need("dead-disk-is-mounted", status == 0, text)
        settings(f"XENCONSOLED_LOG_DIR={place}\n")
        systemctl("restart", UNIT)
        self.set_aside(".3")
        self.earlier.append(f"{place}/{os.path.basename(self.guest.log)}")
        self.check("dead-disk-is-used", wait(lambda: xenhost.file_text(self.earlier[-1]), SECONDS))
        old = pid()
        xenhost.run("fsfreeze", "-f", place)

        def held():
            return " D " in xenhost.run("sh", "-c", f"cat /proc/{old}/task/*/stat")[1]

        self.check("dead-disk-holds-the-writer", wait(held, SECONDS))
        self.check("dead-disk-restart-ends", systemctl("restart", UNIT)[0] == 0)
        self.new_pid("dead-disk", old)
        self.check("dead-disk-still-holds-it", os.path.exists(f"/proc/{old}/task"))
        self.check("dead-disk-is-served", wait(lambda: shown("StatusText") == "Serving 1 console", SECONDS))
        xenhost.run("fsfreeze", "-u", place)
        self.served("dead-disk")
        settings("")
        self.check("dead-disk-put-back", systemctl("restart", UNIT)[0] == 0)
        self.served("other-disk")

    def exhaustion(self):
        systemctl("reset-failed", UNIT)
        with drop_in("[Unit]\nStartLimitIntervalSec=1h\n"):
            for _ in range(10):
                old = pid()
                if not old:
                    break
                os.kill(old, signal.SIGKILL)
                self.report.note(f"killed {old}")
                wait(lambda o=old: pid() not in (0, o) or shown("ActiveState") == "failed", SECONDS)
            self.check("exhaustion-fails-at-last", shown("ActiveState") == "failed", shown("ActiveState"))
            self.told("exhaustion")
        systemctl("reset-failed", UNIT)
        self.check("exhaustion-can-be-started", systemctl("start", UNIT)[0] == 0)
        self.served("started")

    def stop(self):
        self.check("stop-ends", systemctl("stop", UNIT)[0] == 0)
        self.check("stop-with-success", shown("Result") == "success", shown("Result"))
        self.told("stop")
        self.check("stop-start", systemctl("start", UNIT)[0] == 0)
        self.served("stop-start")

    def xen_utils(self):
        """As on an upgrade of xen-utils: Xen's daemons stop, which takes the unit with it, and start, which brings it back in
        the place of the one that the init script starts."""
        old = pid()
        self.check("xen-utils-stop-ends", systemctl("stop", "xen.service")[0] == 0)
        self.told("xen-utils")
        self.check("xen-utils-start-ends", systemctl("start", "xen.service")[0] == 0)
        self.new_pid("xen-utils", old)
        text = xenhost.run("pidof", "xenconsoled")[1]
        self.check("xen-utils-one-daemon", wait(lambda: daemons() == [pid()], SECONDS), text)
        self.served("xen-utils")

    def dpkg(self, name, *arguments):
        status, text = xenhost.run("dpkg", *arguments, seconds=600)
        self.check(f"{name}-ends", status == 0, text)

    def upgrade(self):
        old = pid()
        self.dpkg("upgrade", "-i", f"{PACKAGES}/xenconsoled-newer.deb")
        self.new_pid("upgrade", old)
        self.served("upgrade")

    def next_xen(self):
        """Installed before the reboot into it: who serves serves on. And back."""
        old = pid()
        self.dpkg("next-xen", "-i", f"{PACKAGES}/xenconsoled-next-xen.deb")
        self.check("next-xen-same-process", active() and pid() == old, f"{old}, then {pid()}")
        self.served("next-xen")
        self.dpkg("this-xen", "-i", f"{PACKAGES}/xenconsoled-newer.deb")
        self.new_pid("this-xen", old)
        self.served("this-xen")

    def removal(self):
        self.dpkg("removal", "-r", "xenconsoled")

        def incumbents():
            found = []
            for number in xenhost.run("pidof", "xenconsoled")[1].split():
                with contextlib.suppress(OSError):  # it may be gone by now
                    found += [number] if os.readlink(f"/proc/{number}/exe") == DAEMON else []
            return found

        self.check("removal-incumbent-serves", wait(lambda: len(incumbents()) == 1, SECONDS))
        self.check("removal-guest-answers", self.guest.answers(SECONDS))
        self.served("removal")

    def run(self):
        for step in (self.boot, self.start, self.list, self.sandbox, self.reload, self.restart, self.restarts, self.crash, self.hang,
                     self.wrong_setting, self.log_dir, self.dead_disk, self.exhaustion, self.stop, self.xen_utils, self.upgrade,
                     self.next_xen, self.removal):
            self.report.step(step.__name__)
            step()


def main():
    directory = sys.argv[1]
    report = Report(os.path.join(directory, "results"))
    report.scenario = "systemd"
    problem = ""
    try:
        Scenario(report).run()
    except Needed as error:
        problem = f"cannot go on without {error}"
    except Exception:  # pylint: disable=broad-except
        problem = traceback.format_exc()
    with open(os.path.join(directory, "journal"), "w", encoding="utf-8") as file:
        file.write(xenhost.run("journalctl", "--no-pager", "-o", "short-monotonic")[1])
    report.write("end", problem=problem)
    report.scenario = None
    report.write("done")


main()
