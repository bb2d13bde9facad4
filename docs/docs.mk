# SPDX-License-Identifier: GPL-2.0-only
#
# Manual pages (mdoc, those with paths in them NAME.in), and bash's completion.

docs := docs
man_8 := $(BUILD)/$(docs)/xenconsoled.8
man_7 := $(docs)/xenconsole-flag.7

completions = $(datadir)/bash-completion/completions

.PHONY: man install-man uninstall-man
all: man
man: $(man_8) $(man_7)

install: install-man
install-man: $(man_8) $(man_7)
	install -d $(DESTDIR)$(mandir)/man7 $(DESTDIR)$(mandir)/man8
	install -m 644 $(man_7) $(DESTDIR)$(mandir)/man7
	install -m 644 $(man_8) $(DESTDIR)$(mandir)/man8
	install -d $(DESTDIR)$(completions)
	install -m 644 $(docs)/xenconsoled.bash $(DESTDIR)$(completions)/xenconsoled

uninstall: uninstall-man
uninstall-man:
	rm -f $(addprefix $(DESTDIR)$(mandir)/man7/,$(notdir $(man_7))) \
		$(addprefix $(DESTDIR)$(mandir)/man8/,$(notdir $(man_8))) \
		$(DESTDIR)$(completions)/xenconsoled

# Whether the pages they refer to are installed here says nothing about ours.
.PHONY: lint-man
lint: lint-man
lint-man: $(man_8) $(man_7)
	$(call need,command -v mandoc,mandoc)
	! mandoc -Tlint -W style $^ 2>&1 | grep -vE 'referenced manual not found|run makewhatis'
	@echo "$@: clean"
