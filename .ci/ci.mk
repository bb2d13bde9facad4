# SPDX-License-Identifier: GPL-2.0-only
#
# What developers, packagers and CI run besides check: format and lint, the
# source archive, the build against a newer Xen, another C library and 32 bits, coverage.

files = $(shell .ci/files $1)

# ---- lint -----------------------------------------------------------------

# The parts are targets of their own; a fragment may add one.
lints += lint-format lint-c lint-shell lint-python lint-text lint-gcc lint-clang lint-libc
.PHONY: lint format $(lints) need-lint
lint: $(lints)

need-lint:
	$(call need,command -v clang-format,clang-format)
	$(call need,command -v clang,clang)
	$(call need,command -v cppcheck,cppcheck)
	$(call need,command -v shellcheck,shellcheck)
	$(call need,$(PYTHON) -m pyflakes --version,python3-pyflakes)
$(lints): | need-lint

lint-format:
	clang-format --dry-run -Werror $(call files,'\.[ch]$$')
	@echo "$@: clean"

format: need-lint
	clang-format -i $(call files,'\.[ch]$$')

# Every source on its own.
lint-c:
	cppcheck -q --std=c11 --language=c --error-exitcode=1 --inline-suppr --library=gnu \
		--enable=warning,portability,performance --suppress=missingIncludeSystem \
		--suppress=memleakOnRealloc:tools/tests/* --suppress=arrayIndexThenCheck \
		--include=$(CONFIG)/config.h -Itools/include \
		$(addprefix -I,$(sort $(dir $(call files,'^tools/.*\.h$$')))) $(call files,'\.c$$')
	@echo "$@: clean"

lint-shell:
	shellcheck -x -e SC2015,SC2016 $$(.ci/files | xargs grep -lE '^#!/bin/(ba)?sh')
	@echo "$@: clean"

lint-python:
	$(PYTHON) -m pyflakes $$(.ci/files | xargs grep -lE '^#!.*python3' ; .ci/files '\.py$$')
	@echo "$@: clean"

lint-text:
	.ci/lint-text

# Both compilers, every object, no warning.
lint-gcc lint-clang: lint-%:
	$(MAKE) --no-print-directory BUILD=$(BUILD)-$* CC=$* SAN= WERROR=1 objects
	@echo "$@: no warnings"

# No function that the oldest glibc has not.
lint-libc: $(BUILD)/xenconsoled
	.ci/lint-libc $<

# ---- the source archive ---------------------------------------------------

# All of the project's files in DIST, and nothing made: the same bytes from the same
# commit, whoever makes it where, with git or from an archive, and with which autoconf.
# SOURCE_DATE_EPOCH sets another date than the commit's.
DIST = $(CONFIG)
version = $(shell sed -n 's/^AC_INIT(\[xenconsoled\], \[\(.*\)\])/\1/p' configure.ac)
archive = xenconsoled-$(version)

.PHONY: dist distcheck check-outside
dist:
	date=$${SOURCE_DATE_EPOCH:-$$({ [ -e .git ] && git -c safe.directory="$$PWD" log -1 --format=%ct; } || \
		stat -c %Y CHANGES)}; \
	.ci/files --tracked | tar -cf - --transform='s,^,$(archive)/,' --owner=0 --group=0 \
		--numeric-owner --mode=u=rwX,go=rX --format=gnu --mtime=@$$date --verbatim-files-from -T - | \
		gzip -9n >$(DIST)/$(archive).tar.gz
	@echo "$(archive).tar.gz: $$(tar -tzf $(DIST)/$(archive).tar.gz | wc -l) files"

# The archive alone builds, installs below DESTDIR, and takes all of it away again.
distcheck: dist
	$(ANOTHER_TREE) .ci/distcheck $(DIST)/$(archive).tar.gz

# The same outside its own tree, which is read-only.
check-outside: dist
	$(ANOTHER_TREE) .ci/outside $(DIST)/$(archive).tar.gz

# ---- others ---------------------------------------------------------------

.PHONY: check-newer-xen check-musl check-i386 coverage
check-newer-xen:
	+.ci/newer-xen $(BUILD)-newer-xen

check-musl check-i386: check-%:
	+.ci/elsewhere $* $(BUILD)-$*

# How much of the daemon the tests reach: a table, and the lines that they do not in
# build-cov/coverage.html. Fails below COVERAGE per cent of the lines.
COVERAGE = 90
coverage:
	$(call need,command -v gcovr,gcovr)
	rm -rf $(OUT)build-cov
	$(MAKE) --no-print-directory SAN=cov check
	gcovr -j2 --root . --filter tools/console/daemon/ --object-directory $(OUT)build-cov --txt \
		--html-details $(OUT)build-cov/coverage.html --fail-under-line $(COVERAGE) $(OUT)build-cov
