# SPDX-License-Identifier: GPL-2.0-only
"""Every byte arrives, in order, once; and no guest makes the daemon hold more than it may."""

import os
import threading

import pytest

from faultlib import SLOW, Faults
from helpers import (PATIENCE, Reader, converse, log_is, logged, memory, numbered, report, same, serve,
                     tty_of, until)

MIB = 1 << 20


def noise(size):
    """Bytes of all values, the same in each run."""
    import random
    return random.Random(size).randbytes(size)


def noise_file(host, size):
    path = host.dir / "noise"
    path.write_bytes(noise(size))
    return path


# -- a daemon that is killed ----------------------------------------------------------------------


def test_killed_before_it_freed_the_ring(host):
    """Between the log's queue and the ring: what it had put into the one and not yet taken off the other
    is not logged twice. The moment is too short to be met, so the ring is set back to it."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("first\n")
    logged(host, "web", "first\n")
    until(lambda: domain.console().out_used == 0, "the ring to be freed")
    before = domain.console().indexes.out_cons
    guest.print("second\n")
    logged(host, "web", "second\n")
    daemon.kill()
    domain.console().set_index("out_cons", before)
    daemon = host.start_daemon()
    converse(host, daemon, domain, guest, "third")
    assert host.guest_log("web") == b"first\nsecond\nthird, says the guest\n"


# -- last words ---------------------------------------------------------------------------------


def test_last_words(host):
    """A full ring, the domain dies, and the daemon learns of both at once: all of it is in the log,
    and a reader has it before his tty goes."""
    daemon, domain, guest = serve(host, name="web")
    with Reader(tty_of(daemon, domain)) as reader:
        daemon.freeze()
        guest.lines(32)
        guest.flush()
        assert domain.console().out_used == 2048
        domain.destroy()
        daemon.thaw()
        assert reader.take(2048) == numbered(32)
        log_is(host, "web", numbered(32))
    domain.wait_gone(PATIENCE)


def test_last_words_without_nodes_removed(host):
    """A guest that crashes under a toolstack that removes nothing first."""
    daemon, domain, guest = serve(host, name="web")
    daemon.freeze()
    guest.lines(32)
    guest.flush()
    domain.kill()
    daemon.thaw()
    log_is(host, "web", numbered(32))


def test_last_words_of_many_lines(host):
    """Sixty lines and death: not one is missing, in the log and at a reader. (An xenconsole exits by
    itself as soon as the node is removed, before the domain dies.)"""
    daemon, domain, guest = serve(host, name="web")
    with Reader(tty_of(daemon, domain)) as reader:
        guest.lines(60, rate=500)
        guest.flush()
        domain.destroy()
        assert reader.take(60 * 64) == numbered(60)
        log_is(host, "web", numbered(60))


def test_last_words_at_a_slow_reader(host):
    """What he has not read when the domain dies is kept while he reads on."""
    daemon, domain, guest = serve(host, name="web")
    text = numbered(3000)
    with Reader(tty_of(daemon, domain)) as reader:
        guest.lines(3000)
        guest.flush(PATIENCE)
        log_is(host, "web", text)
        reader.read(16384)  # all of a pty: of less the daemon would not hear
        domain.destroy()
        until(lambda: reader.read(4096) is not None and domain.state() is None, "it to go")
        assert reader.take(len(text)) == text


def put_unannounced(console, text):
    """As a guest that has written into its ring and not yet sent the event."""
    prod = console.indexes.out_prod
    for offset, byte in enumerate(text):
        console.page[1024 + (prod + offset) % 2048] = byte
    console.set_index("out_prod", prod + len(text))


@pytest.mark.parametrize("end", ["destroy", "kill", "remove_nodes", "move_page", "stop"])
def test_what_no_event_told_of(host, end):
    """When a console is given up its ring is looked at once more, event or no event."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("announced\n")
    logged(host, "web", "announced\n")
    put_unannounced(domain.console(), b"not announced\n")
    if end == "stop":
        daemon.stop(PATIENCE)
    else:
        getattr(domain, end)()
    log_is(host, "web", b"announced\nnot announced\n")


def test_left_unread_by_a_former_domain(host):
    """A console that was given up, its domain replaced by another one of its domid before anybody looked:
    what nobody has read of the one is not for the readers of the other."""
    daemon, domain, guest = serve(host, name="web")
    guest.print("the old one's secret\n")
    logged(host, "web", "the old one's secret\n")
    domain.console().remove_node("port")
    until(lambda: domain.console().pins == 0, "it to be given up")
    daemon.freeze()
    guest.stop()
    domain.destroy()
    new = host.create(name="new", domid=domain.domid)
    daemon.thaw()
    newcomer = new.guest()
    with Reader(tty_of(daemon, new)) as reader:
        newcomer.print("hello\n")
        reader.expect("hello\n")
        assert reader.received == b"hello\n"
    log_is(host, "new", b"hello\n")


# -- much -----------------------------------------------------------------------------------------


def test_10_mib_in_the_log(host):
    """With nobody at the tty: byte-identical, whatever the bytes are."""
    daemon, domain, guest = serve(host, name="web", guest={"chunk": 512})
    guest.file(noise_file(host, 10 * MIB))
    guest.flush(2 * PATIENCE)
    log_is(host, "web", noise(10 * MIB))
    said = report(daemon, domain)
    assert said["out"] == 10 * MIB and said["log_dropped"] == 0
    assert guest.status()["unnoticed"] == 0


def test_log_slower_than_its_guest(host):
    """The disk takes its time for each write, the guest prints as fast as it can: it is held now and
    then, and not a byte is missing. While it is, his neighbour is served at once."""
    with Faults(host) as faults:
        daemon = host.start_daemon(env=faults.env)
        domain, other = host.create(name="web"), host.create(name="other")
        guest, others = domain.guest(chunk=512), other.guest()
        tty_of(daemon, domain)
        faults.disk(SLOW)
        guest.file(noise_file(host, 3 * MIB))
        with Reader(tty_of(daemon, other)) as reader:
            for number in range(20):
                others.print(f"{number} of twenty\n")
                reader.expect(f"{number} of twenty\n")
        log_is(host, "web", noise(3 * MIB))
        assert report(daemon, domain)["log_dropped"] == 0


def test_10_mib_at_a_reader(host):
    """Under keep nothing is dropped for a reader who is slower than his guest."""
    daemon, domain, guest = serve(host, "--overflow-data=keep", name="web", limit=65536,
                                  guest={"chunk": 512})
    with Reader(tty_of(daemon, domain)) as reader:
        guest.file(noise_file(host, 10 * MIB))
        same(reader.take(10 * MIB), noise(10 * MIB))
    assert report(daemon, domain)["dropped"] == 0
    log_is(host, "web", noise(10 * MIB))
    assert guest.status()["unnoticed"] == 0


def test_64_kib_of_input(host):
    """A paste arrives whole, though the ring holds a kilobyte."""
    daemon, domain, guest = serve(host, name="web")
    with Reader(tty_of(daemon, domain)) as reader:
        reader.write(noise(65536))
        until(lambda: len(guest.input) >= 65536, lambda: f"input, is {len(guest.input)}")
    same(guest.input, noise(65536))
    assert report(daemon, domain)["in_"] == 65536


def test_64_kib_of_input_echoed(host):
    """Both directions at once, through the same two rings."""
    daemon, domain, guest = serve(host, "--overflow-data=keep", name="web", guest={"echo": True})
    with Reader(tty_of(daemon, domain)) as reader:
        typist = threading.Thread(target=reader.write, args=(noise(65536),))
        typist.start()
        same(reader.take(65536), noise(65536))
        typist.join()
    same(guest.input, noise(65536))


def test_input_held_by_the_guest(host):
    """A guest that does not read keeps nobody: the ring fills, the rest waits in the tty."""
    daemon, domain, guest = serve(host, name="web")
    guest.hold_input(True)
    with Reader(tty_of(daemon, domain)) as reader:
        reader.write(noise(3000))
        until(lambda: domain.console().in_used == 1024, "a full ring")
        guest.print("output goes on\n")
        reader.expect("output goes on\n")
        assert report(daemon, domain)["in_"] == 1024
        guest.hold_input(False)
        until(lambda: len(guest.input) == 3000, "the guest to read all")
    assert guest.input == noise(3000)


def test_quiet_one_beside_flooding_ones(host):
    """Turns are bounded: while five guests flood, a sixth one's line is not kept waiting."""
    daemon, domain, guest = serve(host, "--log=none", name="quiet")
    flooders = [host.create(name=f"flood-{n}").guest(chunk=2048) for n in range(5)]
    for flooder in flooders:
        flooder.lines(4000000)
    with Reader(tty_of(daemon, domain)) as reader:
        for number in range(50):
            guest.print(f"line {number}\n")
            reader.expect(f"line {number}\n")
            reader.write(f"answer {number}\n")
            until(lambda: guest.input.endswith(f"answer {number}\n".encode()), "the answer")
    assert all(flooder.status()["queued"] for flooder in flooders), "nobody flooded any more"


# -- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit, bound", [(None, MIB), (0, MIB), (1, 1), (100, 100),
                                          (65536, 65536), (1 << 30, MIB)])
def test_unread_output_is_bounded(host, limit, bound):
    """The oldest gives way; the guest is never held, and the log has all of it."""
    count = 3 * bound // 64 + 2000
    daemon, domain, guest = serve(host, name="web", limit=limit, guest={"chunk": 512})
    guest.lines(count)
    guest.flush(2 * PATIENCE)
    text = numbered(count)
    log_is(host, "web", text)
    said = report(daemon, domain)
    assert said["buffered"] <= bound
    with Reader(tty_of(daemon, domain)) as reader:
        got = reader.take(len(text) - said["dropped"])
    end = said["buffered"]
    same(got[-end:] if end else b"", text[-end:] if end else b"")
    same(got[:-end] if end else got, text[:len(got) - end])


@pytest.mark.parametrize("option, bound", [("64K", 65536), ("3M", 3 * MIB), ("2K", 2048)])
def test_buffer_limit_option(host, option, bound):
    """It is the default where xenstore says nothing, and the ceiling where it says too much."""
    daemon = host.start_daemon(f"--buffer-limit={option}", wait=True)
    for name, limit, most in (("default", None, bound), ("ceiling", 1 << 30, bound),
                              ("below", 2000, 2000)):
        domain = host.create(name=name, limit=limit)
        guest = domain.guest(chunk=512)
        tty_of(daemon, domain)
        guest.lines(2 * bound // 64 + 1000)
        guest.flush(2 * PATIENCE)
        until(lambda: report(daemon, domain)["out"] == 2 * bound // 64 * 64 + 64000, "all of it")
        assert most - 2048 < report(daemon, domain)["buffered"] <= most


@pytest.mark.parametrize("limit", [None, 1, 100])
def test_keep_holds_the_guest(host, limit):
    """Under keep a full buffer holds it, and nothing is lost when somebody reads at last."""
    daemon, domain, guest = serve(host, "--overflow-data=keep", "--buffer-limit=64K", name="web",
                                  limit=limit, guest={"chunk": 512})
    guest.lines(3000)
    guest.wait_state("spinning", PATIENCE)
    until(lambda: report(daemon, domain)["state"] == "held", "the console to be held")
    said = report(daemon, domain)
    assert said["buffered"] <= (limit or 65536) and said["dropped"] == 0
    with Reader(tty_of(daemon, domain)) as reader:
        same(reader.take(3000 * 64), numbered(3000))
    unnoticed = guest.flush(PATIENCE)["unnoticed"]
    # A turn of single bytes takes long enough for the guest to look by itself in the midst of it.
    assert unnoticed == 0 or limit == 1
    log_is(host, "web", numbered(3000))


def test_log_queue_is_bounded(host):
    """A log that cannot be written holds 256 KiB; the guest does not notice, and the gap is marked."""
    os.mkfifo(host.log_dir / "guest-web.log")
    daemon, domain, guest = serve(host, name="web", guest={"chunk": 512})
    guest.lines(20000)
    guest.flush(2 * PATIENCE)
    until(lambda: report(daemon, domain)["out"] == 20000 * 64, "all of it")
    said = report(daemon, domain)
    assert said["queue"] <= 256 * 1024 and said["log_dropped"] >= 20000 * 64 - 256 * 1024
    os.unlink(host.log_dir / "guest-web.log")
    logged(host, "web", "[xenconsoled: ")
    until(lambda: b"after the gap\n" in host.guest_log("web") or guest.print("after the gap\n"), "the log")
    log = host.guest_log("web")
    whole = numbered(20000)
    kept = len(os.path.commonprefix([log, whole]))
    assert kept > 200 * 1024
    gap = log[kept:log.index(b"after the gap\n")]
    assert b"xenconsoled" in gap and str(said["log_dropped"]).encode() in gap
    converse(host, daemon, domain, guest, "on")


@pytest.mark.cost
def test_memory_of_unread_guests(host):
    """limit, plus the log's queue: nothing else grows with what a guest prints, but for what the
    allocator does not give back at once."""
    count, limit = 8, 512 * 1024
    daemon = host.start_daemon(wait=True)
    domains = []
    for number in range(count):
        os.mkfifo(host.log_dir / f"guest-flood-{number}.log")
        domains.append(host.create(name=f"flood-{number}", limit=limit))
        tty_of(daemon, domains[-1])
    before = memory(daemon)
    for domain in domains:
        guest = domain.guest(chunk=512)
        guest.lines(30000)
        guest.flush(2 * PATIENCE)
    for domain in domains:
        until(lambda: report(daemon, domain)["out"] == 30000 * 64, "all of it")
        said = report(daemon, domain)
        assert said["buffered"] > limit - 2048 and said["queue"] > 200 * 1024
    each = (memory(daemon) - before) / count
    assert each <= limit + 256 * 1024 + 64 * 1024
