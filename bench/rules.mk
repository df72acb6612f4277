# SPDX-License-Identifier: Apache-2.0
#
# The benchmark's programs, for the top Makefile to include; bench/run builds and runs them.

BENCH_PROGRAMS := upstream load floor

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS:%=$(BUILD)/bench/%) $(BUILD)/bench/nothing $(BUILD)/bench/peak

$(BENCH_PROGRAMS:%=$(BUILD)/bench/%): %: %.o $(BUILD)/bench/peer.o $(BUILD)/ws.o $(BUILD)/lib/error.o
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/bench/upstream: $(BUILD)/bench/pve.o

$(BUILD)/bench/nothing $(BUILD)/bench/peak: %: %.o
	@echo '  LINK    $@'
	@$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^

bench:
	tests/install-packages build test bench
	bench/run
	bench/plot build/bench/results.json build/bench/results.svg
