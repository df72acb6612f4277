/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses JSON: a recursive descent over the grammar of RFC 8259. json-c only stores the values,
 * because its versions differ in the texts that they accept.
 */
#include "lib/strict_json.h"

#include <errno.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hex.h"

struct reader {
	const char *at, *end; /* the text that is not parsed yet */
	char *decoded;        /* buffer for the next string with its NUL; never longer than its quoted text */
	int depth;            /* open arrays and objects */
};

static bool read_value(struct reader *r, json_object **ret_value);

/* --- characters --------------------------------------------------------------------------- */

static void skip_whitespace(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static bool take(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool take_word(struct reader *r, const char *word)
{
	const size_t len = strlen(word);

	if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* Parses one digit or more. */
static bool take_digits(struct reader *r)
{
	const char *first = r->at;

	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > first;
}

/* --- strings ------------------------------------------------------------------------------ */

/* Parses a character of 2 to 4 bytes as RFC 3629 defines it: shortest form, no surrogate, up to
 * U+10FFFF. */
static bool copy_utf8(struct reader *r)
{
	const uint8_t first = (uint8_t)*r->at;
	const int more = first < 0xC2 || first > 0xF4 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
	const uint8_t second_min = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	const uint8_t second_max = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;

	if (more == 0 || r->end - r->at <= more)
		return false;
	for (int i = 1; i <= more; i++) {
		const uint8_t byte = (uint8_t)r->at[i];

		if (byte < (i == 1 ? second_min : 0x80) || byte > (i == 1 ? second_max : 0xBF))
			return false;
	}
	memcpy(r->decoded, r->at, (size_t)more + 1);
	r->decoded += more + 1;
	r->at += more + 1;
	return true;
}

/* Parses four hexadecimal digits. Returns a UTF-16 unit, or -1. */
static int read_unit(struct reader *r)
{
	int unit = 0;

	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		const int digit = hex_digit(*r->at++);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* Parses the part after \u: a character of one or two UTF-16 units. Does not accept NUL: json-c
 * ends a member's name there, so "vmid\u0000" would become vmid. */
static bool read_unicode(struct reader *r)
{
	static const uint8_t marks[] = { 0, 0xC0, 0xE0, 0xF0 }; /* the first byte's, by how many follow */
	int32_t c = read_unit(r), more;

	if (c >= 0xD800 && c <= 0xDBFF) {
		int32_t low = take_word(r, "\\u") ? read_unit(r) : -1;

		if (low < 0xDC00 || low > 0xDFFF)
			return false;
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
	} else if (c <= 0 || (c >= 0xDC00 && c <= 0xDFFF)) {
		return false;
	}
	more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	*r->decoded++ = (char)(marks[more] | c >> 6 * more);
	while (more-- > 0)
		*r->decoded++ = (char)(0x80 | (c >> 6 * more & 0x3F));
	return true;
}

static bool read_escape(struct reader *r)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	const char *name;

	if (r->at == r->end)
		return false;
	if (take(r, 'u'))
		return read_unicode(r);
	name = memchr(names, *r->at++, sizeof(names) - 1);
	if (!name)
		return false;
	*r->decoded++ = meanings[name - names];
	return true;
}

/* Parses a string. Returns it, NUL-terminated, or NULL. */
static const char *read_string(struct reader *r, size_t *ret_len)
{
	const char *string = r->decoded;

	if (!take(r, '"'))
		return NULL;
	while (!take(r, '"')) {
		bool good;

		if (r->at == r->end || (uint8_t)*r->at < 0x20)
			return NULL;
		if (take(r, '\\')) {
			good = read_escape(r);
		} else if ((uint8_t)*r->at < 0x80) {
			*r->decoded++ = *r->at++;
			good = true;
		} else {
			good = copy_utf8(r);
		}
		if (!good)
			return NULL;
	}
	*ret_len = (size_t)(r->decoded - string);
	*r->decoded++ = '\0';
	return string;
}

/* --- values ------------------------------------------------------------------------------- */

/* Stores a new value. Returns false if it is NULL, which means out of memory. */
static bool set_value(json_object *value, json_object **ret_value)
{
	*ret_value = value;
	return value != NULL;
}

static bool read_string_value(struct reader *r, json_object **ret_value)
{
	size_t len;
	const char *string = read_string(r, &len);

	return string && set_value(json_object_new_string_len(string, (int)len), ret_value);
}

/* Parses a number. One that is not a 64-bit integer keeps its text, so that json-c prints it
 * unchanged when the object is sealed. As a double it may be infinite. */
static bool read_number(struct reader *r, json_object **ret_value)
{
	const char *first = r->at;
	bool whole = true, good = false;
	char *text;

	take(r, '-');
	if (!take(r, '0') && !take_digits(r))
		return false;
	if (take(r, '.')) {
		whole = false;
		if (!take_digits(r))
			return false;
	}
	if (take(r, 'e') || take(r, 'E')) {
		whole = false;
		if (!take(r, '+'))
			take(r, '-');
		if (!take_digits(r))
			return false;
	}
	text = strndup(first, (size_t)(r->at - first));
	if (!text)
		return false;
	errno = 0;
	if (whole) {
		const int64_t number = strtoll(text, NULL, 10);

		whole = errno == 0;
		good = whole && set_value(json_object_new_int64(number), ret_value);
	}
	if (!whole)
		good = set_value(json_object_new_double_s(strtod(text, NULL), text), ret_value);
	free(text);
	return good;
}

static bool read_element(struct reader *r, json_object *array)
{
	json_object *value;

	if (!read_value(r, &value))
		return false;
	if (json_object_array_add(array, value) == 0)
		return true;
	strict_json_wipe(value);
	return false;
}

static bool read_member(struct reader *r, json_object *object)
{
	json_object *value, *before;
	size_t len;
	const char *name;

	skip_whitespace(r);
	name = read_string(r, &len);
	if (!name)
		return false;
	if (json_object_object_get_ex(object, name, &before)) {
		if (r->depth == 1)
			return false;
		strict_json_wipe(json_object_get(before)); /* the last member counts */
	}
	skip_whitespace(r);
	if (!take(r, ':') || !read_value(r, &value))
		return false;
	if (json_object_object_add(object, name, value) == 0)
		return true;
	strict_json_wipe(value);
	return false;
}

/* Parses the part after an opening bracket, up to and including the closing one. */
static bool read_rest(struct reader *r, char closing, json_object *container,
		      bool (*read_one)(struct reader *, json_object *))
{
	bool good = container && ++r->depth <= STRICT_JSON_DEPTH;

	skip_whitespace(r);
	if (good && !take(r, closing)) {
		do {
			good = read_one(r, container);
			skip_whitespace(r);
		} while (good && take(r, ','));
		good = good && take(r, closing);
	}
	r->depth--;
	return good;
}

static bool read_value(struct reader *r, json_object **ret_value)
{
	json_object *value = NULL;
	bool good;

	skip_whitespace(r);
	if (r->at == r->end)
		return false;
	switch (*r->at) {
	case '{':
		r->at++;
		value = json_object_new_object();
		good = read_rest(r, '}', value, read_member);
		break;
	case '[':
		r->at++;
		value = json_object_new_array();
		good = read_rest(r, ']', value, read_element);
		break;
	case '"':
		good = read_string_value(r, &value);
		break;
	case 't':
		good = take_word(r, "true") && set_value(json_object_new_boolean(true), &value);
		break;
	case 'f':
		good = take_word(r, "false") && set_value(json_object_new_boolean(false), &value);
		break;
	case 'n':
		good = take_word(r, "null");
		break;
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		good = read_number(r, &value);
		break;
	default:
		good = false;
	}
	if (good)
		*ret_value = value;
	else
		strict_json_wipe(value);
	return good;
}

json_object *strict_json_parse(const char *text, size_t len)
{
	return strict_json_parse_up_to(STRICT_JSON_MAX, text, len);
}

json_object *strict_json_parse_up_to(size_t max, const char *text, size_t len)
{
	struct reader r = { .at = text, .end = text + len };
	json_object *value = NULL;
	char *room;
	bool good;

	if (len == 0 || len > max)
		return NULL;
	room = malloc(len);
	if (!room)
		return NULL;
	r.decoded = room;
	good = read_value(&r, &value);
	skip_whitespace(&r);
	OPENSSL_cleanse(room, len);
	free(room);
	if (good && r.at == r.end && json_object_is_type(value, json_type_object))
		return value;
	strict_json_wipe(value);
	return NULL;
}
