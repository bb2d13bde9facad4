# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario reports, as lines of JSON in the directory shared with the host, each written at once: a boot that
hangs has told how far it came."""

import json
import os
import time


class Needed(Exception):
    """What a scenario cannot go on without was not so; the check says what."""


class Report:
    # Seconds that a check waits where the distribution's daemon is known to make it wait in vain; shorter for that one.
    patience = 60

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8")
        self.scenario = None

    def write(self, kind, **fields):
        line = {"kind": kind, "scenario": self.scenario, "time": round(time.monotonic(), 2), **fields}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        print("{time:8.2f} {scenario} {kind} ".format(**line) + " ".join(str(v) for v in fields.values()), flush=True)

    def step(self, text):
        """What is being done now."""
        self.write("step", text=text)

    def note(self, text):
        """What was seen, and is no matter of right or wrong."""
        self.write("note", text=text)

    def check(self, name, good, detail=""):
        """An assertion by its name. The scenario goes on if it fails, so that the next ones are seen too."""
        self.write("check", name=name, ok=bool(good), detail=str(detail))
        return bool(good)

    def need(self, name, good, detail=""):
        """An assertion without which the rest of the scenario has no meaning."""
        if not self.check(name, good, detail):
            raise Needed(name)
