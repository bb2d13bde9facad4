# SPDX-License-Identifier: GPL-2.0-only
"""Shortages on order: the test's side of faults/faults.c, and daemons in a room of their own.

    with Faults(host) as faults:
        daemon = host.start_daemon(wait=True, env=faults.env)
        faults.fail(MEMORY, at=3)         the third call for memory from now on fails, once
        faults.hits(MEMORY)               how many have failed since
        faults.jump(-86400)               the wall clock says so much more than the truth, in seconds
        faults.stop_clock()               CLOCK_MONOTONIC stands still, until run_clock()
        faults.break_descriptor(7)        epoll reports EPOLLERR for it, once
        faults.disk(errno.EIO)            writes to regular files fail so; 0: they work again
        faults.disk(STALLED)              they do not return
        faults.disk(SLOW)                 they take 50 ms each
        faults.disk(SILENT)               the next one is done, and never returns
        faults.log(CLOSE)                 no such call on a log returns (OPEN, STAT); 0: they do again
"""

import ctypes
import mmap
import os
import struct
import time
from pathlib import Path

import pytest

from hostlib import BUILD, XENCONSOLED, Daemon, can_unshare, distribution, mount_namespace

MEMORY, DESCRIPTOR, THREAD = range(3)
FOR_EVER = 0
STALLED, SLOW, SILENT = -1, -2, -3
OPEN, STAT, CLOSE = 1, 2, 3

KIND = struct.Struct("4I")
REALTIME, STOPPED, BROKEN, ANSWERED, DISK, WAITING, STUCK = 48, 56, 64, 68, 72, 76, 80
SIZE = 88


def preload(name):
    """The environment of a daemon into which one of faults/ is loaded."""
    # The sanitizers would rather be the first to see malloc().
    asan = os.environ.get("ASAN_OPTIONS", "")
    return {"LD_PRELOAD": str(BUILD / f"lib/{name}.so"), "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}


class Faults:
    """Armed for one daemon, which is started with .env."""

    def __init__(self, host, program="xenconsoled"):
        host._started += 1
        self.path = host.dir / f"faults.{host._started}"
        self.path.write_bytes(bytes(SIZE))
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self.env = {**preload("faults"), "FAULTS": str(self.path), "FAULTS_PROGRAM": program}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._map.close()

    def _kind(self, kind):
        return KIND.unpack_from(self._map, kind * KIND.size)

    def fail(self, kind, at=1, times=1):
        """The at-th call of that kind from now on fails, and as many after it as make up times."""
        self.relent(kind)
        struct.pack_into("3I", self._map, kind * KIND.size + 4, times, 0, 0)
        struct.pack_into("I", self._map, kind * KIND.size, at)

    def relent(self, kind):
        struct.pack_into("I", self._map, kind * KIND.size, 0)

    def hits(self, kind):
        return self._kind(kind)[3]

    def jump(self, seconds):
        struct.pack_into("q", self._map, REALTIME, seconds)

    def stop_clock(self):
        struct.pack_into("q", self._map, STOPPED, time.monotonic_ns())

    def run_clock(self):
        struct.pack_into("q", self._map, STOPPED, 0)

    def disk(self, state):
        struct.pack_into("i", self._map, DISK, state)

    def log(self, call):
        struct.pack_into("I", self._map, STUCK, call)

    @property
    def stalled(self):
        """Is anybody waiting for the disk?"""
        return struct.unpack_from("I", self._map, WAITING)[0] > 0

    def break_descriptor(self, fd):
        struct.pack_into("i", self._map, BROKEN, fd + 1)

    @property
    def reported(self):
        """How many descriptors have been reported broken."""
        return struct.unpack_from("I", self._map, ANSWERED)[0]


class Frozen:
    """All threads of a process stand still, and it is never told: as in a frozen cgroup, or a domain that is paused."""

    SEIZE, INTERRUPT, DETACH, ALL = 0x4206, 0x4207, 17, 0x40000000

    def __init__(self, process):
        self.tids = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()]
        self._call = ctypes.CDLL(None, use_errno=True).ptrace
        self._call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def _ptrace(self, request, tid):
        if self._call(request, tid, None, None) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __enter__(self):
        for tid in self.tids:
            self._ptrace(self.SEIZE, tid)
            self._ptrace(self.INTERRUPT, tid)
            os.waitpid(tid, self.ALL)
        return self

    def __exit__(self, *_):
        for tid in self.tids:
            self._ptrace(self.DETACH, tid)


class Endless:
    """One thread of a process, by its name, cannot end before this block does, whatever becomes of the
    process: as one that waits for a disk in the kernel, it keeps the descriptors of all open."""

    SEIZE, DETACH, TRACE_EXIT, ALL = 0x4206, 17, 0x40, 0x40000000

    def __init__(self, daemon, name):
        tasks = Path(f"/proc/{daemon.pid}/task").iterdir()
        self.tid, = (int(t.name) for t in tasks if (t / "comm").read_text() == f"{name}\n")

    def _ptrace(self, request, data):
        call = ctypes.CDLL(None, use_errno=True).ptrace
        call.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        if call(request, self.tid, None, data) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def __enter__(self):
        self._ptrace(self.SEIZE, self.TRACE_EXIT)
        return self

    def __exit__(self, *_):
        os.waitpid(self.tid, self.ALL)
        self._ptrace(self.DETACH, 0)


def need_unshare(*flags):
    """Skips a test where there are no such namespaces."""
    if not can_unshare(*flags):
        pytest.skip(f"unshare {' '.join(flags)} is not permitted: root needs CAP_SYS_ADMIN and a root directory that"
                    " is a mount point, others a user namespace")


def start_within(host, preparation, *args, incumbent=False, **options):
    """A daemon, with args alone, for which sh first runs preparation in its private mount namespace,
    where this host's run/ is /run already."""
    if "mount" in preparation:
        need_unshare(mount_namespace() or "-m")
    host._started += 1
    script = host.dir / f"start.{host._started}"
    script.write_text(f'#!/bin/sh\nset -e\n{preparation}\nexec "$@"\n')
    binary = distribution("xenconsoled") if incumbent else XENCONSOLED
    return Daemon(host, ["sh", script, binary, "-i", *args], "xenconsoled", own_run=True, **options)


def enter(process):
    """What a command line begins with to run where that process is: its mount namespace and root directory."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", *user, "--mount", "--root", "--target", str(process.pid), "--"]


def within(host, daemon, *argv, check=True):
    """Run a program where a daemon is: its CompletedProcess."""
    return host.command(*enter(daemon), *argv, check=check)


def remount(host, daemon, path, options):
    """Of what was mounted there for this daemon, and never of anything else."""
    assert os.stat(f"/proc/{daemon.pid}/root{path}").st_dev not in {
        os.stat(other).st_dev for other in (path, "/", "/dev", "/dev/pts", "/run") if os.path.exists(other)}
    within(host, daemon, "mount", "-o", f"remount,{options}", path)
