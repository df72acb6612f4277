/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fuzz targets share: a check that stops the fuzzer, and a reader that takes an input
 * apart. An input that is used up gives zeros.
 */
#ifndef PROXXY_TESTS_FUZZ_H
#define PROXXY_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert(), it also checks with NDEBUG, and prints the values. */
#define REQUIRE(condition, ...) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s is false: ", __FILE__, __LINE__, #condition); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			abort(); \
		} \
	} while (0)

/* For functions that run for each byte: no instrumentation. It would take most of the time and find
 * nothing. */
#define PER_BYTE __attribute__((noinline, no_sanitize("coverage", "address", "undefined")))

struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t take_byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* Reads a number of size bytes, the lowest byte first. */
static inline uint32_t take_number(struct input *in, size_t size)
{
	uint32_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint32_t)take_byte(in) << 8 * i;
	return value;
}

/* Reads at most size bytes. *ret_size is how many there are. */
static inline const uint8_t *take_bytes(struct input *in, size_t size, size_t *ret_size)
{
	const uint8_t *bytes = in->at;

	*ret_size = size < in->left ? size : in->left;
	in->at += *ret_size;
	in->left -= *ret_size;
	return bytes;
}

/* Reads a length. Most lengths are small, the others near a multiple of 64 KiB, up to 256 KiB. */
static inline uint32_t take_length(struct input *in)
{
	const uint32_t n = take_number(in, 2);

	return n < 0xF000 ? n >> 4 : 65536 * ((n >> 4 & 3) + 1) + (n & 15) - 4;
}

/* The byte at a position of a generated stream. No two neighbouring pages of it are the same. */
PER_BYTE static inline uint8_t filler(uint64_t position)
{
	return (uint8_t)(position * 2654435761U >> 11);
}

#endif
