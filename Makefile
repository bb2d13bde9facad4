# SPDX-License-Identifier: GPL-2.0-only
#
# xenconsoled is built here. What each directory contributes stands in its own
# fragment, included below; how things are compiled and linked stands here.
#
#   all (the default)  the daemon and all that is installed with it
#   install uninstall  DESTDIR and the directories of ./configure are respected
#   check              every test that needs no Xen; check-unit and
#                      check-integration are its parts, check-asan and
#                      check-tsan the same with sanitizers
#   coverage           the tests' line coverage of the daemon, at least 90 %
#   fuzz mutants       libFuzzer goes on from the corpora; do the tests bite?
#   demo               the story in a terminal
#   lint               format, static analysis, scripts, both compilers' warnings
#   check-newer-xen    compiles every object against Debian unstable's libxen, and
#                      runs unit tests with its cmocka
#   check-musl         compiles the daemon and runs unit tests with musl;
#   check-i386         as programs of 32 bits, in QEMU where the kernel takes none
#                      (these three download what they need, into build-*; for CI)
#   dist distcheck     a source archive; and proof that it builds and installs
#   check-outside      and that it does so outside its own, read-only tree
#   clean distclean
#
# Variables: BUILD=DIR, SAN=asan|tsan|cov (a variant, in a directory of its own),
# WERROR=1, V=1 (show commands), and the usual CC, CPPFLAGS, CFLAGS, LDFLAGS.
#
# Nothing here installs or fetches (but for the targets above): a missing
# piece is an error that names its package. ./bootstrap installs packages.

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

.PHONY: all
all:

# Where configure was run, and below it, whatever is made: here, or outside the source
# (config/outside.mk.in). Nothing else is written.
CONFIG = .
OUT := $(if $(filter-out .,$(CONFIG)),$(CONFIG)/)
SAN =
BUILD = $(OUT)build$(SAN:%=-%)
unconfigured := clean distclean dist
ifneq ($(filter-out $(unconfigured),$(or $(MAKECMDGOALS),all)),)
include $(CONFIG)/config.mk
endif

# $(call need,COMMAND,PACKAGE): stop and name the package unless COMMAND succeeds.
need = @$1 >/dev/null 2>&1 || { echo "$@: '$1' fails: install the package $2 \
	(or run ./bootstrap $(MAKECMDGOALS))" >&2; exit 1; }

# ---- how to compile -------------------------------------------------------

# The user's own flags come last and win.
# _GNU_SOURCE is empty so that a source may also say so itself.
WARNINGS := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(WERROR),-Werror)
hardened := $(if $(SAN)$(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,yes)
FORTIFY := $(if $(hardened),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
ALL_CPPFLAGS = -include $(CONFIG)/config.h -Itools/include -iquote tools/console/daemon -D_GNU_SOURCE= $(FORTIFY) $(XEN_CFLAGS) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 -pthread -fPIE -fstack-protector-strong $(WARNINGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# Apart from the rest, since what is loaded into foreign programs (the stand-in
# libraries) must not have them.
SAN_FLAGS_asan := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SAN_FLAGS_tsan := -fsanitize=thread -fno-omit-frame-pointer
SAN_FLAGS_cov := --coverage -O0 -fprofile-update=atomic
SAN_FLAGS := $(SAN_FLAGS_$(SAN))
ifneq ($(SAN),)
ifeq ($(SAN_FLAGS),)
$(error SAN=$(SAN): the choices are asan, tsan and cov)
endif
endif

COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(SAN_FLAGS) -MMD -MP -c -o $@ $<
LINK = $(CC) $(ALL_CFLAGS) $(SAN_FLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o %.a,$^)

# What a test's environment says of the build. A sanitizer's report goes to a
# file, since a daemon has no stderr, and check fails if there is one.
TEST_ENV = XENCONSOLED='$(abspath $(BUILD))/xenconsoled' HOST_BUILD='$(abspath $(BUILD))/host' \
	SAN='$(SAN)' $(foreach s,ASAN LSAN UBSAN,$s_OPTIONS='$(san_options)') \
	TSAN_OPTIONS='$(san_options):suppressions=$(abspath tools/tests/console/tsan-suppressions)'
san_options := log_path=$(abspath $(BUILD))/sanitizer:halt_on_error=1:print_stacktrace=1
# Where UNSTEADY names a directory, a test that fails is run again (.ci/unsteady.py, unit/run-test). Elsewhere
# pytest-rerunfailures is left out even if it is installed, since it wants "localhost" to be known.
PYTEST = $(if $(UNSTEADY),env PYTHONPATH='$(abspath .ci)') $(PYTHON) -B -m pytest -p no:cacheprovider \
	$(if $(UNSTEADY),-p unsteady --reruns 2,-p no:rerunfailures)
# The thread sanitizer wants the address space less random than some kernels make it.
SAN_RUN_tsan = $(shell setarch -R true 2>/dev/null && echo setarch -R)

# Before what runs make in another tree: nothing of what this make was told goes there.
ANOTHER_TREE = MAKEFLAGS=-j$(shell nproc)

ifndef V
.SILENT:
endif

$(BUILD)/%.o: %.c $(BUILD)/flags
	@echo "  CC  $<"
	mkdir -p $(@D)
	$(COMPILE)

# Changes when the commands do, and then everything is compiled anew. Taken at
# once, since a target's own variables would also hold for what it depends on.
flags := $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(SAN_FLAGS) $(ALL_LDFLAGS) $(XEN_LIBS) $(LIBS)
$(BUILD)/flags: FORCE
	mkdir -p $(@D)
	printf '%s\n' '$(flags)' >$@.$$$$; \
	if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi

# A page, a unit or a script with @names@ of ./configure in it; parts may be added as prerequisites,
# and what it goes through on its way.
MADE_BY = cat
SUBSTITUTED := VERSION prefix bindir sbindir sysconfdir localstatedir mandir docdir LOG_DIR RUN_DIR
$(BUILD)/%: %.in $(CONFIG)/config.mk
	@echo "  GEN $@"
	mkdir -p $(@D)
	sed $(foreach v,$(SUBSTITUTED),-e 's|@$v@|$($v)|g') $(filter %.in,$^) >$@.whole
	$(MADE_BY) $@.whole >$@
	rm $@.whole
	! grep -nE '@[A-Za-z_]+@' $@ || { echo "$<: unknown names above" >&2; rm $@; exit 1; }
	chmod --reference=$< $@

.PHONY: FORCE
FORCE:

# ---- configure ------------------------------------------------------------

$(CONFIG)/config.mk: config/config.mk.in config/config.h.in $(CONFIG)/config.status
	cd $(CONFIG) && ./config.status && touch config.mk

$(CONFIG)/config.status: configure
	@test -f $@ || { echo "not configured: run ./configure first (or ./bootstrap)" >&2; exit 1; }
	cd $(CONFIG) && ./config.status --recheck

configure: configure.ac
	$(call need,command -v autoconf,autoconf)
	autoconf

# ---- what the directories contribute --------------------------------------

# They add to OBJECTS (all that is compiled: its header dependencies are read,
# and lint compiles it) and to the prerequisites of the targets named above.
OBJECTS :=
.PHONY: objects install uninstall check check-asan check-tsan clean distclean

-include tools/console/daemon/daemon.mk
-include tools/tests/console/host/host.mk
-include tools/tests/console/unit/unit.mk
-include tools/tests/console/integration/integration.mk
-include tools/tests/console/mutants/mutants.mk
-include tools/tests/console/xen/xen.mk
-include tools/tests/console/bench/bench.mk
-include tools/tests/console/fuzz/fuzz.mk
-include tools/hotplug/hotplug.mk
-include tools/tests/console/packages/packages.mk
-include docs/docs.mk
include .ci/ci.mk

-include $(OBJECTS:.o=.d)

objects: $(OBJECTS)

# One after the other: the tests' closing lines should not interleave.
check: all
	rm -f $(BUILD)/sanitizer.*
	status=0; \
	$(SAN_RUN_$(SAN)) $(MAKE) --no-print-directory check-unit || status=1; \
	$(SAN_RUN_$(SAN)) $(MAKE) --no-print-directory check-integration || status=1; \
	for report in $(BUILD)/sanitizer.*; do \
		[ ! -e $$report ] || { cat $$report; status=1; }; \
	done; \
	exit $$status

check-asan check-tsan:
	$(MAKE) --no-print-directory SAN=$(@:check-%=%) check

clean:
	rm -rf $(OUT)build $(OUT)build-*

distclean: clean
	rm -rf $(addprefix $(OUT),config.mk config.h config.log config.status) \
		$(if $(OUT),$(OUT)Makefile,configure configure~ autom4te.cache)
	$(if $(OUT),[ "$$(cat $(OUT).gitignore)" != '*' ] || rm -f $(OUT).gitignore)
