# SPDX-License-Identifier: GPL-2.0-only
#
# Fuzz targets: fuzz-NAME.c, for the daemon's NAME.c, is fed bytes that a guest, a toolstack
# or a killed daemon may have left. make check feeds each the corpus of its name (replay.c);
# make fuzz goes on from there with libFuzzer, for FUZZ_SECONDS each, and keeps what it finds
# in build-fuzz. An input that ended a target belongs into its corpus.

fuzz := tools/tests/console/fuzz

FUZZ_SECONDS = 60
fuzz_build := $(OUT)build-fuzz

fuzz_targets := $(patsubst $(fuzz)/fuzz-%.c,%,$(wildcard $(fuzz)/fuzz-*.c))
OBJECTS += $(fuzz_targets:%=$(BUILD)/$(fuzz)/fuzz-%.o) $(BUILD)/$(fuzz)/replay.o

.PHONY: fuzz $(fuzz_targets:%=run-fuzz-%) $(fuzz_targets:%=fuzz-%)

# $(call fuzz_target,NAME)
define fuzz_target
$(BUILD)/$(fuzz)/fuzz-$1: $(BUILD)/$(fuzz)/fuzz-$1.o $(BUILD)/$(fuzz)/replay.o \
		$(call objects_of,$(call floor_of,$1)) $(BUILD)/$(unit)/below-$(notdir $(call floor_of,$1)).a
	@echo "  LD  $$@"
	$$(LINK) $$(XEN_LIBS) $$(LIBS)
endef
$(foreach t,$(fuzz_targets),$(eval $(call fuzz_target,$t)))

check-unit: $(fuzz_targets:%=run-fuzz-%)
$(fuzz_targets:%=run-fuzz-%): run-fuzz-%: $(BUILD)/$(fuzz)/fuzz-%
	@$(call run_test,fuzz-$*,$< $(fuzz)/corpus/$*)

fuzz: $(fuzz_targets:%=fuzz-%)
$(fuzz_targets:%=fuzz-%): fuzz-%:
	$(call need,command -v clang,clang)
	mkdir -p $(fuzz_build)/$*
	clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $(ALL_CPPFLAGS) \
		-std=gnu11 -pthread -o $(fuzz_build)/fuzz-$* $(fuzz)/fuzz-$*.c \
		$(patsubst $(BUILD)/%.o,%.c,$(call objects_of,$(call floor_of,$*) $(call floors_below,$(call floor_of,$*),$(floors)))) $(XEN_LIBS) $(LIBS)
	$(fuzz_build)/fuzz-$* -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=0 \
		-artifact_prefix=$(fuzz_build)/$*- $(fuzz_build)/$* $(fuzz)/corpus/$*
