# SPDX-License-Identifier: GPL-2.0-only
"""The judge of the tiny guest's logs is judged first: logs with one fault each, of which it must find every one."""

import os
import re

import pytest

from dom0.lines import FLOOD, LONGEST, SAID, Lines, last_number

TEXTS = ["up"] + [FLOOD] * 6 + ["heard-17-by-tiny", "beat", "stopped"]
LOG = [f"#{number:08} {number * 3 + 7:06}.{number * 1001:09} {text}" for number, text in enumerate(TEXTS)]
WHOLE = "\n".join(LOG) + "\n"
MIDDLE = WHOLE.index(LOG[4])


def log(*lines):
    return "".join(line + "\n" for line in lines)


def test_a_whole_log_is_whole():
    lines = Lines(WHOLE)
    assert lines.is_whole() and lines.numbers == list(range(len(LOG))) and lines.last == len(LOG) - 1
    assert LONGEST == len(LOG[1]) + 1


def test_what_is_not_yet_ended_is_not_judged():
    assert Lines(WHOLE + "#00000010 0000").is_whole()
    assert Lines(WHOLE[:-1]).last == len(LOG) - 2


FAULTS = {
    "nothing": "",
    "only the end of a line": LOG[0][-5:] + "\n",
    "the first line is missing": log(*LOG[1:]),
    "a hole": log(*LOG[:3], *LOG[4:]),
    "a large hole": log(*LOG[:2], *LOG[7:]),
    "an empty line": log(*LOG[:3], "", *LOG[3:]),
    "a line twice": log(*LOG[:4], *LOG[3:]),
    "many lines twice": log(*LOG[:7], *LOG[2:]),
    "everything twice": WHOLE * 2,
    "a line again, later": log(*LOG, LOG[3]),
    "two lines swapped": log(*LOG[:3], LOG[4], LOG[3], *LOG[5:]),
    "a line cut at its end": log(*LOG[:3], LOG[3][:-1], *LOG[4:]),
    "a line cut at its start": log(*LOG[:3], LOG[3][1:], *LOG[4:]),
    "two lines run together": log(*LOG[:3], LOG[3] + LOG[4], *LOG[5:]),
    "a byte changed in the text": WHOLE.replace("abc", "abd", 1),
    "two bytes swapped in the text": WHOLE.replace("xyz", "yxz", 1),
    "a byte too many in the text": WHOLE.replace("xyz", "xyyz", 1),
    "a byte changed in a number": WHOLE.replace("#00000005", "#00000003"),
    "a number much too large": WHOLE.replace("#00000005", "#90000005"),
    "a text of another guest's": WHOLE.replace("heard-17-by-tiny", "flood"),
    "a NUL": WHOLE.replace("f", "\0", 1),
    "a byte that is no text": WHOLE.replace("f", "\ufffd", 1),
    "a carriage return": WHOLE.replace("\n", "\r\n", 1),
    "a remark of the daemon's": log(*LOG[:3], "[xenconsoled: 12 bytes of output lost", *LOG[3:]),
}


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found(text):
    assert not Lines(text).is_whole()


def test_bytes_that_are_lost_or_repeated_are_found():
    """From anywhere in a line on, up to three lines of them; also where every line that is left is well formed."""
    for start in range(MIDDLE, MIDDLE + LONGEST):
        for length in range(1, 3 * LONGEST + 1):
            lost = Lines(WHOLE[:start] + WHOLE[start + length:])
            assert not lost.is_whole(), lost
            repeated = Lines(WHOLE[:start + length] + WHOLE[start:])
            assert not repeated.is_whole(), repeated


def test_what_is_lost_is_told_from_what_is_repeated():
    lost, repeated = Lines(log(*LOG[:3], *LOG[4:])), Lines(log(*LOG[:4], *LOG[3:]))
    assert (lost.missing, lost.gaps, lost.repeated) == (1, [(3, 3)], 0)
    assert (repeated.missing, repeated.gaps, repeated.repeated) == (0, [], 1)


def test_the_last_number_is_that_of_the_last_whole_line():
    assert last_number("") == last_number(LOG[0]) == last_number("fgh\n") == -1
    assert last_number(WHOLE) == last_number(WHOLE[-200:]) == last_number(WHOLE + "#00000010 0000") == len(LOG) - 1


def test_the_guest_says_what_is_expected():
    """Every text of the guest's source but its complaints, in the same words."""
    source = os.path.join(os.path.dirname(__file__), "guest", "main.c")
    with open(source, encoding="ascii") as file:
        said = re.findall(r'(?:frontend_line\(&console, |text\[\] = )"([^"]*)"', file.read())
    assert set(said) - {"no such index", "no such command"} == set(SAID) - {"hello"}
