/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads numbers in network byte order.
 */
#ifndef PROXXY_BIG_ENDIAN_H
#define PROXXY_BIG_ENDIAN_H

#include <stddef.h>
#include <stdint.h>

/* Returns the number in bytes[0..n), the most significant byte first. n is at most 8. */
static inline uint64_t big_endian(const uint8_t *bytes, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

#endif
