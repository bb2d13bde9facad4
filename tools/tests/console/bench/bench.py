# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: python3 bench.py [--quick] [--keep] [CASE...], by way of `make bench`."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import cases
import counted
import report
from benchlib import BENCH, MIB, Samples

CASES = {case.__name__: case for case in cases.CASES + counted.CASES}
QUICK = [case.__name__ for case in cases.QUICK + counted.QUICK]


class Plan:
    """How long and how often."""

    def __init__(self, quick):
        self.quick = quick
        self.idle = {1: 1, 100: 1} if quick else {1: 3, 100: 3, 1000: 2, 3900: 2}  # idle domains: rounds
        self.idle_s = 1 if quick else 5
        self.pace_ms = 500 if quick else 2000
        self.repeat = 1 if quick else 3
        self.flood_ms = 300 if quick else 1000
        self.pastes = 1 if quick else 2
        self.paste = MIB // 4 if quick else MIB  # the incumbent's, which takes 20 s for a MiB
        self.beside = 1 if quick else 3
        self.beside_ms = 2000 if quick else 5000
        self.stall_ms = 5000
        self.held = 520
        self.destroyed = (200, 1000)
        self.counted = 100 if quick else 300


def load():
    return "/".join(f"{value:.1f}" for value in os.getloadavg())


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    if options.keep and (options.quick or options.cases):
        parser.error("what is kept is all of it: no QUICK, no B")
    plan, samples, before, began = Plan(options.quick), Samples(), load(), time.monotonic()
    for name in options.cases or (QUICK if options.quick else CASES):
        begun = time.monotonic()
        print(f"{name} ...", end=" ", flush=True, file=sys.stderr)
        CASES[name](samples, plan)
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
        result = report.document(samples, plan, [before, load()])
        report.write(result, BENCH)  # what there is, in case it goes no further
    if options.keep:
        report.write(result, Path(__file__).resolve().parents[4] / "docs")
    print("\n".join(report.table(result)))
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes; bench.json and bench.svg are in"
          f" {'docs' if options.keep else BENCH}")


if __name__ == "__main__":
    main()
