/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes text safe to print on a terminal: replaces the control characters that a terminal obeys.
 * These are C0, DEL and C1 (U+0080 to U+009F: ECMA-48 section 5.3; U+009B acts as ESC [).
 */
#ifndef PROXXY_TERMINAL_H
#define PROXXY_TERMINAL_H

#include <json-c/json_types.h>

/* Replaces each control character and each byte that is not UTF-8 with '?', in place. text is
 * NUL-terminated. Returns text. */
const char *terminal_clean(char *text);

/* Prints object as indented JSON on standard output. Escapes DEL and C1; json-c escapes C0. */
void terminal_print_json(struct json_object *object);

#endif
