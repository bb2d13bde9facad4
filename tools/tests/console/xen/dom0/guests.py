# SPDX-License-Identifier: GPL-2.0-only
"""Guests, as their configuration, their console's client and their log."""

import os
import re
import select
import subprocess
import time

import xenhost
from lines import LONGEST, last_number
from xenhost import store, wait, xl

KERNELS = "/guests"
BOOT_SECONDS = 240


class Guest:
    """A domain by its name: it may come back under another domid."""

    config = ""
    memory = 8

    def __init__(self, name):
        self.name = name
        self.domid = None
        self._terminal = None
        self._heard = ""
        self._creation = None
        self.log = os.path.join("/log", f"guest-{name}.log")

    def write_config(self, extra):
        path = f"/run/{self.name}.cfg"
        with open(path, "w", encoding="ascii") as file:
            file.write(f'name = "{self.name}"\nmemory = {self.memory}\nvcpus = 1\n{self.config}\n{extra}\n')
        return path

    def create(self, extra=""):
        xl("create", self.write_config(extra))
        self.domid = xenhost.domid_of(self.name)
        return self

    def create_without_daemon(self, extra=""):
        """Created and paused, its page as a builder leaves it that knows the flag (Xen 4.21; this one does not yet).

        libxl destroys a domain whose tty does not appear within 10 s, so one is made up meanwhile."""
        self._creation = subprocess.Popen(["xl", "create", "-p", self.write_config(extra)], stdin=subprocess.DEVNULL)
        self.domid = wait(lambda: xenhost.domid_of(self.name), 30)
        if not self.domid:
            raise RuntimeError(f"no domain {self.name} appeared in xenstore")
        node = f"/local/domain/{self.domid}/console"
        wait(lambda: store.read(f"{node}/port"), 30)
        store.write(f"{node}/tty", "/dev/null")
        if self._creation.wait(60):
            raise RuntimeError(f"xl create -p of {self.name}: status {self._creation.returncode}")
        xenhost.set_flag(self.domid, xenhost.DISCONNECTED)
        return self

    def unpause(self):
        xl("unpause", str(self.domid))

    def destroy(self):
        xl("destroy", str(self.domid))

    @property
    def page(self):
        return xenhost.page(self.domid)

    @property
    def state(self):
        """As in xl list: its state's letters and CPU time; None when it is gone."""
        return xenhost.domains().get(self.domid)

    def cpu_share(self, seconds=3):
        return xenhost.cpu_share(self.domid, seconds)

    def is_spinning(self):
        """Whether it takes three more seconds of CPU time without once being seen asleep."""
        end = self.state.cpu_seconds + 3
        while True:
            state = self.state
            if "b" in state.state:
                return False
            if state.cpu_seconds >= end:
                return True
            time.sleep(0.2)

    @property
    def tty(self):
        return store.read(f"/local/domain/{self.domid}/console/tty")

    def log_text(self, last=None):
        return xenhost.file_text(self.log, last).replace("\r\n", "\n")

    def _open(self):
        path = self.tty
        if self._terminal and self._terminal[0] == path:
            return self._terminal[1]
        self.close()
        if not path or not path.startswith("/dev/pts/"):
            return None
        try:
            self._terminal = path, os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # of a daemon that is gone, or made and not yet unlocked by the next one
            return None
        return self._terminal[1]

    def close(self):
        """Lets go of the terminal, if it is held."""
        if self._terminal:
            os.close(self._terminal[1])
        self._terminal = None

    def type(self, text):
        """Types into the console, when it has a terminal."""
        data = text.encode()
        end = time.monotonic() + 30
        while data:
            terminal = self._open()
            if time.monotonic() >= end:
                raise RuntimeError(f"{self.name}'s terminal {self.tty} takes no input")
            if terminal is None:
                time.sleep(0.05)
            elif select.select([], [terminal], [], 1)[1]:
                try:
                    data = data[os.write(terminal, data):]
                except OSError:  # its daemon is gone; another may come
                    self.close()
                    time.sleep(0.05)

    def command(self, text):
        self.type(text + "\n")

    def hear(self, pattern, seconds=60):
        """Waits until the console's client has read what the pattern matches; the match or None.

        What came before the match is forgotten."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self._heard)
            if found:
                self._heard = self._heard[found.end():]
                return found
            rest = end - time.monotonic()
            terminal = self._open()
            if rest <= 0:
                return None
            if terminal is None:
                time.sleep(0.05)
            elif select.select([terminal], [], [], min(rest, 0.5))[0]:
                try:
                    self._heard += os.read(terminal, 65536).decode(errors="replace")
                except OSError:  # the daemon closed its side; a new one may come
                    self.close()
                    time.sleep(0.05)

    def question(self):
        """What to type, and a pattern of the answer, which is not an echo of it."""
        raise NotImplementedError

    def answers(self, seconds=60):
        """Whether something typed is answered by the guest itself."""
        text, answer = self.question()
        return bool(self.insist(text, lambda: self.hear(answer, 1), seconds))

    def insist(self, text, condition, seconds):
        """Types the command until the condition holds, as a person would: what is typed while a daemon goes and another
        comes may be lost, since xenstore still names the old one's terminal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._open() is None:
                time.sleep(0.05)
                continue
            self.command(text)
            result = wait(condition, min(5, end - time.monotonic()))
            if result:
                return result
        return None

    def is_gone(self, seconds=60):
        """Whether the domain vanishes from xl's list, where a zombie still shows."""
        return wait(lambda: self.state is None, seconds) is True

    def check_end(self, report, daemon, before):
        """What every guest's end comes to: the domain is gone, and nothing is held that was not before it came."""
        self.close()
        report.check(f"{self.name}-is-gone", self.is_gone(), self.state)
        report.check(f"{self.name}-leaves-nothing", wait(lambda: daemon.held() == before, 60),
                     f"{before}, then {daemon.held()}")


class Linux(Guest):
    """A Linux guest with a shell on its console."""

    memory = 128
    kernel = "vmlinux"
    type_ = "pv"
    _asked = 0

    @property
    def config(self):
        return (f'type = "{self.type_}"\nkernel = "{KERNELS}/{self.kernel}"\nramdisk = "{KERNELS}/linux.cpio"\n'
                'extra = "console=hvc0 rdinit=/init ignore_loglevel"')

    def is_up(self, seconds=BOOT_SECONDS):
        """Whether its boot log reaches the shell."""
        return bool(wait(lambda: "guest: up" in self.log_text(), seconds))

    # Typed into the shell, shows the kernel's messages and then the words.
    DMESG, DMESG_ENDS = "dmesg; echo all-$((6*9))", "all-54"

    def missing_from_log(self, kernel_said):
        """What the log lacked of the kernel's messages until init, when DMESG was typed; None if these are not all."""
        said, init, _ = kernel_said.replace("\r", "").partition("Run /init as init process")
        said = [line for line in said.split("\n") if re.match(r"\[ *\d+\.\d+\]", line)]
        if not init or len(said) <= 100:
            return None
        stamps = [float(line[1:line.index("]")]) for line in said]
        log = self.log_text()
        logged = set(log[:log.index(self.DMESG)].split("\n"))
        # one that comes while that is typed is later than init
        return [line for line, stamp in zip(said[:-1], stamps) if stamp <= stamps[-1] and line not in logged]

    def times(self, seconds=60):
        """Seconds after the kernel's start: when it was up, and now; None twice if it does not answer."""
        found = self.insist("echo up-$(cat /up)-now-$(cut -d ' ' -f 1 /proc/uptime)-",
                            lambda: self.hear(r"up-([\d.]+)-now-([\d.]+)-", 1), seconds)
        return (float(found[1]), float(found[2])) if found else (None, None)

    def question(self):
        Linux._asked += 1
        return f"echo answer-$(({Linux._asked}*1000+7))", f"answer-{Linux._asked * 1000 + 7}\\b"


class NewerLinux(Linux):
    """Linux 7.1 or later: its console's frontend obeys the flag, and drops what is printed while DISCONNECTED."""

    kernel = "vmlinux-newer"


class PvhLinux(Linux):
    type_ = "pvh"


class Grub(Guest):
    """GRUB in a kernel's place, which comes to its prompt.

    Its frontend reads in[] without masking the index. After 1024 bytes of input it reads what follows in the page, which
    is out[]: so no GRUB may be typed more than that, unless it is known what lies there."""

    memory = 64
    kernel = "grub"
    _asked = 0

    @property
    def config(self):
        return f'type = "pv"\nkernel = "{KERNELS}/{self.kernel}"'

    def words(self):
        """Its log without what places the cursor, and without the ends that it makes where a line fills the screen."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", "", self.log_text())

    def question(self):
        Grub._asked += 1
        return f"set n={Grub._asked * 1000 + 7}; echo answer-$n-", f"answer-{Grub._asked * 1000 + 7}-"


class GrubMenu(Grub):
    """GRUB with the menu of guest/grub.cfg."""

    memory = 256
    kernel = "grub-menu"
    COUNTS_FROM = 3600
    FIRST, SECOND = "Linux on the same console", "Nothing at all"

    def counted(self):
        """The seconds left, each time its log has them."""
        return [int(seconds) for seconds in re.findall(r"automatically in (\d+)s\.", self.log_text())]


class Tiny(Guest):
    """The guest of guest/main.c."""

    _asked = 0

    def __init__(self, name, start="beat 250"):
        super().__init__(name)
        self.start = start

    @property
    def config(self):
        return f'type = "pv"\nkernel = "{KERNELS}/tiny"\nextra = "{self.start}"'

    def is_up(self, seconds=60):
        return bool(wait(lambda: " up\n" in self.log_text(), seconds))

    def last_number(self):
        """That of its log's last whole line; -1 before there is one."""
        return last_number(self.log_text(10 * LONGEST))

    def stops(self):
        """Whether it ends its flood or storm on command."""
        return bool(self.insist("stop", lambda: " stopped\n" in self.log_text(10 * LONGEST), 60))

    def question(self):
        Tiny._asked += 1
        words = f"heard-{Tiny._asked}-by-{self.name}"
        return f"say {words}", f"#[0-9]{{8}} [0-9.]+ {words}\\b"
