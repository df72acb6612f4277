/* SPDX-License-Identifier: Apache-2.0
 *
 * Replaces control characters in text, and prints JSON with them escaped.
 */
#include "lib/terminal.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ws.h"

/* Returns the length of the UTF-8 character at the beginning of at, or 0. */
static size_t character(const char *at)
{
	const uint8_t first = (uint8_t)*at;
	const size_t len = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;

	return strnlen(at, len) == len && ws_utf8_valid((const uint8_t *)at, len) ? len : 0;
}

static bool is_c1(const char *at, size_t len)
{
	return len == 2 && (uint8_t)at[0] == 0xC2 && (uint8_t)at[1] < 0xA0;
}

const char *terminal_clean(char *text)
{
	const char *const cleaned = text;
	char *to = text;

	while (*text) {
		const size_t len = character(text);

		if (len == 0 || is_c1(text, len) || (len == 1 && ((uint8_t)*text < ' ' || *text == 0x7F))) {
			*to++ = '?';
			text += len ? len : 1;
			continue;
		}
		memmove(to, text, len);
		to += len;
		text += len;
	}
	*to = '\0';
	return cleaned;
}

void terminal_print_json(struct json_object *object)
{
	const char *json =
		json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

	for (; json && *json; json++) {
		const bool c1 = is_c1(json, strnlen(json, 2));

		/* These characters occur only inside strings. */
		if (c1 || *json == 0x7F)
			printf("\\u%04x", (unsigned)(uint8_t)json[c1]);
		else
			putchar(*json);
		json += c1;
	}
	putchar('\n');
}
