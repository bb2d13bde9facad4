# SPDX-License-Identifier: GPL-2.0-only
#
# The stand-in Xen host: `make host` builds $(BUILD)/host/lib and $(BUILD)/host/bin.
#
# The libraries are loaded into unmodified programs of the distribution, so they are never built
# with a sanitizer, whatever SAN says.

HOST_DIR := tools/tests/console/host
HOST_OBJ := $(BUILD)/$(HOST_DIR)
HOST_LIB := $(BUILD)/host/lib
HOST_BIN := $(BUILD)/host/bin

# library: the source that implements it
HOST_LIBRARIES := libxenctrl libxenevtchn libxengnttab libxenforeignmemory
HOST_SOURCE_libxenctrl := xenctrl
HOST_SOURCE_libxenevtchn := evtchn
HOST_SOURCE_libxengnttab := gnttab
HOST_SOURCE_libxenforeignmemory := foreignmemory

HOST_CORE := state handle port domain pin conring inject
HOST_TOOLS := xenhost xenguest
HOST_xenhost := xenhost xenhost-create xenhost-domain xenhost-look xenhost-store
HOST_xenguest := xenguest xenguest-command xenguest-output

HOST_CORE_OBJECTS := $(HOST_CORE:%=$(HOST_OBJ)/%.o)
HOST_TOOL_OBJECTS := $(foreach t,$(HOST_TOOLS),$(HOST_$t:%=$(HOST_OBJ)/%.o))
HOST_OBJECTS := $(HOST_CORE_OBJECTS) $(HOST_TOOL_OBJECTS) $(HOST_OBJ)/paths-preload.o $(HOST_OBJ)/domid-preload.o \
	$(foreach l,$(HOST_LIBRARIES),$(HOST_OBJ)/$(HOST_SOURCE_$l).o)
OBJECTS += $(HOST_OBJECTS)

$(HOST_OBJECTS) $(HOST_LIB)/%: SAN_FLAGS :=
$(HOST_OBJECTS): ALL_CFLAGS += -fPIC
# It defines open(), which fortification makes an inline function.
$(HOST_OBJ)/paths-preload.o: FORTIFY := -U_FORTIFY_SOURCE

.PHONY: host
host: $(HOST_LIBRARIES:%=$(HOST_LIB)/%.so) $(HOST_LIB)/paths-preload.so $(HOST_LIB)/domid-preload.so \
	$(HOST_TOOLS:%=$(HOST_BIN)/%)

HOST_LINK = $(CC) $(ALL_CFLAGS) $(LDFLAGS)

$(HOST_LIB)/libstandin.so: $(HOST_CORE_OBJECTS)
	@echo "  LD  $@"
	mkdir -p $(@D)
	$(HOST_LINK) -shared -Wl,-soname,libstandin.so -o $@ $(filter %.o,$^)

$(HOST_LIB)/paths-preload.so: $(HOST_OBJ)/paths-preload.o $(HOST_LIB)/libstandin.so
	@echo "  LD  $@"
	$(HOST_LINK) -shared -o $@ $< -L$(HOST_LIB) -lstandin '-Wl,-rpath,$$ORIGIN'

$(HOST_LIB)/domid-preload.so: $(HOST_OBJ)/domid-preload.o
	@echo "  LD  $@"
	mkdir -p $(@D)
	$(HOST_LINK) -shared -o $@ $<

# A stand-in has the real library's name and versioned symbols; those that it does not implement
# abort and say which they are.
host_real = $(or $(firstword $(wildcard $(patsubst -L%,%/$1.so,$(filter -L%,$(XEN_LIBS))))),\
	$(shell $(CC) -print-file-name=$1.so))
host_soname = $$(readelf -d $(call host_real,$1) | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')

define host_library
$(HOST_LIB)/$1.so: $(HOST_OBJ)/$(HOST_SOURCE_$1).o $(HOST_LIB)/libstandin.so $(HOST_DIR)/gen-symbols.sh
	@echo "  LD  $$@"
	$(HOST_DIR)/gen-symbols.sh map $$(call host_real,$1) >$(HOST_OBJ)/$1.map
	$(HOST_DIR)/gen-symbols.sh stubs $$(call host_real,$1) $$< >$(HOST_OBJ)/$1-stubs.c
	$$(HOST_LINK) -fPIC -shared -Wl,-soname,$$(call host_soname,$1) \
		-Wl,--version-script,$(HOST_OBJ)/$1.map -o $$@ $$< $(HOST_OBJ)/$1-stubs.c \
		-L$(HOST_LIB) -lstandin '-Wl,-rpath,$$$$ORIGIN'
	ln -sf $1.so $(HOST_LIB)/$$(call host_soname,$1)
endef
$(foreach l,$(HOST_LIBRARIES),$(eval $(call host_library,$l)))

$(HOST_OBJ)/xenctrl.o: ALL_CPPFLAGS += $(shell $(HOST_DIR)/gen-symbols.sh has \
	$(call host_real,libxenctrl) xc_domain_getinfo xc_domain_getinfo_single)

define host_tool
$(HOST_BIN)/$1: $(HOST_$1:%=$(HOST_OBJ)/%.o) $(HOST_LIB)/libstandin.so
	@echo "  LD  $$@"
	mkdir -p $$(@D)
	$$(HOST_LINK) $$(ALL_LDFLAGS) -o $$@ $$(filter %.o,$$^) -L$(HOST_LIB) -lstandin \
		'-Wl,-rpath,$$$$ORIGIN/../lib' -lxenstore
endef
$(foreach t,$(HOST_TOOLS),$(eval $(call host_tool,$t)))
