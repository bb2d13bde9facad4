# SPDX-License-Identifier: GPL-2.0-only
#
# xenconsoled: every .c file here and in the folders. They include each other as "FOLDER/NAME.h".

daemon := tools/console/daemon

include $(daemon)/floors.mk

daemon_objects := $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(daemon)/*.c $(daemon)/*/*.c))
OBJECTS += $(daemon_objects)

all: $(BUILD)/xenconsoled

.PHONY: objects-daemon
objects-daemon: $(daemon_objects)

$(BUILD)/xenconsoled: $(daemon_objects)
	@echo "  LD  $@"
	$(LINK) $(XEN_LIBS) $(LIBS)

.PHONY: install-daemon uninstall-daemon
install: install-daemon
install-daemon: $(BUILD)/xenconsoled
	install -d $(DESTDIR)$(sbindir)
	install -m 755 $< $(DESTDIR)$(sbindir)/xenconsoled
	[ -d $(DESTDIR)$(LOG_DIR) ] || install -d $(DESTDIR)$(LOG_DIR) || \
		echo "$(LOG_DIR) cannot be made here: the service makes it when it starts"

# Logs are the administrator's: their directory goes only if it is empty.
uninstall: uninstall-daemon
uninstall-daemon:
	rm -f $(DESTDIR)$(sbindir)/xenconsoled
	rmdir $(DESTDIR)$(LOG_DIR) 2>/dev/null || true
