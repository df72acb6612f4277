# SPDX-License-Identifier: Apache-2.0
#
#   make                 build/proxxy-conn, build/proxxy-status and build/proxxy-url
#   make check           every test, with what it needs installed first (tests/run)
#   make demo            a desktop in the browser, through proxxy (examples/demo)
#   make install         PREFIX, DESTDIR, SYSCONFDIR and UNITDIR are yours to set
#   make STATIC=1        proxxy-conn as small and fast as it gets, in build/static: see bench/README.md first
#   make SANITIZE=1      with ASan and UBSan, in build/sanitize
#   make BREAKIN=1       with attempts to break out of the sandbox, in build/breakin
#   make fuzz            the fuzz targets, which tests/fuzz/run runs
#   make unit            the unit tests, in whichever build
#   make bench           proxxy beside nginx, HAProxy and others, with what it needs installed first

VERSION := 1.0.0
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
CATALOGDIR ?= /usr/lib/systemd/catalog

BUILD ?= build
PKG_CONFIG ?= pkg-config
PACKAGES := openssl libsystemd json-c libseccomp libcurl

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
LINK_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack
ifeq ($(STATIC),1)
  BUILD := build/static
  HARDENING := $(HARDENING:-fPIE=-fno-pie)
  LINK_HARDENING := $(LINK_HARDENING:-pie=-no-pie)
endif
ifeq ($(SANITIZE),1)
  BUILD := build/sanitize
  CFLAGS := -O1 -g -fno-omit-frame-pointer
  HARDENING := -fsanitize=address,undefined -fno-sanitize-recover=all -DPROXXY_SANITIZE
  LINK_HARDENING := -fsanitize=address,undefined
else
  CPPFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

# For the tests: sandbox_enter() surrounded by attempts to do what it forbids (tests/breakin.c).
ifeq ($(BREAKIN),1)
  BUILD := build/breakin
  EXTRA := tests/breakin
  LINK_HARDENING += -Wl,--wrap=sandbox_enter
endif

# fcf-protection is x86's alone.
ifeq ($(filter x86_64 i%86,$(shell $(CC) -dumpmachine | cut -d- -f1)),)
  HARDENING := $(filter-out -fcf-protection,$(HARDENING))
endif

ALL_CPPFLAGS := -D_GNU_SOURCE -DPROXXY_VERSION='"$(VERSION)"' -I. $(CPPFLAGS)
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(HARDENING) $(CFLAGS) $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
ALL_LDFLAGS := $(LINK_HARDENING) -Wl,--as-needed $(LDFLAGS)
LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES))
# With STATIC=1 proxxy-conn's libraries come from their archives, but for glibc (whose name service needs to load
# others). The other programs stay as they are: libsystemd has no archive, and libcurl needs the shared OpenSSL.
ifeq ($(STATIC),1)
  $(BUILD)/proxxy-conn: LIBS = -Wl,-Bstatic -Wl,--gc-sections \
	$(shell $(PKG_CONFIG) --static --libs libssl libcrypto json-c libseccomp) -Wl,-Bdynamic
endif

# What the unit tests link: the pure part, and what has no main() of its own.
TESTED := access config crypto error framer host http io jwe keys once payload settings strict_json tls_socket uri ws
PROGRAMS := proxxy-conn proxxy-status proxxy-url
proxxy-conn := $(TESTED) algorithms direction exchange log prefault proxxy-conn relay resolve sandbox silence systemd trust upstream uptime $(EXTRA)
proxxy-status := error exchange http io proxxy-status tls_socket uri
proxxy-url := $(TESTED) backend client explain proxmox proxxy-url url_options viewer
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c))

.DELETE_ON_ERROR:
.PHONY: all unit check demo bench install uninstall clean

all: $(PROGRAMS:%=$(BUILD)/%)

.SECONDEXPANSION:
$(PROGRAMS:%=$(BUILD)/%): $$(foreach object,$$($$(@F)),$(BUILD)/$$(object).o)
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -c -o $@ $<

$(BUILD)/unit/%: tests/unit/%.c $(TESTED:%=$(BUILD)/%.o) Makefile
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -o $@ $< $(TESTED:%=$(BUILD)/%.o) -lcmocka $(LIBS)

$(BUILD)/seal: tests/interop/seal.c $(TESTED:%=$(BUILD)/%.o) Makefile
	@echo '  CC      $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -o $@ $< $(TESTED:%=$(BUILD)/%.o) $(LIBS)

unit: $(UNIT)
	@set -e; for t in $(UNIT); do $(RUN) $$t; done

# The units and configurations carry the default PREFIX; here they get the real one.
INSTALL ?= install
INSTALL_FILE = sed 's@/usr/local/\(s*bin\|share\)@$(PREFIX)/\1@g' $(1) > $(BUILD)/$(notdir $(1)) && \
	$(INSTALL) -D -m 644 $(BUILD)/$(notdir $(1)) $(2)
# Programs for people are in bin, those that systemd starts in sbin.
program_dir = $(if $(filter proxxy-url,$(program)),bin,sbin)
EXAMPLES := proxxy.xinetd full-sandbox.conf nginx.conf Caddyfile
PAGES := $(wildcard console/*.html console/*.js console/*.css console/*.json)
EXAMPLESDIR = $(PREFIX)/share/doc/proxxy/examples
UNITS := proxxy.socket proxxy@.service proxxy.slice proxxy-status.socket proxxy-status@.service

install: all
	$(foreach program,$(PROGRAMS),$(INSTALL) -D -m 755 $(BUILD)/$(program) $(DESTDIR)$(PREFIX)/$(program_dir)/$(program) &&) true
	$(foreach unit,$(UNITS),$(call INSTALL_FILE,$(unit),$(DESTDIR)$(UNITDIR)/$(unit)) &&) true
	$(foreach example,$(EXAMPLES),$(call INSTALL_FILE,deploy/$(example),$(DESTDIR)$(EXAMPLESDIR)/$(example)) &&) true
	$(foreach page,$(PAGES),$(INSTALL) -D -m 644 $(page) $(DESTDIR)$(PREFIX)/share/proxxy/$(page) &&) true
	$(INSTALL) -D -m 644 deploy/proxxy.sysusers $(DESTDIR)$(SYSUSERSDIR)/proxxy.conf
	$(INSTALL) -D -m 644 deploy/proxxy.catalog $(DESTDIR)$(CATALOGDIR)/proxxy.catalog
	$(foreach page,$(wildcard man/*.[1-8]),$(INSTALL) -D -m 644 $(page) \
		$(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)) &&) true
	$(INSTALL) -d -m 755 $(DESTDIR)$(SYSCONFDIR)/proxxy
	test -e $(DESTDIR)$(SYSCONFDIR)/proxxy/proxxy.conf || \
		{ $(BUILD)/proxxy-conn --settings > $(BUILD)/proxxy.conf && \
		$(INSTALL) -m 644 $(BUILD)/proxxy.conf $(DESTDIR)$(SYSCONFDIR)/proxxy/proxxy.conf; }
ifeq ($(DESTDIR),)
	deploy/setup $(SYSCONFDIR)
endif

uninstall:
	rm -f $(foreach program,$(PROGRAMS),$(DESTDIR)$(PREFIX)/$(program_dir)/$(program)) $(UNITS:%=$(DESTDIR)$(UNITDIR)/%) \
		$(DESTDIR)$(SYSUSERSDIR)/proxxy.conf $(DESTDIR)$(CATALOGDIR)/proxxy.catalog \
		$(EXAMPLES:%=$(DESTDIR)$(EXAMPLESDIR)/%) $(PAGES:%=$(DESTDIR)$(PREFIX)/share/proxxy/%) \
		$(foreach page,$(wildcard man/*.[1-8]),$(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))
	@echo "Left in place: $(SYSCONFDIR)/proxxy with the settings and the key, /var/lib/proxxy, and the user proxxy."

check:
	tests/run

demo:
	examples/demo

# What xterm.html loads, from npm.
console/node_modules: console/package-lock.json
	@cd console && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier
	@touch $@

clean:
	rm -rf build

include bench/rules.mk
include tests/fuzz/rules.mk
-include $(wildcard $(BUILD)/*.d $(BUILD)/unit/*.d $(BUILD)/bench/*.d)
