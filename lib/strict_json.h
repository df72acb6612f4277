/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses JSON exactly as RFC 8259 defines it, whatever json-c's version accepts, and reads members
 * of the result. Adds what a payload needs: limited nesting, strings without control characters,
 * and wiping from memory. Pure.
 */
#ifndef PROXXY_STRICT_JSON_H
#define PROXXY_STRICT_JSON_H

#include <json-c/json_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STRICT_JSON_MAX = 16 * 1024, /* bytes of a text; no payload is longer */
	STRICT_JSON_DEPTH = 8,       /* nested objects and arrays; ours need 1, ignored members may need more */
};

/* Parses text[0..len), which must be one object in UTF-8. Where RFC 8259 leaves a choice (sections
 * 4, 8 and 9), this function does not accept: two members of the object with the same name, a byte
 * order mark, \u0000, and half of a surrogate pair. In nested objects the last member with a name
 * counts. Numbers may have any size.
 * Returns the object, which the caller frees with strict_json_wipe(). Returns NULL for any other
 * text, or without memory. */
struct json_object *strict_json_parse(const char *text, size_t len);

/* Does the same with a text of up to max bytes. */
struct json_object *strict_json_parse_up_to(size_t max, const char *text, size_t len);

/* Overwrites every string in object and frees it. object may be NULL. */
void strict_json_wipe(struct json_object *object);

/* In the functions below object may be NULL, which has no members. */

/* Returns the member name as a NUL-terminated string, which object owns, and its length in
 * *ret_len.
 * Returns NULL if the member is missing, is no string, or has a control character: one could end a
 * header line. */
const char *strict_json_string(struct json_object *object, const char *name, size_t *ret_len);

/* Copies that string to ret, which has room for size bytes. Returns false if strict_json_string()
 * returns NULL, or if the string is empty or too long; ret is then unchanged. */
bool strict_json_copy(struct json_object *object, const char *name, char *ret, size_t size);

/* Returns the member as a whole number from 1 to max, or 0 for any other value. 100.0 and 1e2 count
 * as whole numbers, because JSON does not distinguish them from 100. */
int64_t strict_json_integer(struct json_object *object, const char *name, int64_t max);

/* Does the same, and accepts a string of decimal digits too: Proxmox writes some numbers so. */
int64_t strict_json_number(struct json_object *object, const char *name, int64_t max);

/* Returns the member if it is an object, else NULL. It belongs to object. */
struct json_object *strict_json_object(struct json_object *object, const char *name);

/* Returns true if the member exists, even if it is null. */
bool strict_json_has(struct json_object *object, const char *name);

/* Adds a member to object, which must not be NULL. */
void strict_json_add_string(struct json_object *object, const char *name, const char *text);
void strict_json_add_integer(struct json_object *object, const char *name, int64_t number);

#endif
