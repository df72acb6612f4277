/* SPDX-License-Identifier: Apache-2.0
 *
 * URIs in HTTP (RFC 3986, RFC 9110 section 4, RFC 9112 section 3.2): request targets and their queries.
 * Pure: slices of the caller's buffer.
 */
#ifndef PROXXY_URI_H
#define PROXXY_URI_H

#include "lib/slice.h"

/* True for host [":" port] without a user, as a Host field has it: it may be empty. */
bool uri_is_authority(struct slice s);

/* Takes scheme and authority off a target in absolute-form, which servers must understand; one in origin-form stays
 * as it is. An empty path is "/", which cannot be written into the buffer: what is left may be empty, or begin with the
 * query. Returns 0, or ERR_REQUEST_MALFORMED for any other form, and for an authority without a host or with a user. */
int uri_to_origin_form(struct slice *target);

/* The path of an origin-form target, without the query. */
struct slice uri_path(struct slice target);

/* The first query parameter of that name, decoded as application/x-www-form-urlencoded, into buf,
 * NUL-terminated. Returns its length, 0 when it is absent or empty, ERR_REQUEST_MALFORMED for a broken
 * percent-escape or a NUL, ERR_REQUEST_TOO_LARGE when it does not fit. */
int uri_query(struct slice target, const char *name, char *buf, size_t size);

/* Percent-encodes text into buf, NUL-terminated, all but RFC 3986's unreserved characters.
 * Returns the length, or ERR_SYSTEM when it does not fit. */
int uri_percent_encode(const char *text, char *buf, size_t size);

#endif
