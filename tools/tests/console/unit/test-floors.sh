#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon's files stand one upon the other (floors.mk beside its sources). This test
# reads that list, every #include and every prototype. It first convinces itself, on
# small made-up trees, that it does notice each kind of fault.

set -eu

# floors_check DIR: one line per fault on stdout; true if there is none.
floors_check() {
	# shellcheck disable=SC2016 # a script of awk's
	(cd "$1" && find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs awk '
	# The name that the list has for a file or a part of one.
	function listed(path) {
		sub(/\.[ch]$/, "", path)
		if (!(path in floor))
			sub(/-[^\/]*$/, "", path)
		return path
	}
	function fault(text) {
		print FILENAME ": " text
		faults++
	}
	FILENAME == "floors.mk" {
		for (i = 1; i <= NF; i++)
			if ($i !~ /^(#|floors|:=|\\)/ && !/^#/) {
				if ($i in floor)
					fault($i " is there twice")
				else
					floor[$i] = ++floors
			}
		next
	}
	FNR == 1 { name = listed(FILENAME) }
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		split($0, quoted, "\"")
		other = listed(quoted[2])
		if (!(other in floor))
			fault("includes " quoted[2] ", which is not in floors.mk")
		else if (name in floor && other != name && floor[other] > floor[name])
			fault("includes " quoted[2] ", which comes later")
	}
	# A function at the beginning of a line, not a type or a macro.
	match($0, /^[a-z][a-z0-9_ ]*[ *][a-z][a-z0-9_]*\(/) && !/^(static|typedef|else|return) ?/ {
		called = substr($0, RSTART, RLENGTH - 1)
		sub(/.*[ *]/, "", called)
		if (FILENAME ~ /\.h$/)
			declared[called, FILENAME] = 1
		else
			defined[called, name] = 1
	}
	END {
		for (i = 2; i < ARGC; i++) {
			FILENAME = ARGV[i]
			if (!(listed(FILENAME) in floor))
				fault("is not in floors.mk")
		}
		for (pair in declared) {
			split(pair, of, SUBSEP)
			FILENAME = of[2]
			if (!((of[1], listed(FILENAME)) in defined))
				fault("declares " of[1] "(), which its .c does not define")
		}
		exit faults > 0
	}
	' floors.mk)
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# notices FAULT: the tree in scratch has exactly this one.
notices() {
	if floors_check "$scratch" >"$scratch/out" || ! grep -qF "$1" "$scratch/out" ||
	   [ "$(wc -l <"$scratch/out")" != 1 ]; then
		echo "this test is blind: where it should say '$1' it says:" >&2
		cat "$scratch/out" >&2
		exit 1
	fi
}

sane() {
	rm -rf "${scratch:?}"/*
	mkdir "$scratch/base" "$scratch/top"
	printf '# some\nfloors := base/low base/high \\\n\ttop/mid\n' >"$scratch/floors.mk"
	printf 'struct low;\nint low_new(struct low **low,\n\t    int n);\n' >"$scratch/base/low.h"
	printf '#include "base/low.h"\nint low_new(struct low **low, int n)\n{\n}\n' >"$scratch/base/low.c"
	printf '#include "base/low.h"\nstruct high { int n; };\n' >"$scratch/base/high.h"
	printf '#include "top/mid.h"\n#include "base/high.h"\n' >"$scratch/top/mid.c"
	printf '#include "base/high.h"\nvoid mid_part(void);\n' >"$scratch/top/mid.h"
	printf '#include "top/mid.h"\nvoid mid_part(void)\n{\n}\n' >"$scratch/top/mid-part.c"
}

sane; floors_check "$scratch" || { echo "a sane tree is called faulty" >&2; exit 1; }
sane; printf '#include "base/high.h"\n' >>"$scratch/base/low.h"; notices "base/low.h: includes base/high.h, which comes later"
sane; printf ' # include "top/mid.h"\n' >>"$scratch/base/low.c"; notices "base/low.c: includes top/mid.h, which comes later"
sane; : >"$scratch/base/mid.c"; notices "base/mid.c: is not in floors.mk"
sane; printf '#include "mid.h"\n' >>"$scratch/top/mid.c"; notices "top/mid.c: includes mid.h, which is not"
sane; printf 'floors += base/low\n' >>"$scratch/floors.mk"; notices "floors.mk: base/low is there twice"
sane; printf 'void mid_part(void);\n' >>"$scratch/base/high.h"; notices "base/high.h: declares mid_part(), which its .c"
sane; printf 'const char *high_name(void);\n' >>"$scratch/base/high.h"; notices "base/high.h: declares high_name(), which its .c"

daemon=$(dirname "$0")/../../../console/daemon
floors_check "$daemon"
echo "floors: $(find "$daemon" -name '*.[ch]' | wc -l) files include lower ones only"
