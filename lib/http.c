/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses HTTP/1.1 request and response heads.
 */
#include "lib/http.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/error.h"
#include "lib/http_list.h"
#include "lib/uri.h"

#define LITERAL(s) s, sizeof(s) - 1

enum { LENGTH_DIGITS_MAX = 15 }; /* of a response's Content-Length: no sum of two overflows */

/* Finds the end of the line at *at. Returns 1 and moves *at behind its CRLF, 0 if it needs more
 * bytes, or -1 if the line has a control character, which includes a single CR or LF. */
static int next_line(const char **at, const char *end, struct slice *ret_line)
{
	for (const char *p = *at; p < end; p++) {
		uint8_t c = (uint8_t)*p;

		if (c == '\r') {
			if (p + 1 == end)
				return 0;
			if (p[1] != '\n')
				return -1;
			*ret_line = (struct slice){ *at, (size_t)(p - *at) };
			*at = p + 2;
			return 1;
		}
		if ((c < 0x20 && c != '\t') || c == 0x7F)
			return -1;
	}
	return 0;
}

struct field {
	struct slice name, value;
};

/* Splits a field line (RFC 9112 section 5.1). Returns false if it has no valid name and colon, as
 * in a folded line (obs-fold), which begins with white space. */
static bool parse_field(struct slice line, struct field *ret)
{
	const char *colon = memchr(line.at, ':', line.len);

	if (!colon)
		return false;
	ret->name = (struct slice){ line.at, (size_t)(colon - line.at) };
	ret->value = http_trim((struct slice){ colon + 1, line.len - ret->name.len - 1 });
	return http_is_token(ret->name);
}

/* Stores the value of a field that may occur only once. Returns false the second time. */
static bool set_once(struct slice *ret, struct slice value)
{
	if (ret->at)
		return false;
	*ret = value;
	return true;
}

/* Parses the fields after the first line, and calls take for each. Returns as
 * http_parse_request(). */
static int parse_fields(const char *buf, const char *at, const char *end, bool (*take)(const struct field *, void *),
			void *context)
{
	for (int n = 0;; n++) {
		struct slice line;
		struct field field;
		int rc = next_line(&at, end, &line);

		if (rc < 0)
			return ERR_REQUEST_MALFORMED;
		if (rc == 0)
			return end - buf >= HTTP_HEAD_MAX ? ERR_REQUEST_TOO_LARGE : 0;
		if (at - buf > HTTP_HEAD_MAX)
			return ERR_REQUEST_TOO_LARGE;
		if (line.len == 0)
			return (int)(at - buf);
		if (n == HTTP_FIELDS_MAX)
			return ERR_REQUEST_TOO_LARGE;
		if (!parse_field(line, &field) || !take(&field, context))
			return ERR_REQUEST_MALFORMED;
	}
}

struct request_fields {
	struct http_request request;
	const char *extra; /* as in struct http_reader */
	bool upgrade_websocket;
	struct slice content_length, transfer_encoding;
};

/* The request fields that are used, and how; http_read_request() drops all others. */
static const struct {
	const char *name;
	enum { ONCE, UPGRADE, PROTOCOL } how;
	size_t at; /* for ONCE: offset of the value in struct request_fields */
} request_fields[] = {
	{ "Host", ONCE, offsetof(struct request_fields, request.host) },
	{ "Origin", ONCE, offsetof(struct request_fields, request.origin) },
	{ "Content-Length", ONCE, offsetof(struct request_fields, content_length) },
	{ "Transfer-Encoding", ONCE, offsetof(struct request_fields, transfer_encoding) },
	{ "Sec-WebSocket-Key", ONCE, offsetof(struct request_fields, request.ws_key) },
	{ "Sec-WebSocket-Version", ONCE, offsetof(struct request_fields, request.ws_version) },
	{ "Sec-WebSocket-Protocol", PROTOCOL, 0 },
	{ "Proxxy-Payload", ONCE, offsetof(struct request_fields, request.payload) },
	{ "Proxxy-Action", ONCE, offsetof(struct request_fields, request.action) },
	{ "Sec-Fetch-Site", ONCE, offsetof(struct request_fields, request.fetch_site) },
	{ "Remote-User", ONCE, offsetof(struct request_fields, request.remote_user) },
	{ "Upgrade", UPGRADE, 0 },
};
enum { N_REQUEST_FIELDS = sizeof(request_fields) / sizeof(request_fields[0]) };

/* Returns the field's index in request_fields, or N_REQUEST_FIELDS. */
static size_t find_request_field(struct slice name)
{
	size_t i = 0;

	while (i < N_REQUEST_FIELDS && !slice_is_nocase(name, request_fields[i].name))
		i++;
	return i;
}

static bool is_extra(const char *extra, struct slice name)
{
	return extra && slice_is_nocase(name, extra);
}

static bool take_request_field(const struct field *f, void *context)
{
	struct request_fields *c = context;
	const size_t i = find_request_field(f->name);

	if (i == N_REQUEST_FIELDS) {
		if (is_extra(c->extra, f->name) && c->request.n_extra++ < HTTP_EXTRA_MAX)
			c->request.extra[c->request.n_extra - 1] = f->value;
		return true;
	}
	switch (request_fields[i].how) {
	case ONCE:
		return set_once((struct slice *)(void *)((char *)c + request_fields[i].at), f->value);
	case UPGRADE:
		c->upgrade_websocket |= http_list_has(f->value, "websocket");
		break;
	case PROTOCOL:
		http_add_protocols(&c->request, f->value);
		break;
	}
	return true;
}

/* Parses the request line: method SP target SP HTTP/1.x (RFC 9112 section 3). */
static int parse_request_line(struct slice line, struct http_request *r)
{
	const char *end = line.at + line.len;
	const char *space = memchr(line.at, ' ', line.len);
	struct slice version;

	if (!space)
		return ERR_REQUEST_MALFORMED;
	r->method = (struct slice){ line.at, (size_t)(space - line.at) };
	r->target.at = space + 1;
	space = memchr(r->target.at, ' ', (size_t)(end - r->target.at));
	if (!space || !http_is_token(r->method))
		return ERR_REQUEST_MALFORMED;
	r->target.len = (size_t)(space - r->target.at);
	version = (struct slice){ space + 1, (size_t)(end - space - 1) };

	if (version.len != 8 || memcmp(version.at, LITERAL("HTTP/")) != 0 || version.at[6] != '.' ||
	    !slice_is_digits((struct slice){ version.at + 5, 1 }) ||
	    !slice_is_digits((struct slice){ version.at + 7, 1 }))
		return ERR_REQUEST_MALFORMED;
	if (version.at[5] != '1')
		return ERR_REQUEST_VERSION;
	r->minor = version.at[7] == '0' ? 0 : 1; /* 1.2 and later count as 1.1: RFC 9110 section 2.5 */

	/* Only visible ASCII can be part of a URI (RFC 3986). A request target has no fragment. */
	for (size_t i = 0; i < r->target.len; i++)
		if (r->target.at[i] <= 0x20 || r->target.at[i] >= 0x7F || r->target.at[i] == '#')
			return ERR_REQUEST_MALFORMED;
	if (r->target.len == 0)
		return ERR_REQUEST_MALFORMED;
	return slice_is(r->method, "GET") || slice_is(r->method, "HEAD") ? uri_to_origin_form(&r->target) : OK;
}

static bool is_zero(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.at[i] != '0')
			return false;
	return true;
}

/* Skips one empty line before the request (RFC 9112 section 2.2). If the next byte cannot begin a
 * method, the data is not HTTP: so a TLS ClientHello gets an error at once. Returns where the
 * request begins, or NULL if it is not HTTP. */
static const char *find_request(const char *buf, size_t len)
{
	const char *at = buf;

	if (len >= 2 && buf[0] == '\r' && buf[1] == '\n')
		at += 2;
	else if (len == 1 && buf[0] == '\r')
		at++;
	return at < buf + len && !http_is_tchar(*at) ? NULL : at;
}

/* Does http_parse_request()'s work. extra is as in struct http_reader. */
static int parse_request(const char *buf, size_t len, const char *extra, struct http_request *ret_request)
{
	struct request_fields fields = { .request = { .minor = 0 }, .extra = extra };
	struct http_request *r = &fields.request;
	const char *at = find_request(buf, len), *end = buf + len;
	struct slice line;
	int rc;

	if (!at)
		return ERR_REQUEST_MALFORMED;
	rc = next_line(&at, end, &line);
	if (rc < 0)
		return ERR_REQUEST_MALFORMED;
	if (rc == 0)
		return len >= HTTP_HEAD_MAX ? ERR_REQUEST_TOO_LARGE : 0;
	rc = parse_request_line(line, r);
	if (rc < 0)
		return rc;
	rc = parse_fields(buf, at, end, take_request_field, &fields);
	if (rc <= 0)
		return rc;

	if (!r->host.at ? r->minor == 1 : !uri_is_authority(r->host))
		return ERR_REQUEST_MALFORMED;
	/* Content-Length may have any number of digits: only whether it is 0 matters. */
	if (fields.content_length.at &&
	    (fields.transfer_encoding.at || fields.content_length.len == 0 || !slice_is_digits(fields.content_length)))
		return ERR_REQUEST_MALFORMED;
	r->has_body = fields.transfer_encoding.at || (fields.content_length.at && !is_zero(fields.content_length));
	r->upgrade = fields.upgrade_websocket && slice_is(r->method, "GET");
	*ret_request = *r;
	return rc;
}

int http_parse_request(const char *buf, size_t len, struct http_request *ret_request)
{
	return parse_request(buf, len, NULL, ret_request);
}

/* --- a request that is read piece by piece -------------------------------------------------- */

/* Decides by the first bytes of a field line. Returns 1 if the line is to be dropped, 0 if it is
 * kept or its name is not complete, or an error. */
static int is_dropped(const struct http_reader *s, struct slice line)
{
	struct field field;

	if (!memchr(line.at, ':', line.len < HTTP_NAME_MAX + 1 ? line.len : HTTP_NAME_MAX + 1))
		return line.len > HTTP_NAME_MAX ? ERR_REQUEST_TOO_LARGE : 0;
	if (!parse_field(line, &field))
		return ERR_REQUEST_MALFORMED;
	return find_request_field(field.name) == N_REQUEST_FIELDS && !is_extra(s->extra, field.name);
}

/* Checks the lines in the buffer, and removes those that are not needed. Returns 1 after the last
 * line of the head, 0 if it needs more bytes, or an error. */
static int drop_lines(struct http_reader *s, char *buf, size_t *len)
{
	char *out = buf + s->kept, *line = out, *const end = buf + *len;
	bool last = false;
	size_t n;

	while (!last) {
		const char *at = line + s->checked;
		struct slice rest;
		const int found = next_line(&at, end, &rest);
		/* Field lines follow the request line, which one empty line may precede. */
		const bool is_field = s->kept > 2;

		if (found < 0)
			return ERR_REQUEST_MALFORMED;
		n = (size_t)((found ? at - 2 : end) - line);
		if (!found && n > 0 && end[-1] == '\r') /* it may belong to the line's CRLF */
			n--;
		if (is_field && !s->dropping && n > 0) {
			const int rc = is_dropped(s, (struct slice){ line, n });

			if (rc < 0)
				return rc;
			s->dropping = rc;
		}
		if (!found)
			break;
		last = is_field && n == 0 && !s->dropping;
		if (is_field && !last && ++s->fields > HTTP_FIELDS_MAX)
			return ERR_REQUEST_TOO_LARGE;
		n += 2;
		if (s->dropping) {
			s->dropped += n;
		} else {
			memmove(out, line, n);
			out += n;
			s->kept += n;
		}
		line += n;
		n = s->checked = 0;
		s->dropping = false;
	}
	if (s->dropping) {
		s->dropped += n;
		line += n;
		n = 0;
	}
	s->checked = n;
	memmove(out, line, (size_t)(end - line));
	*len = s->kept + (size_t)(end - line);
	return last;
}

int http_read_request(struct http_reader *reader, char *buf, size_t *len, struct http_request *ret_request)
{
	const size_t before = reader->kept;
	size_t whole;
	int rc;

	if (before <= 2 && !find_request(buf, *len))
		return ERR_REQUEST_MALFORMED;
	rc = drop_lines(reader, buf, len);
	if (rc < 0)
		return rc;
	whole = reader->dropped + reader->kept;
	if (rc > 0 ? whole > HTTP_REQUEST_MAX : whole + reader->checked >= HTTP_REQUEST_MAX)
		return ERR_REQUEST_TOO_LARGE;
	/* A line whose name is not complete may still be dropped. So it does not count yet. */
	if (rc == 0 && reader->kept + reader->checked >= HTTP_HEAD_MAX + (reader->kept > 2 ? HTTP_NAME_MAX : 0))
		return ERR_REQUEST_TOO_LARGE;
	return reader->kept > before ? parse_request(buf, reader->kept, reader->extra, ret_request) : 0;
}

struct response_fields {
	struct http_response *response;
	struct slice content_length, transfer_encoding;
	bool connection_upgrade, connection_close, keep_alive, upgrade_websocket, http_1_0;
};

static bool take_response_field(const struct field *f, void *context)
{
	struct response_fields *c = context;

	if (slice_is_nocase(f->name, "Sec-WebSocket-Accept"))
		return set_once(&c->response->ws_accept, f->value);
	if (slice_is_nocase(f->name, "Sec-WebSocket-Protocol"))
		return set_once(&c->response->ws_protocol, f->value);
	if (slice_is_nocase(f->name, "Transfer-Encoding"))
		return set_once(&c->transfer_encoding, f->value);
	if (slice_is_nocase(f->name, "Content-Length")) /* the same twice is one (RFC 9110 section 8.6) */
		return set_once(&c->content_length, f->value) || slice_equal(c->content_length, f->value);
	c->response->ws_extensions |= slice_is_nocase(f->name, "Sec-WebSocket-Extensions");
	if (slice_is_nocase(f->name, "Connection")) {
		c->connection_upgrade |= http_list_has(f->value, "upgrade");
		c->connection_close |= http_list_has(f->value, "close");
		c->keep_alive |= http_list_has(f->value, "keep-alive");
	} else if (slice_is_nocase(f->name, "Upgrade")) {
		c->upgrade_websocket |= http_list_has(f->value, "websocket");
	}
	return true;
}

/* Parses HTTP/1.x SP 3DIGIT SP reason (RFC 9112 section 4). Some servers omit the last space if the
 * reason is empty. */
static bool parse_status_line(struct slice line, struct http_response *r, bool *ret_http_1_0)
{
	if (line.len < 12 || memcmp(line.at, LITERAL("HTTP/1.")) != 0 || (line.at[7] != '0' && line.at[7] != '1') ||
	    line.at[8] != ' ' || (line.len > 12 && line.at[12] != ' '))
		return false;
	for (int i = 9; i < 12; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return false;
		r->status = r->status * 10 + (line.at[i] - '0');
	}
	r->reason = http_trim((struct slice){ line.at + 12, line.len - 12 });
	*ret_http_1_0 = line.at[7] == '0';
	return true;
}

/* Sets framing and length of *r from its fields. Returns false if they are not valid. */
static bool set_framing(const struct response_fields *fields, struct http_response *r)
{
	const struct slice length = fields->content_length, coding = fields->transfer_encoding;

	if (length.at) {
		if (coding.at || length.len == 0 || length.len > LENGTH_DIGITS_MAX || !slice_is_digits(length))
			return false;
		for (size_t i = 0; i < length.len; i++)
			r->length = r->length * 10 + (uint64_t)(length.at[i] - '0');
	}
	if (coding.at && (!slice_is_nocase(coding, "chunked") || fields->http_1_0))
		return false;
	if (r->status < 200 || r->status == 204 || r->status == 304)
		r->framing = HTTP_NO_BODY;
	else
		r->framing = coding.at ? HTTP_CHUNKED : length.at ? HTTP_LENGTH : HTTP_UNTIL_CLOSE;
	r->close = (fields->connection_close && !fields->keep_alive) || r->framing == HTTP_UNTIL_CLOSE ||
		   fields->http_1_0; /* keep-alive of HTTP/1.0 is not used */
	return true;
}

int http_parse_response(const char *buf, size_t len, struct http_response *ret_response)
{
	struct http_response r = { 0 };
	struct response_fields fields = { .response = &r };
	const char *at = buf;
	struct slice line;
	int rc = next_line(&at, buf + len, &line);

	if (rc > 0)
		rc = parse_status_line(line, &r, &fields.http_1_0) ?
			     parse_fields(buf, at, buf + len, take_response_field, &fields) :
			     -1;
	else if (rc == 0 && len >= HTTP_HEAD_MAX)
		rc = -1;
	if (rc < 0 || (rc > 0 && !set_framing(&fields, &r)))
		return ERR_UPSTREAM_ANSWER;
	if (rc == 0)
		return 0;
	r.upgrade = fields.connection_upgrade && fields.upgrade_websocket;
	*ret_response = r;
	return rc;
}
