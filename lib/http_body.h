/* SPDX-License-Identifier: Apache-2.0
 *
 * Decodes the body of an HTTP/1.1 response piece by piece, with the framing that its head gives
 * (RFC 9112 sections 6 and 7). Pure: it copies nothing and keeps only numbers. As strict as http.h:
 * lines end in CRLF only.
 */
#ifndef PROXXY_HTTP_BODY_H
#define PROXXY_HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/http.h"

enum {
	HTTP_CHUNK_LINE_MAX = 256, /* bytes of a line with a chunk's size; extensions are skipped */
	HTTP_CHUNK_DIGITS_MAX = 8, /* hexadecimal digits of a chunk's size */
	HTTP_TRAILER_MAX = 1024,   /* bytes of the fields after the last chunk, which are skipped */
};

/* Where in a body the decoder is. */
enum http_body_state {
	BODY_CONTENT,
	BODY_SIZE,      /* in a chunk's size */
	BODY_EXTENSION, /* in the rest of its line */
	BODY_SIZE_LF,
	BODY_CHUNK_CR, /* after a chunk's content */
	BODY_CHUNK_LF,
	BODY_TRAILER_START, /* at the start of a line after the last chunk */
	BODY_TRAILER,
	BODY_TRAILER_LF,
	BODY_END_LF, /* in the empty line at the end */
	BODY_DONE,
};

/* The state between two pieces. Only http_body.c uses the members. */
struct http_body {
	enum http_framing framing;
	enum http_body_state state;
	uint64_t left;     /* bytes of the content, or of the chunk, that have not come yet */
	size_t line;       /* bytes of the current line, or of all trailers */
	unsigned n_digits; /* of the chunk's size */
};

/* Prepares *body for the body of the response r. */
void http_body_begin(struct http_body *body, const struct http_response *r);

/* Decodes the start of buf[0..len). Sets *ret_used to how many bytes it took, and *ret_content to
 * the content in them, which may be empty. It may take fewer than len bytes: call it again with the
 * rest until it has taken all of them or is done.
 * Returns 1 when the body is complete, 0 if it needs more bytes, or ERR_UPSTREAM_ANSWER. */
int http_body_decode(struct http_body *body, const char *buf, size_t len, size_t *ret_used, struct slice *ret_content);

#endif
