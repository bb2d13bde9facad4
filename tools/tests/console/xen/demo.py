# SPDX-License-Identifier: GPL-2.0-only
"""Tells the scenario late-start as it happens under real Xen: what each guest does before the daemon is there, and what
becomes of it after. Ends with status 1 if anything was not as it should be."""

import os
import sys
import time

from machine import Machine

TITLE = """\
Real Xen in an emulated machine. Three guests start before the console daemon does:
    old    Linux that knows nothing of the flag in its console's page
    newer  Linux 7.1 or later, which obeys it
    tiny   a guest of a few hundred lines that numbers its lines and keeps them until somebody reads
(seconds since the machine was turned on; it takes about ten to come up)
"""


def tell(line):
    """One result as a line of the timeline; true unless it is of something wrong."""
    kind, stamp = line["kind"], f"{line['time']:7.1f}"
    if kind == "step":
        print(f"\n{stamp}  {line['text']}", flush=True)
    elif kind == "note":
        print(f"{stamp}      {line['text']}", flush=True)
    elif kind == "check":
        what = line["name"].replace("-", " ")
        detail = line["detail"] if "\n" not in line["detail"] and len(line["detail"]) < 90 else ""
        print(f"{stamp}  {'  ok' if line['ok'] else 'FAIL'}  {what:36} {detail}".rstrip(), flush=True)
        return line["ok"]
    return not line.get("problem")


def main():
    machine = Machine(os.environ["XEN_IMAGES"], os.path.join(os.environ["XEN_LOGS"], "demo"), [("ours", "late-start")])
    print(TITLE, flush=True)
    good, told, going = True, 0, True
    machine.start()
    try:
        while going:
            going = machine.poll()
            for line in machine.results[told:]:
                good = tell(line) and good
            told = len(machine.results)
            time.sleep(0.2)
    finally:
        machine.stop()
    if machine.problem:
        sys.exit(f"the machine {machine.problem}; {machine.where()}")
    log = os.path.join(machine.directory, "late-start-ours", "guest-tiny.log")
    print(f"\nThe tiny guest's log, with what it said before anybody listened (number, time of its clock), {log}:")
    with open(log, encoding="utf-8", errors="replace") as file:
        print("".join("    " + text for text in file.readlines()[:3]))
    sys.exit(0 if good else 1)


main()
