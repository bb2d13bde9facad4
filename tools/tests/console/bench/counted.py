# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark's cases that count, so that no noise can touch them: system calls, instructions,
requests to xenstored. As in cases.py, each is a function of (samples, plan)."""

import os
import re
import socket
import struct
import threading
import time
from pathlib import Path

from benchlib import DAEMONS, LIMIT, LIVES, Life, Machine, wait_for

CALM = 6  # seconds, in which a daemon has at least one heartbeat, and so many at most:
HEARTBEATS = 2
REQUESTS = 100  # domains: enough that what a daemon asks for itself is little of it

# -- system calls ---------------------------------------------------------------------------------


def counted_calls(life, *args):
    """(report, system calls of the daemon meanwhile)."""
    trace = life.host.dir / "strace"
    tracer = life.host.spawn("strace", "-f", "-q", "-o", trace, "-p", life.process.pid)
    wait_for(lambda: all("TracerPid:\t0" not in (task / "status").read_text()
                         for task in tasks(life.process.pid)), 10, "strace", 0.01)
    life.machine.guests("pace", life.machine.talker.domid, 10000, 3)
    before = trace.stat().st_size
    report = life.machine.guests(*args)
    with open(trace, encoding="latin-1") as lines:
        lines.seek(before)
        count = sum(1 for line in lines if re.match(r"\d+ +\w+\(", line))
    tracer.stop()
    trace.unlink()
    return report, count


def tasks(pid):
    return list(Path(f"/proc/{pid}/task").iterdir())


def system_calls(samples, plan):
    with Machine(1) as machine:
        for contender, log in LIVES:
            suffix = ", log" if log else ""
            with Life(machine, contender, log) as life:
                life.served()
                talker = machine.talker.domid
                count = plan.counted
                tty = life.tty() if contender != LIMIT else None
                report, calls = counted_calls(life, "talk", talker, 20000, count, tty)
                samples.add(f"lone message, N=1{suffix}", contender, **{"system calls": calls / count})
                for how in ("flood", "spin"):
                    flood_calls(samples, life, how, suffix)


def flood_calls(samples, life, how, suffix):
    """A daemon under strace is so slow that it might never find a second ringful; so what a visit costs
    is counted with it, and how many visits there are without. (perf, where it can be had, agrees.)"""
    args = how, life.machine.talker.domid, 1, 2048, 1000
    traced, calls = counted_calls(life, *args)
    report = life.machine.guests(*args)
    visits = report["visits"] / (report["bytes"] / 2048)
    samples.add(f"{how} 2048 bytes{suffix}", life.contender, **{
        "system calls/2 KiB": calls / traced["visits"] * visits, "visits/2 KiB": visits})


# -- instructions ---------------------------------------------------------------------------------


def callgrind(samples, plan):
    """User-space instructions for a message, all threads together."""
    with Machine(1) as machine:
        for contender, log in LIVES:
            if contender == LIMIT:
                continue
            out = machine.host.dir / "callgrind"
            tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-line=no",
                    f"--callgrind-out-file={out}"]
            with Life(machine, contender, log, tool=tool) as life:
                life.served()
                tty, count = life.tty(), plan.counted

                def talk():
                    machine.guests("talk", machine.talker.domid, 20000, count, tty)

                def tell(*what):
                    machine.host.command("vgdb", f"--pid={life.process.pid}", *what)

                talk()
                tell("instrumentation", "on")
                talk()
                tell("zero")
                talk()
                tell("dump")
                # Its last line tells that all of it is there.
                totals = wait_for(lambda: re.search(r"^totals: (\d+)", Path(f"{out}.1").read_text(), re.M),
                                  60, "callgrind's dump")
                samples.add(f"lone message, N=1{', log' if log else ''}", contender,
                            **{"instructions": int(totals[1]) / count})
            for dump in machine.host.dir.glob("callgrind*"):
                dump.unlink()


# -- requests to xenstored ------------------------------------------------------------------------

HEADER = struct.Struct("=4I")  # type, request, transaction, length: xen/io/xs_wire.h


class Counting:
    """A socket in front of xenstored's. While in its `with` block, whoever connects to .path talks to the host's xenstored."""

    def __init__(self, host):
        self.path = host.dir / "counting"
        self.store = host.env["XENSTORED_PATH"]
        self.requests = 0
        self.sockets = []

    def __enter__(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for one in [self.listener, *self.sockets]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
        os.unlink(self.path)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            store = socket.socket(socket.AF_UNIX)
            store.connect(self.store)
            self.sockets += [client, store]
            threading.Thread(target=self.requesting, args=(client, store), daemon=True).start()
            threading.Thread(target=self.replying, args=(store, client), daemon=True).start()

    def requesting(self, client, store):
        pending = b""
        while data := receive(client):
            store.sendall(data)
            pending += data
            while len(pending) >= HEADER.size:
                length = HEADER.size + HEADER.unpack_from(pending)[3]
                if len(pending) < length:
                    break
                pending = pending[length:]
                self.requests += 1

    @staticmethod
    def replying(store, client):
        while data := receive(store):
            try:
                client.sendall(data)
            except OSError:
                return


def receive(one):
    try:
        return one.recv(65536)
    except OSError:
        return b""


def store_requests(samples, _):
    """Requests to xenstored for each console, until nothing is asked but for a heartbeat."""
    for log in (False, True):
        for contender in DAEMONS:
            with Machine(REQUESTS) as machine, Counting(machine.host) as counting:
                with Life(machine, contender, log, env={"XENSTORED_PATH": str(counting.path)}) as life:
                    life.served()
                    before = -HEARTBEATS
                    while counting.requests - before > HEARTBEATS:
                        before = counting.requests
                        time.sleep(CALM)
                    samples.add(f"start{', log' if log else ''}", contender, **{
                        "store requests/console": counting.requests / len(machine.domains)})


CASES = (system_calls, callgrind, store_requests)
QUICK = (system_calls,)
