# SPDX-License-Identifier: Apache-2.0
#
# The benchmark's programs, for the top Makefile to include; bench/run builds and runs them.

BENCH_PROGRAMS := upstream load floor

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS:%=$(BUILD)/bench/%) $(addprefix $(BUILD)/bench/,nothing peak unconfined)

$(BENCH_PROGRAMS:%=$(BUILD)/bench/%): %: %.o $(BUILD)/bench/peer.o $(BUILD)/ws.o $(BUILD)/lib/error.o
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/bench/upstream: $(BUILD)/bench/pve.o

$(BUILD)/bench/nothing $(BUILD)/bench/peak: %: %.o
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

$(BUILD)/bench/unconfined: $(BUILD)/bench/unconfined.o $(proxxy-conn:%=$(BUILD)/%.o)
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--wrap=sandbox_enter,--wrap=sandbox_enter_first -o $@ $^ $(LIBS)

bench:
	tests/install-packages build bench
	bench/run
	bench/plot build/bench/results.json build/bench/results.svg
	bench/plot --history
