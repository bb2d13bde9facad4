# SPDX-License-Identifier: GPL-2.0-only
"""The table, the targets, the JSON, and the curves."""

import datetime
import json
import os
import platform
import re
import subprocess

from benchlib import INCUMBENT, LIMIT, OURS

COMPARED = {"ours/incumbent": (OURS, INCUMBENT), "ours/limit": (OURS, LIMIT)}


def number(value):
    if value is None:
        return "-"
    if value and abs(value) < 0.095:
        return f"{value:.4f}"
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def percent(value):
    return "-" if value is None else f"{100 * value:.0f} %"


class Target:
    """What is aimed at: ours, or its ratio to a reference, at most or at least so much.

    against: the contender that the reference is of, None for no reference; base and of: its case and
    metric where they differ."""

    def __init__(self, case, metric, bound, against=INCUMBENT, base=None, least=False, of=None):
        self.case, self.metric, self.bound, self.against = case, metric, bound, against
        self.base, self.least, self.of = base or case, least, of or metric

    def value(self, samples):
        """None if it was not measured."""
        ours = samples.median(self.case, self.metric, OURS)
        if self.against is None or ours is None:
            return ours
        reference = samples.median(self.base, self.of, self.against)
        return ours / reference if reference else None

    def document(self, samples):
        value, reference = self.value(samples), ""
        if self.against:
            parts = [self.against if self.against != OURS else "",
                     self.base if self.base != self.case else "",
                     self.of if self.of != self.metric else ""]
            reference = " / " + ", ".join(part for part in parts if part)
        met = value is not None and (value >= self.bound if self.least else value <= self.bound)
        return {"what": f"{self.case}: {self.metric}{reference}", "value": value,
                "target": f"{'>=' if self.least else '<='} {self.bound}",
                "verdict": "not measured" if value is None else "met" if met else "MISSED"}


def targets():
    lone, logged = "lone message, N=1", "lone message, N=1, log"
    yield Target(lone, "CPU us/message", 1.0)
    yield Target(logged, "CPU us/message", 1.2)
    for case in (lone, logged):
        yield Target(case, "instructions", 0.7)
    for idle in (1000, 3900):
        yield Target(f"lone message, N={idle}", "CPU us/message", 1.2, OURS, lone)
    yield Target(lone, "p50 us", 1.1)
    for idle in (1000, 3900):
        yield Target(f"lone message, N={idle}", "p50 us", 1.3, OURS, lone)
    yield Target("flood 2048 bytes", "MiB/s", 200, least=True)
    yield Target("flood 2048 bytes", "MiB/s", 0.6, LIMIT, least=True)
    yield Target("flood 2048 bytes, reader, log", "MiB/s", 200, least=True)
    yield Target("flood 2048 bytes, reader, log", "MiB/s", 0.25, LIMIT, "flood 2048 bytes", least=True)
    for case in ("flood 2048 bytes", "flood 2048 bytes, log"):
        yield Target(case, "CPU ms/MiB", 0.5)
        yield Target(case, "system calls/2 KiB", 2, None)
    yield Target(lone, "system calls", 6, None)
    yield Target(logged, "system calls", 9.1, None)
    yield Target("message each 2 ms, N=1", "p50 us", 300, None)
    yield Target("paste", "kB/s", 50, least=True)
    for idle, connected, tty, settled in ((1000, 0.3, 0.5, 0.5), (3900, 0.4, 0.6, 0.35)):
        yield Target(f"start, N={idle}", "connected s", connected)
        yield Target(f"start, N={idle}", "tty s", tty)
        yield Target(f"start, N={idle}", "settled s", settled)
    for case in ("start", "start, log"):
        yield Target(case, "store requests/console", 8, None)
    yield Target("idle console", "files", 3, None)
    yield Target("idle console", "bytes", 8192, None)
    yield Target("beside 50 flooding", "quiet p99 us", 1.0)
    yield Target("beside 50 flooding", "MiB/s", 3, least=True)
    yield Target("beside 500 flooding", "p99 beyond noise us", 5000, None)
    for variant, share in (("", 0.55), (", log", 0.55), (", --cpu-share=20", 0.25)):
        yield Target(f"beside 500 flooding{variant}", "of a core", share, None)
        yield Target(f"beside 500 flooding{variant}", "least/mean", 0.5, None, least=True)
        yield Target(f"beside 500 flooding{variant}", "most/mean", 2, None)
    for trouble in ("log stalled", "xenstored stopped"):
        yield Target(trouble, "during p99 us", 1.3, OURS, of="before p99 us")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        model = re.search(r"model name\s*: (.*)", lines.read())
    with open("/proc/meminfo", encoding="utf-8") as lines:
        memory = int(lines.readline().split()[1]) // (1 << 20)
    return f"{os.cpu_count()} x {model[1] if model else platform.machine()}, {memory + 1} GiB"


def row(samples, case, metric):
    everybody = (INCUMBENT, OURS, LIMIT)
    return {"case": case, "metric": metric, "samples": samples.values[case, metric],
            "median": {who: samples.median(case, metric, who) for who in everybody},
            "spread": {who: samples.spread(case, metric, who) for who in everybody},
            **{name: samples.ratio(case, metric, *pair) for name, pair in COMPARED.items()}}


def document(samples, plan, load):
    return {"date": datetime.date.today().isoformat(), "machine": machine(),
            "kernel": platform.release().split("-")[0], "quick": plan.quick,
            "load average before and after": load,
            "targets": [target.document(samples) for target in targets()],
            "rows": [row(samples, case, metric) for case, metric in samples.values]}


def table(result):
    yield (f"{result['date']}, {result['machine']}, Linux {result['kernel']}; load average before and after:"
           f" {' and '.join(result['load average before and after'])}\n")
    yield f"{'what':56} {'incumbent':>10} {'ours':>10} {'limit':>10} {'/incumb.':>9} {'/limit':>8}  spread"
    for one in result["rows"]:
        yield (f"{one['case'] + ': ' + one['metric']:56}"
               + "".join(f" {number(one['median'][who]):>10}" for who in (INCUMBENT, OURS, LIMIT))
               + f" {number(one['ours/incumbent']):>9} {number(one['ours/limit']):>8}  "
               + ", ".join(percent(one["spread"][who]) for who in (INCUMBENT, OURS)))
    yield "\ntargets"
    for one in result["targets"]:
        yield f"{one['what']:72} {number(one['value']):>9} {one['target']:<8} {one['verdict']}"


CURVES = (("CPU us/message", "lone message, N={}", "CPU for a message (us)"),
          ("p50 us", "lone message, N={}", "latency of a message, median (us)"),
          ("connected s", "start, N={}", "start until all are served (s)"),
          ("tty s", "start, N={}", "start until all have a tty (s)"))


def points(result, case, metric, who):
    """Lines of "N value"."""
    known = {row["case"]: row["median"][who] for row in result["rows"] if row["metric"] == metric}
    return [f"{n} {known[case.format(n)]}" for n in (1, 100, 1000, 3900) if known.get(case.format(n))]


def curves(result, path):
    """Scaling curves, if scaling was measured."""
    panels = []
    for metric, case, title in CURVES:
        plots = {who: points(result, case, metric, who) for who in (INCUMBENT, OURS, LIMIT)}
        plots = {who: lines for who, lines in plots.items() if lines}
        if plots:
            panels.append(f"set title '{title}'\nplot "
                          + ", ".join(f"'-' using 1:2 with linespoints title '{who}'" for who in plots)
                          + "".join("\n" + "\n".join(lines) + "\ne" for lines in plots.values()) + "\n")
    if not panels:
        return
    script = (f"set terminal svg size 960,720 enhanced background 'white'\nset output '{path}'\n"
              f"set multiplot layout 2,2 title \"{result['date']}, {result['machine']}\" noenhanced\n"
              "set logscale xy\nset grid\nset key left top\nset xlabel 'consoles'\n"
              + "".join(panels) + "unset multiplot\n")
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    path.write_text(re.sub(r"[ \t]+$", "", path.read_text(), flags=re.M))  # kept, so as clean as all that is


def write(result, where):
    where.mkdir(parents=True, exist_ok=True)
    (where / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    curves(result, where / "bench.svg")
