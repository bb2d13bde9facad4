# SPDX-License-Identifier: GPL-2.0-only
#
# The benchmark: the distribution's xenconsoled, ours, and a bare loop, side by side.
#
#   bench       measures (half an hour; QUICK=1: less than three minutes) and prints the table; result and
#               curves go to $(BUILD)/bench; B='floods paste' for some cases only
#   bench-keep  the same, and the result becomes docs/bench.json and docs/bench.svg
#   check-cost  what noise cannot touch, against the ceilings recorded in ceilings.json

bench := tools/tests/console/bench
BENCH := $(BUILD)/bench
QUICK =
B =

BENCH_PROGRAMS := bench-guest bench-limit bench-stallfs
BENCH_OBJECTS := $(BENCH_PROGRAMS:%=$(BUILD)/$(bench)/%.o)
OBJECTS += $(filter-out %/bench-stallfs.o,$(BENCH_OBJECTS))
FUSE_CFLAGS = $(shell pkg-config --cflags fuse3)
FUSE_LIBS = $(shell pkg-config --libs fuse3)

.PHONY: bench bench-keep bench-programs check-cost need-bench

$(BENCH_OBJECTS) $(BENCH)/%: SAN_FLAGS :=
$(BENCH_OBJECTS): ALL_CPPFLAGS += -I$(HOST_DIR)
$(BUILD)/$(bench)/bench-stallfs.o: ALL_CPPFLAGS += $(FUSE_CFLAGS)

bench-programs: $(BENCH_PROGRAMS:%=$(BENCH)/%)

$(BENCH)/bench-guest $(BENCH)/bench-limit: $(BENCH)/%: $(BUILD)/$(bench)/%.o | host
	@echo "  LD  $@"
	mkdir -p $(@D)
	$(HOST_LINK) $(ALL_LDFLAGS) -o $@ $< -L$(HOST_LIB) -lstandin -lxenevtchn -lxengnttab

$(BENCH)/bench-stallfs: $(BUILD)/$(bench)/bench-stallfs.o
	@echo "  LD  $@"
	mkdir -p $(@D)
	$(HOST_LINK) $(ALL_LDFLAGS) -o $@ $< $(FUSE_LIBS)

bench bench-keep: all host | need-host need-bench
	$(MAKE) --no-print-directory bench-programs
	$(TEST_ENV) BENCH='$(abspath $(BENCH))' $(PYTHON) -B $(bench)/bench.py \
		$(if $(QUICK),--quick) $(if $(filter bench-keep,$@),--keep) $(B)

# Needs no more than the tests do.
check-cost: all host | need-host
	$(TEST_ENV) $(PYTEST) -q -rP $(bench)

need-bench:
	$(call need,command -v gnuplot,gnuplot-nox)
	$(call need,pkg-config --exists fuse3,libfuse3-dev)
	$(call need,command -v fusermount3,fuse3)
