/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as RFC 8259 defines it, independent of json-c's version, with additions that a payload needs:
 * bounded nesting, strings without control characters, and a way to wipe it from memory. Pure.
 */
#ifndef PROXXY_STRICT_JSON_H
#define PROXXY_STRICT_JSON_H

#include <json-c/json_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STRICT_JSON_MAX = 16 * 1024, /* bytes of a text; no payload is longer */
	STRICT_JSON_DEPTH = 8,       /* nested objects and arrays; the schema needs 1, ignored members may need more */
};

/* Parses text[0..len), one object in UTF-8. Where RFC 8259 leaves a choice (sections 4, 8 and 9),
 * this refuses: two members of the object with the same name, a byte order mark, \u0000, and half
 * of a surrogate pair. In nested objects the last member of a name counts. Numbers may have any
 * size.
 * Returns NULL for any other text, or without memory. Free the result with strict_json_wipe(). */
struct json_object *strict_json_parse(const char *text, size_t len);

/* Overwrites every string of the object, which may be NULL, and frees it. */
void strict_json_wipe(struct json_object *object);

/* The member as a string, NUL-terminated and without controls (they would end a header line); NULL when there is
 * none, or not of that kind. */
const char *strict_json_string(struct json_object *object, const char *name, size_t *ret_len);

/* Copies such a string of at least 1 and at most size - 1 bytes to ret. Returns false, ret as it was, when there is none. */
bool strict_json_copy(struct json_object *object, const char *name, char *ret, size_t size);

/* The member as a whole number from 1 to max. JSON does not tell 100 from 100.0 or 1e2, so neither do we.
 * Returns 0 for anything else. */
int64_t strict_json_integer(struct json_object *object, const char *name, int64_t max);

/* Adds a member to an object that is being made. */
void strict_json_add_string(struct json_object *object, const char *name, const char *text);
void strict_json_add_integer(struct json_object *object, const char *name, int64_t number);

/* True when the member is there, null or not. */
bool strict_json_has(struct json_object *object, const char *name);

#endif
