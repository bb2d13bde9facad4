# SPDX-License-Identifier: GPL-2.0-only
"""Guests that break the protocol, and what the hypervisor itself says."""

import shutil
import signal

import xenhost
from guests import Linux, Tiny
from lines import Lines
from xenhost import CONNECTED, file_text, wait, xl

# What a guest writes into its page's indexes; with any of these one ring holds more than its size.
HOSTILE = (
    {"out_prod": 1000000},
    {"out_cons": 4000000000},
    {"in_cons": 3000000000},
    {"in_prod": 4000000000},
    {"out_prod": 77777, "in_prod": 99999, "out_cons": 12345, "in_cons": 54321},
)


def hostile(report, daemon):
    """Hostile guests beside a Linux guest: indexes, a closed port, a storm; the neighbour never notices."""
    daemon.start()
    neighbour = Linux("neighbour").create()
    report.need("neighbour-is-up", neighbour.is_up())
    before = daemon.held()

    for number, indexes in enumerate(HOSTILE):
        report.step(f"hostile indexes: {indexes}")
        guest = Tiny(f"hostile{number}", "flood 100").create()
        report.check(f"hostile{number}-is-up", wait(lambda g=guest: "flood is over\n" in g.log_text(), 60))
        # all at once: after the first the guest may hear nothing more
        seen = watch_page(guest, indexes)
        report.check(f"hostile{number}-wrote-them", seen, guest.page)
        report.check(f"neighbour-answers-beside-hostile{number}", neighbour.answers())
        guest.destroy()
        guest.check_end(report, daemon, before)
        lines = Lines(guest.log_text())
        report.check(f"hostile{number}-log-has-what-it-said-and-no-more",
                     lines.is_whole() and len(lines.numbers) == 102, lines)

    report.step("the guest closes its port")
    guest = Tiny("closes").create()
    report.check("closes-is-up", guest.is_up())
    guest.command("close")
    report.check("neighbour-answers-beside-closed-port", neighbour.answers())
    # nobody tells the daemon: it looks each ten seconds
    report.check("closed-port-is-reported", wait(lambda: "state detached, flag not mapped" in daemon.says_of(guest), 60),
                 daemon.says_of(guest))
    share = daemon.cpu_share()
    report.check("daemon-rests-beside-closed-port", share < 0.1, f"takes {share:.0%} of a CPU")
    guest.destroy()
    guest.check_end(report, daemon, before)
    lines = Lines(guest.log_text())
    report.check("closes-log-is-whole-so-far", lines.is_whole(), lines)

    report.step("a storm of events")
    guest = Tiny("storms").create()
    report.check("storms-is-up", guest.is_up())
    guest.command("storm")
    # it ends on command only
    report.check("storm-goes-on", wait(guest.is_spinning, 60), guest.state)
    report.check("neighbour-answers-beside-storm", neighbour.answers())
    report.check("storm-still-goes-on", guest.is_spinning(), guest.state)
    report.check("storm-ends-on-command", guest.stops(), guest.log_text()[-100:])
    report.check("storms-still-answers", guest.answers())
    guest.destroy()
    guest.check_end(report, daemon, before)
    lines = Lines(guest.log_text())
    report.check("storms-log-is-whole", lines.is_whole(), lines)

    report.step("indexes broken, then mended")
    guest = Tiny("mends", "say hello").create()
    report.check("mends-is-up", guest.is_up())
    guest.type("mend 10000\nindex out_prod 1000000\n")
    report.check("mends-broke-them", wait(lambda: guest.page.out_prod == 1000000, 20), guest.page)
    report.check("neighbour-answers-beside-broken", neighbour.answers())
    report.check("mended-answers", guest.answers(), guest.page)
    guest.destroy()
    guest.check_end(report, daemon, before)

    report.check("neighbour-flag-connected", neighbour.page.flag == CONNECTED, neighbour.page)
    report.check("neighbour-answers-at-the-end", neighbour.answers())
    asked_for = (": state ", " consoles served")
    unasked = [line for line in file_text(daemon.messages).splitlines() if not any(text in line for text in asked_for)]
    report.check("daemon-is-not-talkative", len(unasked) < 20, f"{len(unasked)} lines of messages")


def watch_page(guest, indexes):
    """Has the guest write the indexes; whether the page showed any of them, since the daemon may repair its own."""
    guest.type("".join(f"index {name} {value}\n" for name, value in indexes.items()))
    return wait(lambda: any(getattr(guest.page, name) == value for name, value in indexes.items()), 20)


def hypervisor_log(report, daemon):
    """hypervisor.log has Xen's boot messages and follows what it says later, also from one daemon to the next."""
    shutil.rmtree("/var/run/xen/xenconsoled.logs", ignore_errors=True)  # or it would go on where earlier scenarios ended
    daemon.start()
    path = "/log/hypervisor.log"
    report.check("has-xens-boot-messages", wait(lambda: "Xen version 4" in file_text(path) or "Latest ChangeSet" in
                                                 file_text(path), 20), file_text(path)[:200])
    report.check("has-dom0s-making", wait(lambda: "Dom0" in file_text(path), 20))
    before = file_text(path)
    xl("debug-keys", "h")
    report.check("follows", wait(lambda: "installed handlers" in file_text(path)[len(before):], 20),
                 file_text(path)[len(before):][:200])
    said = xenhost.run("xl", "dmesg")[1]
    lines = [line for line in said.split("\n") if line.startswith("(XEN)")]

    def lacking():
        logged = set(file_text(path).replace("\r", "").split("\n"))
        return [line for line in lines[:-1] if line not in logged]

    wait(lambda: not lacking(), 20)
    missing = lacking()
    report.check("has-all-of-xl-dmesg", len(lines) > 50 and not missing, f"{len(lines)} lines, missing {missing[:3]}")

    report.step("the next daemon goes on")
    daemon.end(signal.SIGKILL)
    before = file_text(path)
    daemon.start()
    xl("debug-keys", "h")
    report.check("goes-on", wait(lambda: "installed handlers" in file_text(path)[len(before):], 20))
    report.check("nothing-twice", "Xen version 4" not in file_text(path)[len(before):], file_text(path)[len(before):][:200])


SCENARIOS = {"hostile": hostile, "hypervisor-log": hypervisor_log}
