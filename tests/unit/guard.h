/* SPDX-License-Identifier: Apache-2.0
 *
 * What the unit tests share. Memory that ends at an unreadable page, so that an over-read or
 * overflow by a single byte crashes. A repeatable source of bytes. Checks that are counted, and
 * that name the table's row when they fail. Everything is in this header, because each test is one
 * program.
 */
#ifndef PROXXY_TESTS_GUARD_H
#define PROXXY_TESTS_GUARD_H

/* cmocka.h needs these headers before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { GUARD_MAX = 1024 * 1024 }; /* bytes; a multiple of every page size */

struct guard {
	uint8_t *end; /* the unreadable page's first byte */
};

/* Returns size bytes that end right before an unreadable page. They are valid until the next call
 * with g. */
static inline void *guard_room(struct guard *g, size_t size)
{
	const size_t page = 65536;

	if (!g->end) {
		uint8_t *map = mmap(NULL, GUARD_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (map == MAP_FAILED || mprotect(map + GUARD_MAX, page, PROT_NONE) < 0)
			abort();
		g->end = map + GUARD_MAX;
	}
	if (size > GUARD_MAX)
		abort();
	return g->end - size;
}

/* Copies data to such bytes. */
static inline void *guard_copy(struct guard *g, const void *data, size_t size)
{
	void *room = guard_room(g, size);

	if (size)
		memcpy(room, data, size);
	return room;
}

/* xorshift64*: the same bytes in every run. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1DULL;
}

static inline size_t random_below(uint64_t *state, size_t bound)
{
	return (size_t)(random_next(state) >> 33) % bound;
}

static size_t checks_made;

/* For tables: each row is checked several times, so a failure prints which row it was. */
#define CHECK(condition, ...) \
	do { \
		checks_made++; \
		if (!(condition)) { \
			print_error("%s is false for: ", #condition); \
			print_error(__VA_ARGS__); \
			print_error("\n"); \
			_fail(__FILE__, __LINE__); \
		} \
	} while (0)

#define CHECK_INT(got, want, ...) \
	do { \
		long long got_ = (long long)(got), want_ = (long long)(want); \
		checks_made++; \
		if (got_ != want_) { \
			print_error("%s is %lld, not %lld, for: ", #got, got_, want_); \
			print_error(__VA_ARGS__); \
			print_error("\n"); \
			_fail(__FILE__, __LINE__); \
		} \
	} while (0)

static inline int print_checks(void **state)
{
	(void)state;
	fprintf(stderr, "%zu checks\n", checks_made);
	return 0;
}

#define RUN(tests) cmocka_run_group_tests_name(__FILE__, tests, NULL, print_checks)

#endif
