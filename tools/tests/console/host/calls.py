# SPDX-License-Identifier: GPL-2.0-only
"""libxen's functions as Python has them, for the scripts of test_host.py: a failure is an OSError."""

import ctypes
import errno
import os
import select


def _library(name, *pointers):
    """pointers: the functions that return one."""
    library = ctypes.CDLL(name, use_errno=True)
    for function in pointers:
        getattr(library, function).restype = ctypes.c_void_p
    return library


evtchn = _library("libxenevtchn.so.1", "xenevtchn_open")
gnttab = _library("libxengnttab.so.1", "xengnttab_open", "xengnttab_map_grant_ref")
foreign = _library("libxenforeignmemory.so.1", "xenforeignmemory_open", "xenforeignmemory_map")
ctrl = _library("libxenctrl.so", "xc_interface_open")


def checked(value):
    if value is None or value < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value


def pointer(value):
    return ctypes.c_void_p(checked(value))


def error(function, *args):
    """The name of the errno that a call fails with, None if it does not."""
    try:
        function(*args)
    except OSError as failure:
        return errno.errorcode[failure.errno]


def say(what):
    print(what, flush=True)


class Evtchn:
    def __init__(self, blocking=False):
        self.handle = pointer(evtchn.xenevtchn_open(None, 0))
        self.fd = evtchn.xenevtchn_fd(self.handle)
        os.set_blocking(self.fd, blocking)

    def bind(self, domid, port):
        return checked(evtchn.xenevtchn_bind_interdomain(self.handle, domid, port))

    def virq(self, number):
        return checked(evtchn.xenevtchn_bind_virq(self.handle, number))

    def pending(self):
        return checked(evtchn.xenevtchn_pending(self.handle))

    def unmask(self, port):
        checked(evtchn.xenevtchn_unmask(self.handle, port))

    def unbind(self, port):
        checked(evtchn.xenevtchn_unbind(self.handle, port))

    def notify(self, port):
        checked(evtchn.xenevtchn_notify(self.handle, port))

    def close(self):
        evtchn.xenevtchn_close(self.handle)

    def readable(self):
        return bool(select.select([self.fd], [], [], 0)[0])

    def take(self):
        """Every port that is pending, each unmasked at once."""
        ports = []
        while self.readable():
            ports.append(self.pending())
            self.unmask(ports[-1])
        return ports


class Grants:
    def __init__(self):
        self.handle = pointer(gnttab.xengnttab_open(None, 0))

    def map(self, domid, reference=0):
        return pointer(gnttab.xengnttab_map_grant_ref(self.handle, domid, reference, 3))

    def unmap(self, page):
        checked(gnttab.xengnttab_unmap(self.handle, page, 1))

    def close(self):
        gnttab.xengnttab_close(self.handle)


class Foreign:
    def __init__(self):
        self.handle = pointer(foreign.xenforeignmemory_open(None, 0))

    def map(self, domid, gfn):
        frame = ctypes.byref(ctypes.c_uint64(gfn))
        return pointer(foreign.xenforeignmemory_map(self.handle, domid, 3, ctypes.c_size_t(1),
                                                    frame, None))


class _Status(ctypes.Structure):
    _fields_ = [("dom", ctypes.c_uint16), ("port", ctypes.c_uint32), ("status", ctypes.c_uint32),
                ("vcpu", ctypes.c_uint32), ("peer", ctypes.c_uint16), ("peer_port", ctypes.c_uint32)]


class _Info(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint16), ("pad", ctypes.c_uint16), ("flags", ctypes.c_uint32),
                ("rest", ctypes.c_uint64 * 64)]


class Ctrl:
    CLOSED, UNBOUND, INTERDOMAIN, VIRQ = 0, 1, 2, 4

    def __init__(self):
        self.handle = pointer(ctrl.xc_interface_open(None, None, 0))

    def peer(self, domid, port):
        """(status, the domid at the other end, or that may bind it)"""
        status = _Status(dom=domid, port=port)
        checked(ctrl.xc_evtchn_status(self.handle, ctypes.byref(status)))
        return status.status, status.peer

    def status(self, domid, port):
        return self.peer(domid, port)[0]

    def flags(self, first=1):
        """{domid: XEN_DOMINF_* flags} of all domains from first on."""
        info, found = (_Info * 1)(), {}
        while checked(ctrl.xc_domain_getinfolist(self.handle, first, 1, info)):
            found[info[0].domain] = info[0].flags
            first = info[0].domain + 1
        return found

    def conring(self, index, size=65536, clear=False):
        """Incremental: (text, next index)."""
        text, count = ctypes.create_string_buffer(size), ctypes.c_uint(size)
        at = ctypes.c_uint32(index)
        checked(ctrl.xc_readconsolering(self.handle, text, ctypes.byref(count), clear, True,
                                        ctypes.byref(at)))
        return text.raw[:count.value], at.value
