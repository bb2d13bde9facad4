#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What a stand-in library must have besides its own functions, from the real library's table.
#
#   gen-symbols.sh map   REAL               the linker's version script
#   gen-symbols.sh has   REAL SYMBOL...     -DSTANDIN_HAS_SYMBOL for each that REAL exports
#   gen-symbols.sh stubs REAL OBJECT        C: each symbol of REAL that OBJECT does not define,
#                                           aborting with its own name
set -eu

exported() { # lines "symbol version type"
	nm -D --defined-only --with-symbol-versions "$1" |
		sed -n 's/^[0-9a-f]* \([TDBRVW]\) \([^@]*\)@@*\([^@]*\)$/\2 \3 \1/p' | sort -u
}

what=$1 real=$2
shift 2
case $what in
map)
	exported "$real" | awk '
		{ symbols[$2] = symbols[$2] "\t\t" $1 ";\n" }
		END {
			for (version in symbols)
				printf "%s {\n\tglobal:\n%s};\n", version, symbols[version]
			print "standin_private { local: *; };"
		}'
	;;
has)
	for symbol; do
		exported "$real" | grep -q "^$symbol " && printf ' -DSTANDIN_HAS_%s' "$symbol"
	done
	echo
	;;
stubs)
	own=$(nm --defined-only "$1" | awk '{ print $3 }')
	cat <<-'end'
	#include <stdio.h>
	#include <stdlib.h>
	static void unsupported(const char *name)
	{
		fprintf(stderr, "the stand-in Xen host has no %s()\n", name);
		abort();
	}
	end
	exported "$real" | awk -v own="$own" '
		BEGIN { n = split(own, names); for (i = 1; i <= n; i++) have[names[i]] = 1 }
		$1 in have { next }
		$3 == "T" || $3 == "W" {
			printf "void %s(void);\nvoid %s(void) { unsupported(\"%s\"); }\n", $1, $1, $1
		}
		$3 != "T" && $3 != "W" { printf "char %s[256];\n", $1 }'
	;;
*)
	echo "gen-symbols.sh: what is '$what'?" >&2
	exit 22
	;;
esac
