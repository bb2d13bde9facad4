# SPDX-License-Identifier: GPL-2.0-only
"""The marker of what measures, as in ../integration/conftest.py."""


def pytest_configure(config):
    config.addinivalue_line("markers", "cost: measures the daemon; for the plain build only")
