# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmark's cases are made of: contenders, their lives, their guests, and samples.

A contender is started on a host that may have thousands of domains, serves them, is measured, and
makes room for the next one: a Life. Samples are kept by (case, metric, contender).
"""

import contextlib
import json
import mmap
import os
import re
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "integration"))

from hostlib import PAGES_PER_DOMAIN, PAGE_SIZE, XENCONSOLED, Host, Timeout  # noqa: E402
from hostlib import distribution, wait_for  # noqa: E402

BENCH = Path(os.environ["BENCH"])
INCUMBENT, OURS, LIMIT = "incumbent", "ours", "limit"
DAEMONS = (INCUMBENT, OURS)
ALL = (INCUMBENT, OURS, LIMIT)
LIVES = [(c, log) for log in (False, True) for c in ALL if not (log and c == LIMIT)]
FLAG, OUT_CONS = 3088, 3080
MIB = 1 << 20
TALKER = "talker"
SLOW = 600  # seconds which the incumbent may take to serve thousands of domains
QUIET = 0.4  # a daemon is settled when it has not worked for so long


class Samples:
    """{(case, metric): {contender: [values]}}, in the order in which they were first taken."""

    def __init__(self):
        self.values = {}

    def add(self, case, contender, **metrics):
        for metric, value in metrics.items():
            if value is not None:
                self.values.setdefault((case, metric), {}).setdefault(contender, []).append(value)

    def median(self, case, metric, contender):
        """None if there is no such sample."""
        found = self.values.get((case, metric), {}).get(contender)
        return statistics.median(found) if found else None

    def spread(self, case, metric, contender):
        """Largest less smallest, relative to the median; None if there are not two samples."""
        found = self.values.get((case, metric), {}).get(contender, [])
        middle = self.median(case, metric, contender)
        return (max(found) - min(found)) / middle if len(found) > 1 and middle else None

    def ratio(self, case, metric, contender, base):
        """Of the medians; None if either is missing, or the base's is 0."""
        above, below = (self.median(case, metric, who) for who in (contender, base))
        return above / below if above is not None and below else None


def cpu_of(pid):
    """Seconds of CPU, its threads' included, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class Flags:
    """The connection flags of all a host's consoles, in the pages themselves."""

    def __init__(self, host, domains):
        self.offsets = [(d.domid * PAGES_PER_DOMAIN + 1) * PAGE_SIZE for d in domains]
        with open(host.dir / "pages", "r+b") as pages:
            self.pages = mmap.mmap(pages.fileno(), max(self.offsets) + PAGE_SIZE)

    def clear(self):
        for offset in self.offsets:
            self.pages[offset + FLAG] = 1

    def connected(self):
        return sum(self.pages[offset + FLAG] == 0 for offset in self.offsets)

    def drained(self):
        return all(self.pages[o + OUT_CONS:o + OUT_CONS + 4] ==
                   self.pages[o + OUT_CONS + 4:o + OUT_CONS + 8] for o in self.offsets)


class Watch:
    """The consoles whose tty was written since it began."""

    def __init__(self, host):
        self.process = host.spawn("xenstore-watch", "/local/domain")
        wait_for(lambda: "/local/domain" in self.process.output, 10, "xenstore-watch", 0.01)

    def count(self):
        return len(set(re.findall(r"^/local/domain/\d+/console/tty$", self.process.output, re.M)))

    def end(self):
        self.process.kill()


class Life:
    """One contender, from its start until it has served and gone."""

    def __init__(self, machine, contender, log=False, options=(), tool=(), env=None):
        """log: False, True, or the directory."""
        self.machine, self.contender, self.host = machine, contender, machine.host
        machine.flags.clear()
        self.store_before = cpu_of(self.host.store.pid)
        self.watch = Watch(self.host) if contender != LIMIT and not tool else None
        self.begun = time.monotonic()
        if contender == LIMIT:
            self.process = self.host.spawn(BENCH / "bench-limit", machine.first, len(machine.domains))
            wait_for(lambda: "serving" in self.process.output, 60, "the limit loop", 0.005)
            return
        binary = XENCONSOLED if contender == OURS else distribution("xenconsoled")
        if log:
            options = [*options, "--log=guest", f"--log-dir={self.host.log_dir if log is True else log}"]
        self.process = self.host.spawn(*tool, binary, "-i", *options, own_run=True, name=contender, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.signal(15)
        try:
            self.process.wait(10)
        except Timeout:
            self.process.kill()
        if self.watch:
            self.watch.end()

    def served(self):
        """Wait until all consoles are, and settled; {"connected", "tty", "settled", "cpu", "store"}:
        seconds from the start, and seconds of CPU, the daemon's and xenstored's."""
        if self.contender == LIMIT:
            return {}
        wanted, found, last, busy = len(self.machine.domains), {}, time.monotonic(), -1

        def look():
            nonlocal last, busy
            t = time.monotonic()
            if "connected" not in found and self.serving() == wanted:
                found["connected"] = t - self.begun
            if "connected" in found and "tty" not in found and (
                    not self.watch or self.watch.count() >= wanted):
                found["tty"] = t - self.begun
            used = cpu_of(self.process.pid) + cpu_of(self.host.store.pid)
            if used > busy + 0.004:
                last, busy = t, used
            return "tty" in found and t > last + QUIET

        wait_for(look, SLOW, lambda: f"{self.contender} to serve {wanted} consoles, has"
                 f" {self.serving()}, ttys {self.watch and self.watch.count()};"
                 f" it said: {self.process.output[-500:]}", 0.01 if wanted < 500 else 0.1)
        return {**found, "settled": last - self.begun, "cpu": cpu_of(self.process.pid),
                "store": cpu_of(self.host.store.pid) - self.store_before}

    def idle(self, seconds):
        """CPU milliseconds a second with nobody talking, once what a start leaves to be done has been."""
        def quiet():
            before = self.cpu()
            time.sleep(QUIET)
            return self.cpu() - before < 0.02 * QUIET

        wait_for(quiet, SLOW, f"{self.contender} to come to rest")
        before = self.cpu()
        time.sleep(seconds)
        return (self.cpu() - before) * 1000 / seconds

    def serving(self):
        """How many consoles: our flag says so; of the incumbent, which knows no flag, the mapping."""
        if self.contender == OURS:
            return self.machine.flags.connected()
        return Path(f"/proc/{self.process.pid}/maps").read_text().count(f"{self.host.dir}/pages")

    def cpu(self):
        return cpu_of(self.process.pid)

    def tty(self, domain=None):
        domain = domain or self.machine.talker
        return wait_for(lambda: (t := domain.console().tty) and t in self.process.fds().values() and t,
                        30, f"{self.contender}'s tty of {domain}")


class Machine:
    """A host with idle domains and one that talks, on which contenders take turns."""

    def __init__(self, idle):
        self.idle = idle

    def __enter__(self):
        self.host = Host().__enter__()
        try:
            self.domains = self.host.batch(self.idle) if self.idle else []
            self.talker = self.host.create(name=TALKER)
            self.domains.append(self.talker)
            self.first = self.domains[0].domid
            self.flags = Flags(self.host, self.domains)
        except BaseException:
            self.host.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exception):
        self.host.__exit__(*exception)

    def guests(self, *args, background=False):
        """Run bench-guest: its report, or with background a function that waits for that."""
        argv = [str(a) for a in args if a is not None]
        out = self.host.dir / f"guests.{time.monotonic_ns()}"
        process = self.host.spawn(BENCH / "bench-guest", *argv, stdout=open(out, "wb"))

        def result():
            status = process.wait(SLOW)
            if status:
                raise RuntimeError(f"bench-guest {argv}: status {status}: {process.output}")
            return json.loads(out.read_text())

        return result if background else result()


def cost(life, *args):
    """guests(*args), and the CPU seconds that this cost the daemon: (report, seconds)."""
    before = life.cpu()
    report = life.machine.guests(*args)
    with contextlib.suppress(Timeout):
        wait_for(life.machine.flags.drained, 5, "the rings to be empty", 0.002)
    return report, life.cpu() - before


def rounds(count, contenders):
    """Who is next: each in turn, in an order that differs from round to round."""
    for number in range(count):
        turn = number % len(contenders)
        yield from contenders[turn:] + contenders[:turn]
