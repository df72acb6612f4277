/* SPDX-License-Identifier: Apache-2.0
 *
 * A second parser of RFC 8259, to check ours against. It is simple, and works differently: it
 * decodes the text to characters first, then matches tokens of the grammar by index. It stores no
 * values.
 */
#ifndef PROXXY_TESTS_FUZZ_REFERENCE_JSON_H
#define PROXXY_TESTS_FUZZ_REFERENCE_JSON_H

#include "tests/fuzz/fuzz.h"

enum { REFERENCE_JSON_MAX = 16 * 1024, REFERENCE_JSON_DEPTH = 8 };

struct reference_json {
	uint32_t text[REFERENCE_JSON_MAX + 1]; /* characters, then a 0, which no text may contain */
	uint32_t names[REFERENCE_JSON_MAX];    /* of the outermost object's members, decoded, a 0 after each */
	size_t n_names;
	size_t at;
};

/* Decodes UTF-8 by arithmetic. The result must be a character that needs just as many bytes. */
static inline bool reference_json_decode(struct reference_json *r, const uint8_t *data, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size;) {
		const uint8_t first = data[i++];
		size_t more = 0, need;
		uint32_t c = first;

		while (more < 4 && first & 0x40 >> more && first & 0x80)
			more++;
		if (first >= 0x80) {
			if (more == 0 || more > 3)
				return false;
			c = first & 0x3FU >> more;
		}
		for (size_t k = 0; k < more; k++) {
			if (i == size || data[i] >> 6 != 2)
				return false;
			c = c * 64 + (data[i++] & 63U);
		}
		need = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
		if (need != more || c > 0x10FFFF || c >> 11 == 0x1B || c == 0)
			return false;
		r->text[n++] = c;
	}
	r->text[n] = 0;
	return true;
}

static inline void reference_json_space(struct reference_json *r)
{
	while (r->text[r->at] && strchr(" \t\r\n", r->text[r->at] < 0x80 ? (int)r->text[r->at] : 'x'))
		r->at++;
}

static inline bool reference_json_is(struct reference_json *r, const char *word)
{
	for (size_t i = 0; word[i]; i++)
		if (r->text[r->at + i] != (uint8_t)word[i])
			return false;
	r->at += strlen(word);
	return true;
}

static inline size_t reference_json_digits(struct reference_json *r)
{
	const size_t from = r->at;

	while (r->text[r->at] - '0' < 10)
		r->at++;
	return r->at - from;
}

static inline bool reference_json_number(struct reference_json *r)
{
	size_t from, n;

	reference_json_is(r, "-");
	from = r->at;
	n = reference_json_digits(r);
	if (n == 0 || (n > 1 && r->text[from] == '0'))
		return false;
	if (reference_json_is(r, ".") && reference_json_digits(r) == 0)
		return false;
	if (reference_json_is(r, "e") || reference_json_is(r, "E")) {
		if (!reference_json_is(r, "+"))
			reference_json_is(r, "-");
		return reference_json_digits(r) > 0;
	}
	return true;
}

/* Parses \uXXXX. Returns the UTF-16 unit, or 0. */
static inline uint32_t reference_json_unit(struct reference_json *r)
{
	char digits[5] = "";

	if (!reference_json_is(r, "\\u"))
		return 0;
	for (size_t i = 0; i < 4; i++) {
		const uint32_t c = r->text[r->at];

		if (c == 0 || c >= 0x80 || !strchr("0123456789abcdefABCDEF", (int)c))
			return 0;
		digits[i] = (char)c;
		r->at++;
	}
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* Parses a string. Copies its characters to ret, then a 0. */
static inline bool reference_json_string(struct reference_json *r, uint32_t *ret)
{
	static const char *const escapes[] = {
		"\\\"\"", "\\\\\\", "\\//", "\\b\b", "\\f\f", "\\n\n", "\\r\r", "\\t\t"
	};
	size_t n = 0;

	if (!reference_json_is(r, "\""))
		return false;
	while (!reference_json_is(r, "\"")) {
		uint32_t c = r->text[r->at];

		if (c < 0x20)
			return false;
		if (c != '\\') {
			r->at++;
		} else if (r->text[r->at + 1] == 'u') {
			c = reference_json_unit(r);
			if (c >> 10 == 0x36) {
				const uint32_t low = reference_json_unit(r);

				if (low >> 10 != 0x37)
					return false;
				c = 0x10000 + c % 1024 * 1024 + low % 1024;
			}
			if (c == 0 || c >> 10 == 0x37)
				return false;
		} else {
			size_t i = 0;

			while (i < 8 && (uint8_t)escapes[i][1] != r->text[r->at + 1])
				i++;
			if (i == 8)
				return false;
			c = (uint8_t)escapes[i][2];
			r->at += 2;
		}
		ret[n++] = c;
	}
	ret[n] = 0;
	return true;
}

static inline bool reference_json_new_name(struct reference_json *r)
{
	uint32_t *name = r->names + r->n_names;
	size_t len = 0;

	while (name[len])
		len++;
	for (size_t i = 0; i < r->n_names;) {
		size_t other = 0;

		while (r->names[i + other])
			other++;
		if (other == len && memcmp(r->names + i, name, len * sizeof(*name)) == 0)
			return false;
		i += other + 1;
	}
	r->n_names += len + 1;
	return true;
}

static inline bool reference_json_value(struct reference_json *r, int depth)
{
	static uint32_t scratch[REFERENCE_JSON_MAX];
	const bool object = r->text[r->at] == '{';
	const char *end = object ? "}" : "]";

	if (r->text[r->at] == '"')
		return reference_json_string(r, scratch);
	if (reference_json_is(r, "true") || reference_json_is(r, "false") || reference_json_is(r, "null"))
		return true;
	if (!reference_json_is(r, object ? "{" : "["))
		return reference_json_number(r);
	if (depth == REFERENCE_JSON_DEPTH)
		return false;
	reference_json_space(r);
	if (reference_json_is(r, end))
		return true;
	for (;;) {
		reference_json_space(r);
		if (object) {
			if (!reference_json_string(r, depth == 0 ? r->names + r->n_names : scratch) ||
			    (depth == 0 && !reference_json_new_name(r)))
				return false;
			reference_json_space(r);
			if (!reference_json_is(r, ":"))
				return false;
			reference_json_space(r);
		}
		if (!reference_json_value(r, depth + 1))
			return false;
		reference_json_space(r);
		if (reference_json_is(r, end))
			return true;
		if (!reference_json_is(r, ","))
			return false;
	}
}

/* Returns true for one object, which strict_json_parse() must accept. */
static inline bool reference_json(const uint8_t *data, size_t size)
{
	static struct reference_json r;

	r.at = r.n_names = 0;
	if (size > REFERENCE_JSON_MAX || !reference_json_decode(&r, data, size))
		return false;
	reference_json_space(&r);
	if (r.text[r.at] != '{' || !reference_json_value(&r, 0))
		return false;
	reference_json_space(&r);
	return r.text[r.at] == 0;
}

#endif
