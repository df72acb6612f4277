/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens and comma-separated lists in the values of header fields (RFC 9110 section 5.6). Pure.
 */
#ifndef PROXXY_HTTP_LIST_H
#define PROXXY_HTTP_LIST_H

#include <stdbool.h>

#include "lib/slice.h"

/* True for a character of a token (section 5.6.2). */
bool http_is_tchar(char c);

/* True for a token: at least one such character, and no other. */
bool http_is_token(struct slice s);

/* Returns s without the spaces and tabs around it. */
struct slice http_trim(struct slice s);

/* Moves *list behind its next element, and returns that element, trimmed, in *ret_element. Returns
 * false at the end of the list. */
bool http_list_next(struct slice *list, struct slice *ret_element);

/* True if the list has the token, in any case. */
bool http_list_has(struct slice list, const char *token);

#endif
