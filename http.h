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
	/* Bytes of a head that is parsed: the request line with the fields that are read, or a
	 * response. A payload with a CA in it has some 12 KiB in its URL. */
	HTTP_HEAD_MAX = 16 * 1024,
	/* Bytes of a request's head as it comes, and so of one line of it that is not read: a
	 * panel's cookies reach 16 KiB and more; no browser sends half as much. */
	HTTP_REQUEST_MAX = 64 * 1024,
	HTTP_FIELDS_MAX = 100, /* header fields, read or not; Apache's limit */
	HTTP_NAME_MAX = 256,   /* bytes of a request field's name; registered ones have at most 50 */
};

/* Slices are of the buffer that was parsed. */
struct http_request {
	struct slice method, target;
	int minor; /* of HTTP/1.minor */
	/* A GET whose Upgrade lists websocket, whatever its version and Connection say. RFC 6455
	 * section 4.2.1 asks for HTTP/1.1 and Connection: Upgrade, but nginx without
	 * proxy_http_version asks with HTTP/1.0, and without a line for Connection says "close",
	 * while both pass the 101 on. The two are there so that whoever knows no Upgrade does
	 * not pass one on. Nothing is lost by doing without: the connection ends with us
	 * whatever the answer, no second request is ever read from it, and behind a 101 no
	 * method's letter begins a frame (each has bit 0x40, RSV1). */
	bool upgrade;
	bool has_body; /* Content-Length above 0, or Transfer-Encoding */
	struct slice host, origin, ws_key, ws_version;
	struct slice ws_protocol; /* what http_choose_protocol() chose of all that were offered */
};

/* A request's head while it comes. Begins as all zero. */
struct http_reader {
	size_t kept;    /* bytes of the buffer that are whole lines, and stay */
	size_t checked; /* bytes of the line behind them that were looked at */
	size_t passed;  /* bytes of the head that were dropped */
	int fields;
	bool dropping;  /* the line's beginning was dropped */
};

struct http_response {
	int status;
	struct slice reason; /* the reason phrase: Proxmox puts its error there */
	bool upgrade;        /* Upgrade lists websocket, and Connection lists upgrade */
	struct slice ws_accept, ws_protocol;
	bool ws_extensions;  /* it has the field, whatever it says */
};

/* Each parses one head from buf[0..len).
 * Returns its size in bytes (what follows is no longer HTTP), 0 when more bytes are needed, or
 * ERR_REQUEST_MALFORMED, ERR_REQUEST_TOO_LARGE (over HTTP_HEAD_MAX or HTTP_FIELDS_MAX),
 * ERR_REQUEST_VERSION; for a response always ERR_UPSTREAM_ANSWER.
 * A request that is whole but may not be served is the caller's to refuse: see the fields. Its target is what
 * uri_to_origin_form() leaves when the method is GET or HEAD. */
int http_parse_request(const char *buf, size_t len, struct http_request *ret_request);
int http_parse_response(const char *buf, size_t len, struct http_response *ret_response);

/* The same for a request that is read piece by piece into buf, to be called whenever *len has
 * grown. Field lines that http_request does not need are checked as all are, and taken out of
 * buf while they come, so that HTTP_REQUEST_MAX bytes of head need no more room than
 * HTTP_HEAD_MAX and one read: *len becomes smaller. Each byte is looked at twice at most,
 * however small the pieces.
 * Returns as http_parse_request(); the size is then that of what is left of the head in buf. A
 * fault is found with the line that it is in, at the latest. */
int http_read_request(struct http_reader *reader, char *buf, size_t *len, struct http_request *ret_request);

/* The subprotocol to answer with: "binary" when one of the lists has it, else the first token of
 * the first list (RFC 6455 section 4.2.2; several fields are one list, section 11.3.4). before
 * is what was chosen from the lists before, at being NULL when nothing usable was offered, and
 * so is what is returned. */
struct slice http_choose_protocol(struct slice before, struct slice offered);

/* Writes a whole answer to buf: status, the fields that every answer has, extra (lines that each
 * end in CRLF, or ""; a Content-Type or Connection among them replaces ours), and body.
 * with_body false leaves the body away but not its length, for HEAD. An answer of 204 has
 * neither body nor length (RFC 9110 section 8.6).
 * Returns the size, or ERR_SYSTEM when size is too small. */
int http_write_answer(char *buf, size_t size, int status, const char *extra, const char *body, bool with_body);

/* Writes the 101 of RFC 6455 section 4.2.2. protocol.at may be NULL. Returns as above. */
int http_write_upgrade(char *buf, size_t size, const char *accept, struct slice protocol);

#endif
