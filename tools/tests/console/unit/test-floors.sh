#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon's files stand one upon the other (floors.mk beside its sources). This test
# reads that list, every #include and every prototype, and HACKING's map; and it looks how
# long files and functions are. It first convinces itself, on small made-up trees, that it
# does notice each kind of fault.

set -eu

# floors_check DIR MAP: one line per fault on stdout; true if there is none. MAP is the text
# in which each of its files is named.
floors_check() {
	# shellcheck disable=SC2016 # a script of awk's
	(map=$(cat "$2") && export map && cd "$1" && find . -name '*.[ch]' | sed 's|^\./||' | sort | xargs awk '
	BEGIN {
		n = split(ENVIRON["map"], words, /[^a-z]+/)
		for (i = 1; i <= n; i++)
			mapped[words[i]]
	}
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
			if ($i !~ /^(#|floors|[:+]=|\\)/ && !/^#/) {
				base = $i
				sub(/.*\//, "", base)
				if (base in floor_called)
					fault($i " is there twice, or another " base)
				else
					floor[$i] = ++floors
				floor_called[base]
			}
		next
	}
	FNR == 1 { name = listed(FILENAME); called = "" }
	FNR == 401 { fault("has more than 400 lines") }
	/^\{/ { began = FNR }
	/^\}/ && began && FNR - began > 60 { fault("has a function of 60 lines or more, to line " FNR) }
	/^\}/ { began = 0 }
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
	}
	called && FILENAME ~ /\.h$/ {
		declared[called, FILENAME]
		called = ""
	}
	called && /^\{/ {
		defined[called, name]
		called = ""
	}
	called && /;$/ {
		fault("declares " called "() by hand")
		called = ""
	}
	END {
		FILENAME = "floors.mk"
		for (base in floor_called)
			if (!(base in mapped))
				fault(base " is not in the map")
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
	if floors_check "$scratch/tree" "$scratch/map" >"$scratch/out" || ! grep -qF "$1" "$scratch/out" ||
	   [ "$(wc -l <"$scratch/out")" != 1 ]; then
		echo "this test is blind: where it should say '$1' it says:" >&2
		cat "$scratch/out" >&2
		exit 1
	fi
}

sane() {
	rm -rf "$scratch/tree"
	mkdir -p "$scratch/tree/base" "$scratch/tree/top"
	echo 'low high, mid.*' >"$scratch/map"
	printf '# some\nfloors := base/low base/high \\\n\ttop/mid\n' >"$scratch/tree/floors.mk"
	printf 'struct low;\nint low_new(struct low **low,\n\t    int n);\n' >"$scratch/tree/base/low.h"
	printf '#include "base/low.h"\nint low_new(struct low **low, int n)\n{\n}\n' >"$scratch/tree/base/low.c"
	printf '#include "base/low.h"\nstruct high { int n; };\n' >"$scratch/tree/base/high.h"
	printf '#include "top/mid.h"\n#include "base/high.h"\n' >"$scratch/tree/top/mid.c"
	printf '#include "base/high.h"\nvoid mid_part(void);\n' >"$scratch/tree/top/mid.h"
	printf '#include "top/mid.h"\nvoid mid_part(void)\n{\n}\n' >"$scratch/tree/top/mid-part.c"
}

sane; floors_check "$scratch/tree" "$scratch/map" || { echo "a sane tree is called faulty" >&2; exit 1; }
sane; printf '#include "base/high.h"\n' >>"$scratch/tree/base/low.h"; notices "base/low.h: includes base/high.h, which comes later"
sane; printf ' # include "top/mid.h"\n' >>"$scratch/tree/base/low.c"; notices "base/low.c: includes top/mid.h, which comes later"
sane; : >"$scratch/tree/base/mid.c"; notices "base/mid.c: is not in floors.mk"
sane; printf '#include "mid.h"\n' >>"$scratch/tree/top/mid.c"; notices "top/mid.c: includes mid.h, which is not"
sane; printf 'floors += base/low\n' >>"$scratch/tree/floors.mk"; notices "floors.mk: base/low is there twice"
sane; printf 'floors += top/low\n' >>"$scratch/tree/floors.mk"; notices "floors.mk: top/low is there twice, or another low"
sane; echo low mid >"$scratch/map"; notices "floors.mk: high is not in the map"
sane; printf 'void mid_part(void);\n' >>"$scratch/tree/base/high.h"; notices "base/high.h: declares mid_part(), which its .c"
sane; printf 'const char *high_name(void);\n' >>"$scratch/tree/base/high.h"; notices "base/high.h: declares high_name(), which its .c"
sane; printf 'int mid_by_hand(int n,\n\t\tint m);\n' >>"$scratch/tree/base/low.c"; notices "base/low.c: declares mid_by_hand() by hand"
sane; yes '' | head -396 >>"$scratch/tree/base/low.c"; floors_check "$scratch/tree" "$scratch/map" ||
	{ echo "400 lines are too many" >&2; exit 1; }
sane; yes '' | head -397 >>"$scratch/tree/base/low.c"; notices "base/low.c: has more than 400 lines"
sane; { printf 'static void f(void)\n{\n'; yes '' | head -60; echo '}'; } >>"$scratch/tree/base/low.c"
notices "base/low.c: has a function of 60 lines or more, to line 67"

root=$(dirname "$0")/../../../..
daemon=$root/tools/console/daemon
sed -n "/^The daemon's folders$/,/^libxen/p" "$root/HACKING" >"$scratch/map"
floors_check "$daemon" "$scratch/map"
echo "floors: $(find "$daemon" -name '*.[ch]' | wc -l) files include lower ones only"
