/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, adds and wipes members of a JSON object. strict_json_parse() is in strict_json_parse.c.
 */
#include "lib/strict_json.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <string.h>

static void wipe_strings(json_object *object)
{
	if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach (object, name, member) {
			(void)name;
			wipe_strings(member);
		}
	} else if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++)
			wipe_strings(json_object_array_get_idx(object, i));
	} else if (json_object_is_type(object, json_type_string)) {
		/* The string belongs to the object, which is freed next. */
		OPENSSL_cleanse((char *)(uintptr_t)json_object_get_string(object),
				(size_t)json_object_get_string_len(object));
	}
}

void strict_json_wipe(json_object *object)
{
	wipe_strings(object);
	json_object_put(object);
}

const char *strict_json_string(json_object *object, const char *name, size_t *ret_len)
{
	json_object *member;
	const char *text;
	size_t len;

	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return NULL;
	text = json_object_get_string(member);
	len = (size_t)json_object_get_string_len(member);
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7F)
			return NULL;
	*ret_len = len;
	return text;
}

bool strict_json_copy(json_object *object, const char *name, char *ret, size_t size)
{
	size_t len;
	const char *text = strict_json_string(object, name, &len);

	if (!text || len == 0 || len >= size)
		return false;
	memcpy(ret, text, len + 1);
	return true;
}

int64_t strict_json_integer(json_object *object, const char *name, int64_t max)
{
	json_object *member;

	if (!json_object_object_get_ex(object, name, &member))
		return 0;
	if (json_object_is_type(member, json_type_int)) {
		int64_t value = json_object_get_int64(member);

		return value >= 1 && value <= max ? value : 0;
	}
	if (json_object_is_type(member, json_type_double)) {
		double value = json_object_get_double(member);

		/* 2^63 fits into a double, but not into int64_t. */
		return value >= 1 && value < 0x1p63 && (int64_t)value <= max && value == (double)(int64_t)value ?
			       (int64_t)value :
			       0;
	}
	return 0;
}

int64_t strict_json_number(json_object *object, const char *name, int64_t max)
{
	size_t len;
	const char *text = strict_json_string(object, name, &len);
	int64_t value = 0;

	if (!text)
		return strict_json_integer(object, name, max);
	for (size_t i = 0; i < len; i++) {
		const int digit = text[i] - '0';

		if (digit < 0 || digit > 9 || value > (max - digit) / 10)
			return 0;
		value = value * 10 + digit;
	}
	return value;
}

json_object *strict_json_object(json_object *object, const char *name)
{
	json_object *member;

	return json_object_object_get_ex(object, name, &member) && json_object_is_type(member, json_type_object) ?
		       member :
		       NULL;
}

bool strict_json_has(json_object *object, const char *name)
{
	return json_object_object_get_ex(object, name, NULL);
}

void strict_json_add_string(struct json_object *object, const char *name, const char *text)
{
	json_object_object_add(object, name, json_object_new_string(text));
}

void strict_json_add_integer(struct json_object *object, const char *name, int64_t number)
{
	json_object_object_add(object, name, json_object_new_int64(number));
}
