# SPDX-License-Identifier: GPL-2.0-only
#
# One-line breakages of the daemon, each with the test that must notice. To try a few: make
# mutants M='ring-unchecked evtchn-unmask'.

M =

.PHONY: mutants
mutants: all host faults | need-host need-terminals need-cmocka
	$(ANOTHER_TREE) $(PYTHON) -B tools/tests/console/mutants/run-mutants.py $(OUT)build-mutants $(M)
