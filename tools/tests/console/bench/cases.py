# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark's cases that take time. Each is a function of (samples, plan): it takes samples, and
says nothing."""

import contextlib
import threading
import time

from benchlib import (ALL, BENCH, DAEMONS, INCUMBENT, LIMIT, LIVES, MIB, OURS, Life, Machine, cost,
                      rounds, wait_for)


def flood_once(samples, life, chunk, reader, plan, suffix, how="flood"):
    """how: "spin" for a guest that does not sleep while its ring is full."""
    case = f"{how} {chunk} bytes{', reader' if reader else ''}{suffix}"
    tty = life.tty() if reader else None
    report, cpu = cost(life, how, life.machine.talker.domid, 1, chunk, plan.flood_ms, tty)
    samples.add(case, life.contender, **{
        "MiB/s": report["bytes"] / report["seconds"] / MIB,
        "CPU ms/MiB": cpu * 1000 / (report["bytes"] / MIB),
        "guest waited": report["waited"],
        "read share": report["read"] / report["bytes"] if reader else None})


def talk_once(samples, life, every_us, plan, case, how="pace"):
    """how: "talk" for messages that come alone whatever happens."""
    report, cpu = cost(life, how, life.machine.talker.domid, every_us,
                       plan.pace_ms * 1000 // every_us, None if life.contender == LIMIT else life.tty())
    samples.add(case, life.contender, **{
        "CPU us/message": cpu * 1e6 / report["sent"], "p50 us": report.get("p50"),
        "p99 us": report.get("p99"), "max us": report.get("max"), "guest waited": report["waited"],
        "lost": report["sent"] - report["came"] if life.contender != LIMIT else None})


def one_new(samples, life, case):
    """A domain that comes, its creation included, and goes."""
    before, begun = life.cpu(), time.monotonic()
    new = life.host.create(name="new")
    wait_for(lambda: new.console().bound, 60, f"{new} to be served", 0.001)
    served = time.monotonic() - begun
    life.tty(new)
    samples.add(case, life.contender, **{"served ms": served * 1e3, "CPU ms": (life.cpu() - before) * 1e3})
    new.destroy()
    new.wait_gone(60)


def scaling(samples, plan):
    """Start-up, messages and a new domain with N idle domains; with N = 1 also with a log."""
    for idle, repeat in plan.idle.items():
        with Machine(idle) as machine:
            for contender, log in rounds(repeat, LIVES if idle == 1 else [(c, False) for c in ALL]):
                which = f"N={idle}{', log' if log else ''}"
                with Life(machine, contender, log) as life:
                    start = life.served()
                    samples.add(f"start, {which}", contender, **{
                        f"{what} s": start.get(what)
                        for what in ("connected", "tty", "settled", "cpu", "store")})
                    samples.add(f"idle, {which}", contender, **{"CPU ms/s": life.idle(plan.idle_s)})
                    talk_once(samples, life, 8000, plan, f"lone message, {which}", "talk")
                    for every in (8, 5, 2, 1):
                        talk_once(samples, life, every * 1000, plan, f"message each {every} ms, {which}")
                    if contender != LIMIT:
                        one_new(samples, life, f"one new, {which}")


def floods(samples, plan):
    """One guest that prints without pause, and one that is idle."""
    with Machine(1) as machine:
        for contender, log in rounds(plan.repeat, LIVES):
            suffix = ", log" if log else ""
            with Life(machine, contender, log) as life:
                life.served()
                for chunk in (2048, 256, 16):
                    flood_once(samples, life, chunk, False, plan, suffix)
                    if contender != LIMIT:
                        flood_once(samples, life, chunk, True, plan, suffix)
                flood_once(samples, life, 16, False, plan, suffix, "spin")
            for old in machine.host.log_dir.glob("guest-*"):
                old.unlink()


def paste(samples, plan):
    with Machine(1) as machine:
        for contender in rounds(plan.pastes, DAEMONS):
            with Life(machine, contender) as life:
                life.served()
                size = plan.paste if contender == INCUMBENT else MIB
                report = machine.guests("paste", machine.talker.domid, size, life.tty())
                samples.add("paste", contender, **{
                    "kB/s": report["bytes"] / report["seconds"] / 1000, "guest waited": report["waited"]})


def destroyed(samples, plan):
    """N domains that go at once."""
    for idle in plan.destroyed:
        for contender in DAEMONS:
            with Machine(idle) as machine, Life(machine, contender) as life:
                life.served()
                before, begun = life.cpu(), time.monotonic()
                for domain in machine.domains:
                    domain.destroy(wait=0)
                wait_for(lambda: not machine.host.mappings(life.process.pid),
                         120, "all consoles to be let go", 0.1)
                samples.add(f"N={idle} destroyed", contender, **{
                    "s": time.monotonic() - begun,
                    "CPU ms each": (life.cpu() - before) * 1e3 / len(machine.domains)})


def beside_once(samples, life, count, case, plan):
    """A quiet guest beside flooding ones, and how late threads run that have nothing to do with it."""
    machine, messages = life.machine, plan.beside_ms * 8 // 80
    tty, before = life.tty(), life.cpu()
    flood = machine.guests("flood", machine.first, count, 2048, plan.beside_ms, background=True)
    wait_for(lambda: life.cpu() > before, 30, "the flood", 0.001)
    begun, before = time.monotonic(), life.cpu()
    noise = machine.guests("wake", 8000, messages, background=True)
    quiet = machine.guests("pace", machine.talker.domid, 8000, messages, tty)
    share = (life.cpu() - before) / (time.monotonic() - begun)
    noise, report = noise(), flood()
    samples.add(case, life.contender, **{
        "quiet p50 us": quiet.get("p50"), "quiet p99 us": quiet.get("p99"),
        "quiet max us": quiet.get("max"), "lost": quiet["sent"] - quiet["came"],
        "noise p99 us": noise["p99"], "p99 beyond noise us": quiet["p99"] - noise["p99"],
        "MiB/s": report["bytes"] / report["seconds"] / MIB, "of a core": share,
        "least/mean": report["least"] / report["mean"], "most/mean": report["most"] / report["mean"],
        "guests running": count * (1 - report["waited"])})


def beside_floods(samples, plan):
    for count in (50, 500):
        variants = {"": {}}
        if count == 500:
            variants.update({", log": {"log": True}, ", --cpu-share=20": {"options": ["--cpu-share=20"]}})
        lives = [(c, v) for v in variants for c in DAEMONS if c == OURS or not v]
        with Machine(count) as machine:
            for contender, variant in rounds(plan.beside, lives):
                with Life(machine, contender, **variants[variant]) as life:
                    life.served()
                    beside_once(samples, life, count, f"beside {count} flooding{variant}", plan)


def held(samples, plan):
    """What a console holds: files, memory, mappings; idle, and flooded with nobody reading."""
    for contender in DAEMONS:
        few, many, full = [], [], []
        for idle, into in ((20, few), (plan.held, many)):
            with Machine(idle) as machine, Life(machine, contender) as life:
                life.served()
                into += holds(life)
                if into is many:
                    # The incumbent takes four seconds to reach its limit of 1 MiB.
                    machine.guests("flood", machine.first, 20, 2048, 5000)
                    full += holds(life)
        idle = [(b - a) / (plan.held - 20) for a, b in zip(few, many)]
        more = [(b - a) / 20 for a, b in zip(many, full)]
        for case, each in (("idle console", idle), ("unread and flooded", map(sum, zip(idle, more)))):
            samples.add(case, contender, **dict(zip(("files", "bytes", "mappings"), each)))


def holds(life):
    return [len(life.process.fds()), life.process.anon(), len(life.host.mappings(life.process.pid))]


def storm(samples, plan):
    """Events with nothing to say, as fast as they can be raised, beside a quiet guest."""
    with Machine(1) as machine:
        for contender in rounds(plan.repeat, DAEMONS):
            with Life(machine, contender) as life:
                life.served()
                tty, before, begun = life.tty(), life.cpu(), time.monotonic()
                raised = machine.guests("storm", machine.first, plan.beside_ms, background=True)
                quiet = machine.guests("pace", machine.talker.domid, 8000,
                                       plan.beside_ms * 8 // 80, tty)
                share = (life.cpu() - before) / (time.monotonic() - begun)
                samples.add("event storm", contender, **{
                    "events/s": raised()["events"] * 1000 / plan.beside_ms, "of a core": share,
                    "quiet p50 us": quiet.get("p50"), "quiet p99 us": quiet.get("p99")})


def talk_for_a_while(samples, life, case, when, plan, tty, flooding=False):
    """A quiet guest, perhaps beside one that floods; its messages that have to wait come at the end."""
    machine = life.machine
    flood = machine.guests("flood", machine.first, 1, 16, plan.stall_ms, background=True) if flooding else None
    report = machine.guests("pace", machine.talker.domid, 8000, plan.stall_ms // 8, tty)
    if flood:
        flood()
    samples.add(case, life.contender, **{
        f"{when} p50 us": report.get("p50"), f"{when} p99 us": report.get("p99"),
        f"{when} max us": report.get("max"), f"{when} lost": report["sent"] - report["came"]})


@contextlib.contextmanager
def lasting(plan, begin, end):
    """Trouble that begins now and ends by itself when the guest has talked for long enough."""
    timer = threading.Timer(plan.stall_ms / 1000, end)
    begin()
    timer.start()
    try:
        yield
    finally:
        timer.join()


def stalled_log(samples, plan):
    """The logs' file system stalls while a guest talks and another floods."""
    with Machine(1) as machine:
        mount, stall = machine.host.dir / "stalling", machine.host.dir / "stall"
        mount.mkdir()
        for contender in rounds(plan.repeat, DAEMONS):
            disk = machine.host.spawn(BENCH / "bench-stallfs", stall, mount, "-f")
            try:
                wait_for(mount.is_mount, 10, lambda: f"the file system: {disk.output}")
                with Life(machine, contender, log=mount) as life:
                    life.served()
                    tty = life.tty()
                    talk_for_a_while(samples, life, "log stalled", "before", plan, tty, True)
                    with lasting(plan, stall.touch, stall.unlink):
                        talk_for_a_while(samples, life, "log stalled", "during", plan, tty, True)
            finally:
                stall.unlink(missing_ok=True)
                machine.host.command("fusermount3", "-u", "-z", mount, check=False)
                disk.kill()


def stopped_store(samples, plan):
    """xenstored stands still while a guest talks; something had just asked for it."""
    for contender in rounds(plan.repeat, DAEMONS):
        with Machine(1) as machine, Life(machine, contender) as life:
            life.served()
            tty, store = life.tty(), machine.host.store
            talk_for_a_while(samples, life, "xenstored stopped", "before", plan, tty)
            machine.host.create(name="last")
            with lasting(plan, store.freeze, store.thaw):
                talk_for_a_while(samples, life, "xenstored stopped", "during", plan, tty)


CASES = (scaling, floods, paste, beside_floods, held, destroyed, storm, stalled_log, stopped_store)
QUICK = (scaling, floods, paste, beside_floods)
