# SPDX-License-Identifier: GPL-2.0-only
"""A plugin of pytest, with pytest-rerunfailures: what failed and then passed is unsteady, what is skipped has failed.

$UNSTEADY names a directory. Each unsteady test has a file there with what its first failure said. Tests may be skipped
only where NO_SKIPS is not set.
"""

import os
import re
from pathlib import Path

import pytest


class Unsteady:
    def __init__(self, directory):
        self.directory = directory

    def pytest_runtest_logreport(self, report):
        kept = self.directory / re.sub(r"[^\w.,=\[\]-]+", "-", report.nodeid)
        if report.outcome == "rerun" and not kept.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            sections = "".join(f"\n--- {name}\n{text}" for name, text in report.sections)
            kept.write_text(f"{report.nodeid}: {report.when}\n{report.longreprtext}\n{sections}", errors="replace")
        elif report.failed:  # each time
            kept.unlink(missing_ok=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    report = (yield).get_result()
    if report.skipped and not hasattr(report, "wasxfail") and "NO_SKIPS" in os.environ:
        report.outcome = "failed"
        report.longrepr = f"in CI nothing is skipped: {report.longrepr[-1]}"


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # xdist's workers report to the one that started them
        config.pluginmanager.register(Unsteady(Path(os.environ["UNSTEADY"])))
