# SPDX-License-Identifier: GPL-2.0-only
"""GRUB as a guest. Its frontend is simpler than any kernel's: it knows nothing of the flag, it waits after each piece of
output until the ring is empty, it polls for input, and it sends no event when it has taken some."""

import time

from guests import Grub, GrubMenu, Linux
from scenarios_restart import has_come_to_rest
from xenhost import RING_IN, used, wait, xl

PROMPT = r"(?s)\A.*grub> "
SLEEP_SECONDS = 20
WAITING = 500  # what is typed beyond in[]'s room; read from out[], it ends within that


def grub(report, daemon):
    """GRUB's prompt, GRUB that takes input and says nothing, and its menu, over a restart and on to Linux."""
    daemon.start()
    at_its_prompt(report)
    silent(report)
    in_its_menu(report, daemon)


def check_heard(report, guest, what, pattern):
    """The console's client reads from the start what the pattern matches, and the log has the very same."""
    heard = guest.hear(pattern)
    report.need(f"{what}-in-the-tty", heard, guest.log_text()[-200:])
    text = heard[0].replace("\r\n", "\n")
    report.check(f"{what}-in-the-log", wait(lambda: guest.log_text().startswith(text), 60),
                 guest.log_text()[-200:])


def at_its_prompt(report):
    report.step("GRUB's prompt")
    guest = Grub("prompt").create()
    check_heard(report, guest, "prompt", PROMPT)
    report.check("prompt-answers", guest.answers())
    line = "".join(f"word{number:03}-" for number in range(60))
    guest.command(f"echo {line}")
    # once as it is typed, and once as the answer
    report.check("long-line-is-echoed-and-answered", wait(lambda: guest.words().count(line) == 2, 60),
                 guest.words()[-200:])
    guest.command("which=last; echo $which words; halt")
    guest.close()
    report.check("halt-ends-it", guest.is_gone(), guest.state)
    report.check("last-words-in-the-log", wait(lambda: "last words" in guest.words(), 60), guest.words()[-200:])


def silent(report):
    """GRUB sleeps and reads meanwhile, without a word or an event. More is typed than in[] holds, and it gets all of it."""
    report.step("GRUB sleeps and reads")
    guest = Grub("silent").create()
    report.need("silent-has-a-prompt", guest.hear(PROMPT), guest.log_text()[-200:])
    # It will read out[] when it is past in[], and an ESC there would end its sleep: so all of out[] is to be y.
    for command in ("c=yyyyyyyy", "c=$c$c$c$c$c$c$c$c", "c=$c$c$c$c$c$c$c$c",
                    f"c=$c$c$c$c$c$c; echo $c; sleep -i {SLEEP_SECONDS}; echo WOKEN"):
        guest.command(command)
    filled = wait(lambda: guest.words().endswith("y" * 3072) and guest.log_text().endswith("\r"), 60)
    report.need("silent-sleeps", filled, guest.log_text()[-200:])

    report.step("paused while more is typed than in[] holds")
    xl("pause", "silent")
    before = guest.page
    report.need("silent-has-taken-its-commands", before.in_cons == before.in_prod, before)
    full = before.in_prod + RING_IN
    end = full + WAITING
    guest.type("y" * (end - before.in_prod))
    report.need("in-ring-is-full", wait(lambda: guest.page.in_prod == full, 60), guest.page)
    xl("unpause", "silent")
    report.need("silent-takes-what-the-ring-holds", wait(lambda: guest.page.in_cons >= full, 60), guest.page)
    begin = time.monotonic()
    wait(lambda: guest.page.in_cons == end or guest.page.out_prod != before.out_prod, report.patience)
    page, seconds = guest.page, time.monotonic() - begin
    if report.check("silent-gets-all-while-it-sleeps", page.in_cons == end and page.out_prod == before.out_prod,
                    f"{before}, {seconds:.2f} s later {page}"):
        report.note(f"{seconds:.2f} s after GRUB had emptied the ring it had the rest too")
    report.check("silent-wakes", wait(lambda: guest.words().count("WOKEN") == 2, 60), guest.words()[-200:])
    report.check("silent-gets-all-in-the-end", wait(lambda: guest.page.in_prod == end, 60), guest.page)
    guest.close()
    guest.destroy()


def in_its_menu(report, daemon):
    """The daemon goes and comes back while the menu counts down; then the menu boots Linux."""
    report.step("GRUB's menu counts down")
    guest = GrubMenu("menu").create()
    check_heard(report, guest, "menu",
                rf"(?s)\A.*\*{guest.FIRST}.* {guest.SECOND}.*automatically in {guest.COUNTS_FROM}s\.")
    # right after a second's text, so that none is in hand
    seen = len(guest.counted())
    report.need("menu-counts-down", wait(lambda: len(guest.counted()) > seen, 60), guest.counted())

    report.step("no daemon: GRUB waits for its ring to be emptied")
    guest.close()
    daemon.end()
    report.check("menu-stops-with-output-in-the-ring",
                 wait(lambda: used(guest.page) > 0 and has_come_to_rest(guest), 60), guest.page)
    before = guest.page
    report.check("menu-spins", guest.is_spinning(), guest.state)
    report.check("menu-makes-no-progress", guest.page == before, f"{before}, {guest.page}")

    report.step("the daemon starts again")
    stopped_at = guest.counted()[-1]
    daemon.start()
    report.need("menu-goes-on", wait(lambda: guest.counted()[-1] < stopped_at - 3, 60), guest.page)
    counted = guest.counted()
    report.check("menu-no-second-is-lost-or-repeated",
                 counted == list(range(guest.COUNTS_FROM, counted[-1] - 1, -1)), counted)
    guest.type("v")
    report.check("menu-takes-a-key", guest.hear(rf"\*{guest.SECOND}"), guest.log_text()[-200:])
    guest.type("^")
    report.check("menu-takes-another-key", guest.hear(rf"\*{guest.FIRST}"), guest.log_text()[-200:])

    report.step("Linux, booted from the menu")
    tty = guest.tty
    guest.command("")
    guest.close()
    linux = Linux("menu")
    linux.domid = guest.domid
    report.need("linux-boots", linux.is_up(), linux.log_text()[-200:])
    report.check("linux-answers", linux.answers())
    report.check("linux-has-grubs-tty", linux.tty == tty, f"{tty}, {linux.tty}")


SCENARIOS = {"grub": grub}
