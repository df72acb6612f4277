/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses request targets and their queries, and percent-encodes text (RFC 3986, RFC 9110 section 4,
 * RFC 9112 section 3.2). Pure: slices are parts of the caller's buffer.
 */
#ifndef PROXXY_URI_H
#define PROXXY_URI_H

#include "lib/slice.h"

/* Returns true if s is host [":" port] without user information, the format of a Host field (RFC
 * 9110 section 7.2). s may be empty. */
bool uri_is_authority(struct slice s);

/* Converts *target to origin-form: removes scheme and authority from a target in absolute-form,
 * which servers must accept (RFC 9112 section 3.2.2). A target in origin-form stays as it is. An
 * empty path means "/", but the result cannot say so, as it is part of the caller's buffer: it may
 * be empty, or begin with the query.
 * Returns 0, or ERR_REQUEST_MALFORMED for any other form, and for an authority without a host or
 * with user information. */
int uri_to_origin_form(struct slice *target);

/* Returns the path of a target in origin-form: the part before the query. */
struct slice uri_path(struct slice target);

/* Finds the first query parameter called name in a target in origin-form. Decodes its value
 * (application/x-www-form-urlencoded) to buf, which has room for size bytes, NUL-terminated.
 * Returns the value's length, or 0 if it is missing or empty. Returns ERR_REQUEST_MALFORMED for an
 * invalid percent-escape or a NUL, or ERR_REQUEST_TOO_LARGE if buf is too small. */
int uri_query(struct slice target, const char *name, char *buf, size_t size);

/* Percent-encodes text to buf, which has room for size bytes, NUL-terminated. Only the unreserved
 * characters (RFC 3986 section 2.3) stay as they are.
 * Returns the length, or ERR_SYSTEM if buf is too small. */
int uri_percent_encode(const char *text, char *buf, size_t size);

/* Appends before and value to text, which has room for size bytes, NUL-terminated; value as
 * uri_percent_encode() does. Returns false if there is no room: text may then end with a part. */
bool uri_append(char *text, size_t size, const char *before, const char *value);

/* Returns true if the URL ends with the name of an HTML file, so that it cannot be the directory of
 * the console pages. */
bool uri_names_a_page(const char *url);

#endif
