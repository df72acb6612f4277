/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes http.h. The first byte selects whether the rest is a request or a response, and the size
 * of the pieces in which it is read. The result is checked against a simple parser that reads the
 * same bytes line by line.
 */
#include "tests/fuzz/fuzz.h"

#include <strings.h>

#include "lib/error.h"
#include "lib/http.h"
#include "lib/http_list.h"
#include "lib/uri.h"

enum {
	ALL_PREFIXES = 200, /* up to so many bytes, every prefix of an input is tried; of longer inputs, some */
	SOME_PREFIXES = 40,
	PIECES_ROOM = HTTP_HEAD_MAX + 4096, /* as in http_exchange.c */
};

/* --- a simple parser ------------------------------------------------------------------------ */

static bool inside(struct slice s, const char *buf, size_t len)
{
	return !s.at || (s.at >= buf && s.at + s.len <= buf + len);
}

/* A value must not contain what ends a line in a log or a header. */
static bool printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (((uint8_t)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7F)
			return false;
	return true;
}

static bool trimmed(struct slice s)
{
	return s.len == 0 || (!strchr(" \t", s.at[0]) && !strchr(" \t", s.at[s.len - 1]));
}

static void require_value(struct slice s, const char *buf, size_t len)
{
	REQUIRE(inside(s, buf, len), "a slice outside of the head");
	REQUIRE(printable(s) && trimmed(s), "a value with controls or with white space around it");
}

/* Returns the last field of that name in a head of n bytes, and in *ret_count how many there
 * are. */
static struct slice find_field(const char *head, size_t n, const char *name, size_t *ret_count)
{
	const size_t name_len = strlen(name);
	struct slice found = { NULL, 0 };

	*ret_count = 0;
	for (const char *line = head, *end = head + n; line < end;) {
		const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

		if ((size_t)(stop - line) > name_len && line[name_len] == ':' &&
		    strncasecmp(line, name, name_len) == 0) {
			found = (struct slice){ line + name_len + 1, (size_t)(stop - line) - name_len - 1 };
			++*ret_count;
		}
		line = stop + 2;
	}
	return found;
}

static bool holds_nocase(struct slice s, const char *word)
{
	for (size_t i = 0; i + strlen(word) <= s.len; i++)
		if (strncasecmp(s.at + i, word, strlen(word)) == 0)
			return true;
	return false;
}

/* --- prefixes ------------------------------------------------------------------------------- */

static int parse_request(const char *buf, size_t len)
{
	struct http_request r;

	return http_parse_request(buf, len, &r);
}

static int parse_response(const char *buf, size_t len)
{
	struct http_response r;

	return http_parse_response(buf, len, &r);
}

/* The result for some bytes must not change when more arrive: a head that is read in pieces has the
 * same result as one that is read at once. Callers never have more than HTTP_HEAD_MAX. */
static void require_prefixes(int (*parse)(const char *, size_t), const char *buf, size_t len, int rc)
{
	const size_t step = len <= ALL_PREFIXES ? 1 : len / SOME_PREFIXES;

	if (len > HTTP_HEAD_MAX)
		return;
	for (size_t n = 0; n < len; n += step) {
		char *prefix = malloc(n ? n : 1); /* of its own size, for the address sanitizer */
		int prefix_rc;

		memcpy(prefix, buf, n);
		prefix_rc = parse(prefix, n);
		free(prefix);
		if (rc > 0)
			REQUIRE(prefix_rc == (n < (size_t)rc ? 0 : rc), "%zu bytes give %d, %zu %d", n, prefix_rc, len,
				rc);
		else
			REQUIRE(prefix_rc == 0 || prefix_rc == rc, "%zu bytes give %d, %zu %d", n, prefix_rc, len, rc);
	}
}

static void require_end(const char *buf, size_t len, int rc)
{
	const char *end = memmem(buf, len, "\r\n\r\n", 4);

	if (rc > 0)
		REQUIRE((size_t)rc <= len && rc <= HTTP_HEAD_MAX && end && end + 4 == buf + rc, "a head of %d bytes",
			rc);
	else if (rc == 0)
		REQUIRE(!end && len < HTTP_HEAD_MAX, "%zu bytes are no head yet", len);
}

/* --- request -------------------------------------------------------------------------------- */

static void query(struct slice target)
{
	static char value[HTTP_HEAD_MAX], encoded[3 * HTTP_HEAD_MAX + 16], again[HTTP_HEAD_MAX];
	const char *names[] = { "payload", "", "a b" };
	char small[8];

	for (size_t i = 0; i < 3; i++) {
		int n = uri_query(target, names[i], value, sizeof(value)), rc;
		int few = uri_query(target, names[i], small, sizeof(small));

		REQUIRE(n >= 0 || n == ERR_REQUEST_MALFORMED || n == ERR_REQUEST_TOO_LARGE, "%d", n);
		REQUIRE(few < (int)sizeof(small), "%d", few);
		if (n <= 0)
			continue;
		REQUIRE((size_t)n < sizeof(value) && strlen(value) == (size_t)n, "%d", n);
		REQUIRE(n < (int)sizeof(small) ?
				few == n || strlen(names[i]) >= sizeof(small) - 1 || few == ERR_REQUEST_TOO_LARGE :
				few <= 0,
			"%d does not fit, and gives %d", n, few);
		/* Encode the decoded text, and decode it again: it must be the same. */
		memcpy(encoded, "/?payload=", 10);
		rc = uri_percent_encode(value, encoded + 10, sizeof(encoded) - 10);
		REQUIRE(rc > 0 && (size_t)rc == strlen(encoded + 10), "%d", rc);
		rc = uri_query((struct slice){ encoded, 10 + (size_t)rc }, "payload", again, sizeof(again));
		REQUIRE(rc == n && memcmp(value, again, (size_t)n) == 0, "%d bytes came back as %d", n, rc);
	}
}

/* Our parser for Proxmox's 101 must accept our own 101. */
static void protocol(struct slice chosen, const char *buf, size_t len)
{
	static const char accept[] = "s3pPLMBiTxaQ9kYGzhZRbK+xOo0=";
	struct http_response r;
	char answer[512];
	int rc;

	REQUIRE(!chosen.at || (inside(chosen, buf, len) && chosen.len > 0), "the choice");
	for (size_t i = 0; i < chosen.len; i++)
		REQUIRE(chosen.at[i] > 0x20 && chosen.at[i] < 0x7F && !strchr(",;\"()/:<=>?@[]{}\\", chosen.at[i]),
			"not a token");
	rc = http_write_upgrade(answer, sizeof(answer), accept, chosen);
	REQUIRE(rc > 0 || chosen.len > 256, "%d for %zu bytes", rc, chosen.len);
	if (rc > 0)
		REQUIRE(http_parse_response(answer, (size_t)rc, &r) == rc && r.status == 101 && r.upgrade &&
				slice_is(r.ws_accept, accept),
			"%s", answer);
}

static void request(const char *buf, size_t len)
{
	struct http_request r, again;
	size_t count, lengths, encodings;
	struct slice value, path;
	int rc;

	memset(&r, 0xEE, sizeof(r));
	again = r;
	rc = http_parse_request(buf, len, &r);
	require_prefixes(parse_request, buf, len, rc);
	require_end(buf, len, rc);
	if (rc <= 0) {
		REQUIRE(rc == 0 || rc == ERR_REQUEST_MALFORMED || rc == ERR_REQUEST_TOO_LARGE ||
				rc == ERR_REQUEST_VERSION,
			"%d", rc);
		REQUIRE(memcmp(&r, &again, sizeof(r)) == 0, "written without success");
		return;
	}
	REQUIRE(http_parse_request(buf, len, &again) == rc && memcmp(&r, &again, sizeof(r)) == 0, "not the same again");

	require_value(r.method, buf, (size_t)rc);
	require_value(r.target, buf, (size_t)rc);
	require_value(r.host, buf, (size_t)rc);
	require_value(r.origin, buf, (size_t)rc);
	require_value(r.ws_key, buf, (size_t)rc);
	require_value(r.ws_version, buf, (size_t)rc);
	require_value(r.ws_protocol, buf, (size_t)rc);
	require_value(r.ws_payload, buf, (size_t)rc);
	require_value(r.payload, buf, (size_t)rc);
	REQUIRE(!r.ws_payload.at == (r.n_ws_payloads == 0), "%zu payloads", r.n_ws_payloads);
	REQUIRE(r.ws_protocol.len < 15 || memcmp(r.ws_protocol.at, "proxxy.payload.", 15) != 0,
		"the answer repeats a payload");
	REQUIRE(r.method.len > 0 && !memchr(r.target.at, '#', r.target.len), "the request line");
	/* After the authority of an absolute-form there may be nothing, or only a query. */
	if (slice_is(r.method, "GET") || slice_is(r.method, "HEAD"))
		REQUIRE(r.target.len == 0 || strchr("/?", r.target.at[0]), "a target in origin-form");
	else
		REQUIRE(r.target.len > 0, "the request line");

	find_field(buf, (size_t)rc, "Host", &count);
	REQUIRE(count <= 1 && (count == 1 || r.minor == 0) && !r.host.at == (count == 0), "%zu Hosts", count);
	value = find_field(buf, (size_t)rc, "Content-Length", &lengths);
	find_field(buf, (size_t)rc, "Transfer-Encoding", &encodings);
	REQUIRE(lengths <= 1 && encodings <= 1 && lengths + encodings <= 1, "two ways to tell the body's end");
	REQUIRE(r.has_body || encodings == 0, "a body in chunks");
	for (size_t i = 0; !r.has_body && i < value.len; i++)
		REQUIRE(strchr("0 \t", value.at[i]), "a body of that length");
	value = find_field(buf, (size_t)rc, "Upgrade", &count);
	REQUIRE(!r.upgrade || (count > 0 && (count > 1 || holds_nocase(value, "websocket"))), "Upgrade");
	REQUIRE(!r.upgrade || slice_is(r.method, "GET"), "an upgrade of another method");

	path = uri_path(r.target);
	REQUIRE(path.at == r.target.at && path.len <= r.target.len && !memchr(path.at, '?', path.len), "the path");
	query(r.target);
	protocol(r.ws_protocol, buf, (size_t)rc);
}

/* --- a request in pieces -------------------------------------------------------------------- */

static bool same(struct slice a, struct slice b)
{
	return !a.at == !b.at && a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static bool same_extra(const struct http_request *a, const struct http_request *b)
{
	for (size_t i = 0; i < HTTP_EXTRA_MAX; i++)
		if (!same(a->extra[i], b->extra[i]))
			return false;
	return a->n_extra == b->n_extra;
}

static bool same_request(const struct http_request *a, const struct http_request *b)
{
	return same(a->method, b->method) && same(a->target, b->target) && same(a->host, b->host) &&
	       same(a->origin, b->origin) && same(a->ws_key, b->ws_key) && same(a->ws_version, b->ws_version) &&
	       same(a->ws_protocol, b->ws_protocol) && same(a->ws_payload, b->ws_payload) &&
	       same(a->payload, b->payload) && a->n_ws_payloads == b->n_ws_payloads && a->minor == b->minor &&
	       a->upgrade == b->upgrade && a->has_body == b->has_body && same_extra(a, b);
}

/* Reads in pieces of that size. *ret_behind is the number of bytes after the head. */
static int read_pieces(const char *buf, size_t len, size_t piece, const char *extra, char *kept,
		       struct http_request *ret, size_t *ret_behind)
{
	struct http_reader reader = { .extra = extra };
	size_t n_kept = 0, n;

	for (size_t at = 0; at < len; at += n) {
		int rc;

		n = len - at < piece ? len - at : piece;
		n = n < PIECES_ROOM - n_kept ? n : PIECES_ROOM - n_kept;
		REQUIRE(n > 0, "no room at %zu", at);
		memcpy(kept + n_kept, buf + at, n);
		n_kept += n;
		rc = http_read_request(&reader, kept, &n_kept, ret);
		REQUIRE(n_kept <= PIECES_ROOM && reader.kept + reader.checked <= n_kept, "%zu bytes kept", n_kept);
		if (rc != 0) {
			REQUIRE(rc < 0 || (size_t)rc <= n_kept, "%d of %zu", rc, n_kept);
			*ret_behind = rc > 0 ? n_kept - (size_t)rc + len - at - n : 0;
			return rc;
		}
	}
	return 0;
}

/* Requires that r has all fields of its extra name that the head has, and stores them in *whole,
 * which was read without. */
static void require_extra(const struct http_request *r, const char *extra, const char *head, size_t n,
			  struct http_request *whole)
{
	size_t count = 0;
	const struct slice last = extra ? find_field(head, n, extra, &count) : (struct slice){ NULL, 0 };

	REQUIRE(r->n_extra == count, "%zu fields of %zu", r->n_extra, count);
	for (size_t i = 0; i < HTTP_EXTRA_MAX; i++)
		REQUIRE(!r->extra[i].at == (i >= count), "field %zu of %zu", i, count);
	if (count > 0 && count <= HTTP_EXTRA_MAX)
		REQUIRE(same(r->extra[count - 1], http_trim(last)), "the last field");
	memcpy(whole->extra, r->extra, sizeof(whole->extra));
	whole->n_extra = r->n_extra;
}

/* A request that is read in pieces of any size gives the same result as one that is read at once.
 * Only the limits differ: those for reading at once are lower, and only pieces limit a name. */
static void in_pieces(const char *buf, size_t len, size_t piece)
{
	struct http_request whole = { 0 }, r = { 0 }, again = { 0 };
	size_t behind = 0, behind_again = 0;
	char *kept = malloc(PIECES_ROOM), *kept_again = malloc(PIECES_ROOM);
	const int rc = http_parse_request(buf, len, &whole);
	const char *extra = piece % 2 ? "X-Forwarded-For" : NULL;
	const int got = read_pieces(buf, len, piece, extra, kept, &r, &behind);
	const int at_once = read_pieces(buf, len, PIECES_ROOM, extra, kept_again, &again, &behind_again);

	REQUIRE((got > 0) == (at_once > 0) && (got == 0) == (at_once == 0), "%d in pieces of %zu, %d at once", got,
		piece, at_once);
	REQUIRE(got <= 0 || (got == at_once && behind == behind_again && same_request(&r, &again)), "pieces of %zu",
		piece);
	if (rc > 0 && got > 0)
		require_extra(&r, extra, buf, (size_t)rc, &whole);
	if (rc > 0 && got != ERR_REQUEST_TOO_LARGE)
		REQUIRE(got > 0 && got <= rc && behind == len - (size_t)rc && same_request(&r, &whole),
			"%d in pieces of %zu, %d whole", got, piece, rc);
	else if (rc < 0 && rc != ERR_REQUEST_TOO_LARGE)
		REQUIRE(got <= 0, "%d in pieces of %zu, %d whole", got, piece, rc);
	free(kept);
	free(kept_again);
}

/* --- response ------------------------------------------------------------------------------- */

/* No other parser may find the end of the body elsewhere. */
static void require_framing(const struct http_response *r, const char *head, size_t n)
{
	size_t lengths, codings, connections;
	const struct slice length = find_field(head, n, "Content-Length", &lengths);
	const bool none = r->status < 200 || r->status == 204 || r->status == 304;

	find_field(head, n, "Transfer-Encoding", &codings);
	find_field(head, n, "Connection", &connections);
	REQUIRE(codings <= 1 && (codings == 0 || lengths == 0), "%zu codings and %zu lengths", codings, lengths);
	REQUIRE(lengths == 0 || r->length == strtoull(length.at, NULL, 10), "%llu", (unsigned long long)r->length);
	REQUIRE(r->framing == (none    ? HTTP_NO_BODY :
			       codings ? HTTP_CHUNKED :
			       lengths ? HTTP_LENGTH :
					 HTTP_UNTIL_CLOSE),
		"framing %d", r->framing);
	REQUIRE(r->close || (head[7] == '1' && r->framing != HTTP_UNTIL_CLOSE), "it cannot stay open");
	REQUIRE(!r->close || head[7] == '0' || connections > 0 || r->framing == HTTP_UNTIL_CLOSE, "closed for nothing");
}

static void response(const char *buf, size_t len)
{
	struct http_response r, again;
	size_t count;
	int rc;

	memset(&r, 0xEE, sizeof(r));
	again = r;
	rc = http_parse_response(buf, len, &r);
	require_prefixes(parse_response, buf, len, rc);
	require_end(buf, len, rc);
	if (rc <= 0) {
		REQUIRE(rc == 0 || rc == ERR_UPSTREAM_ANSWER, "%d", rc);
		REQUIRE(memcmp(&r, &again, sizeof(r)) == 0, "written without success");
		return;
	}
	REQUIRE(http_parse_response(buf, len, &again) == rc && memcmp(&r, &again, sizeof(r)) == 0,
		"not the same again");
	require_value(r.reason, buf, (size_t)rc);
	require_value(r.ws_accept, buf, (size_t)rc);
	REQUIRE(r.status >= 0 && r.status <= 999 && r.status == atoi(buf + 9), "%d", r.status);
	find_field(buf, (size_t)rc, "Upgrade", &count);
	REQUIRE(!r.upgrade || count > 0, "Upgrade");
	require_framing(&r, buf, (size_t)rc);
	find_field(buf, (size_t)rc, "Sec-WebSocket-Accept", &count);
	REQUIRE(count <= 1 && !r.ws_accept.at == (count == 0), "%zu Sec-WebSocket-Accepts", count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t first = take_byte(&in);
	const bool is_response = first & 1;

	if (size > 0)
		(is_response ? response : request)((const char *)in.at, in.left);
	if (size > 0 && !is_response)
		in_pieces((const char *)in.at, in.left, 1 + (first >> 1) * (size_t)(first >> 1));
	return 0;
}
