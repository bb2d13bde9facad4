# SPDX-License-Identifier: GPL-2.0-only
"""What a message and an idle console cost, counted and not timed.

Marked cost: for the plain build (see conftest.py).
"""

import re
import shutil
import statistics
import subprocess
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from helpers import PATIENCE, Reader, memory, tty_of, until
from hostlib import BUILD, XENCONSOLED, Host, guest_line, wait_for

pytestmark = pytest.mark.cost

IDLE = 1000
MESSAGES = 150
MIB = 1 << 20


def start(host, *options, tool=()):
    daemon = host.spawn(*tool, XENCONSOLED, "-i", f"--log-dir={host.log_dir}", *options, own_run=True)
    until(lambda: "up" in serving(host, daemon), lambda: f"the daemon: {daemon.output}")
    return daemon


def serving(host, daemon):
    """"up" as soon as it takes notice of xenstore, which it does after all else."""
    lock = host.run / "xen/xenconsoled.lock"
    return "up" if lock.exists() and lock.read_text().strip() == str(daemon.pid) else ""


def attached(host, daemon, domains):
    """Wait until all are served; asked all at once, since there are many."""
    wanted = {d.domid for d in domains}

    def served():
        held = {p["domid"] for p in host.ports()
                if p["pid"] == daemon.pid and p["status"] == "interdomain"}
        return wanted <= held

    until(served, lambda: f"all of {len(wanted)} consoles; {daemon.output[-300:]}")
    for domain in (domains[0], domains[-1]):
        tty_of(daemon, domain)


def begun(host, log, count):
    """Wait until the daemon has done all that it does once for each of so many consoles."""
    def written():
        return sum(path.endswith("/console/tty") and bool(value) for path, value in host.store_ls().items())

    until(lambda: written() == count, lambda: f"all ttys; {written()} of {count}")
    if log:
        until(lambda: len(list(host.log_dir.glob("guest-*.log"))) == count, "all logs")


def asleep(daemon):
    """Whether all its threads are: one that is woken as it falls asleep takes it for a flood, and naps once more."""
    stats = [(task / "stat").read_text() for task in Path(f"/proc/{daemon.pid}/task").iterdir()]
    return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)


def message_by_message(host, daemon, guest, reader, log):
    """MESSAGES lines, each when the one before is with the reader and in the log, and the daemon sleeps: an event
    and a write each."""
    for number in range(MESSAGES):
        line, before = guest_line(number), len(host.guest_log("talker"))
        guest.print(line)
        reader.take(len(reader.received) + len(line))
        if log:
            wait_for(lambda: len(host.guest_log("talker")) > before, PATIENCE, "the log", 0.005)
        wait_for(lambda: asleep(daemon), PATIENCE, "all of it to sleep", 0.001)
        time.sleep(0.005)


def with_idle(idle, log, tool, measure):
    """measure(host, daemon, talk) with so many idle domains beside the one that talks."""
    with Host() as host:
        daemon = start(host, f"--log={'guest' if log else 'none'}", tool=tool(host))
        domains = host.batch(idle)
        talker = host.create(name="talker")
        guest = talker.guest(chunk=64)
        attached(host, daemon, [*domains, talker])
        begun(host, log, idle + 1)
        with Reader(tty_of(daemon, talker)) as reader:
            def talk():
                message_by_message(host, daemon, guest, reader, log)

            talk()
            return measure(host, daemon, talk)


# -- instructions ---------------------------------------------------------------------------------


def callgrind_tool(host):
    return ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-line=no",
            "--separate-threads=yes", f"--callgrind-out-file={host.dir}/callgrind.%p"]


def spent(path):
    """Instructions in a thread's dump of callgrind: in all, and {function: in it and what it calls}."""
    names, own, inclusive, function, called = {}, 0, defaultdict(int), None, False
    for line in path.read_text().splitlines():
        if match := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?$", line):
            if match[3]:
                names[match[2]] = match[3]
            if not match[1]:
                function = names[match[2]]
        elif line.startswith("calls="):
            called = True
        elif function and re.match(r"[+*\d-]\S* \d+$", line):
            inclusive[function] += int(line.split()[1])
            own += 0 if called else int(line.split()[1])
            called = False
    return own, inclusive


def instructions(host, daemon, talk):
    """Per message: of the loop from its event on, and of the log writer. What is paid per second, and
    may be under way just when counting begins, is not in it."""
    host.command("vgdb", f"--pid={daemon.pid}", "instrumentation", "on")
    talk()
    host.command("vgdb", f"--pid={daemon.pid}", "zero")
    talk()
    host.command("vgdb", f"--pid={daemon.pid}", "dump")

    def dump(function):
        """Of the thread that has run it; its last line tells that all of it is there."""
        return next((p for p in host.dir.glob("callgrind.*.1-*")
                     if function in (text := p.read_text()) and "\ntotals:" in text), None)

    total = spent(until(lambda: dump("guest_notified"), "the loop's dump"))[1]["guest_notified"]
    assert total > 0
    if host.guest_log("talker"):
        total += spent(until(lambda: dump("file_carry"), "the writer's dump"))[0]
    return total / MESSAGES


@pytest.mark.parametrize("log", (False, True), ids=("", "log"))
def test_instructions_per_message(log):
    one = with_idle(1, log, callgrind_tool, instructions)
    many = with_idle(IDLE, log, callgrind_tool, instructions)
    print(f"instructions per message: {one:.0f} with 1 idle domain, {many:.0f} with {IDLE}")
    assert abs(many - one) <= 0.05 * one


# -- system calls ---------------------------------------------------------------------------------


def strace_tool(host):
    return ["strace", "-D", "-f", "-y", "-o", host.dir / "strace"]


def calls_of(trace, pid):
    """The system calls of a trace: ([main thread's, in turns of its loop], {thread: calls})."""
    turns, threads = [[]], defaultdict(list)
    for line in trace:
        match = re.match(r"(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()", line)
        if not match or "resumed>" in line:
            continue
        threads[int(match[1])].append(line)
        if int(match[1]) == pid:
            if match[2].startswith("epoll_") and "wait" in match[2]:
                turns.append([])
            turns[-1].append(line)
    return turns, threads


def system_calls(host, daemon, talk):
    """Per message: the loop's in a turn that takes an event, and the log writer's. A turn in which
    the slow check falls is an exception, hence the median."""
    trace = host.dir / "strace"
    before = trace.stat().st_size
    talk()
    with open(trace, encoding="latin-1") as lines:
        lines.seek(before)
        turns, threads = calls_of(lines.read().splitlines()[1:], daemon.pid)
    taking = [turn for turn in turns if any(re.search(r"read\(\d+<[^>]*/handle/", c) for c in turn)]
    assert len(taking) >= MESSAGES * 0.9
    writers = Counter(re.match(r"\d+ +(\w+)", call)[1] for pid, calls in threads.items()
                      if pid != daemon.pid and any("guest-talker.log" in c for c in calls) for call in calls)
    print(f"of the log writer, for {MESSAGES} messages: {dict(writers)}")
    return statistics.median(len(turn) for turn in taking) + writers.total() / MESSAGES


@pytest.mark.parametrize("log", (False, True), ids=("", "log"))
def test_system_calls_per_message(log):
    one = with_idle(1, log, strace_tool, system_calls)
    many = with_idle(IDLE, log, strace_tool, system_calls)
    print(f"system calls per message: {one:.2f} with 1 idle domain, {many:.2f} with {IDLE}")
    assert abs(many - one) <= 0.05 * one


# -- what floods cost ---------------------------------------------------------------------------


def cpu_of(daemon):
    """Seconds, to the nanosecond, of all its threads."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in Path(f"/proc/{daemon.pid}/task").iterdir()) / 1e9


def test_floods_share_what_they_may_take(host):
    """Guests that flood take no more of a core than they may together, and each as much as the next,
    within a factor of two. A busy machine lengthens the time, not what is used of it."""
    allowed, guests = 0.03, 12
    daemon = start(host, "--log=guest", f"--cpu-share={allowed * 100:.0f}")
    domains = host.batch(guests)
    attached(host, daemon, domains)
    for domain in domains:
        domain.guest(chunk=512).lines(1 << 20)

    def taken():
        return [domain.console().indexes.out_cons for domain in domains]

    until(lambda: min(taken()) > 0, "all to have begun")
    begun, before, first = time.monotonic(), cpu_of(daemon), taken()
    until(lambda: sum(taken()) >= sum(first) + guests * MIB, "a MiB of each")
    used, lasted = cpu_of(daemon) - before, time.monotonic() - begun
    each = [now - was for now, was in zip(taken(), first)]
    mean = sum(each) / guests
    print(f"{used / lasted:.3f} of a core; least {min(each) / mean:.2f}, most {max(each) / mean:.2f} of the mean")
    assert used <= 2 * allowed * lasted + 0.05
    assert mean / 2 <= min(each) and max(each) <= mean * 2


def test_hypervisor_flood_keeps_to_the_share(host):
    """Nor do messages of Xen's own, which nothing can hold back."""
    allowed = 0.03
    daemon = start(host, "--log=hv", f"--cpu-share={allowed * 100:.0f}")
    flood = host.spawn("yes", "(XEN) again and again", stdout=subprocess.PIPE)
    host.spawn(BUILD / "bin/xenhost", "hvprint", stdin=flood.popen.stdout)
    log = host.log_dir / "hypervisor.log"
    until(lambda: log.exists() and log.stat().st_size > MIB, "the flood")
    begun, before, first = time.monotonic(), cpu_of(daemon), log.stat().st_size
    until(lambda: log.stat().st_size > first + 12 * MIB, "twelve MiB of it")
    used, lasted = cpu_of(daemon) - before, time.monotonic() - begun
    print(f"{used / lasted:.3f} of a core")
    assert used <= 2 * allowed * lasted + 0.02


# -- what an idle console holds -------------------------------------------------------------------


def handles(daemon):
    """Its handles on the stand-in host: event channels, grants, foreign memory."""
    return [path for path in daemon.fds().values() if "/handle/" in path]


@pytest.mark.parametrize("overflow", ["discard", "keep"])
def test_files_and_memory_of_idle_consoles(host, overflow):
    """At most three files and, beyond the mapped page, eight kilobytes each; and one event channel
    handle for all."""
    daemon = host.start_daemon(f"--overflow-data={overflow}", wait=True)
    begin = len(handles(daemon))
    first = host.batch(100)
    attached(host, daemon, first)
    files, before = len(daemon.fds()), memory(daemon)
    more = host.batch(500)
    attached(host, daemon, more)
    for domain in more[::100]:
        tty_of(daemon, domain)
    each_files = (len(daemon.fds()) - files) / len(more)
    each_memory = (memory(daemon) - before) / len(more)
    print(f"per idle console: {each_files:.2f} files, {each_memory:.0f} bytes beyond the page")
    assert each_files <= 3
    assert each_memory <= 8192
    assert len(handles(daemon)) == begin <= 3


def test_tools_are_there():
    """A missing one would make the tests above fail in less obvious ways."""
    for tool in ("valgrind", "vgdb", "strace"):
        assert shutil.which(tool), f"{tool} is not installed"
