# SPDX-License-Identifier: GPL-2.0-only
"""A plugin of pytest, with pytest-rerunfailures: what failed and then passed is unsteady.

$UNSTEADY names a directory. Each such test has a file there with what its first failure said.
"""

import os
import re
from pathlib import Path


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


def pytest_configure(config):
    if not hasattr(config, "workerinput"):  # xdist's workers report to the one that started them
        config.pluginmanager.register(Unsteady(Path(os.environ["UNSTEADY"])))
