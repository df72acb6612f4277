/* SPDX-License-Identifier: Apache-2.0
 *
 * A slice: a pointer to text in another's buffer, with its length. Parsers return slices of their
 * input, so that they copy nothing.
 */
#ifndef PROXXY_SLICE_H
#define PROXXY_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* The text is not NUL-terminated. at is NULL if there is no text, such as for a missing field. */
struct slice {
	const char *at;
	size_t len;
};

/* Returns true if s equals text, which is NUL-terminated. The second function ignores ASCII
 * case. */
static inline bool slice_is(struct slice s, const char *text)
{
	return s.at && s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static inline bool slice_is_nocase(struct slice s, const char *text)
{
	return s.at && s.len == strlen(text) && strncasecmp(s.at, text, s.len) == 0;
}

/* Returns true if a and b are the same text. */
static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.at && b.at && a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Returns true if s consists of decimal digits. An empty slice does. */
static inline bool slice_is_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
	return true;
}

/* Parses a decimal number without sign, of at most five digits. Returns false if s is none, or is
 * above max. */
static inline bool slice_number(struct slice s, unsigned max, unsigned *ret)
{
	unsigned value = 0;

	if (s.len == 0 || s.len > 5 || !slice_is_digits(s))
		return false;
	for (size_t i = 0; i < s.len; i++)
		value = value * 10 + (unsigned)(s.at[i] - '0');
	if (value > max)
		return false;
	*ret = value;
	return true;
}

/* Returns 3 if text[0..len) begins with the byte order mark that some editors put at the start of a
 * UTF-8 file, else 0. */
static inline size_t byte_order_mark_len(const char *text, size_t len)
{
	return len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

#endif
