# SPDX-License-Identifier: GPL-2.0-only
"""A Xen host for tests: the real xenstored and the real tools on stand-in hypervisor libraries.

One Host is one machine: a state directory on tmpfs, a xenstored of its own, any number of
domains, guests, console daemons and xenconsole clients.  Several hosts run side by side.
Everything that a Host starts it also ends, by pid, when its `with` block is left.

    with Host() as host:
        daemon = host.start_daemon()
        dom = host.create(name="web")
        guest = dom.guest(mode="linux71")
        wait_for(lambda: dom.console().connected, 5, "CONNECTED")
        guest.print("hello\\n")
        wait_for(lambda: b"hello" in host.guest_log("web"), 5, "the log")
        client = dom.client()
        client.write(b"ls\\n")
        wait_for(lambda: guest.input == b"ls\\n", 5, "input")

Nothing here sleeps and hopes: whatever takes time is waited for with wait_for().

Environment: BUILD         the build directory (default build): host/ and xenconsoled are in it
             HOST_BUILD    another place for host/, with the stand-in host's lib/ and bin/
             XENCONSOLED   another daemon to test
             HOST_TMPDIR   where hosts' directories go (default /dev/shm, or, where less than 256 MiB are free
                           there, TMPDIR, which is slower)
             HOST_KEEP     if set, they are kept
"""

import contextlib
import functools
import json
import mmap
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import tty
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
_BUILD = ROOT / os.environ.get("BUILD", "build")
BUILD = Path(os.environ.get("HOST_BUILD", _BUILD / "host"))
XENCONSOLED = Path(os.environ.get("XENCONSOLED", _BUILD / "xenconsoled"))


def distribution(name):
    """A program of the distribution's own Xen: xenstored, xenconsoled or xenconsole."""
    found = sorted(Path("/usr/lib").glob(f"xen-*/bin/{name}")) + [Path("/usr/sbin") / name]
    for path in found:
        if path.exists():
            return path
    raise FileNotFoundError(f"no {name}: install xen-utils")


PAGE_SIZE = 4096
PAGES_PER_DOMAIN = 8
IN_SIZE, OUT_SIZE = 1024, 2048
CONNECTED, DISCONNECTED = 0, 1
Indexes = namedtuple("Indexes", "in_cons in_prod out_cons out_prod")


class Timeout(AssertionError):
    """What was waited for did not come."""


class HostError(RuntimeError):
    """A program refused; the text is what it said."""


def wait_for(predicate, deadline, what, interval=0.01):
    """Call predicate() until it returns something true, and return that.

    deadline is in seconds from now; what names the thing waited for in the Timeout raised when
    it has passed.  what may be a callable, evaluated only then (to show the last state).
    The predicate may raise meanwhile (HostError, AssertionError, OSError, ...): not yet.
    """
    end = time.monotonic() + deadline
    last = None
    while True:
        try:
            value = predicate()
            if value:
                return value
            last = None
        except (HostError, AssertionError, OSError, LookupError,
                subprocess.SubprocessError) as error:
            last = error
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise Timeout(f"waited {deadline} s for {text}" + (f" (last: {last})" if last else ""))
        time.sleep(interval)


@functools.lru_cache(None)
def can_unshare(*flags):
    """Whether such namespaces are to be had."""
    return subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode == 0


def mount_namespace():
    """unshare's flag for one, within a user namespace unless we may mount without; None: there is none to be had."""
    return next((flag for flag in ("-m", "-Urm") if can_unshare(flag)), None)


def may_administrate():
    """CAP_SYS_ADMIN, which root may lack in a container."""
    return bool(int(Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16) >> 21 & 1)


@functools.lru_cache(None)
def place_for_hosts():
    try:
        room = os.statvfs("/dev/shm")
    except FileNotFoundError:
        return tempfile.gettempdir()
    return "/dev/shm" if room.f_bavail * room.f_frsize >= 256 << 20 else tempfile.gettempdir()


class Process:
    """A program that a Host started: ended, by pid, at the latest when the host goes."""

    def __init__(self, host, argv, name, env=None, own_run=False, **popen):
        """own_run: see the host's run/ directory as /run (a private mount namespace)."""
        self.host = host
        self.name = name
        host._started += 1
        self.output_path = host.dir / f"{name}.{host._started}.out"
        with open(self.output_path, "wb") as out:
            popen.setdefault("stdout", out)
            popen.setdefault("stderr", out)
            popen.setdefault("stdin", subprocess.DEVNULL)
            self.popen = subprocess.Popen(
                host._enter(argv) if own_run else [str(a) for a in argv],
                env={**host.env, **(env or {})}, **popen)
        host._processes.append(self)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def output(self):
        """Everything it wrote to stdout and stderr (those that are not pipes), as text."""
        return self.output_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, deadline=30):
        """Its exit status (negative: the signal that ended it)."""
        try:
            return self.popen.wait(deadline)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} (pid {self.pid}) did not end within {deadline} s;"
                          f" it said:\n{self.output}") from None

    def stop(self, deadline=30):
        """SIGTERM, and its exit status."""
        if self.running():
            self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def kill(self):
        """SIGKILL: no clean-up."""
        if self.running():
            self.popen.kill()
        return self.wait()

    def freeze(self):
        """SIGSTOP, and wait until it really is stopped: not where it holds the stand-in host's lock, which would
        stop all others too, as Xen never does."""
        def stopped():
            self.signal(signal.SIGSTOP)
            wait_for(lambda: self._stat()[0] == "T", 30, f"{self.name} to stop")
            if self.host.lock_is_free():
                return True
            self.thaw()
            return False

        wait_for(stopped, 60, f"{self.name} to stop outside of the stand-in host's lock")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def _stat(self):
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()

    def cpu(self):
        """Seconds of CPU it has used, user and system."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self):
        """Resident memory in bytes."""
        return int(self._stat()[21]) * mmap.PAGESIZE

    def anon(self):
        """Private memory in bytes: without mapped pages, the host's state, and files."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024

    def fds(self):
        """Its open files: {fd: what /proc shows it to be}."""
        found = {}
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found[int(entry.name)] = os.readlink(entry)
            except FileNotFoundError:
                pass
        return found

    def has_open(self, path):
        """Whether it has this very file open. In a chroot /proc names files as they are called outside."""
        try:
            wanted = os.stat(path)
        except FileNotFoundError:
            return False
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(entry), wanted):
                    return True
        return False


class _Foundling:
    """The part of Popen that Process needs, for a process that is not our child."""

    stdin = stdout = None

    def __init__(self, pid):
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._gone = False

    def wait(self, timeout=None):
        if not self._gone:
            if not select.select([self._pidfd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._gone = True
            os.close(self._pidfd)
        return None

    def poll(self):
        """None while it runs; its exit status cannot be known, so 0 afterwards."""
        if self._gone or select.select([self._pidfd], [], [], 0)[0]:
            return 0
        return None

    def send_signal(self, number):
        signal.pidfd_send_signal(self._pidfd, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Adopted(Process):
    """A daemon that put itself into the background, known by its pid (Host.adopt()).  wait() and
    stop() return None, since nobody knows its exit status."""

    def __init__(self, host, pid, name):
        self.host = host
        self.name = name
        self.output_path = Path(os.devnull)
        self.popen = _Foundling(pid)
        host._processes.append(self)


class Console:
    """One console of one domain: its page as both ends see it, and its nodes.

    Reading and writing go to the page itself, through a mapping of this process which does not
    pin the domain: do not keep a Console across the end of its domain.
    """

    def __init__(self, domain, index=0):
        """index 0 is the primary console, 1 vuart/0, 2 and up additional PV consoles."""
        self.domain = domain
        self.index = index
        where = self.info()
        self._file = open(domain.host.dir / "pages", "r+b")
        self.page = mmap.mmap(self._file.fileno(), PAGE_SIZE, offset=where["offset"])

    def info(self):
        """xenhost's view: {"port", "gfn", "offset", "status", "pins", ...}."""
        return self.domain.host.xenhost("page", self.domain.domid, "--console", self.index)

    @property
    def flag(self):
        """The connection byte itself (CONNECTED is 0, DISCONNECTED is 1)."""
        return self.page[3088]

    @flag.setter
    def flag(self, value):
        self.page[3088] = value

    @property
    def connected(self):
        return self.flag == CONNECTED

    @property
    def indexes(self):
        return Indexes(*struct.unpack_from("<4I", self.page, 3072))

    def set_index(self, name, value):
        """Scribble on one of in_cons, in_prod, out_cons, out_prod."""
        offset = 3072 + 4 * Indexes._fields.index(name)
        struct.pack_into("<I", self.page, offset, value & 0xffffffff)

    @property
    def out_used(self):
        """Bytes of output in the ring."""
        i = self.indexes
        return (i.out_prod - i.out_cons) & 0xffffffff

    @property
    def in_used(self):
        """Bytes of input in the ring."""
        i = self.indexes
        return (i.in_prod - i.in_cons) & 0xffffffff

    @property
    def port(self):
        """The guest's port, as the hypervisor knows it (the node may say something else)."""
        return self.info()["port"]

    @property
    def gfn(self):
        return self.info()["gfn"]

    @property
    def bound(self):
        """Does anybody hold the port?"""
        return self.info()["status"] == "interdomain"

    @property
    def pins(self):
        """How many mappings of the page there are (guest programs not counted)."""
        return self.info()["pins"]

    @property
    def path(self):
        """The console's directory in the store."""
        base = f"/local/domain/{self.domain.domid}"
        if self.index == 0:
            return f"{base}/console"
        if self.index == 1:
            return f"{base}/vuart/0"
        return f"{base}/device/console/{self.index - 1}"

    def node(self, name):
        """A node of its directory, None if it is not there."""
        return self.domain.host.store_read(f"{self.path}/{name}")

    def set_node(self, name, value):
        self.domain.host.store_write(f"{self.path}/{name}", value)

    def remove_node(self, name):
        self.domain.host.store_rm(f"{self.path}/{name}")

    @property
    def tty(self):
        """What tty says: None if there is no such node, possibly empty."""
        return self.node("tty")

    def wait_tty(self, deadline=30, not_=None):
        """Wait for a tty that exists as a device and is not `not_`.  A restart leaves the old
        node, so waiting for a non-empty one proves nothing: give the old one as not_."""
        return wait_for(lambda: (t := self.tty) and t != not_ and os.path.exists(t) and t,
                        deadline, lambda: f"tty of domain {self.domain.domid}, is {self.tty!r}")


class Domain:
    """A domain made by Host.create(); methods do to it what libxl would."""

    def __init__(self, host, made):
        self.host = host
        self.domid = made["domid"]
        self.uuid = made["uuid"]
        self.incarnation = made["incarnation"]
        self.name = made["name"]
        self._consoles = {}

    def __repr__(self):
        return f"<Domain {self.domid} {self.name}>"

    def console(self, index=0):
        """Its consoles: 0 primary, 1 vuart/0.  The Console is kept and reused."""
        if index not in self._consoles:
            self._consoles[index] = Console(self, index)
        return self._consoles[index]

    @property
    def path(self):
        return f"/local/domain/{self.domid}"

    def state(self):
        """The hypervisor's view, None once the domid is free: {"state": "alive"|"zombie", "paused",
        "shutdown", "reason", "pins", "guests", "uuid", ...}.  A zombie is a killed domain some of
        whose pages are still mapped."""
        for entry in self.host.domains():
            if entry["domid"] == self.domid and entry["incarnation"] == self.incarnation:
                return entry
        return None

    def destroy(self, wait=30):
        """As `xl destroy`: nodes removed in one transaction, then the domain killed, then
        VIRQ_DOM_EXC.  With wait, return only when a xenstored that runs has let go of it.
        It may live on as a zombie while a daemon maps its page: see state()."""
        self.host.xenhost("destroy", self.domid)
        if wait and self.host.store_running():
            wait_for(lambda: not self.host.introduced(self.domid), wait,
                     f"xenstored to release domain {self.domid}")

    def kill(self):
        """The hypervisor's half of destroy() only: the nodes stay."""
        self.host.xenhost("kill", self.domid)

    def remove_nodes(self):
        """The store's half of destroy() only."""
        self.host.xenhost("remove-nodes", self.domid)

    def wait_gone(self, deadline=30):
        """Wait until nothing maps its pages any more and the domid can be reused."""
        wait_for(lambda: self.state() is None, deadline,
                 lambda: f"domain {self.domid} to go, is {self.state()}")

    def pause(self):
        self.host.xenhost("pause", self.domid)

    def unpause(self):
        self.host.xenhost("unpause", self.domid)

    def shutdown(self, reason="poweroff"):
        """The guest stops by itself; the domain stays (as preserved) until destroy().
        reason: poweroff, reboot, suspend, crash, watchdog, soft_reset."""
        self.host.xenhost("shutdown", self.domid, "--reason", reason)

    def resume(self):
        """Undo a shutdown with reason suspend on the same domid, as `xl save -c`."""
        self.host.xenhost("resume", self.domid)

    def reboot(self, **options):
        """As xl does it: destroy, then a new domain, same name and uuid, next domid.  options as
        for Host.create()."""
        self.destroy()
        return self.host.create(**{"name": self.name, "uuid": self.uuid, **options})

    def restore(self, new_port=True, hvm=False):
        """The page as a restore leaves it, under this very domid: DISCONNECTED, and all clear
        with hvm; a new port unless told otherwise; the nodes rewritten in one transaction."""
        self.host.xenhost("restore", self.domid, *([] if new_port else ["--same-port"]),
                          *(["--hvm"] if hvm else []))

    def soft_reset(self):
        """As libxl: all ports closed, new ones made, console nodes made anew, tty copied over;
        the page is left as it is (no build happens)."""
        self.host.xenhost("soft-reset", self.domid)

    def rename(self, name):
        self.host.xenhost("rename", self.domid, name)
        self.name = name

    def close_port(self, console=0):
        """The guest closes its console port.  Nobody is told."""
        self.host.xenhost("close-port", self.domid, "--console", console)

    def move_port(self, console=0, node=True, keep_old=False, same_number=False, backend=0):
        """The guest gets a new port, the old one is closed unless it is to be kept.  node: write it
        to the store.  same_number: the old one is closed first, and the new one has its number.
        backend: the domain that may bind it."""
        return self.host.xenhost("move-port", self.domid, "--console", console, "--backend", backend,
                                 *([] if node else ["--no-node"]),
                                 *(["--same-number"] if same_number else []),
                                 *(["--keep-old"] if keep_old else []))["port"]

    def rebuild_page(self, console=0):
        """A builder makes the page anew where it is: all clear, DISCONNECTED.  Nobody is told."""
        self.host.xenhost("rebuild-page", self.domid, "--console", console)

    def set_handle(self, uuid):
        """The toolstack gives the living domain another handle.  Nobody is told."""
        self.host.xenhost("set-handle", self.domid, uuid)
        self.uuid = uuid

    def move_page(self, console=0, node=True):
        """The console moves to another page (fresh: indexes 0, flag DISCONNECTED)."""
        self._consoles.pop(console, None)
        return self.host.xenhost("move-page", self.domid, "--console", console,
                                 *([] if node else ["--no-node"]))["gfn"]

    def write_ring_ref(self, console=0):
        """Write the ring-ref that create(ring_ref=False) left out."""
        self.console(console).set_node("ring-ref", self.console(console).gfn)

    def storm(self, count, console=0):
        """Raise the backend's port count times, as fast as it goes, with nothing to say."""
        self.host.xenhost("storm", self.domid, count, "--console", console)

    def guest(self, mode="old", console=0, **options):
        """Start a guest program on it: see Guest."""
        return Guest(self, mode, console, **options)

    def client(self, **options):
        """Start the distribution's xenconsole on it: see Client."""
        return Client(self.host, self.domid, **options)


class Guest(Process):
    """xenguest, the frontend of one console, driven step by step.

    mode: old      does not know the flag; a full ring makes it spin (it really sleeps on its
                   port, but its state says "spinning" and only room frees it)
          linux71  drops output while DISCONNECTED; tests the flag before each chunk, once
          replay   keeps output while DISCONNECTED, and plays it back later
    chunk: bytes put into the ring at a time, between notifications (16 in Linux).
    echo:  send back what comes in.  input_file: append all input to that file.
    trusting: when the ring is full, wait for an event, however long; else it looks each second.
    silent: never send an event, neither for what it prints nor for what it reads.
    """

    def __init__(self, domain, mode="old", console=0, chunk=None, echo=False, input_file=None,
                 trusting=False, silent=False):
        argv = [BUILD / "bin/xenguest", domain.domid, "--console", console, "--mode", mode]
        argv += ["--chunk", chunk] if chunk else []
        argv += ["--echo"] if echo else []
        argv += ["--trusting"] if trusting else []
        argv += ["--silent"] if silent else []
        domain.host._started += 1
        self.input_path = Path(input_file or
                               domain.host.dir / f"input.{domain.domid}.{domain.host._started}")
        argv += ["--input", self.input_path]
        super().__init__(domain.host, argv, f"xenguest-{domain.domid}",
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.domain = domain
        self.command("status")

    def command(self, line, deadline=30):
        """One command, one reply (a dict).  All of them return at once; xenguest --help lists
        them."""
        try:
            self.popen.stdin.write(line.encode() + b"\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        if not select.select([self.popen.stdout], [], [], deadline)[0]:
            raise Timeout(f"guest of domain {self.domain.domid} did not answer to {line!r}")
        reply = self.popen.stdout.readline()
        if not reply:
            raise self._ended()
        reply = json.loads(reply)
        if "error" in reply:
            raise HostError(f"{line!r}: {reply['error']}")
        return reply

    def _ended(self):
        return HostError(f"guest of domain {self.domain.domid} ended, status {self.wait()}: {self.output}")

    def status(self):
        """{"state": "idle"|"running"|"spinning"|"keeping"|"paused"|"dead", "queued", "written",
        "dropped", "replayed", "read", "events", "notifies", "unnoticed"}: bytes and counts since
        it started.  spinning: the ring is full and it has more; keeping: replay mode, and
        DISCONNECTED.  queued bytes are accepted but neither in the ring nor dropped.
        unnoticed counts room that was found without an event having come: a backend's fault."""
        return self.command("status")

    def print(self, text):
        """Queue text (str or bytes) for output, and return; a chunk that the ring has room for is in it."""
        if isinstance(text, str):
            text = text.encode()
        self.command("print " + "".join(f"\\x{byte:02x}" for byte in text))
        self.status()  # it goes on printing before it answers again

    def lines(self, count, rate=0, start=0, width=64):
        """Queue count numbered lines, start, start + 1, ..., each of width bytes with its
        newline: rate in lines per second, 0 for as fast as it goes.  guest_line() in this
        module says what they look like."""
        self.command(f"lines {count} {rate} {start} {width}")

    def file(self, path):
        """Queue a file's content."""
        self.command(f"file {path}")

    def flush(self, deadline=30):
        """Wait until nothing is queued any more, and return the status."""
        return wait_for(lambda: (s := self.status())["queued"] == 0 and s, deadline,
                        lambda: f"the guest to have written everything, is {self.status()}")

    def wait_state(self, state, deadline=30):
        return wait_for(lambda: (s := self.status())["state"] == state and s, deadline,
                        lambda: f"the guest to be {state}, is {self.status()}")

    def echo(self, on):
        self.command(f"echo {'on' if on else 'off'}")

    def hold_input(self, on):
        """While held the guest does not read: in[] fills up."""
        self.command(f"hold {'on' if on else 'off'}")

    @property
    def input(self):
        """All it has read so far."""
        return self.input_path.read_bytes() if self.input_path.exists() else b""

    def hostile(self, what, *values):
        """Misbehave at once: index NAME VALUE, rewind NAME BYTES, flag VALUE, close-port,
        storm COUNT, fill BYTE (the whole page), notify, scramble wild|tame COUNT (on a thread, see
        the status's "scrambling")."""
        self.command("hostile " + " ".join(str(v) for v in (what, *values)))

    def stop(self, deadline=30):
        """End the program (the domain lives on)."""
        if self.running():
            self.popen.stdin.close()
        return self.wait(deadline)


def guest_line(number, width=64):
    """The numbered line that Guest.lines() prints."""
    return (f"{number:010d} " + "abcdefghijklmnopqrstuvwxyz0123456789" * width)[:width - 1].encode() + b"\n"


class Terminal(Process):
    """A program on a real pty, as a person would sit at it; typed is there before it starts."""

    def __init__(self, host, argv, name, typed=b"", **options):
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.master = master
        self.received = b""
        try:
            os.write(master, typed)
            super().__init__(host, argv, name, stdin=slave, stdout=slave, **options)
        finally:
            os.close(slave)
        os.set_blocking(master, False)

    def read(self):
        """Take what has come since; .received keeps all of it."""
        got = b""
        while self.master >= 0:
            try:
                piece = os.read(self.master, 65536)
            except BlockingIOError:
                break
            except OSError:
                break
            if not piece:
                break
            got += piece
        self.received += got
        return got

    def expect(self, text, deadline=30):
        """Wait until text (str or bytes) is somewhere in .received."""
        if isinstance(text, str):
            text = text.encode()
        wait_for(lambda: self.read() is not None and text in self.received, deadline,
                 lambda: f"{text!r} at {self.name}, got {self.received[-300:]!r}; {self.output}")

    def write(self, data, deadline=30):
        """Type data; .received goes on growing meanwhile."""
        if isinstance(data, str):
            data = data.encode()
        end = time.monotonic() + deadline
        while data:
            self.read()
            try:
                data = data[os.write(self.master, data):]
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Timeout(f"{self.name} took no more input, {len(data)} bytes left")
                select.select([self.master], [self.master], [], 0.1)

    def close(self):
        """Leave: SIGTERM, and close the terminal."""
        if self.running():
            self.signal(signal.SIGTERM)
        self.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


class Client(Terminal):
    """The distribution's xenconsole."""

    def __init__(self, host, domid, type="pv", num=0, argv=(), typed=b""):
        super().__init__(host, [distribution("xenconsole"), domid, "--type", type, "--num", num, *argv],
                         f"xenconsole-{domid}", typed, own_run=True)


def environment(process):
    """Of a directory in /proc. A program that is just being started has none yet, and a kernel thread never has."""
    end = time.monotonic() + 1
    while True:
        found = (process / "environ").read_bytes()
        if found or time.monotonic() > end:
            return found
        os.readlink(process / "exe")


class Daemon(Process):
    """A console daemon: ours, or the distribution's."""

    def ready(self, domain, console=0, deadline=30):
        """Wait until it serves that console: port held, page mapped, tty there."""
        wait_for(lambda: (i := domain.console(console).info())["status"] == "interdomain"
                 and i["pins"] >= 1 and os.path.exists(domain.console(console).tty or ""),
                 deadline, lambda: f"{domain} to be served: {domain.console(console).info()},"
                                   f" tty {domain.console(console).tty!r}; {self.output}")


class Host:
    """One machine with Xen on it.  A context manager: see the module's text.

    dir       its directory (on tmpfs): pages, state, xenstored's files, programs' output
    env       the environment every program of this host needs
    log_dir   where the daemons' logs are
    run       what this host's daemons and clients see as /run (their pid files and locks)
    """

    def __init__(self, store=True, conring=16384):
        """store: start xenstored at once."""
        self._want_store = store
        self._conring = conring
        self._processes = []
        self._started = 0
        self.store = None

    def __enter__(self):
        base = os.environ.get("HOST_TMPDIR") or place_for_hosts()
        self.dir = Path(tempfile.mkdtemp(prefix="xenhost.", dir=base))
        self.log_dir = self.dir / "log"
        self.run = self.dir / "run"
        for path in (self.log_dir, self.run / "xen", self.run / "lock",
                     self.dir / "store", self.dir / "store/lib"):
            path.mkdir(parents=True)
        inherited = os.environ.get("LD_LIBRARY_PATH")
        self.env = {
            **os.environ,
            "STANDIN_DIR": str(self.dir),
            "LD_LIBRARY_PATH": str(BUILD / "lib") + (f":{inherited}" if inherited else ""),
            "XENSTORED_RUNDIR": str(self.dir / "store"),
            "XENSTORED_ROOTDIR": str(self.dir / "store/lib"),
            "XENSTORED_PATH": str(self.dir / "store/socket"),
        }
        try:
            self.xenhost("init", "--conring", self._conring)
            if self._want_store:
                self.start_store()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self._processes):
            if process.running():
                process.popen.kill()
            process.popen.wait()
        for pid in self.leftovers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self._processes:
            for pipe in (process.popen.stdin, process.popen.stdout):
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            if isinstance(process, Terminal) and process.master >= 0:
                os.close(process.master)
                process.master = -1
        if os.environ.get("HOST_KEEP"):
            print(f"kept {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- programs ----------------------------------------------------------------------------

    def leftovers(self):
        """Pids of processes that this host's programs left behind: they have its environment."""
        mark = f"STANDIN_DIR={self.dir}".encode()
        known = {process.pid for process in self._processes if process.running()}
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in environment(entry).split(b"\0"):
                    found.append(int(entry.name))
        return sorted(set(found) - known)

    def adopt(self, pid, name="adopted"):
        """Take charge of a process that detached itself: an Adopted."""
        return Adopted(self, pid, name)

    def _enter(self, argv):
        """argv wrapped so that it sees this host's run/ as /run."""
        if not mount_namespace():
            return ["sh", "-c", 'LD_PRELOAD="$0${LD_PRELOAD:+ $LD_PRELOAD}" STANDIN_RUN=yes exec "$@"',
                    str(BUILD / "lib/paths-preload.so"), *(str(a) for a in argv)]
        return ["unshare", mount_namespace(), "--", "sh", "-c", 'mount --bind "$0" /run && exec "$@"',
                str(self.run), *(str(a) for a in argv)]

    def command(self, *argv, own_run=False, check=True, deadline=60, **options):
        """Run a program to its end in this host's environment: its CompletedProcess (text)."""
        done = subprocess.run(self._enter(argv) if own_run else [str(a) for a in argv],
                              env=self.env, capture_output=True, text=True, timeout=deadline,
                              errors="replace", **options)
        if check and done.returncode:
            raise HostError(f"{argv}: status {done.returncode}: {done.stderr.strip()}")
        return done

    def spawn(self, *argv, name=None, own_run=False, **options):
        """Start a program in this host's environment: a Process."""
        return Process(self, argv, name or Path(str(argv[0])).name, own_run=own_run, **options)

    def lock_is_free(self):
        """Whether a command that takes the stand-in host's lock comes back."""
        try:
            self.command(BUILD / "bin/xenhost", "ports", deadline=2)
        except subprocess.TimeoutExpired:
            return False
        return True

    def xenhost(self, *args):
        """One xenhost command: its JSON reply, {} if it has none."""
        out = self.command(BUILD / "bin/xenhost", *args).stdout
        return json.loads(out) if out.strip() else {}

    # -- store -------------------------------------------------------------------------------

    def start_store(self):
        """Start the distribution's xenstored and wait until it answers."""
        self.store = Process(
            self, [distribution("xenstored"), "-N", "--pid-file", self.dir / "store/pid"],
            "xenstored", env={"LD_PRELOAD": str(BUILD / "lib/paths-preload.so")})
        wait_for(lambda: self.command("xenstore-ls", "/", deadline=30) or True, 30,
                 lambda: f"xenstored: {self.store.output}")
        return self.store

    def stop_store(self, kill=False):
        """xenstored ignores SIGTERM: it is killed either way; its state is lost."""
        self.store.kill()

    def store_running(self):
        return bool(self.store and self.store.running() and self.store._stat()[0] != "T")

    def store_read(self, path):
        """A node's value, None if it is not there."""
        done = self.command("xenstore-read", path, check=False)
        return done.stdout.rstrip("\n") if done.returncode == 0 else None

    def store_write(self, path, value):
        self.command("xenstore-write", "--", path, str(value))

    def store_rm(self, path):
        self.command("xenstore-rm", path)

    def store_ls(self, path="/"):
        """The tree below path as xenstore-ls -f prints it: {path: value}."""
        done = self.command("xenstore-ls", "-f", path)
        pairs = (line.split(" = ", 1) for line in done.stdout.splitlines())
        return {p.strip(): v[1:-1] for p, v in pairs}

    def introduced(self, domid):
        """Does xenstored know that domain?"""
        return self.xenhost("introduced", domid)["introduced"]

    # -- hypervisor --------------------------------------------------------------------------

    def create(self, name="guest", domid=None, uuid=None, type="xenconsoled", limit=1048576,
               ring_ref=True, port=True, vuart=False, consoles=0, old_builder=False, paused=False,
               hvm=False, nodes=True, tty="", output="pty", wait_tty=False, backend=0):
        """Create a domain as libxl does: hypervisor, builder, then all nodes in one transaction,
        then xs_introduce_domain.  Returns a Domain.

        name None: no name node.  domid: that very domid (waits a moment for a zombie to go).
        type None, limit None, tty None, output None: no such node.  type "ioemu": QEMU's.
        ring_ref False: no ring-ref node yet (Domain.write_ring_ref); port False likewise.
        vuart: a vuart/0 console too.  consoles: how many additional PV consoles.
        old_builder: the page is zero, as before Xen 4.21; otherwise its flag is DISCONNECTED.
        nodes False: the hypervisor's half only, and not introduced.
        wait_tty: wait up to 10 s for the daemon's tty, and destroy the domain if none comes
        (HostError), as libxl would.
        backend: the domain whose daemon is to serve the consoles.
        """
        args = ["create", "--type", type or "none",
                "--limit", "none" if limit is None else limit]
        args += ["--no-name"] if name is None else ["--name", name]
        args += ["--domid", domid] if domid is not None else []
        args += ["--uuid", uuid] if uuid else []
        args += ["--no-tty"] if tty is None else ["--tty", tty] if tty else []
        args += ["--no-output"] if output is None else ["--output", output]
        args += ["--consoles", consoles] if consoles else []
        args += ["--backend", backend] if backend else []
        for wanted, option in ((not ring_ref, "--no-ring-ref"), (not port, "--no-port"),
                               (vuart, "--vuart"), (old_builder, "--old-builder"),
                               (paused, "--paused"), (hvm, "--hvm"), (not nodes, "--no-nodes"),
                               (wait_tty, "--wait-tty")):
            args += [option] if wanted else []
        return Domain(self, self.xenhost(*args))

    def batch(self, count, *args):
        """Create count idle domains quickly, named idle-1 and so on: list of Domain.
        args: further options of `xenhost create`."""
        made = self.xenhost("batch", count, *args)
        return [Domain(self, one) for one in made]

    def domains(self):
        """What the hypervisor knows, dom0 included: a list of dicts, see Domain.state()."""
        return self.xenhost("list")

    def ports(self):
        """dom0's ports that are in use: [{"port", "status", "domid", "remote", "virq", "pid",
        "pending", "masked"}].  After all daemons and xenstored let go, none is left."""
        return self.xenhost("ports")

    def mappings(self, pid=None):
        """Mappings of domains' pages: [{"domid", "gfn", "kind": "grant"|"foreign", "pid"}]."""
        found = self.xenhost("mappings")
        return [m for m in found if pid is None or m["pid"] == pid]

    def hypervisor_print(self, text):
        """Append to the hypervisor's console ring, and raise VIRQ_CON_RING."""
        self.command(BUILD / "bin/xenhost", "hvprint", input=text)

    def inject(self, call, errno="EINVAL", times=1, domid=None, delay=None):
        """Make the next `times` calls fail with errno (a name; None: do not fail), or take
        `delay` seconds first.  times 0: until clear_injections().
        call: map-grant, map-foreign, map (either), bind, bind-virq, unmap, notify, unmask, pending,
        evtchn-open, gnttab-open, foreign-open, xc-open, getinfo, status, conring.
        domid: only for that domain (calls that concern one)."""
        self.xenhost("inject", call, "--errno", errno or "none", "--times", times,
                     *(["--only", domid] if domid is not None else []),
                     *(["--delay", int(delay * 1000000)] if delay else []))

    def injections(self):
        """Those still armed, with how often each has hit: [{"call", "left", "hits", ...}]."""
        return self.xenhost("inject", "--list")

    def clear_injections(self):
        self.xenhost("inject", "--clear")

    def break_evtchn(self, pid):
        """Break a process's event channel handles as an overflow does: readable, and
        xenevtchn_pending() fails with EFBIG from now on.  The ports stay bound until closed."""
        self.xenhost("break-handle", "--pid", pid)

    # -- daemons -----------------------------------------------------------------------------

    def start_daemon(self, *args, binary=None, wait=False, **options):
        """Start our daemon with -i --log=all --log-dir=LOG_DIR and args (later ones win): Daemon.
        wait: until it has bound VIRQ_CON_RING or any port, i.e. is past its start."""
        daemon = Daemon(self, [binary or XENCONSOLED, "-i", "--log=all",
                               f"--log-dir={self.log_dir}", *args],
                        "xenconsoled", own_run=True, **options)
        if wait:
            wait_for(lambda: any(p["pid"] == daemon.pid for p in self.ports()), 30,
                     lambda: f"the daemon to come up: {daemon.output}")
        return daemon

    def start_incumbent(self, *args, **options):
        """The distribution's own xenconsoled, likewise."""
        return self.start_daemon(*args, binary=distribution("xenconsoled"), **options)

    def client(self, domid, **options):
        """The distribution's xenconsole: see Client."""
        return Client(self, domid, **options)

    # -- logs --------------------------------------------------------------------------------

    def log(self, name):
        """Content of a file in log_dir, b"" while it does not exist."""
        path = self.log_dir / name
        return path.read_bytes() if path.exists() else b""

    def guest_log(self, name, suffix=""):
        """Of guest-NAME.log; suffix "-vuart0" for the vuart's."""
        return self.log(f"guest-{name}{suffix}.log")

    def hypervisor_log(self):
        return self.log("hypervisor.log")
