# SPDX-License-Identifier: GPL-2.0-only
"""The console daemon of a scenario: the one under test, or the distribution's."""

import os
import random
import re
import signal
import subprocess
import time
from collections import namedtuple

import xenhost

BINARIES = {"ours": "/files/under-test/xenconsoled", "incumbent": "/xen-bin/xenconsoled"}
LOG_DIR = "/log"

# What guests cost: the daemon's descriptors, what of them and of its mappings is a console's, dom0's event channels.
Held = namedtuple("Held", "descriptors consoles channels")


class Daemon:
    """One daemon at a time, run in the foreground with its messages in a file."""

    def __init__(self, kind, messages):
        self.kind = kind
        self.binary = BINARIES[kind]
        self.messages = messages
        self._process = None

    def start(self):
        with open(self.messages, "ab") as messages:
            self._process = subprocess.Popen([self.binary, "-i", "--log=all", f"--log-dir={LOG_DIR}"],
                                             stdin=subprocess.DEVNULL, stdout=messages, stderr=messages)

    @property
    def pid(self):
        return self._process.pid if self._process else None

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def death(self):
        """The status with which it ended by itself, if it did."""
        return self._process.poll() if self._process else None

    def catch(self, condition, seconds):
        """Stops the process again and again, at whatever it is doing, until the condition holds; whether it came to that.

        If so it is left stopped: what end() sends hits it at that very point."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.pid, os.WSTOPPED)
            if condition():
                return True
            self._process.send_signal(signal.SIGCONT)
            time.sleep(random.uniform(0, 0.02))
        return False

    def end(self, number=signal.SIGTERM, seconds=60):
        """Sends the signal; the exit status, None if it did not end in time (then it is killed), and the seconds taken."""
        if not self._process:
            return None, 0
        begin = time.monotonic()
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            self._process.kill()
            self._process.wait()
        self._process = None
        return status, time.monotonic() - begin

    def one_shot(self, option):
        """Runs the daemon's binary with one of its one-shot options; its exit status and output."""
        return xenhost.run(self.binary, option)

    def _cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            user, system = file.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def cpu_share(self, seconds=5):
        """The part of a CPU that it takes."""
        begin, before = time.monotonic(), self._cpu_seconds()
        time.sleep(seconds)
        return (self._cpu_seconds() - before) / (time.monotonic() - begin)

    def says_of(self, guest):
        """What it reports, asked by SIGUSR1, of the guest's console; "" if nothing within some seconds."""
        before = len(xenhost.file_text(self.messages))
        self._process.send_signal(signal.SIGUSR1)
        pattern = re.compile(rf"console of domain {guest.domid} .*state .*\n")
        found = xenhost.wait(lambda: pattern.search(xenhost.file_text(self.messages), before), 20)
        return found[0] if found else ""

    def consoles_held(self):
        """What it holds of guests' consoles: terminals, logs, mapped pages."""
        names = []
        for number in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                names.append(os.readlink(f"/proc/{self.pid}/fd/{number}"))
            except FileNotFoundError:  # closed meanwhile
                pass
        held = [name for name in names if re.search(r"^/dev/ptmx|^/dev/pts/|/guest-[^/]*\.log", name)]
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            return held + [line.split()[-1] for line in maps if re.search(r"/dev/xen/(gntdev|privcmd)$", line)]

    def held(self):
        return Held(len(os.listdir(f"/proc/{self.pid}/fd")), sorted(self.consoles_held()), xenhost.event_channels())
