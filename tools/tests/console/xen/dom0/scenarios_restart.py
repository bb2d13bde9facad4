# SPDX-License-Identifier: GPL-2.0-only
"""The daemon comes late, goes, dies and comes back; and the distribution's takes its place."""

import os
import signal
import time

from daemons import Daemon
from guests import Linux, NewerLinux, Tiny
from lines import LONGEST, Lines
from xenhost import CONNECTED, DISCONNECTED, RING_OUT, used, wait

CYCLES = 50
KILLS = 20


def late_start(report, daemon):
    """Three guests run before the daemon does: an old frontend spins, those that obey the flag do not."""
    report.step("three guests, paused, their flag DISCONNECTED")
    tiny = Tiny("tiny").create_without_daemon()
    newer = NewerLinux("newer").create_without_daemon()
    old = Linux("old").create_without_daemon()

    report.step("no daemon: unpaused, those that obey the flag first")
    tiny.unpause()
    newer.unpause()
    report.check("newer-boots-and-sleeps", wait(lambda: newer.state.cpu_seconds > 2 and newer.cpu_share() < 0.05, 240),
                 newer.state)
    report.check("newer-ring-stays-empty", newer.page.out_prod == 0, newer.page)
    report.check("tiny-ring-stays-empty", tiny.page.out_prod == 0, tiny.page)
    report.check("tiny-does-not-spin", wait(lambda: not tiny.is_spinning(), 60), tiny.state)
    report.step("no daemon: the old frontend fills its ring and spins")
    old.unpause()
    report.check("old-ring-is-full", wait(lambda: used(old.page) == RING_OUT, 60), old.page)
    before = old.page
    report.check("old-spins", old.is_spinning(), old.state)
    report.check("old-makes-no-progress", old.page == before, f"{before}, {old.page}")
    for guest in (tiny, newer, old):
        report.check(f"{guest.name}-flag-still-disconnected", guest.page.flag == DISCONNECTED, guest.page)
    report.note("CPU seconds without a daemon: " +
                ", ".join(f"{guest.name} {guest.state.cpu_seconds}" for guest in (old, newer, tiny)))

    report.step("the daemon starts")
    started = time.monotonic()
    daemon.start()
    for guest in (old, newer, tiny):
        report.check(f"{guest.name}-flag-becomes-connected",
                     wait(lambda g=guest: g.page.flag == CONNECTED, report.patience), guest.page)
    report.check("old-boots", old.is_up(), old.log_text()[-200:])
    old.command(old.DMESG)
    said = old.hear(rf"(?s)\A.*{old.DMESG_ENDS}")
    missing = said and old.missing_from_log(said[0])
    report.check("old-log-is-complete", missing == [], f"missing {missing}")
    report.check("old-answers", old.answers())
    report.check("old-stops-spinning", wait(lambda: old.cpu_share() < 0.05, 60), old.state)
    report.check("newer-answers", newer.answers(report.patience))
    up, now = newer.times(report.patience)
    elapsed = time.monotonic() - started
    report.check("newer-was-up-before", up and up < now - elapsed,
                 f"up after {up} s; {now} s now, {elapsed:.1f} of them with a daemon")
    report.check("tiny-moves-to-the-ring", wait(lambda: tiny.last_number() >= 0, report.patience), tiny.page)
    report.check("tiny-answers", tiny.answers(report.patience))
    lines = Lines(tiny.log_text())
    report.check("tiny-no-number-is-missing", lines.is_whole(), lines)
    elapsed = time.monotonic() - started
    early = [stamp for stamp in lines.stamps if stamp < lines.stamps[-1] - elapsed]
    report.check("tiny-has-what-it-said-before", len(early) > 20, f"{len(early)} lines older than the daemon")


def stop(report, daemon):
    """The daemon is stopped while guests flood, and started again; fifty times over."""
    report.step("starting the daemon and two guests")
    daemon.start()
    tiny = Tiny("tiny").create()
    newer = NewerLinux("newer").create()
    report.need("newer-is-up", newer.is_up())
    # by the shell alone, in bursts of more than a ring: what takes CPU time is the console
    newer.command("while :; do i=0; while [ $i -lt 60 ]; do echo more of the same, more of the same; i=$((i+1)); done; "
                  "sleep 3; done &")
    report.check("newer-talks", wait(lambda: newer.log_text().count("more of the same\n") > 100, 60))
    tiny.command("flood")
    report.check("tiny-floods", wait(lambda: "flood" in tiny.log_text(), 60))

    report.step("SIGTERM, mid-flood")
    tiny.close()
    newer.close()
    caught = daemon.catch(lambda: has_output_in_hand(tiny), 20)
    status, seconds = daemon.end()
    report.check("daemon-stops-with-status-0", status == 0, f"status {status} after {seconds:.2f} s")
    report.note(f"the daemon took {seconds:.2f} s to stop, {'with' if caught else 'without'} output in hand")
    for guest in (tiny, newer):
        report.check(f"{guest.name}-flag-disconnected", guest.page.flag == DISCONNECTED, guest.page)
    logged, before = tiny.last_number(), tiny.page
    report.check("newer-leaves-its-ring-empty", not wait(lambda: used(newer.page) == RING_OUT, 20), newer.page)
    report.check("newer-does-not-spin", wait(lambda: not newer.is_spinning(), report.patience), newer.state)
    after = tiny.page
    # but for a line in hand when the flag changed
    report.check("tiny-keeps-its-lines", used(after) < RING_OUT and after.out_prod - before.out_prod <= LONGEST,
                 f"{before}, {after}")

    report.step("started again")
    daemon.start()
    for guest in (tiny, newer):
        report.check(f"{guest.name}-flag-connected-again", wait(lambda g=guest: g.page.flag == CONNECTED, 60), guest.page)
    report.check("tiny-goes-on", wait(lambda: tiny.last_number() > logged + 1000, 60))
    report.check("newer-goes-on", newer.answers())
    lines = Lines(tiny.log_text())
    report.check("tiny-nothing-is-lost", lines.is_whole(), lines)
    newer.destroy()

    report.step(f"{CYCLES} times stopped and started")
    slowest, statuses, resumed = 0, set(), 0
    for _ in range(CYCLES):
        status, seconds = daemon.end()
        statuses.add(status)
        slowest = max(slowest, seconds)
        progress = tiny.last_number()
        daemon.start()
        resumed += bool(wait(lambda at=progress: tiny.last_number() > at, 60))
    report.check("each-stop-has-status-0", statuses == {0}, statuses)
    report.check("each-start-goes-on", resumed == CYCLES, f"{resumed} of {CYCLES}")
    report.note(f"the slowest of {CYCLES} stops took {slowest:.2f} s")
    report.check("flood-ends", tiny.stops())
    lines = Lines(tiny.log_text())
    report.check("log-is-whole-over-all-cycles", lines.is_whole(), lines)


def has_output_in_hand(tiny):
    """Whether the daemon has taken from the ring what the log has not got yet, if the log has all from the ring's start.

    The distribution's daemon is often found so, and what it has in hand then is lost when it ends."""
    return os.path.getsize(tiny.log) < tiny.page.out_cons


def has_come_to_rest(guest):
    """Its ring is full; or it is not, and a daemon that was killed in between had no time to tell the guest of room."""
    before = guest.page
    return used(before) == RING_OUT or (time.sleep(1), guest.page)[1] == before


def kill(report, daemon):
    """The daemon is killed while a guest floods, and started again: nothing is lost, nothing comes twice."""
    daemon.start()
    tiny = Tiny("tiny", "flood").create()
    report.need("tiny-floods", wait(lambda: "flood" in tiny.log_text(), 60))
    report.step(f"{KILLS} times killed, with output in hand if it can be caught so, and started")
    problem, caught = "", 0
    for number in range(1, KILLS + 1):
        caught += daemon.catch(lambda: has_output_in_hand(tiny), 1)
        daemon.end(signal.SIGKILL)
        rests = wait(lambda: has_come_to_rest(tiny), 60)
        page, before = tiny.page, tiny.last_number()
        daemon.start()
        goes_on = wait(lambda at=before: tiny.last_number() > at + 500, 60)
        if not goes_on and daemon.kind == "incumbent":  # killed before it told of room, as its successor does not either
            tiny.type("\n")
            tiny.close()
            goes_on = wait(lambda at=before: tiny.last_number() > at + 500, 60)
        if not rests or page.flag != CONNECTED or not goes_on:
            problem = f"kill {number}: {page}, {tiny.last_number() - before} lines more"
            break
    report.need("connected-and-flooding-after-each", not problem, problem)
    report.check("flood-ends", tiny.stops())
    lines = Lines(tiny.log_text())
    report.check("nothing-is-lost-or-repeated", lines.is_whole(), lines)
    report.note(f"{KILLS} kills, {caught} with output in hand: {lines}")
    report.check("tiny-answers", tiny.answers())


def going_back(report, daemon):
    """Back to the distribution's daemon: a guest left DISCONNECTED is mute under it, unless --reconnect ran."""
    daemon.start()
    newer = NewerLinux("newer").create()
    report.need("newer-is-up", newer.is_up())
    report.check("newer-answers", newer.answers())
    incumbent = Daemon("incumbent", daemon.messages)

    report.step("stopped; the distribution's daemon instead, without --reconnect")
    daemon.end()
    report.check("stop-leaves-disconnected", newer.page.flag == DISCONNECTED, newer.page)
    incumbent.start()
    try:
        report.check("mute-without-reconnect", not newer.answers(10 if daemon.kind == "ours" else 60))
        incumbent.end()

        report.step("--reconnect, then the distribution's daemon")
        status, text = daemon.one_shot("--reconnect")
        report.check("reconnect-succeeds", status == 0, f"status {status}: {text.strip()[-200:]}")
        report.check("reconnect-sets-connected", newer.page.flag == CONNECTED, newer.page)
        incumbent.start()
        report.check("talks-under-the-distributions-daemon", newer.answers())
    finally:
        incumbent.end()

    report.step("--disconnect, and our daemon again")
    status, text = daemon.one_shot("--disconnect")
    report.check("disconnect-succeeds", status == 0, f"status {status}: {text.strip()[-200:]}")
    report.check("disconnect-sets-disconnected", newer.page.flag == DISCONNECTED, newer.page)
    daemon.start()
    report.check("flag-connected-under-ours", wait(lambda: newer.page.flag == CONNECTED, 60), newer.page)
    report.check("talks-again", newer.answers())


SCENARIOS = {"late-start": late_start, "stop": stop, "kill": kill, "going-back": going_back}
