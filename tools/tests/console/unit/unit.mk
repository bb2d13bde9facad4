# SPDX-License-Identifier: GPL-2.0-only
#
# Unit tests. test-MODULE.c, or test-MODULE-ASPECT.c, is linked with its module and
# all the floors below it, as floors.mk has them, and with cmocka; test-NAME.sh is
# simply run. run-test says how it went.

unit := tools/tests/console/unit

unit_tests := $(patsubst $(unit)/%.c,%,$(wildcard $(unit)/test-*.c))
unit_scripts := $(patsubst $(unit)/%.sh,%,$(wildcard $(unit)/test-*.sh))
OBJECTS += $(unit_tests:%=$(BUILD)/$(unit)/%.o)

# $(call floors_below,MODULE,FLOORS): the modules of FLOORS up to, not including, MODULE's own.
floors_below = $(if $2,$(if $(filter $1,$(floor-$(firstword $2))),,$(floor-$(firstword $2)) \
	$(call floors_below,$1,$(wordlist 2,$(words $2),$2))))
# $(call module_objects,MODULES)
module_objects = $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(foreach m,$1,$(daemon)/$m.c $(daemon)/$m-*.c)))

# $(call cmocka,libs), $(call cmocka,cflags)
cmocka = $(shell $(PKG_CONFIG) --$1 cmocka)

# $(call unit_test,NAME,MODULE)
define unit_test
$(BUILD)/$(unit)/test-$1: $(BUILD)/$(unit)/test-$1.o $(call module_objects,$2 $(call floors_below,$2,$(floors)))
	@echo "  LD  $$@"
	$$(LINK) $$(call cmocka,libs) $$(XEN_LIBS) $$(LIBS)
endef
$(foreach t,$(unit_tests:test-%=%),$(eval $(call unit_test,$t,$(firstword $(subst -, ,$t)))))

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
$(BUILD)/$(unit)/%.o: ALL_CPPFLAGS += -I$(daemon) $(call cmocka,cflags)

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
