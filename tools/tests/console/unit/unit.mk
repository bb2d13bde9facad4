# SPDX-License-Identifier: GPL-2.0-only
#
# Unit tests. test-NAME.c, or test-NAME-ASPECT.c, is linked with the daemon's NAME.c and
# what that needs of the files that come before it in floors.mk, and with cmocka;
# test-NAME.sh is simply run. run-test says how it went.

unit := tools/tests/console/unit

unit_tests := $(patsubst $(unit)/%.c,%,$(wildcard $(unit)/test-*.c))
unit_scripts := $(patsubst $(unit)/%.sh,%,$(wildcard $(unit)/test-*.sh))
OBJECTS += $(unit_tests:%=$(BUILD)/$(unit)/%.o)

# $(call floor_of,TEST): of the daemon's files the one that TEST, NAME or NAME-ASPECT, is for.
floor_of = $(filter $(firstword $(subst -, ,$1)) %/$(firstword $(subst -, ,$1)),$(floors))
# $(call floors_below,FLOOR,FLOORS): those of FLOORS that come before FLOOR.
floors_below = $(if $(filter-out $1,$(firstword $2)),$(firstword $2) $(call floors_below,$1,$(wordlist 2,$(words $2),$2)))
# $(call objects_of,FLOORS)
objects_of = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(foreach f,$1,$(daemon)/$f.c $(daemon)/$f-*.c)))

# Archives, so that only what is needed is linked: no libxen for those that call none.
define below
$(BUILD)/$(unit)/below-$(notdir $1).a: $(call objects_of,$(call floors_below,$1,$(floors)))
	@echo "  AR  $$@"
	mkdir -p $$(@D)
	rm -f $$@
	$$(AR) rcs $$@ $$^
endef
$(foreach f,$(floors),$(eval $(call below,$f)))

# $(call cmocka,libs), $(call cmocka,cflags)
cmocka = $(shell $(PKG_CONFIG) --$1 cmocka)

# $(call unit_test,NAME,FLOOR)
define unit_test
$(BUILD)/$(unit)/test-$1: $(BUILD)/$(unit)/test-$1.o $(call objects_of,$2) $(BUILD)/$(unit)/below-$(notdir $2).a
	@echo "  LD  $$@"
	$$(LINK) $$(call cmocka,libs) $$(XEN_LIBS) $$(LIBS)
endef
$(foreach t,$(unit_tests:test-%=%),$(eval $(call unit_test,$t,$(call floor_of,$t))))

# The kernel's ptys are this one's.
$(BUILD)/$(unit)/test-ttys: ALL_LDFLAGS += -Wl,--wrap=posix_openpt,--wrap=ioctl,--wrap=__ioctl_time64,--wrap=close
# The heap can be told to fail.
$(BUILD)/$(unit)/test-logfile-faults: ALL_LDFLAGS += -Wl,--wrap=calloc
# What a visit does, and whether a share is left, is this one's to say.
$(BUILD)/$(unit)/test-console-hot: ALL_LDFLAGS += -Wl,--wrap=console_feed,--wrap=share_left,--wrap=share_wait
# Where bytes go, and what a guest does when there is room, is this one's.
$(BUILD)/$(unit)/test-console-turn: ALL_LDFLAGS += \
	-Wl,--wrap=console_to_reader,--wrap=console_keep_room,--wrap=evtchn_notify,--wrap=ring_taken

# The port is console-fixture.h's; what can be attached to is the first one's, and what somebody types, and how long is
# waited, the second one's.
$(BUILD)/$(unit)/test-console-holds $(BUILD)/$(unit)/test-console-typed: ALL_LDFLAGS += \
	-Wl,--wrap=hyper_port,--wrap=hyper_domain,--wrap=evtchn_notify,--wrap=evtchn_unmask,--wrap=evtchn_unbind
$(BUILD)/$(unit)/test-console-holds: ALL_LDFLAGS += -Wl,--wrap=evtchn_bind,--wrap=page_map
$(BUILD)/$(unit)/test-console-typed: ALL_LDFLAGS += -Wl,--wrap=pty_read,--wrap=pty_typed,--wrap=loop_arm,--wrap=loop_want

$(unit_tests:%=$(BUILD)/$(unit)/%.o): | need-cmocka
$(BUILD)/$(unit)/%.o: ALL_CPPFLAGS += $(call cmocka,cflags)

.PHONY: check-unit unit-without-xen check-unit-without-xen need-cmocka $(unit_tests:%=run-%) $(unit_scripts:%=run-%)

check-unit: $(unit_tests:%=run-%) $(unit_scripts:%=run-%)

# Those that call libxen are left out: other C libraries and machines have none here.
unit_without_xen := $(filter-out test-console-% test-store-way,$(unit_tests))
unit-without-xen: $(unit_without_xen:%=$(BUILD)/$(unit)/%)
check-unit-without-xen: $(unit_without_xen:%=run-%)

need-cmocka:
	$(call need,$(PKG_CONFIG) --exists cmocka,libcmocka-dev)

# $(call run_test,NAME,COMMAND)
run_test = mkdir -p $(BUILD)/$(unit); $(TEST_ENV) $(unit)/run-test $1 $(BUILD)/$(unit)/$1.log $2

$(unit_tests:%=run-%): run-%: $(BUILD)/$(unit)/%
	@$(call run_test,$(@:run-%=%),'$(abspath $<)')

$(unit_scripts:%=run-%): run-%: $(unit)/%.sh
	@$(call run_test,$(@:run-%=%),$<)
