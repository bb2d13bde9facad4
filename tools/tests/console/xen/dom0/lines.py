# SPDX-License-Identifier: GPL-2.0-only
"""What a tiny guest's log proves: each line has a number, and its text is one that the guest is known to say."""

import re

# Also in guest/main.c, and what the scenarios have it say. Damage inside a line shows as a line that is none of these.
FLOOD = "flood abcdefghijklmnopqrstuvwxyz0123456789"
SAID = ("up", "beat", FLOOD, "flood is over", "stopped", "last words", "hello")
ANSWER = r"heard-\d+-by-[a-z0-9]+"

_LINE = re.compile(r"#(\d{8}) (\d{6}\.\d{9}) (?:" + "|".join(map(re.escape, SAID)) + f"|{ANSWER})")
LONGEST = len(f"#00000000 000000.000000000 {FLOOD}\n")


class Lines:
    """The lines of a log's text, from its start. What follows the last newline is not judged."""

    def __init__(self, text):
        self.numbers, self.stamps, self.broken = [], [], []
        for line in text.split("\n")[:-1]:
            found = _LINE.fullmatch(line)
            if found:
                self.numbers.append(int(found[1]))
                self.stamps.append(float(found[2]))
            else:
                self.broken.append(line)
        self.last = self.numbers[-1] if self.numbers else None
        seen = sorted(set(self.numbers))
        self.gaps = [(a + 1, b - 1) for a, b in zip([-1] + seen, seen) if b > a + 1]  # first and last missing
        self.missing = sum(last - first + 1 for first, last in self.gaps)
        self.repeated = len(self.numbers) - len(seen)
        self.backwards = sum(1 for a, b in zip(self.numbers, self.numbers[1:]) if b < a)

    def is_whole(self):
        """Every line from 0 on, each once, in order."""
        return bool(self.numbers) and not (self.missing or self.repeated or self.backwards or self.broken)

    def __str__(self):
        faults = [f"missing {self.missing} (the first of them {self.gaps[:3]})" if self.missing else "missing 0",
                  f"repeated {self.repeated}", f"backwards {self.backwards}",
                  f"broken {len(self.broken)} (the first of them {self.broken[:2]})" if self.broken else "broken 0"]
        return f"{len(self.numbers)} lines up to #{self.last}, " + ", ".join(faults)


def last_number(text):
    """The number of the last whole line of a log, or of its end; -1 if there is none."""
    whole = [_LINE.fullmatch(line) for line in text.split("\n")[:-1]]
    return max((int(found[1]) for found in whole if found), default=-1)
