/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests http_read_request(): heads that are larger than the part that is kept, up to each limit and
 * one byte more, in pieces of many sizes.
 */
#include "tests/unit/lib/pieces.h"

#include "lib/error.h"

#define A "GET / HTTP/1.1\r\nHost: a\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"

enum { LARGE_MAX = HTTP_REQUEST_MAX + 64 };
static char large[LARGE_MAX];

/* Writes a request of exactly size bytes, which an unused field fills. Returns size. */
static size_t make_large(const char *before, const char *name, size_t size, const char *behind)
{
	const size_t n = (size_t)sprintf(large, "%s%s: ", before, name), m = strlen(behind);

	memset(large + n, 'c', size - n - m);
	memcpy(large + size - m, behind, m);
	return size;
}

/* Writes a request with line n times as its fields. */
static size_t make_many(const char *line, int n)
{
	size_t len = (size_t)sprintf(large, "%s", A);

	for (int i = 1; i < n; i++)
		len += (size_t)sprintf(large + len, "%s", line);
	memcpy(large + len, "\r\n", 2);
	return len + 2;
}

static void large_requests(void **state)
{
	static const char rest[] = "\r\n" UPGRADE "Origin: o\r\nSec-WebSocket-Key: " KEY "\r\n\r\n";
	static const char first[] = "GET /?payload=a HTTP/1.1\r\nHost: a\r\n";
	struct http_request r = { 0 };
	size_t len, unused;

	(void)state;
	for (int over = -1; over <= 1; over++) {
		len = make_large(first, "Cookie", (size_t)(HTTP_REQUEST_MAX + over), rest);
		for (size_t i = 0; i < COUNT(pieces); i++) {
			int rc = in_pieces(large, len, pieces[i], &r, &unused);

			if (over > 0) {
				CHECK_INT(rc, ERR_REQUEST_TOO_LARGE, "64 KiB and a byte, pieces of %zu", pieces[i]);
				continue;
			}
			/* All fields are kept but the cookie and Connection. */
			CHECK_INT(rc,
				  sizeof(first) + sizeof(rest) - 2 - strlen("\r\n") - strlen("Connection: Upgrade\r\n"),
				  "64 KiB, pieces of %zu", pieces[i]);
			CHECK(r.upgrade && slice_is(r.host, "a") && slice_is(r.origin, "o") && slice_is(r.ws_key, KEY),
			      "64 KiB, pieces of %zu", pieces[i]);
		}
		/* A line of the largest size that is kept, and one byte more. */
		len = make_large("GET / HTTP/1.1\r\nHost: a\r\n", "Origin", (size_t)(HTTP_HEAD_MAX + over), "\r\n\r\n");
		check_pieces("16 KiB that are kept", large, len, &r,
			     over > 0 ? ERR_REQUEST_TOO_LARGE : http_parse_request(large, len, &r));
		/* After a line of almost that size, fields of any length are dropped. */
		len = make_large("GET / HTTP/1.1\r\nHost: a\r\n", "Origin", (size_t)(HTTP_HEAD_MAX - 2 + over), "\r\n");
		len += (size_t)sprintf(large + len, "X-Forwarded-Something: 1\r\n\r\n");
		for (size_t i = 0; i < COUNT(pieces); i++)
			CHECK_INT(in_pieces(large, len, pieces[i], &r, &unused),
				  over > 0 ? ERR_REQUEST_TOO_LARGE : HTTP_HEAD_MAX + over, "full, pieces of %zu",
				  pieces[i]);
	}
	CHECK_INT(in_pieces(large, make_many("X: y\r\n", HTTP_FIELDS_MAX), 4096, &r, &unused), strlen(A) + 2,
		  "100 fields");
	check_pieces("101 fields", large, make_many("X: y\r\n", HTTP_FIELDS_MAX + 1), &r, ERR_REQUEST_TOO_LARGE);
	check_pieces("6000 fields", large, make_many("a:\r\n", 6000), &r, ERR_REQUEST_TOO_LARGE);
	check_pieces("101 fields that are read", large, make_many("Upgrade: x\r\n", HTTP_FIELDS_MAX + 1), &r,
		     ERR_REQUEST_TOO_LARGE);

	memset(large, 'x', sizeof(large));
	check_pieces("a method without end", large, sizeof(large), &r, ERR_REQUEST_TOO_LARGE);
	memcpy(large, A, strlen(A));
	check_pieces("a name without end", large, sizeof(large), &r, ERR_REQUEST_TOO_LARGE);
	memcpy(large, A "Cookie:", strlen(A "Cookie:"));
	check_pieces("a cookie without end", large, sizeof(large), &r, ERR_REQUEST_TOO_LARGE);
	for (int over = 0; over <= 1; over++) {
		const size_t n = (size_t)(HTTP_NAME_MAX + over);

		len = (size_t)sprintf(large, "%s", A);
		memset(large + len, 'x', n);
		len += n + (size_t)sprintf(large + len + n, ": a\r\n\r\n");
		for (size_t i = 0; i < COUNT(pieces); i++)
			CHECK_INT(in_pieces(large, len, pieces[i], &r, &unused),
				  over ? ERR_REQUEST_TOO_LARGE : (int)strlen(A) + 2, "a name of %zu, pieces of %zu", n,
				  pieces[i]);
	}
	/* Fields that are dropped are checked like all others. */
	static const char *const bad[] = { "Cookie: a\rb\r\n",    "Cookie: a\nb\r\n",
					   "Cookie : a\r\n",      "Cookie: a\x01\r\n",
					   "Cookie: a\r\n b\r\n", "Coo kie: a\r\n",
					   "Cookie\r\n",          ": a\r\n" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		len = (size_t)sprintf(large, A "Y: a\r\n%sZ: a\r\n\r\n", bad[i]);
		check_pieces(bad[i], large, len, &r, ERR_REQUEST_MALFORMED);
	}
}

/* Reads text with X-Forwarded-For as the extra field. */
static int read_extra(const char *text, size_t len, size_t piece, struct http_request *ret)
{
	static char buf[HTTP_HEAD_MAX + 4096];
	struct http_reader reader = { .extra = "X-Forwarded-For" };
	size_t n_kept = 0, n;
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0; at += n) {
		n = len - at < piece ? len - at : piece;
		memcpy(buf + n_kept, text + at, n);
		n_kept += n;
		rc = http_read_request(&reader, buf, &n_kept, ret);
	}
	return rc;
}

static void extra_fields(void **state)
{
	static const char text[] = A "X-Forwarded-For: a \r\nAccept: b\r\nX-FORWARDED-FOR:\r\nX-Forwarded-Fo: c\r\n"
				     "X-Forwarded-Fors: d\r\nX-Real-IP: e\r\nx-forwarded-for: f, g\r\n\r\n";
	struct http_request r;

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		memset(&r, 0xEE, sizeof(r));
		CHECK(read_extra(text, sizeof(text) - 1, pieces[i], &r) > 0, "pieces of %zu", pieces[i]);
		CHECK_INT(r.n_extra, 3, "pieces of %zu", pieces[i]);
		CHECK(slice_is(r.extra[0], "a") && slice_is(r.extra[1], "") && slice_is(r.extra[2], "f, g") &&
			      !r.extra[3].at,
		      "pieces of %zu", pieces[i]);
	}
	/* Fields of other names are dropped, and parsing at once knows none. */
	CHECK(http_parse_request(text, sizeof(text) - 1, &r) > 0 && r.n_extra == 0 && !r.extra[0].at, "at once");
	for (int n = 1; n <= 20; n++) {
		const size_t len = make_many("X-Forwarded-For: a\r\n", n + 1);

		CHECK(read_extra(large, len, 1000, &r) > 0, "%d fields", n);
		CHECK_INT(r.n_extra, n, "%d fields", n);
		CHECK(n < HTTP_EXTRA_MAX || slice_is(r.extra[HTTP_EXTRA_MAX - 1], "a"), "%d fields", n);
	}
	/* The field counts for the part of the head that is kept. */
	CHECK_INT(read_extra(large, make_large(A, "X-Forwarded-For", HTTP_HEAD_MAX + 300, "\r\n\r\n"), 4096, &r),
		  ERR_REQUEST_TOO_LARGE, "a long field");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(large_requests), cmocka_unit_test(extra_fields) };

	return RUN(tests);
}
