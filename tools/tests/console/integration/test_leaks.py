# SPDX-License-Identifier: GPL-2.0-only
"""Nothing is left over: no file, no memory, no mapping, no port, no queue."""

import signal

import pytest

from helpers import PATIENCE, converse, memory, serve, settle, tty_of, until
from hostlib import XENCONSOLED

BATCH, ROUNDS = 50, 20


def holds(host, daemon):
    """What the daemon holds: files, ports, mapped pages, log queues."""
    queues = host.run / "xen/xenconsoled.logs"
    return {"files": sorted(daemon.fds().values()),
            "ports": sum(p["pid"] == daemon.pid for p in host.ports()),
            "mappings": len(host.mappings(daemon.pid)),
            "queues": sorted(p.name for p in queues.iterdir()) if queues.exists() else []}


def cycle(host, daemon):
    """BATCH domains come, are served, talk, and go."""
    domains = host.batch(BATCH)
    until(lambda: sum(p["pid"] == daemon.pid and p["status"] == "interdomain"
                      for p in host.ports()) >= BATCH, "all to be served")
    with_something_to_say = domains[0].guest()
    with_something_to_say.print("hello, and goodbye\n")
    host.xenhost("destroy", *(d.domid for d in domains))
    until(lambda: len(host.domains()) == 1, "all to be gone")


def test_1000_domains_come_and_go(host):
    daemon = host.start_daemon(wait=True)
    cycle(host, daemon)
    before = quiet(host, daemon)
    for _ in range(ROUNDS):
        cycle(host, daemon)
    until(lambda: holds(host, daemon) == before,
          lambda: f"{holds(host, daemon)} to be as before: {before}")


def quiet(host, daemon):
    """What it holds when nothing has changed for a while, and nobody's output waits for a reader."""
    last = [None, 0]

    def same():
        now = holds(host, daemon)
        last[1] = last[1] + 1 if now == last[0] else 0
        last[0] = now
        draining = any(name.startswith("/dev/pt") for name in now["files"])
        return now if last[1] >= 20 and not draining else None

    return until(same, lambda: f"the daemon to be quiet, holds {last[0]}")


@pytest.mark.cost
def test_1000_domains_leave_no_memory(host):
    """After a warm-up, what a thousand more domains leave is noise."""
    daemon = host.start_daemon(wait=True)
    for _ in range(4):
        cycle(host, daemon)
    quiet(host, daemon)
    before = memory(daemon)
    for _ in range(ROUNDS):
        cycle(host, daemon)
    quiet(host, daemon)
    assert memory(daemon) - before <= 100 * 1024


def test_nothing_left_at_exit(host):
    """Ports, mappings and queue files, of consoles in all kinds of states; but Xen's ring goes on, and
    how far it was read is kept."""
    daemon, domain, guest = serve(host, "--vuart=yes", name="web")
    converse(host, daemon, domain, guest, "hello")
    tty_of(daemon, host.create(name="idle", vuart=True), 1)
    host.create(name="qemu", type="ioemu")
    host.inject("bind", errno="EPERM", times=0, domid=host.create(name="x", port=False).domid)
    host.hypervisor_print("(XEN) hello\n")
    until(lambda: b"hello" in host.hypervisor_log(), "the hypervisor's log")
    assert daemon.stop(PATIENCE) == 0
    *left, queues = holds_nothing(host, daemon)
    assert left == [[], []] and len(queues) == 1, (left, queues)


def holds_nothing(host, daemon):
    queues = host.run / "xen/xenconsoled.logs"
    return ([p for p in host.ports() if p["pid"] == daemon.pid], host.mappings(daemon.pid),
            [p.name for p in queues.iterdir()] if queues.exists() else [])


@pytest.mark.cost
def test_clean_under_valgrind(host):
    """No invalid access, nothing uninitialised, no leak, through a whole life."""
    daemon = host.spawn("valgrind", "-q", "--leak-check=full", "--error-exitcode=99",
                        "--errors-for-leak-kinds=definite,indirect,possible", "--track-origins=yes",
                        XENCONSOLED, "-i", "--log=all", f"--log-dir={host.log_dir}",
                        "--timestamp=all", "--replace-escape", own_run=True)
    domains = [host.create(name=f"web-{n}") for n in range(4)]
    guests = [domain.guest() for domain in domains]
    for domain, guest in zip(domains, guests):
        converse(host, daemon, domain, guest, "hello")
        guest.lines(500)
        guest.flush(PATIENCE)
    domains[0].rename("renamed")
    domains[0].destroy()
    domains[1].remove_nodes()
    guests[2].hostile("index", "out_prod", 5000)
    host.break_evtchn(daemon.pid)
    daemon.signal(signal.SIGHUP)
    settle(daemon)
    converse(host, daemon, domains[3], guests[3], "still here")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(2 * PATIENCE) == 0, daemon.output
