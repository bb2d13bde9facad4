# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios by their names."""

import scenarios_grub
import scenarios_life
import scenarios_restart
import scenarios_trouble

SCENARIOS = {}
for module in (scenarios_life, scenarios_restart, scenarios_trouble, scenarios_grub):
    SCENARIOS.update(module.SCENARIOS)
