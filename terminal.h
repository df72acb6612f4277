/* SPDX-License-Identifier: Apache-2.0
 *
 * What a terminal may be sent: text, and none of the controls that it obeys. Those are C0 and DEL, and C1 (U+0080 to
 * U+009F: ECMA-48 section 5.3), of which U+009B does what ESC [ does.
 */
#ifndef PROXXY_TERMINAL_H
#define PROXXY_TERMINAL_H

#include <json-c/json_types.h>

/* Replaces in text, NUL-terminated, each control and each byte that is not UTF-8 by '?', in place. Returns text. */
const char *terminal_clean(char *text);

/* Prints an object as JSON, indented, on standard output, DEL and C1 escaped as json-c escapes C0. */
void terminal_print_json(struct json_object *object);

#endif
