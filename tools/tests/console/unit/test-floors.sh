#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon's modules stand on floors (floors.mk beside its sources), and a
# module includes headers of its own and of lower floors only. This test reads
# the table and every #include. It first convinces itself, on small made-up
# trees, that it does notice each kind of fault.

set -eu

# floors_check DIR: one line per fault on stdout; true if there is none.
floors_check() {
	awk '
	function module_of(path) {
		sub(/.*\//, "", path); sub(/\.[ch]$/, "", path); sub(/-.*/, "", path)
		return path
	}
	function fault(file, text) {
		print file ": " text
		faults++
	}
	FILENAME ~ /floors\.mk$/ {
		if ($1 ~ /^floor-[0-9]+$/)
			for (i = 3; i <= NF; i++) {
				if ($i in floor)
					fault(FILENAME, $i " stands on two floors")
				floor[$i] = substr($1, 7) + 0
			}
		next
	}
	{ module = module_of(FILENAME) }
	module in floor && /^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, quoted, "\"")
		other = module_of(quoted[2])
		if (!(other in floor))
			fault(FILENAME, "includes " quoted[2] ", which has no floor")
		else if (other != module && floor[other] >= floor[module])
			fault(FILENAME, "floor " floor[module] " includes " quoted[2] " of floor " floor[other])
	}
	END {
		for (i = 2; i < ARGC; i++)
			if (!(module_of(ARGV[i]) in floor))
				fault(ARGV[i], "has no floor in floors.mk")
		exit faults > 0
	}
	' "$1"/floors.mk "$1"/*.[ch]
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# notices FAULT: the tree in scratch has exactly this one.
notices() {
	if floors_check "$scratch" >"$scratch/out" || ! grep -q "$1" "$scratch/out" ||
	   [ "$(wc -l <"$scratch/out")" != 1 ]; then
		echo "this test is blind: where it should say '$1' it says:" >&2
		cat "$scratch/out" >&2
		exit 1
	fi
}

sane() {
	rm -f "$scratch"/*
	printf 'floor-0 := low\nfloor-1 := mid peer\n' >"$scratch/floors.mk"
	: >"$scratch/low.h"
	: >"$scratch/peer.h"
	printf '#include "mid.h"\n#include "low.h"\n' >"$scratch/mid.c"
	printf '#include "mid.h"\n' >"$scratch/mid-part.c"
}

sane; floors_check "$scratch" || { echo "a sane tree is called faulty" >&2; exit 1; }
sane; printf '#include "mid.h"\n' >"$scratch/low.h"; notices "low.h: floor 0 includes mid.h"
sane; printf ' # include "../peer.h"\n' >>"$scratch/mid.c"; notices "mid.c: floor 1 includes ../peer.h"
sane; : >"$scratch/stranger.c"; notices "stranger.c: has no floor"
sane; printf '#include "other.h"\n' >>"$scratch/mid.c"; notices "mid.c: includes other.h, which"
sane; printf 'floor-2 := peer\n' >>"$scratch/floors.mk"; notices "peer stands on two floors"

daemon=$(dirname "$0")/../../../console/daemon
floors_check "$daemon"
echo "floors: $(find "$daemon" -name '*.[ch]' | wc -l) files include lower floors only"
