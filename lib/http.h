/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses and writes HTTP/1.1 heads (RFC 9112): the client's request, our answers, and Proxmox's
 * answers. http_body.h decodes an answer's body. Pure: slices are parts of the caller's buffer. It
 * is strict where a lenient parser could disagree with the front proxy's: lines end in CRLF only,
 * no folding, no white space before a colon, no request with a body.
 */
#ifndef PROXXY_HTTP_H
#define PROXXY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/slice.h"

enum {
	/* Bytes of a response's head, or of a request's first line and the fields that are kept. A
	 * payload with a CA makes a URL of about 12 KiB. */
	HTTP_HEAD_MAX = 16 * 1024,
	/* Bytes of a request's whole head, including the fields that are dropped. A panel's cookies
	 * can exceed 16 KiB; browsers send less than half of this limit. */
	HTTP_REQUEST_MAX = 64 * 1024,
	HTTP_FIELDS_MAX = 100, /* header fields, including dropped ones; Apache's limit */
	HTTP_NAME_MAX = 256,   /* bytes of a request field's name; registered ones have at most 50 */
	HTTP_EXTRA_MAX = 8,    /* fields of the caller's choice; proxies in a row add at most one each */
};

/* Slices are parts of the buffer that was parsed. */
struct http_request {
	struct slice method, target;
	int minor; /* of HTTP/1.minor */
	/* A GET whose Upgrade lists websocket. HTTP version and Connection are not checked. RFC
	 * 6455 section 4.2.1 requires HTTP/1.1 and Connection: Upgrade. But nginx sends HTTP/1.0
	 * if proxy_http_version is not set, and "Connection: close" if that field is not set, and
	 * still forwards the 101. The two requirements keep a proxy that does not know Upgrade
	 * from forwarding one. Dropping them is safe here: we read only one request from a
	 * connection and then close it, and after a 101 the first letter of a method cannot begin
	 * a valid frame (it has bit 0x40, which is RSV1). */
	bool upgrade;
	bool has_body; /* Content-Length above 0, or Transfer-Encoding */
	struct slice host, origin, ws_key, ws_version;
	/* Of all subprotocols that the client offers, see http_add_protocols(). */
	struct slice ws_protocol; /* the one for the answer */
	struct slice ws_payload;  /* the payload in the last one that has a payload; it may be empty */
	size_t n_ws_payloads;     /* how many have a payload */
	struct slice payload;     /* Proxxy-Payload */
	/* The values of all fields with struct http_reader's name, in their order, and how many
	 * there are: those after the HTTP_EXTRA_MAX first ones are counted, but not stored. */
	struct slice extra[HTTP_EXTRA_MAX];
	size_t n_extra;
	/* Of requests to proxxy-status: Proxxy-Action, Sec-Fetch-Site and Remote-User. */
	struct slice action, fetch_site, remote_user;
};

/* A subprotocol that begins with this carries a payload in the rest of its name. Unlike the URL,
 * few proxies log it. */
#define HTTP_PAYLOAD_PROTOCOL "proxxy.payload."

/* The state of http_read_request() between two calls. Starts as all zero, except for extra. */
struct http_reader {
	const char *extra; /* name of one more field that the caller needs, or NULL */
	size_t kept;       /* bytes of whole lines at the start of the buffer that are kept */
	size_t checked;    /* bytes checked of the line after them */
	size_t dropped;    /* bytes of the head that were dropped */
	int fields;
	bool dropping; /* the start of the current line was dropped */
};

/* How the end of a response's body is found (RFC 9112 section 6.3). */
enum http_framing {
	HTTP_NO_BODY,     /* by its status: 1xx, 204, 304 */
	HTTP_LENGTH,      /* Content-Length */
	HTTP_CHUNKED,     /* Transfer-Encoding: chunked */
	HTTP_UNTIL_CLOSE, /* neither: the end of the connection ends it */
};

struct http_response {
	int status;
	struct slice reason; /* the reason phrase: Proxmox puts its error there */
	enum http_framing framing;
	uint64_t length; /* of the body in bytes, with HTTP_LENGTH */
	/* The connection ends after this response: Connection: close, HTTP/1.0, HTTP_UNTIL_CLOSE.
	 * But keep-alive counts more than close: pveproxy adds it to the close of pvedaemon's
	 * answer. */
	bool close;
	bool upgrade; /* Upgrade lists websocket, and Connection lists upgrade */
	struct slice ws_accept, ws_protocol;
	bool ws_extensions; /* it has Sec-WebSocket-Extensions, with any value */
};

/* Parses the request head at the start of buf[0..len). The target of a GET or HEAD is converted by
 * uri_to_origin_form(). The caller checks whether the request can be served: method, upgrade,
 * has_body.
 * Returns the head's size in bytes, or 0 if it needs more bytes. Otherwise returns
 * ERR_REQUEST_MALFORMED, ERR_REQUEST_VERSION, or ERR_REQUEST_TOO_LARGE (over HTTP_HEAD_MAX or
 * HTTP_FIELDS_MAX). */
int http_parse_request(const char *buf, size_t len, struct http_request *ret_request);

/* Parses the response head at the start of buf[0..len). Rejects what two parsers could read as
 * bodies of different lengths: Content-Length with Transfer-Encoding, different lengths, a list of
 * lengths, any transfer coding but chunked alone, and Transfer-Encoding in HTTP/1.0.
 * Returns the head's size in bytes, 0 if it needs more bytes, or ERR_UPSTREAM_ANSWER. */
int http_parse_response(const char *buf, size_t len, struct http_response *ret_response);

/* Parses a request that the caller reads piece by piece into buf. Call it whenever *len has grown.
 * It checks every field line, and removes from buf those that struct http_request does not need;
 * *len shrinks accordingly. So a head of HTTP_REQUEST_MAX bytes needs only HTTP_HEAD_MAX bytes plus
 * one read. It looks at each byte at most twice, however small the pieces.
 * Returns as http_parse_request() does; the size is that of the part of the head that is left in
 * buf. It reports an error at the end of the malformed line or earlier. */
int http_read_request(struct http_reader *reader, char *buf, size_t *len, struct http_request *ret_request);

/* Adds the subprotocols in offered, the value of a Sec-WebSocket-Protocol field, to the request's.
 * For the answer it chooses "binary" if it is offered, else the first token of all fields (RFC 6455
 * section 4.2.2; several fields count as one list, section 11.3.4). It never chooses a name that
 * carries a payload: the answer does not repeat a payload. */
void http_add_protocols(struct http_request *request, struct slice offered);

/* Writes a whole answer to buf, which has room for size bytes: status, the fields that every answer
 * has, extra and body. extra is "" or lines that each end in CRLF; a Content-Type or Connection in
 * it replaces ours. For HEAD, with_body is false: the body is omitted, its Content-Length is not. A
 * 204 has neither (RFC 9110 section 8.6).
 * Returns the size in bytes, or ERR_SYSTEM if buf is too small. */
int http_write_answer(char *buf, size_t size, int status, const char *extra, const char *body, bool with_body);

/* Writes the 101 answer to an upgrade (RFC 6455 section 4.2.2). accept is ws_accept()'s result. If
 * protocol.at is NULL, the answer has no Sec-WebSocket-Protocol.
 * Returns the size in bytes, or ERR_SYSTEM if buf is too small. */
int http_write_upgrade(char *buf, size_t size, const char *accept, struct slice protocol);

#endif
