# SPDX-License-Identifier: GPL-2.0-only
#
# Real Xen in QEMU:
#
#   check-xen  the scenarios under real Xen; SCENARIO=NAME runs one alone, DAEMON=ours|incumbent for one daemon only
#   demo-xen   late-start, told as it happens
#
# These fetch packages from the distribution's archive into $(BUILD)/xen, install nothing, and keep what they fetched.

.PHONY: check-xen demo-xen xen-images

xen_dir := tools/tests/console/xen
xen_build = $(abspath $(BUILD))/xen
xen_run = XEN_IMAGES=$(xen_build) XEN_LOGS=$(xen_build)/logs

# The tiny guest runs without a C library, at addresses of its own and, like every guest kernel, without red zone or SSE.
XEN_GUEST_CFLAGS = -std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -fno-builtin -fno-pic -fno-pie -fno-stack-protector \
	-fcf-protection=none -mno-red-zone -mgeneral-regs-only -U_FORTIFY_SOURCE

xen_guest_sources := $(addprefix $(xen_dir)/guest/,start.S main.c frontend.c xen.c)

$(BUILD)/xen/files/guests/tiny: $(xen_guest_sources) $(xen_dir)/guest/guest.h $(xen_dir)/guest/guest.lds $(xen_dir)/xen.mk
	@echo "  CC  $@"
	mkdir -p $(@D)
	$(CC) $(XEN_GUEST_CFLAGS) -Itools/include $(XEN_CFLAGS) -nostdlib -static -no-pie -Wl,-T,$(xen_dir)/guest/guest.lds \
		-Wl,--build-id=none -Wl,-z,noexecstack -o $@ $(xen_guest_sources)

$(BUILD)/xen/files/domid.so: $(xen_dir)/dom0/domid.c
	@echo "  CC  $@"
	mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) -std=gnu11 $(WARNINGS) -fPIC -shared -o $@ $<

xen-images: $(BUILD)/xenconsoled $(BUILD)/xen/files/guests/tiny $(BUILD)/xen/files/domid.so
	$(call need,command -v qemu-system-x86_64,qemu-system-x86)
	$(call need,command -v cpio,cpio)
	$(call need,command -v zstd,zstd)
	$(call need,command -v xz,xz-utils)
	@echo "  XEN packages and images"
	$(xen_dir)/fetch-packages $(xen_build)
	$(xen_dir)/build-images $(xen_build)
	rm -rf $(xen_build)/files/scenarios $(xen_build)/files/under-test
	mkdir -p $(xen_build)/files/scenarios $(xen_build)/files/under-test
	cp $(xen_dir)/dom0/*.py $(xen_build)/files/scenarios
	cp $(BUILD)/xenconsoled $(xen_build)/files/under-test

check-xen: xen-images
	$(call need,$(PYTHON) -c "import pytest",python3-pytest)
	$(xen_run) SCENARIO='$(SCENARIO)' DAEMON='$(DAEMON)' \
		$(PYTEST) -v $(xen_dir)

demo-xen: xen-images
	$(xen_run) $(PYTHON) -B $(xen_dir)/demo.py
