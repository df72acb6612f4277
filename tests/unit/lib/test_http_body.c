/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests http_body.h and how http.h finds the framing of a response: each body in one piece, and in
 * two pieces at each byte, always up to an unreadable page.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/http_body.h"

#define LENGTH "HTTP/1.1 200 OK\r\nContent-Length: "
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

enum { CONTENT_MAX = 4096 };

static struct guard in;

static void framing(void **state)
{
	static const struct {
		const char *text;
		int framing; /* or -1: an error */
		uint64_t length;
		bool close;
	} table[] = {
		{ LENGTH "0\r\n\r\n", HTTP_LENGTH, 0, false },
		{ LENGTH "2670\r\nConnection: Keep-Alive\r\n\r\n", HTTP_LENGTH, 2670, false },
		{ LENGTH "5\r\nContent-Length: 5\r\n\r\n", HTTP_LENGTH, 5, false },
		{ LENGTH "999999999999999\r\n\r\n", HTTP_LENGTH, 999999999999999, false },
		{ LENGTH "5\r\nConnection: close\r\n\r\n", HTTP_LENGTH, 5, true },
		{ LENGTH "5\r\nConnection: x, CLOSE\r\n\r\n", HTTP_LENGTH, 5, true },
		/* pvedaemon's answer, to which pveproxy adds a field */
		{ LENGTH "5\r\nConnection: close\r\nConnection: Keep-Alive\r\n\r\n", HTTP_LENGTH, 5, false },
		{ LENGTH "5\r\nConnection: x\r\nConnection: close\r\n\r\n", HTTP_LENGTH, 5, true },
		{ LENGTH "5\r\nConnection: closed\r\n\r\n", HTTP_LENGTH, 5, false },
		{ CHUNKED, HTTP_CHUNKED, 0, false },
		{ "HTTP/1.1 200 OK\r\ntransfer-encoding:\t Chunked \r\n\r\n", HTTP_CHUNKED, 0, false },
		{ "HTTP/1.1 200 OK\r\n\r\n", HTTP_UNTIL_CLOSE, 0, true },
		{ "HTTP/1.1 401 Authentication failed!\r\nConnection: Keep-Alive\r\n\r\n", HTTP_UNTIL_CLOSE, 0, true },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP_LENGTH, 5, true },
		{ "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", HTTP_LENGTH, 5, true },
		{ "HTTP/1.1 100 Continue\r\n\r\n", HTTP_NO_BODY, 0, false },
		{ "HTTP/1.1 101 Switching Protocols\r\n\r\n", HTTP_NO_BODY, 0, false },
		{ "HTTP/1.1 204 No Content\r\n\r\n", HTTP_NO_BODY, 0, false },
		{ "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", HTTP_NO_BODY, 7, false },
		/* Two parsers could read these in two ways. */
		{ LENGTH "5\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -1, 0, false },
		{ LENGTH "5\r\nContent-Length: 6\r\n\r\n", -1, 0, false },
		{ LENGTH "5\r\nContent-Length: 05\r\n\r\n", -1, 0, false },
		{ LENGTH "5, 5\r\n\r\n", -1, 0, false },
		{ LENGTH "\r\n\r\n", -1, 0, false },
		{ LENGTH "+5\r\n\r\n", -1, 0, false },
		{ LENGTH "-5\r\n\r\n", -1, 0, false },
		{ LENGTH "5 5\r\n\r\n", -1, 0, false },
		{ LENGTH "0x5\r\n\r\n", -1, 0, false },
		{ LENGTH "1000000000000000\r\n\r\n", -1, 0, false },
		{ LENGTH "18446744073709551621\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", -1, 0, false },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", -1, 0, false },
		{ "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *text = table[i].text;
		const size_t len = strlen(text);
		struct http_response r;
		int rc;

		for (size_t n = 0; n < len; n++) {
			rc = http_parse_response(guard_copy(&in, text, n), n, &r);
			CHECK(rc == 0 || (table[i].framing < 0 && rc == ERR_UPSTREAM_ANSWER), "%zu bytes of %s", n,
			      text);
		}
		rc = http_parse_response(guard_copy(&in, text, len), len, &r);
		CHECK_INT(rc, table[i].framing < 0 ? ERR_UPSTREAM_ANSWER : (int)len, "%s", text);
		if (rc < 0)
			continue;
		CHECK_INT(r.framing, table[i].framing, "%s", text);
		CHECK_INT(r.length, table[i].length, "%s", text);
		CHECK_INT(r.close, table[i].close, "%s", text);
	}
}

struct result {
	int rc; /* of the last call */
	size_t used, n;
	char content[CONTENT_MAX];
};

/* Decodes text[0..len), as the next piece. */
static void decode(struct http_body *body, const char *text, size_t len, struct result *result)
{
	const char *piece = guard_copy(&in, text, len);
	size_t at = 0;

	do {
		struct slice content = { NULL, 0 };
		size_t used = 0;

		result->rc = http_body_decode(body, piece + at, len - at, &used, &content);
		if (result->rc < 0)
			return;
		CHECK(used <= len - at && content.len <= used, "%zu of %zu bytes", used, len - at);
		CHECK(used > 0 || len == at || result->rc == 1, "no progress at %zu of %zu", at, len);
		memcpy(result->content + result->n, content.at, content.len);
		result->n += content.len;
		at += used;
		result->used += used;
	} while (result->rc == 0 && at < len);
}

static void bodies(void **state)
{
	static const struct {
		const char *head, *body, *content;
		int want;    /* 1: complete, 0: needs more, or an error */
		size_t rest; /* bytes after the body */
		bool ends;   /* the end of the connection completes it */
	} table[] = {
		{ LENGTH "5\r\n\r\n", "hello", "hello", 1, 0, true },
		{ LENGTH "5\r\n\r\n", "hello, world", "hello", 1, 7, true },
		{ LENGTH "5\r\n\r\n", "hell", "hell", 0, 0, false },
		{ LENGTH "5\r\n\r\n", "", "", 0, 0, false },
		{ LENGTH "0\r\n\r\n", "", "", 1, 0, true },
		{ LENGTH "0\r\n\r\n", "HTTP/1.1", "", 1, 8, true },
		{ "HTTP/1.1 204 a\r\n\r\n", "x", "", 1, 1, true },
		{ "HTTP/1.1 500 a\r\n\r\n", "hello", "hello", 0, 0, true },
		{ "HTTP/1.1 500 a\r\n\r\n", "", "", 0, 0, true },
		{ CHUNKED, "5\r\nhello\r\n0\r\n\r\n", "hello", 1, 0, true },
		{ CHUNKED, "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\nHTTP/1.1", "hello, world", 1, 8, true },
		{ CHUNKED, "0\r\n\r\n", "", 1, 0, true },
		{ CHUNKED, "000\r\n\r\n", "", 1, 0, true },
		{ CHUNKED, "00000005\r\nhello\r\n0\r\n\r\n", "hello", 1, 0, true },
		{ CHUNKED, "A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", 1, 0, true },
		{ CHUNKED, "5;name=value\r\nhello\r\n0;x\r\n\r\n", "hello", 1, 0, true },
		{ CHUNKED, "5 ; name=\"v\"\r\nhello\r\n0\t\r\n\r\n", "hello", 1, 0, true },
		{ CHUNKED, "5\r\nhello\r\n0\r\nDate: today\r\nX:\r\n\r\n", "hello", 1, 0, true },
		{ CHUNKED, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 1, 0, true },
		{ CHUNKED, "5\r\nhello\r\n0\r\n", "hello", 0, 0, false },
		{ CHUNKED, "5\r\nhello\r\n", "hello", 0, 0, false },
		{ CHUNKED, "5\r\nhe", "he", 0, 0, false },
		{ CHUNKED, "", "", 0, 0, false },
		{ CHUNKED, "\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, ";x\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, " 5\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "g\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "0x5\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "-5\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5\rhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5;a\x01\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5;a\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "000000005\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "100000000\r\nhello", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5\r\nhello!\r\n0\r\n\r\n", "hello", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5\r\nhello\n0\r\n\r\n", "hello", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "5\r\nhello\rx0\r\n\r\n", "hello", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "0\r\nA: b\nC: d\r\n\r\n", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "0\r\nA: b\r\r\n\r\n", "", ERR_UPSTREAM_ANSWER, 0, false },
		{ CHUNKED, "0\r\n\rx", "", ERR_UPSTREAM_ANSWER, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *text = table[i].body;
		const size_t len = strlen(text);
		struct http_response r;

		CHECK(http_parse_response(table[i].head, strlen(table[i].head), &r) > 0, "%s", table[i].head);
		for (size_t split = 0; split <= len; split++) {
			struct result result = { 0 };
			struct http_body body;

			http_body_begin(&body, &r);
			decode(&body, text, split, &result);
			if (result.rc == 0)
				decode(&body, text + split, len - split, &result);
			CHECK_INT(result.rc, table[i].want, "%s, cut at %zu", text, split);
			CHECK(result.n == strlen(table[i].content) &&
				      memcmp(result.content, table[i].content, result.n) == 0,
			      "%s, cut at %zu: %.*s", text, split, (int)result.n, result.content);
			if (result.rc < 0)
				continue;
			CHECK_INT(result.used, len - table[i].rest, "%s, cut at %zu", text, split);
		}
	}
}

/* Decodes a chunked body that consists of before, n times c, and behind. */
static int repeated(const char *before, char c, size_t n, const char *behind)
{
	static char text[2 * CONTENT_MAX];
	struct http_body body;
	struct http_response r;
	struct result result = { 0 };
	const size_t len = strlen(before) + n + strlen(behind);

	memcpy(text, before, strlen(before));
	memset(text + strlen(before), c, n);
	memcpy(text + strlen(before) + n, behind, strlen(behind));
	http_parse_response(CHUNKED, strlen(CHUNKED), &r);
	http_body_begin(&body, &r);
	for (size_t i = 0; i < len && result.rc == 0; i++)
		decode(&body, text + i, 1, &result);
	return result.rc;
}

static void limits(void **state)
{
	(void)state;
	CHECK_INT(repeated("0;", 'x', HTTP_CHUNK_LINE_MAX - 3, "\r\n\r\n"), 1, "a line of 256 bytes");
	CHECK_INT(repeated("0;", 'x', HTTP_CHUNK_LINE_MAX - 2, "\r\n\r\n"), ERR_UPSTREAM_ANSWER, "257 bytes");
	CHECK_INT(repeated("0\r\nA:", 'x', HTTP_TRAILER_MAX - 3, "\r\n\r\n"), 1, "trailers of 1024 bytes");
	CHECK_INT(repeated("0\r\nA:", 'x', HTTP_TRAILER_MAX - 2, "\r\n\r\n"), ERR_UPSTREAM_ANSWER, "1025 bytes");
	CHECK_INT(repeated("0\r\nA: b\r\nC:", 'x', HTTP_TRAILER_MAX - 3, "\r\n\r\n"), ERR_UPSTREAM_ANSWER,
		  "in two lines");
	CHECK_INT(repeated("", '0', HTTP_CHUNK_DIGITS_MAX, "\r\n\r\n"), 1, "8 digits");
	CHECK_INT(repeated("", '0', HTTP_CHUNK_DIGITS_MAX + 1, "\r\n\r\n"), ERR_UPSTREAM_ANSWER, "9 digits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing),
		cmocka_unit_test(bodies),
		cmocka_unit_test(limits),
	};

	return RUN(tests);
}
