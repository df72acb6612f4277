/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 heads (RFC 9112): the client's request, our answers, and Proxmox's answer to the
 * upgrade. Pure: (buffer, length) in, slices of that buffer out. Strict where leniency would let
 * two parsers disagree: CRLF only, no folding, no white space before a colon, no body.
 */
#ifndef PROXXY_HTTP_H
#define PROXXY_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "slice.h"

enum {
	HTTP_HEAD_MAX = 16 * 1024, /* bytes of a head; as much as nginx takes by default and more than browsers send */
	HTTP_FIELDS_MAX = 100,     /* header fields; Apache's limit */
};

/* Slices are of the buffer that was parsed. */
struct http_request {
	struct slice method, target;
	int minor; /* of HTTP/1.minor */
	bool upgrade; /* Upgrade lists websocket, and Connection lists upgrade (RFC 6455 section 4.2.1) */
	bool has_body; /* Content-Length above 0, or Transfer-Encoding */
	struct slice host, origin, ws_key, ws_version, ws_protocol; /* ws_protocol: the first field's value */
};

struct http_response {
	int status;
	struct slice reason; /* the reason phrase: Proxmox puts its error there */
	bool upgrade;        /* as in a request */
	struct slice ws_accept, ws_protocol;
	bool ws_extensions;  /* it has the field, whatever it says */
};

/* Each parses one head from buf[0..len).
 * Returns its size in bytes (what follows is no longer HTTP), 0 when more bytes are needed, or
 * ERR_REQUEST_MALFORMED, ERR_REQUEST_TOO_LARGE (over HTTP_HEAD_MAX or HTTP_FIELDS_MAX),
 * ERR_REQUEST_VERSION; for a response always ERR_UPSTREAM_ANSWER.
 * A request that is whole but may not be served is the caller's to refuse: see the fields. Its target is what
 * uri_to_origin_form() leaves when the method is GET. */
int http_parse_request(const char *buf, size_t len, struct http_request *ret_request);
int http_parse_response(const char *buf, size_t len, struct http_response *ret_response);

/* The subprotocol to answer with: "binary" when offered is a list that has it, else the first
 * token of the list (RFC 6455 section 4.2.2). at is NULL when nothing usable was offered. */
struct slice http_choose_protocol(struct slice offered);

/* Writes a whole answer to buf: status, the fields that every answer has, extra (lines that each
 * end in CRLF, or ""; a Content-Type or Connection among them replaces ours), and body. with_body false leaves the body away but not its length, for HEAD.
 * Returns the size, or ERR_SYSTEM when size is too small. */
int http_write_answer(char *buf, size_t size, int status, const char *extra, const char *body, bool with_body);

/* Writes the 101 of RFC 6455 section 4.2.2. protocol.at may be NULL. Returns as above. */
int http_write_upgrade(char *buf, size_t size, const char *accept, struct slice protocol);

#endif
