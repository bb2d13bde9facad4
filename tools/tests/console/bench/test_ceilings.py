# SPDX-License-Identifier: GPL-2.0-only
"""What a message costs must not creep up: counted, so that no noise can trip it.

ceilings.json has what it cost when that was last looked at and found right, and some room for
another compiler or C library. Cheaper is always welcome; whoever makes it dearer raises the
ceiling in the same commit and says there what for.
"""

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

import test_cost as cost  # noqa: E402

pytestmark = pytest.mark.cost

CEILINGS = json.loads((HERE / "ceilings.json").read_text())
MEASURES = {"instructions": (cost.callgrind_tool, cost.instructions),
            "system calls": (cost.strace_tool, cost.system_calls)}


@pytest.mark.parametrize("idle", (1, 500))
@pytest.mark.parametrize("log", (False, True), ids=("no log", "log"))
@pytest.mark.parametrize("what", MEASURES)
def test_message(what, log, idle):
    which = f"{'log' if log else 'no log'}, {idle} idle"
    value, ceiling = cost.with_idle(idle, log, *MEASURES[what]), CEILINGS[what][which]
    print(f"{what} per message, {which}: {value:.2f}, ceiling {ceiling}")
    assert value <= ceiling
