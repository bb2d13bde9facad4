# SPDX-License-Identifier: GPL-2.0-only
#
# Service files: what configure's --with-initsystem names of them is installed.
# The units get the common part hardening.in at their ends, the drop-ins beside them
# hardening.conf.in: what systemd learned after 219, the oldest that the units are for.

hotplug := tools/hotplug

SUBSTITUTED += libexecdir SYSTEMD_REQUIRES DEFAULTS_DIR LOG_MOUNTS

# What systemd calls the log directory and those above it, where they are mounted.
LOG_MOUNTS = $(shell echo '$(LOG_DIR)' | sed 's/-/\\\\x2d/g' | \
	awk -F/ '{ for (i = 2; i <= NF; i++) { path = path (i > 2 ? "-" : "") $$i; print path ".mount" } }')

# FILE:DIRECTORY:NAME:MODE, FILE without its .in
helper_file := xenconsoled-helper:$(libexecdir)/xenconsoled:helper:755
defaults_file := xenconsoled.default:$(DEFAULTS_DIR):xenconsoled:644
service_systemd := \
	xenconsoled.service:$(SYSTEMD_UNITDIR):xenconsoled.service:644 \
	xenconsoled-disconnect.service:$(SYSTEMD_UNITDIR):xenconsoled-disconnect.service:644 \
	xenconsoled.conf:$(SYSTEMD_UNITDIR)/xenconsoled.service.d:20-newer.conf:644 \
	xenconsoled-disconnect.conf:$(SYSTEMD_UNITDIR)/xenconsoled-disconnect.service.d:20-newer.conf:644 \
	xenconsoled.tmpfiles:$(prefix)/lib/tmpfiles.d:xenconsoled.conf:644 \
	$(defaults_file)
service_sysv := xenconsoled.init:$(sysconfdir)/init.d:xenconsoled:755 $(defaults_file)
# Beside the LSB script, which has its place, OpenRC's is for whoever packages for it to put there.
beside_sysv := $(filter sysv,$(INITSYSTEM))
service_openrc := \
	xenconsoled.openrc:$(if $(beside_sysv),$(libexecdir)/xenconsoled:xenconsoled.openrc,$(sysconfdir)/init.d:xenconsoled):755 \
	xenconsoled.default:$(sysconfdir)/conf.d:xenconsoled:644
service_common := $(helper_file) xenconsoled.logrotate:$(sysconfdir)/logrotate.d:xenconsoled:644

service_files := $(sort $(service_common) $(foreach i,$(INITSYSTEM),$(service_$i)))
hotplug_sources := $(patsubst %.in,%,$(filter-out %/hardening.in %/hardening.conf.in,$(wildcard $(hotplug)/*.in)))
hotplug_made := $(hotplug_sources:%=$(BUILD)/%)

$(filter %.service,$(hotplug_made)): $(hotplug)/hardening.in
$(filter %.conf,$(hotplug_made)): $(hotplug)/hardening.conf.in

# Without what is newer than SYSTEMD_VERSION: a part begins with the version it is known since, and
# ends where the next part or section begins.
$(filter %.conf %.tmpfiles,$(hotplug_made)): MADE_BY = awk -v version=$(SYSTEMD_VERSION) \
	'/^\[/ { newer = 0 } /^\# Since systemd / { newer = $$4 + 0 > version } !newer'

.PHONY: hotplug install-hotplug uninstall-hotplug
all: hotplug
hotplug: $(hotplug_made)

# $(call part,N,FILE:DIRECTORY:NAME:MODE)
part = $(word $1,$(subst :, ,$2))

# $(call each,COMMAND): for each file, as $$from, $$to and $$mode. Settings are the
# administrator's: where $$edited, they are neither overwritten nor removed.
each = set -e; $(foreach f,$(service_files), \
	from=$(BUILD)/$(hotplug)/$(call part,1,$f); mode=$(call part,4,$f); \
	to=$(DESTDIR)$(call part,2,$f)/$(call part,3,$f); \
	edited=$(if $(filter %.default %.logrotate,$(call part,1,$f)),yes); \
	! cmp -s $$from $$to || edited=; [ -e $$to ] || edited=; $1;)

install: install-hotplug
install-hotplug: hotplug
	$(call each,mkdir -p $$(dirname $$to); install -m $$mode $$from $$to$${edited:+.new})

uninstall: uninstall-hotplug
uninstall-hotplug: hotplug
	$(call each,rm -f $$to.new; [ -n "$$edited" ] || rm -f $$to)

# For the oldest systemd, Enterprise Linux 8's, and that of a Debian 12, which reads them all.
hotplug_lints := lint-hotplug-219 lint-hotplug-239 lint-hotplug-252
.PHONY: lint-hotplug $(hotplug_lints)
lint: lint-hotplug
lint-hotplug: $(hotplug_lints)
	@echo "$@: clean"
$(hotplug_lints): lint-hotplug-%:
	$(MAKE) --no-print-directory BUILD=$(BUILD)/systemd-$* SYSTEMD_VERSION=$* hotplug
	$(hotplug)/lint $(BUILD)/systemd-$*/$(hotplug) $*
