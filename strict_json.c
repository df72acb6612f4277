/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict JSON, see strict_json.h.
 */
#include "strict_json.h"

#include <json-c/json.h>
#include <json-c/printbuf.h>
#include <openssl/crypto.h>
#include <string.h>

/* json-c keeps the token that it is at in a buffer of its own, grows it by moving, and frees it as it is. So it gets
 * its full size at once, and is wiped before it goes. */
static json_tokener *new_tokener(size_t len)
{
	json_tokener *tokener = json_tokener_new_ex(STRICT_JSON_DEPTH);

	if (!tokener)
		return NULL;
	if (printbuf_memset(tokener->pb, 0, 0, (int)len + 1) < 0) {
		json_tokener_free(tokener);
		return NULL;
	}
	printbuf_reset(tokener->pb);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	return tokener;
}

static void free_tokener(json_tokener *tokener)
{
	OPENSSL_cleanse(tokener->pb->buf, (size_t)tokener->pb->size);
	json_tokener_free(tokener);
}

/* Members of the outermost object, each as often as it comes: json-c keeps the last of those with one name. Counts the
 * colons outside strings at depth 1. Of text that is no JSON the count is any, or -1. */
static int count_members(const char *text, size_t len)
{
	int depth = 0, n = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		else if (in_string)
			continue;
		else if (text[i] == '\'')
			return -1; /* json-c takes names in such quotes; JSON has none */
		else if (text[i] == '{' || text[i] == '[')
			depth++;
		else if (text[i] == '}' || text[i] == ']')
			depth--;
		else if (text[i] == ':' && depth == 1)
			n++;
	}
	return n;
}

json_object *strict_json_parse(const char *text, size_t len)
{
	json_tokener *tokener;
	json_object *object;
	bool whole;

	if (len == 0 || len > STRICT_JSON_MAX)
		return NULL;
	/* json-c cuts a member's name off at a NUL, so that "vmid\u0000" would be vmid. */
	if (memmem(text, len, "\\u0000", 6))
		return NULL;
	tokener = new_tokener(len);
	if (!tokener)
		return NULL;
	object = json_tokener_parse_ex(tokener, text, (int)len);
	whole = json_tokener_get_error(tokener) == json_tokener_success && json_tokener_get_parse_end(tokener) == len;
	free_tokener(tokener);
	if (whole && json_object_is_type(object, json_type_object) &&
	    json_object_object_length(object) == count_members(text, len))
		return object;
	strict_json_wipe(object);
	return NULL;
}

static void wipe_strings(json_object *object)
{
	if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, name, member) {
			(void)name;
			wipe_strings(member);
		}
	} else if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++)
			wipe_strings(json_object_array_get_idx(object, i));
	} else if (json_object_is_type(object, json_type_string)) {
		/* The string belongs to the object, which dies right after. */
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

		return value >= 1 && value <= (double)max && value == (double)(int64_t)value ? (int64_t)value : 0;
	}
	return 0;
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
