# SPDX-License-Identifier: GPL-2.0-only
#
# Packages and service files, tried out: `make check-packages`. It builds the
# source archive and from that the packages, and installs, upgrades and removes them
# in a Debian chroot on the stand-in host while guests talk; and once under real Xen
# with systemd as PID 1. Root, some minutes, and once, for the chroots, a mirror.
# What it makes is kept in build-packages/; nothing is ever mounted there.

packages := tools/tests/console/packages
packages_build := $(OUT)build-packages

$(BUILD)/$(packages)/proc-xen.so: $(packages)/proc-xen.c
	@echo "  LD  $@"
	mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=gnu11 $(WARNINGS) $(CFLAGS) -fPIC -shared $(LDFLAGS) -o $@ $<

.PHONY: check-packages packages-bases need-packages
# Both bases come from the mirror, while the rest is compiled.
packages-bases: | need-packages
	$(PYTHON) -B $(packages)/chroot.py '$(abspath $(packages_build))'

# The shell reaps what daemons leave behind, since init scripts wait for zombies too.
check-packages: all host lint-man lint-hotplug $(BUILD)/$(packages)/proc-xen.so configure xen-images packages-bases | need-packages
	$(TEST_ENV) $(ANOTHER_TREE) PROC_XEN='$(abspath $(BUILD)/$(packages)/proc-xen.so)' \
		PACKAGES_BUILD='$(abspath $(packages_build))' XEN_IMAGES='$(xen_build)' \
		unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
		sh -c '"$$@"; exit' sh $(PYTEST) -q $(T) $(packages)

need-packages:
	@[ "$$(id -u)" = 0 ] || { echo "check-packages wants root: it makes chroots" >&2; exit 1; }
	$(call need,command -v debootstrap,debootstrap)
	$(call need,command -v dpkg-buildpackage,dpkg-dev)
	$(call need,command -v dh,debhelper)
	$(call need,command -v lintian,lintian)
	$(call need,command -v rpmbuild,rpm)
	$(call need,command -v rpmlint,rpmlint)
