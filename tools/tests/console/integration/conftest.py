# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures and markers of the integration tests.

host    a stand-in Xen host with its own xenstored, gone when the test ends

Tests that measure (instructions, system calls, memory, or under valgrind) or look into the program's
file are marked `cost`: their figures mean nothing with a sanitizer in the daemon, which valgrind cannot run either. The Makefile
runs them in the plain build and deselects them where SAN is set, and so it does with the thread
sanitizer and those marked `malloc`, which let the daemon run out of memory.
"""

import contextlib
import os
import signal

import pytest

from helpers import PATIENCE
from hostlib import Daemon, Host, Timeout


def pytest_configure(config):
    config.addinivalue_line("markers", "cost: measures the daemon, or looks into its file; for the plain build only")
    config.addinivalue_line("markers", "malloc: stands between the daemon and its malloc(), where the"
                            " thread sanitizer wants to be")


def end_daemons(machine):
    """What a program has counted of its coverage it writes when it ends by itself, not when it is killed."""
    daemons = [p for p in machine._processes if isinstance(p, Daemon) and p.running()]
    for daemon in daemons:
        daemon.thaw()
        daemon.signal(signal.SIGTERM)
    for daemon in daemons:
        with contextlib.suppress(Timeout):
            daemon.wait(PATIENCE)


@pytest.fixture
def host():
    with Host() as machine:
        yield machine
        if os.environ.get("SAN") == "cov":
            end_daemons(machine)
