# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon's floors. A module includes headers of lower floors only, and its
# unit test links nothing above it: unit.mk reads this table, and so does
# test-floors.sh, which fails for a module that is not here. A module is one
# file NAME.c with its NAME.h; a module of several files calls them NAME-PART.c.

floors := 0 1 2 3 4 5 6

floor-0 := diag fifo link
floor-1 := ring lines lifecycle options loop logname logqueue xenlog lock share ttys keeper
floor-2 := logfile pty evtchn page store hyper notify
floor-3 := console hvlog survey
floor-4 := domains incumbent
floor-5 := daemon oneshot
floor-6 := main
