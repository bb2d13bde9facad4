# SPDX-License-Identifier: GPL-2.0-only
#
# Integration tests: pytest drives the built daemon on the stand-in Xen host.
# TEST_ENV tells the tests where things were built and which sanitizer is in them. To run
# a few: make check-integration T='-k restart -x'. JOBS tests run at a time.
# What SAN makes meaningless (marked cost, see conftest.py) runs without one only, by itself, after the
# rest; what the thread sanitizer's own malloc() rules out (marked malloc) not with that.

integration := tools/tests/console/integration

T =
JOBS := $(shell nproc)

.PHONY: check-integration demo faults need-host need-terminals

check-integration: all host faults | need-host need-terminals
	$(TEST_ENV) $(PYTEST) -q -rfEs $(JOBS:%=-n %) \
		$(if $(SAN)$(if $(T),,y),-m 'not cost$(if $(filter tsan,$(SAN)), and not malloc)') $(T) \
		$(integration) $(wildcard tools/tests/console/host/test_host.py)
	$(if $(SAN)$(T),,$(TEST_ENV) $(PYTEST) -q -m cost $(integration))

# Preloaded into the daemons under test, the distribution's among them: themselves without a sanitizer.
FAULTS := $(patsubst $(integration)/faults/%.c,$(HOST_LIB)/%.so,$(wildcard $(integration)/faults/*.c))
FAULTS_OBJECTS := $(FAULTS:$(HOST_LIB)/%.so=$(BUILD)/$(integration)/faults/%.o)
OBJECTS += $(FAULTS_OBJECTS)
$(FAULTS_OBJECTS) $(FAULTS): SAN_FLAGS :=
$(FAULTS_OBJECTS): ALL_CFLAGS += -fPIC
$(FAULTS_OBJECTS): ALL_CPPFLAGS += $(if $(filter tsan,$(SAN)),-DNO_MEMORY)
# They define open(), poll() and the like, which fortification makes inline functions.
$(FAULTS_OBJECTS): FORTIFY := -U_FORTIFY_SOURCE

faults: $(FAULTS)
$(FAULTS): $(HOST_LIB)/%.so: $(BUILD)/$(integration)/faults/%.o
	@echo "  LD  $@"
	mkdir -p $(@D)
	$(HOST_LINK) -shared -o $@ $<

# A part of the daemon where the thread sanitizer is in it: see that file.
TSAN_OBJECT := $(BUILD)/tools/tests/console/tsan-close.o
OBJECTS += $(TSAN_OBJECT)
$(if $(filter tsan,$(SAN)),$(BUILD)/xenconsoled): $(TSAN_OBJECT)

demo: all host | need-host
	$(TEST_ENV) $(PYTHON) -B $(integration)/demo.py

# The distribution's own daemons and clients run on the stand-in host.
need-host:
	@case '$(CURDIR)' in *[[:space:]]*) echo "$@: LD_PRELOAD, which the tests need, takes no path with a blank in it, \
		and '$(CURDIR)' has one: clone the tree elsewhere" >&2; exit 1 ;; esac
	@[ -e /proc/self/fd ] && [ -c /dev/ptmx ] && [ -c /dev/pts/ptmx ] || { echo "$@: /proc and /dev/pts are not mounted \
		here: mount -t proc proc /proc; mount -t devpts -o ptmxmode=666 devpts /dev/pts; ln -sf pts/ptmx /dev/ptmx" >&2; \
		exit 1; }
	$(call need,$(PYTHON) -c "import pytest",python3-pytest)
	$(call need,$(PYTHON) -c "import xdist",python3-pytest-xdist)
	$(if $(UNSTEADY),$(call need,$(PYTHON) -c "import pytest_rerunfailures",python3-pytest-rerunfailures))
	$(call need,command -v valgrind,valgrind)
	$(call need,command -v strace,strace)
	$(call need,ls /usr/lib/xen-*/bin/xenstored,xen-utils-4.17 or the like)
	$(call need,command -v xenstore-ls,xenstore-utils)
	@unshare -m true 2>/dev/null || unshare -Urm true 2>/dev/null || \
		echo "no mount namespace is to be had: tests that need one are skipped, and listed at the end"

# Programs that people use at serial lines.
need-terminals:
	$(call need,$(PYTHON) -c "import serial",python3-serial)
	$(call need,command -v expect,expect)
	$(call need,command -v socat,socat)
	$(call need,command -v picocom,picocom)
	$(call need,command -v screen,screen)
	$(call need,command -v /usr/sbin/conserver,conserver-server)
	$(call need,command -v console,conserver-client)

# Long versions of two tests, for CI: a daemon killed 200 times, and 4 GiB of output.
.PHONY: check-kill check-flood
check-kill check-flood: all host faults | need-host
check-kill:
	KILLS=200 $(TEST_ENV) $(PYTEST) -q -s $(integration)/test_kill.py
check-flood:
	FLOOD=4096 $(TEST_ENV) $(PYTEST) -q $(integration)/test_hostile_neighbours.py -k flood
