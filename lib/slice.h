/* SPDX-License-Identifier: Apache-2.0
 *
 * Part of a buffer that somebody else owns.
 */
#ifndef PROXXY_SLICE_H
#define PROXXY_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Not NUL-terminated. at is NULL when there is none. */
struct slice {
	const char *at;
	size_t len;
};

/* True when s is exactly text, in any case for the second. */
static inline bool slice_is(struct slice s, const char *text)
{
	return s.at && s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static inline bool slice_is_nocase(struct slice s, const char *text)
{
	return s.at && s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

/* True when it has digits only, or nothing. */
static inline bool slice_is_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	return true;
}

/* Returns 3 if text begins with a byte order mark, as some editors write into UTF-8 files, else 0. */
static inline size_t byte_order_mark_len(const char *text, size_t len)
{
	return len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

#endif
