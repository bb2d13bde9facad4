# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon's files, the lowest first. A file includes headers of files before it, and its
# own; a header declares the functions of its own .c, and without one it has types alone.
# So no two files call each other, and a unit test needs nothing that comes after the file
# that it is for. unit.mk reads this list, and so does test-floors.sh, which fails for a file
# that is not in it. (A file of several parts calls them NAME-PART.c.)

floors := options base/link base/diag base/lock base/share base/loop base/notify \
	xen/ring xen/xenlog xen/evtchn xen/page xen/hyper \
	store/types store/parse store/ask store/way store/nodes store/survey \
	store/threads store/queue store/connection store/look store/tty store/worker store/store \
	output/fifo output/lines output/logname output/pty output/ttys output/logqueue output/logfile \
	console/lifecycle console/held console/said console/whose console/flag console/hot \
	console/claims console/reader console/bytes console/guest console/host console/steps \
	console/wake console/console console/domains console/hvlog \
	keeper incumbent daemon oneshot main
