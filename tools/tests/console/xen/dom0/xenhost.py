# SPDX-License-Identifier: GPL-2.0-only
"""The host as the scenarios see it from dom0: xenstore, a console's page, xl and the hypervisor's log.

Xen's libraries are called directly (ctypes), since a process for each look would cost the one CPU more than the guests
under test. A page is mapped for the length of one look only: a mapped page would keep a destroyed domain from going."""

import ctypes
import os
import re
import struct
import subprocess
import time
from collections import namedtuple

CONNECTED, DISCONNECTED = 0, 1
RING_IN, RING_OUT = 1024, 2048

_store = ctypes.CDLL("libxenstore.so.4", use_errno=True)
_store.xs_open.restype = ctypes.c_void_p
_store.xs_read.restype = ctypes.POINTER(ctypes.c_char)
_store.xs_directory.restype = ctypes.POINTER(ctypes.c_char_p)
_libc = ctypes.CDLL(None, use_errno=True)
_memory = ctypes.CDLL("libxenforeignmemory.so.1", use_errno=True)
_memory.xenforeignmemory_open.restype = ctypes.c_void_p
_memory.xenforeignmemory_map.restype = ctypes.c_void_p


class Store:
    """xenstore, read and written as dom0."""

    def __init__(self):
        self._handle = ctypes.c_void_p(_store.xs_open(0))
        if not self._handle:
            raise OSError(ctypes.get_errno(), "xenstored does not answer")

    def read(self, path):
        """The node's value, or None."""
        length = ctypes.c_uint()
        value = _store.xs_read(self._handle, 0, path.encode(), ctypes.byref(length))
        if not value:
            return None
        text = ctypes.string_at(value, length.value).decode()
        _libc.free(value)
        return text

    def write(self, path, text):
        if not _store.xs_write(self._handle, 0, path.encode(), text.encode(), len(text)):
            raise OSError(ctypes.get_errno(), f"cannot write {path}")

    def list(self, path):
        count = ctypes.c_uint()
        names = _store.xs_directory(self._handle, 0, path.encode(), ctypes.byref(count))
        if not names:
            return []
        result = [names[i].decode() for i in range(count.value)]
        _libc.free(names)
        return result


store = Store()

Page = namedtuple("Page", "in_cons in_prod out_cons out_prod flag")


class _Mapping:
    def __init__(self, domid, frame):
        self._handle = ctypes.c_void_p(_memory.xenforeignmemory_open(None, 0))
        if not self._handle:
            raise OSError(ctypes.get_errno(), "cannot open Xen's privcmd device")
        frames, error = (ctypes.c_uint64 * 1)(frame), (ctypes.c_int * 1)()
        self.address = _memory.xenforeignmemory_map(self._handle, ctypes.c_uint32(domid), ctypes.c_int(3),
                                                    ctypes.c_size_t(1), frames, error)
        if not self.address or error[0]:
            raise OSError(ctypes.get_errno() or -error[0], f"cannot map frame {frame} of domain {domid}")

    def __enter__(self):
        return self.address

    def __exit__(self, *_):
        _memory.xenforeignmemory_unmap(self._handle, ctypes.c_void_p(self.address), ctypes.c_size_t(1))
        _memory.xenforeignmemory_close(self._handle)


def _console_page(domid):
    return _Mapping(domid, int(store.read(f"/local/domain/{domid}/console/ring-ref")))


def page(domid):
    """The indexes and the flag of the domain's console page."""
    with _console_page(domid) as address:
        return Page(*struct.unpack("<IIIIB", ctypes.string_at(address + 3072, 17)))


def used(console_page):
    """How many bytes of output lie in the page's ring."""
    return (console_page.out_prod - console_page.out_cons) % 2**32


def set_flag(domid, value):
    with _console_page(domid) as address:
        ctypes.memset(address + 3088, value, 1)


def run(*command, seconds=60):
    """Runs a command; its exit status and all it wrote."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def xl(*arguments, seconds=60):
    """Runs xl and returns what it wrote; a failure is an exception."""
    status, text = run("xl", *arguments, seconds=seconds)
    if status:
        raise RuntimeError(f"xl {' '.join(arguments)}: status {status}: {text.strip()}")
    return text


Domain = namedtuple("Domain", "name domid state cpu_seconds")


def listed():
    """Every domain of xl's list, zombies too, by domid."""
    found = {}
    for line in xl("list").splitlines()[1:]:
        fields = re.fullmatch(r"(\S+)\s+(\d+)\s+\d+\s+\d+\s+(\S+)\s+([\d.]+)", line.strip())
        if not fields:
            raise RuntimeError(f"a line of xl list that is none: {line!r}")
        found[int(fields[2])] = Domain(fields[1], int(fields[2]), fields[3], float(fields[4]))
    return found


def domains():
    """Every domain but dom0."""
    return {domid: domain for domid, domain in listed().items() if domid != 0}


def cpu_share(domid, seconds=3):
    """The part that a domain takes of the CPU time that dom0 leaves, measured over so many seconds of that.

    On a slow machine dom0's own work, this script's too, takes most of the one CPU."""
    before, begin = listed(), time.monotonic()
    while True:
        time.sleep(seconds)
        after, now = listed(), time.monotonic()
        left = now - begin - (after[0].cpu_seconds - before[0].cpu_seconds)
        if left >= seconds / 2:
            return (after[domid].cpu_seconds - before[domid].cpu_seconds) / left


def event_channels():
    """How many event channels dom0 has."""
    status, text = run("lsevtchn", "0")
    if status or text.count("\n") < 4:
        raise RuntimeError(f"lsevtchn: status {status}: {text.strip()}")
    return text.count("\n")


def domid_of(name):
    for domid in store.list("/local/domain"):
        if domid != "0" and store.read(f"/local/domain/{domid}/name") == name:
            return int(domid)
    return None


def wait(condition, seconds):
    """Waits until the condition is true and returns what it returned, false or None if it never was."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() >= end:
            return result
        time.sleep(0.05)


def file_text(path, last=None):
    """What the file holds, or its last bytes; "" if there is none."""
    try:
        with open(path, "rb") as file:
            if last is not None:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
