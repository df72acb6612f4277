# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets, for the top Makefile to include; tests/fuzz/run builds and runs them.
#   make fuzz             build/fuzz/fuzz_*: clang, libFuzzer, ASan and UBSan
#   make fuzz COVERAGE=1  the same in build/fuzz/coverage, to see what the corpus reaches

FUZZ_TARGETS := http body proxy forwarded json payload framer api rfb store status upstream session
FUZZ_CC ?= clang
FUZZ_FLAGS := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -DPROXXY_SANITIZE
ifeq ($(COVERAGE),1)
  FUZZ_BUILD := build/fuzz/coverage
  FUZZ_FLAGS += -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping
else
  FUZZ_BUILD := build/fuzz
  FUZZ_FLAGS += -fsanitize=fuzzer-no-link,address,undefined
endif
FUZZ_CPPFLAGS := -D_GNU_SOURCE -DPROXXY_VERSION='"$(VERSION)"' -I.
FUZZ_CFLAGS = -std=gnu11 $(WARNINGS) $(FUZZ_FLAGS) $(PACKAGE_CFLAGS)

# fuzz_session.c includes proxxy-conn.c and lib/io.c. upstream_fake replaces upstream, which fuzz_upstream.c tests.
# libc answers the session's calls of libc, and of the modules in FUZZ_WORLD.
FUZZ_SESSION := $(filter-out lib/io,$(LIB)) $(addprefix session/,api_answer check client counters direction framer \
	harden log login options plain_answer relay relay_close relay_time relro rfb sandbox sealed silence upgrade \
	wipe) \
	$(addprefix tests/fuzz/session/,world libc files upstream_fake login_model payloads reference_rfb)
FUZZ_WORLD := recv send ppoll shutdown close closefrom open ioctl clock_gettime clock_nanosleep time \
	getpeername getsockopt setsockopt fcntl fstat access dup2 systemd_record systemd_status systemd_open_journal \
	algorithms_restrict prefault signal sigaction sigprocmask setrlimit prctl _exit config_load single_use_take \
	single_use_look store_check store_sub_renew store_sub_leave limits_admit_client limits_admit_console \
	limits_retry_after limits_check counters_open uptime_seconds cluster_find cluster_find_host RAND_bytes \
	login_run relay_run linger io_begin_tls io_handshake tls_socket_limit api_request_console
# fuzz_upstream has no TLS: it answers these too.
FUZZ_TLS := SSL_do_handshake SSL_get_error SSL_is_init_finished

# Which folder each target tests.
fuzz_place := http=lib body=lib proxy=lib forwarded=lib json=lib payload=lib framer=session api=session rfb=session \
	store=session status=status upstream=session session=session
fuzz_source = tests/fuzz/$(patsubst $(1)=%,%,$(filter $(1)=%,$(fuzz_place)))/fuzz_$(1)
fuzz_http := $(addprefix lib/,error http http_list http_protocol http_write uri)
fuzz_body := $(addprefix lib/,error http http_body http_list http_protocol uri)
fuzz_proxy := $(addprefix lib/,error host proxy_protocol)
fuzz_forwarded := $(addprefix lib/,error forwarded host http_list)
fuzz_json := $(LIB)
fuzz_payload := $(LIB)
fuzz_api := $(LIB) $(addprefix session/,api_answer guest_list)
fuzz_framer := lib/error session/framer ws
fuzz_rfb := session/rfb tests/fuzz/session/reference_rfb
fuzz_store := lib/error lib/host lib/store_url session/store_protocol session/store_words
fuzz_status := status/session_text
fuzz_session := $(FUZZ_SESSION)
fuzz_upstream := $(filter-out lib/access lib/io,$(LIB)) $(addprefix session/,api api_answer guest_list upstream) \
	$(addprefix tests/fuzz/session/,world libc payloads)
$(FUZZ_BUILD)/tests/fuzz/session/libc.o: FUZZ_FLAGS := -O1 -g
$(FUZZ_BUILD)/fuzz_session $(FUZZ_BUILD)/fuzz_upstream: FUZZ_LDFLAGS := $(FUZZ_WORLD:%=-Wl,--wrap=%)
$(FUZZ_BUILD)/fuzz_upstream: FUZZ_LDFLAGS += $(FUZZ_TLS:%=-Wl,--wrap=%)

.PHONY: fuzz
fuzz: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz_%)

.SECONDEXPANSION:
$(FUZZ_TARGETS:%=$(FUZZ_BUILD)/fuzz_%): $$(FUZZ_BUILD)/$$(call fuzz_source,$$(patsubst fuzz_%,%,$$(@F))).o \
		$$(foreach object,$$($$(@F)),$(FUZZ_BUILD)/$$(object).o)
	@echo '  LINK    $@'
	@$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer $(FUZZ_LDFLAGS) -o $@ $^ $(LIBS)

$(FUZZ_BUILD)/%.o: %.c Makefile tests/fuzz/rules.mk
	@mkdir -p $(@D)
	@echo '  CC      $@'
	@$(FUZZ_CC) $(FUZZ_CPPFLAGS) $(FUZZ_CFLAGS) -MMD -c -o $@ $<

-include $(wildcard $(foreach folder,. lib session tests/fuzz/lib tests/fuzz/session,$(FUZZ_BUILD)/$(folder)/*.d))
