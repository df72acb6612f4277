# SPDX-License-Identifier: Apache-2.0
#
#   make                 the programs, in build/: proxxy-conn, proxxy-listen, proxxy-status, proxxy-url, proxxy-setup
#   make check           every test, with what it needs installed first (tests/run)
#   make check-quick     the unit tests and a session of each kind, in two minutes; see tests/README.md
#   make demo            a desktop in the browser, through proxxy (examples/demo)
#   make install         PREFIX, DESTDIR, SYSCONFDIR, UNITDIR, SYSUSERSDIR and CATALOGDIR are yours to set
#   make uninstall       with the same variables; keeps settings, key and records
#   make console         the console pages, with packages from npm; "make" does this too if npm is installed
#   make deb             the Debian package, in build/, with what that needs installed first
#   make dist            the release tarball, in build/; a build from it needs neither git nor npm
#   make STATIC=1        proxxy-conn as small and fast as it gets, in build/static: see bench/README.md first
#   make SANITIZE=1      with ASan and UBSan, in build/sanitize
#   make WERROR=1        warnings are errors; for development, with the compilers that tests/run uses
#   make BREAKIN=1       with attempts to break out of the sandbox, in build/breakin
#   make fuzz            the fuzz targets, which tests/fuzz/run runs
#   make unit            the unit tests, in whichever build
#   make lint            what can be checked without running anything (tests/lint)
#   make format          lays out every C file as .clang-format says
#   make compile_commands.json   how each C file is compiled, for editors; "make" writes it too
#   make bench           proxxy beside nginx, HAProxy and others, with what it needs installed first

VERSION := 1.0.0
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
CATALOGDIR ?= $(PREFIX)/lib/systemd/catalog

BUILD ?= build
PKG_CONFIG ?= pkg-config
PACKAGES := openssl libsystemd json-c libcurl
# Of the machine that builds: the compiler of programs that run during the build, and the libraries of those.
BUILD_CC ?= cc
BUILD_PKG_CONFIG ?= pkg-config
BUILD_PACKAGES := libseccomp

# Stop before compiling if a library is missing. The goals excluded here compile nothing, or install
# missing packages first.
GOALS := $(filter-out check demo deb bench uninstall clean console format,$(or $(MAKECMDGOALS),all))
ifneq ($(GOALS),)
  ifeq ($(shell command -v $(firstword $(PKG_CONFIG))),)
    $(error $(PKG_CONFIG) is missing. On Debian and Ubuntu, this installs what a build needs: \
	tests/install-packages build)
  endif
  missing = $(foreach package,$(2),$(shell $(1) --exists $(package) || echo $(package)))
  MISSING := $(strip $(call missing,$(BUILD_PKG_CONFIG),$(BUILD_PACKAGES)) \
	$(call missing,$(PKG_CONFIG),$(PACKAGES) $(if $(filter unit check-quick,$(GOALS)),cmocka)))
  ifneq ($(MISSING),)
    $(error $(PKG_CONFIG) does not find: $(MISSING). On Debian and Ubuntu, this installs what a build needs: \
	tests/install-packages build$(if $(filter cmocka,$(MISSING)), test))
  endif
  PACKAGE_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
endif

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
ifeq ($(WERROR),1)
  WARNINGS += -Werror
endif

# Options that not every processor and compiler supports.
supported = $(if $(shell $(CC) -Werror $(1) -x c -S -o /dev/null /dev/null 2>&1 || echo no),,$(1))
HARDENING := -fstack-protector-strong -fPIE $(foreach option,-fstack-clash-protection -fcf-protection \
	-mbranch-protection=standard,$(call supported,$(option)))
LINK_HARDENING := -pie -Wl,-z,relro,-z,now,-z,noexecstack
# Small variables together, on few pages: each that a session writes to is a copy of its own.
HARDENING += -fdata-sections
LINK_HARDENING += -Wl,--sort-section=alignment
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
else ifeq ($(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),)
  # Distributions choose a level themselves. Without optimization the macro has no effect but a warning.
  FORTIFY := $(if $(filter-out -O0,$(filter -O%,$(CFLAGS))),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif

# For the tests: both sandboxes surrounded by attempts to do what they forbid (tests/breakin.c).
ifeq ($(BREAKIN),1)
  BUILD := build/breakin
  EXTRA := tests/breakin
  LINK_HARDENING += -Wl,--wrap=sandbox_enter,--wrap=sandbox_enter_first
endif

ALL_CPPFLAGS := -D_GNU_SOURCE -DPROXXY_VERSION='"$(VERSION)"' -I. -I$(BUILD) $(FORTIFY) $(CPPFLAGS)
ALL_CFLAGS := -std=gnu11 $(WARNINGS) $(HARDENING) $(CFLAGS) $(PACKAGE_CFLAGS)
ALL_LDFLAGS := $(LINK_HARDENING) -Wl,--as-needed $(LDFLAGS)
# libcrypto first: when a program starts, each library's symbols are searched in this order, and nearly all of 4,400 are
# in libcrypto.
LIBS = $(shell $(PKG_CONFIG) --libs libcrypto) $(shell $(PKG_CONFIG) --libs $(PACKAGES))
# With STATIC=1 proxxy-conn's libraries come from their archives, but for glibc (whose name service needs to load
# others). The other programs stay as they are: libsystemd has no archive, and libcurl needs the shared OpenSSL.
ifeq ($(STATIC),1)
  $(BUILD)/proxxy-conn $(BUILD)/bench/unconfined: LIBS = -Wl,-Bstatic -Wl,--gc-sections \
	$(shell $(PKG_CONFIG) --static --libs libssl libcrypto json-c) -Wl,-Bdynamic
endif

# Which folder belongs to which program. lib/ is shared, and so are crypto.c and ws.c. lib/command.c and lib/curl_*.c
# are for the programs that are run by hand.
BY_HAND := $(basename $(wildcard lib/command.c lib/curl_*.c))
LIB := crypto ws $(filter-out $(BY_HAND),$(basename $(wildcard lib/*.c)))
PROGRAMS := proxxy-conn proxxy-listen proxxy-status proxxy-url proxxy-setup
proxxy-conn := proxxy-conn $(basename $(wildcard session/*.c)) $(LIB) $(EXTRA)
proxxy-listen := $(basename $(wildcard listen/*.c))
proxxy-status := $(basename $(wildcard status/*.c)) \
	$(addprefix lib/,counters_file error http http_exchange http_list http_protocol http_write io linger pages \
		tls_socket uri)
proxxy-url := $(basename $(wildcard url/*.c)) $(BY_HAND) $(LIB)
proxxy-setup := $(basename $(wildcard setup/*.c)) $(BY_HAND) $(LIB)
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c tests/unit/*/test_*.c))

.DELETE_ON_ERROR:
.PHONY: all programs pages places unit check check-quick demo bench install uninstall deb dist clean

all: programs pages $(if $(filter build,$(BUILD)),compile_commands.json)
programs: $(PROGRAMS:%=$(BUILD)/%)

.SECONDEXPANSION:
$(PROGRAMS:%=$(BUILD)/%): $$(foreach object,$$($$(@F)),$(BUILD)/$$(object).o)
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -c -o $@ $<

# The page for operators: its files as C strings, and the hashes that its Content-Security-Policy names.
PAGE_FILES := $(addprefix status/page/,page.html style.css script.js)
as_string = echo 'static const char $(1)[] ='; sed 's/[\\"]/\\&/g; s/^/"/; s/$$/\\n"/' $(2); echo ';'
as_hash = echo "\#define $(1) \"$$(sha256sum < $(2) | cut -c 1-64 | tr a-f A-F | basenc -d --base16 | base64)\""
$(BUILD)/status/page_files.h: $(PAGE_FILES) Makefile
	@mkdir -p $(@D)
	@{ $(call as_string,page_html,status/page/page.html); $(call as_string,page_style,status/page/style.css); \
		$(call as_string,page_script,status/page/script.js); \
		$(call as_hash,PAGE_STYLE_HASH,status/page/style.css); \
		$(call as_hash,PAGE_SCRIPT_HASH,status/page/script.js); } > $@
$(BUILD)/status/page.o: $(BUILD)/status/page_files.h

# The system call filters, compiled by libseccomp for the processor that $(CC) compiles for.
MAKE_FILTERS := $(wildcard filter/*.c)
$(BUILD)/filter/make_filters: $(MAKE_FILTERS) $(wildcard filter/*.h) Makefile
	@mkdir -p $(@D)
	@echo '  BUILDCC $@'
	@$(BUILD_CC) -std=gnu11 -D_GNU_SOURCE -I. -O1 $(WARNINGS) -o $@ $(MAKE_FILTERS) \
		$(shell $(BUILD_PKG_CONFIG) --cflags --libs $(BUILD_PACKAGES))
$(BUILD)/filter/filters.h: $(BUILD)/filter/make_filters
	@echo '  FILTERS $@'
	@$< $$($(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -E -dM filter/architecture.h | \
		sed -n 's/^#define FILTER_ARCHITECTURE "\(.*\)"/\1/p') > $@
$(BUILD)/session/seccomp_filter.o: $(BUILD)/filter/filters.h
.SECONDARY: $(MAKE_FILTERS:%.c=$(BUILD)/%.o)

# tests/unit/lib/settings.h replaces settings_file.o for the tests that include it.
# tests/unit/session/test_relay.c and test_algorithms.c answer what is asked of the kernel.
unit_objects = $(patsubst %,$(BUILD)/%.o,session/algorithms session/api_answer session/counters session/framer \
	session/guest_list session/limits session/random session/rates session/relro session/replay session/resolve \
	session/rfb session/sealed session/slots session/store_protocol session/store_words status/origin \
	status/session_text \
	$(filter-out $(if $(filter lib/test_config% lib/test_cluster,$(1)),lib/settings_file),$(LIB)) \
	$(if $(filter session/test_relay,$(1)),$(addprefix session/,direction relay relay_close relay_time silence)) \
	$(if $(filter session/test_seccomp_filter,$(1)),session/seccomp_filter \
		$(addprefix filter/,opening relaying rules)))
$(BUILD)/unit/session/test_seccomp_filter: LIBS += -lseccomp
$(BUILD)/unit/session/test_relay: ALL_LDFLAGS += \
	-Wl,--wrap=recv,--wrap=send,--wrap=ppoll,--wrap=clock_gettime,--wrap=sigpending
$(BUILD)/unit/session/test_algorithms: ALL_LDFLAGS += -Wl,--wrap=getrandom
$(BUILD)/unit/%: tests/unit/%.c $$(call unit_objects,$$*) Makefile
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -o $@ $< $(call unit_objects,$*) -lcmocka $(LIBS)

$(BUILD)/seal: tests/interop/seal.c $(LIB:%=$(BUILD)/%.o) Makefile
	@echo '  CC      $@'
	@$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -o $@ $< $(LIB:%=$(BUILD)/%.o) $(LIBS)

unit: $(UNIT)
	@set -e; for t in $(UNIT); do $(RUN) $$t; done

# Stop if a path is empty or relative: "install" would write, and "uninstall" delete, in the wrong place.
refuse_unless_path = $(if $(and $(filter 1,$(words $($(1)))),$(filter /%,$($(1)))),,$(error \
	$(1) is "$($(1))". It must be one absolute path without spaces))
places:
	$(foreach place,PREFIX SYSCONFDIR UNITDIR SYSUSERSDIR CATALOGDIR $(if $(DESTDIR),DESTDIR),$(call \
		refuse_unless_path,$(place)))@:

# Replace each file atomically: a client may connect at any time, and the socket would fail if the
# service's file were missing at that moment.
INSTALL ?= install
put = $(INSTALL) -D -m $(1) $(2) $(3).new && mv -f $(3).new $(3)
# The units and configurations carry the default PREFIX; here they get the real one.
INSTALL_FILE = sed 's@/usr/local/\(s*bin\|share\)@$(PREFIX)/\1@g' $(1) > $(BUILD)/$(notdir $(1)) && \
	$(call put,644,$(BUILD)/$(notdir $(1)),$(2))
# Programs for people are in bin, those that systemd starts in sbin.
program_dir = $(if $(filter proxxy-url,$(program)),bin,sbin)
FRONTS := nginx.conf Caddyfile haproxy.cfg apache.conf traefik.yaml
EXAMPLES := proxxy.xinetd full-sandbox.conf direct.conf unix-socket.conf $(FRONTS) grafana-dashboard.json \
	prometheus-rules.yml
# The pages that are installed: their names, as patterns. HASHED have a hash in their names.
PAGESDIR = $(PREFIX)/share/proxxy/console
PAGES := $(foreach name,novnc.html xterm.html favicon.svg NOTICE.txt,$(name) $(name).gz)
HASHED := *.????????.js *.????????.js.gz
OLD_PAGES := console.css console.js novnc.js xterm.js xterm node_modules package.json package-lock.json
EXAMPLESDIR = $(PREFIX)/share/doc/proxxy/examples
UNITS := proxxy.socket proxxy@.service proxxy.slice proxxy-status.socket proxxy-status@.service \
	proxxy-end.socket proxxy-end@.service proxxy-retry@.service
# The commented settings files, which the programs print. A cross-compiled program cannot run here.
REFERENCES := proxxy.conf proxxy-url.conf
reference_of = $(BUILD)/$(if $(filter proxxy.conf,$(1)),proxxy-conn,proxxy-url) --settings > $(BUILD)/$(1)
manual_of = $(PREFIX)/share/man/man$(subst .,,$(suffix $(1)))/$(notdir $(1))

# The pages come after the scripts that they load, and what only earlier pages load is removed last.
INSTALL_SITE = set -e; for file in $$(cd $(SITE) && ls | grep -v '\.html') $$(cd $(SITE) && ls | grep '\.html'); do \
	$(call put,644,$(SITE)/$$file,$(DESTDIR)$(PAGESDIR)/$$file); done; \
	for file in $(HASHED:%=$(DESTDIR)$(PAGESDIR)/%); do \
		[ -e $(SITE)/$${file\#\#*/} ] || rm -f $$file; done; \
	rm -rf $(OLD_PAGES:%=$(DESTDIR)$(PAGESDIR)/%)

install: places all
	$(foreach program,$(PROGRAMS),$(call put,755,$(BUILD)/$(program),\
		$(DESTDIR)$(PREFIX)/$(program_dir)/$(program)) &&) true
	$(foreach unit,$(UNITS),$(call INSTALL_FILE,$(unit),$(DESTDIR)$(UNITDIR)/$(unit)) &&) true
	$(foreach example,$(EXAMPLES),$(call INSTALL_FILE,deploy/$(example),\
		$(DESTDIR)$(EXAMPLESDIR)/$(example)) &&) true
	$(foreach file,$(REFERENCES),if $(call reference_of,$(file)); then \
		$(call put,644,$(BUILD)/$(file),$(DESTDIR)$(EXAMPLESDIR)/$(file)); else \
		echo "Skipped the example $(file): its program does not run on this machine."; fi &&) true
	if $(site_is_there); then $(INSTALL_SITE); fi
	$(call put,644,deploy/proxxy.sysusers,$(DESTDIR)$(SYSUSERSDIR)/proxxy.conf)
	$(call put,644,deploy/proxxy.catalog,$(DESTDIR)$(CATALOGDIR)/proxxy.catalog)
	$(foreach page,$(wildcard man/*.[1-8]),$(call put,644,$(page),$(DESTDIR)$(call manual_of,$(page))) &&) true
ifeq ($(DESTDIR),)
	deploy/setup $(SYSCONFDIR) $(PREFIX)/sbin/proxxy-conn
endif

uninstall: places
ifeq ($(DESTDIR),)
	deploy/withdraw begin $(PREFIX)/sbin/proxxy-conn $(UNITDIR)
endif
	rm -f $(foreach program,$(PROGRAMS),$(DESTDIR)$(PREFIX)/$(program_dir)/$(program)) \
		$(UNITS:%=$(DESTDIR)$(UNITDIR)/%) \
		$(DESTDIR)$(SYSUSERSDIR)/proxxy.conf $(DESTDIR)$(CATALOGDIR)/proxxy.catalog \
		$(patsubst %,$(DESTDIR)$(EXAMPLESDIR)/%,$(EXAMPLES) $(REFERENCES)) \
		$(patsubst %,$(DESTDIR)$(PAGESDIR)/%,$(PAGES) $(HASHED)) \
		$(foreach page,$(wildcard man/*.[1-8]),$(DESTDIR)$(call manual_of,$(page)))
	rm -rf $(OLD_PAGES:%=$(DESTDIR)$(PAGESDIR)/%)
	for folder in $(PAGESDIR) $(PREFIX)/share/proxxy $(EXAMPLESDIR) $(PREFIX)/share/doc/proxxy \
		$(UNITDIR) $(CATALOGDIR) $(PREFIX)/lib/systemd $(SYSUSERSDIR); do test ! -d $(DESTDIR)$$folder || \
		rmdir --ignore-fail-on-non-empty $(DESTDIR)$$folder; done
ifeq ($(DESTDIR),)
	deploy/withdraw end
endif
	@echo "Left in place: $(SYSCONFDIR)/proxxy with the settings and the key, /var/lib/proxxy, changes made with" \
		"systemctl edit, and the users proxxy and proxxy-status. Running sessions continue."

# clang's JSON compilation database, in which editors and clang-tidy look up a file's flags. The file is
# written again only if it changed.
SOURCES := $(sort $(wildcard *.c $(foreach folder,filter lib listen session status url setup bench tests tests/unit \
	tests/unit/* tests/fuzz tests/fuzz/* tests/interop,$(folder)/*.c)))
.PHONY: lint format compile_commands.json
compile_commands.json: $(BUILD)/status/page_files.h $(BUILD)/filter/filters.h
	@mkdir -p $(BUILD)
	@options=$$(printf '%s\n' $(CC) $(ALL_CPPFLAGS) $(filter-out -Werror,$(ALL_CFLAGS)) | \
		sed 's/["\\]/\\&/g; s/.*/"&",/' | tr '\n' ' '); separator='['; \
	for file in $(SOURCES); do \
		printf '%s\n{ "directory": "%s", "file": "%s",\n  "arguments": [ %s"-c", "%s" ] }' \
			"$$separator" '$(CURDIR)' $$file "$$options" $$file; \
		separator=,; \
	done > $(BUILD)/$@
	@echo ']' >> $(BUILD)/$@
	@cmp -s $(BUILD)/$@ $@ || cp -f $(BUILD)/$@ $@

# Versions of clang-format differ in what they make of the same style; Debian 12, Debian 13 and Ubuntu 24.04
# have this one.
CLANG_FORMAT ?= clang-format-19
format:
	@command -v $(CLANG_FORMAT) >/dev/null || { echo "$(CLANG_FORMAT) is missing. On Debian and Ubuntu, this" \
		"installs it: tests/install-packages lint" >&2; exit 1; }
	@$(CLANG_FORMAT) -i $(SOURCES) $(wildcard $(addsuffix *.h,$(sort $(dir $(SOURCES)))))

lint: compile_commands.json
	tests/lint

check:
	tests/run

check-quick: all unit
	/usr/bin/python3 -m pytest -q tests --kind quick

demo:
	examples/demo

# The console pages, from console/ and npm's packages. A server needs no npm. console/dist/sources has the checksums of
# what they were built from, so that a later build knows whether they are still right.
SITE := console/dist/site
SITE_SOURCES = $(notdir $(wildcard $(addprefix console/,build.js package.json package-lock.json tsconfig.json pages \
	src languages)))
site_sums = (cd $(1)console && find $(SITE_SOURCES) -type f | LC_ALL=C sort | xargs sha256sum)
site_is_there = $(site_sums) 2>/dev/null | cmp -s - console/dist/sources
.PHONY: console
console:
	@$(site_is_there) || command -v npm >/dev/null || { echo "The console pages cannot be built: npm is not" \
		"installed. Install npm, or build from a release tarball, which contains the pages." >&2; exit 1; }
	@$(site_is_there) || { set -e; echo '  BUILD   $(SITE)'; \
		rm -rf $(BUILD)/console $(SITE) console/dist/sources; mkdir -p $(BUILD)/console console/dist; \
		tar -c -C console $(SITE_SOURCES) | tar -x -C $(BUILD)/console; \
		(cd $(BUILD)/console && \
			npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error && \
			node build.js site) >/dev/null; \
		mv $(BUILD)/console/dist/site $(SITE); $(site_sums) > console/dist/sources; rm -rf $(BUILD)/console; }

# Without npm, everything else is built. Both goals at once build the pages only once.
pages: $(filter console,$(MAKECMDGOALS))
	@$(site_is_there) || { command -v npm >/dev/null && $(MAKE) --no-print-directory -s console; } || \
		echo "The console pages are not built: $(SITE) is missing or was built from other sources." \
			"To build it: install npm, then run make console and make install."

dist: console
	@rm -rf $(BUILD)/dist && mkdir -p $(BUILD)/dist
	@git archive --prefix=proxxy-$(VERSION)/ HEAD | tar -x -C $(BUILD)/dist
	@$(call site_sums,$(BUILD)/dist/proxxy-$(VERSION)/) | cmp -s - console/dist/sources || { echo "console/ has" \
		"changes that are not committed: the release would have pages from other sources." >&2; exit 1; }
	@mkdir $(BUILD)/dist/proxxy-$(VERSION)/console/dist && \
		cp -R $(SITE) console/dist/sources $(BUILD)/dist/proxxy-$(VERSION)/console/dist
	@tar --sort=name --mtime="@$$(git log -1 --format=%ct)" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		--format=gnu -C $(BUILD)/dist -c proxxy-$(VERSION) | gzip -9n > $(BUILD)/proxxy-$(VERSION).tar.gz
	@rm -rf $(BUILD)/dist
	@echo "$(BUILD)/proxxy-$(VERSION).tar.gz"

# Built in a copy, because dpkg-buildpackage writes into the tree and into the folder above it.
deb:
	@tests/install-packages deb
	@rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/proxxy
	@tar -c --exclude=./build --exclude=./.git --exclude=node_modules --exclude=./compile_commands.json . | \
		tar -x -C $(BUILD)/deb/proxxy
	@cd $(BUILD)/deb/proxxy && DEB_BUILD_OPTIONS="nocheck parallel=$$(nproc)" \
		dpkg-buildpackage --build=binary --build-profiles=nocheck --no-sign
	@cp $(BUILD)/deb/proxxy*_$(VERSION)_* $(BUILD)
	@rm -rf $(BUILD)/deb
	@ls $(BUILD)/proxxy_$(VERSION)_*.deb

clean:
	rm -rf build compile_commands.json

include bench/rules.mk
include tests/fuzz/rules.mk
# A header that was moved or deleted must not stop a build in an older build folder.
%.h: ;
-include $(wildcard $(foreach folder,. filter lib session listen url setup status unit \
	$(addprefix unit/,lib session status) bench,$(BUILD)/$(folder)/*.d))
