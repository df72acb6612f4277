/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes http_body.h. The first bytes choose the framing and the size of the pieces, the rest is
 * the body. The content must not depend on the pieces, and must be what a simple decoder finds in
 * the whole body.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/error.h"
#include "lib/hex.h"
#include "lib/http_body.h"

enum { CONTENT_MAX = 16 * 1024 };

struct result {
	int rc; /* of the last call */
	size_t used, n;
	char content[CONTENT_MAX];
};

/* Decodes text in pieces of that size, each in memory of its own size for the address sanitizer. */
static void decode(const struct http_response *r, const char *text, size_t len, size_t size, struct result *ret)
{
	struct http_body body;

	http_body_begin(&body, r);
	ret->rc = 0;
	ret->used = ret->n = 0;
	for (size_t start = 0, n; ret->rc == 0 && start < len; start += n) {
		char *piece;

		n = len - start < size ? len - start : size;
		piece = malloc(n);
		memcpy(piece, text + start, n);
		for (size_t at = 0; ret->rc == 0 && at < n;) {
			struct slice content = { NULL, 0 };
			size_t used = 0;

			ret->rc = http_body_decode(&body, piece + at, n - at, &used, &content);
			if (ret->rc < 0)
				break;
			REQUIRE(used <= n - at && content.len <= used && (used > 0 || ret->rc == 1), "%zu of %zu", used,
				n - at);
			REQUIRE(content.len == 0 || (content.at >= piece + at && content.at + content.len <= piece + n),
				"content outside of the piece");
			memcpy(ret->content + ret->n, content.at, content.len);
			ret->n += content.len;
			ret->used += used;
			at += used;
		}
		free(piece);
	}
	if (ret->rc == 0) {
		struct slice content;
		size_t used;

		ret->rc = http_body_decode(&body, text, 0, &used, &content);
		REQUIRE(ret->rc >= 0 && used == 0 && content.len == 0, "nothing decodes to something");
	}
}

/* Finds the end of a line. Returns its length, or -1 if it has none or a control character. */
static long line_length(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (text[i] == '\r')
			return text[i + 1] == '\n' ? (long)i : -1;
		if (((uint8_t)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7F)
			return -1;
	}
	return -1;
}

/* A simple decoder of a whole chunked body. Returns the content's size, or -1 if it is not whole
 * and valid; *ret_used is the body's size. */
static long reference(const char *text, size_t len, char *content, size_t *ret_used)
{
	size_t at = 0, n = 0, trailers = 0;

	for (;;) {
		long line = line_length(text + at, len - at);
		size_t size = 0, digits = 0;

		if (line < 0 || line >= HTTP_CHUNK_LINE_MAX)
			return -1;
		for (; (long)digits < line && hex_digit(text[at + digits]) >= 0; digits++)
			size = size << 4 | (size_t)hex_digit(text[at + digits]);
		if (digits == 0 || digits > HTTP_CHUNK_DIGITS_MAX ||
		    ((long)digits < line && !strchr("; \t", text[at + digits])))
			return -1;
		at += (size_t)line + 2;
		if (size == 0)
			break;
		if (len - at < size + 2 || memcmp(text + at + size, "\r\n", 2) != 0)
			return -1;
		memcpy(content + n, text + at, size);
		n += size;
		at += size + 2;
	}
	for (;;) {
		long line = line_length(text + at, len - at);

		if (line < 0)
			return -1;
		at += (size_t)line + 2;
		if (line == 0)
			break;
		trailers += (size_t)line + 1; /* with its CR */
		if (trailers > HTTP_TRAILER_MAX)
			return -1;
	}
	*ret_used = at;
	return (long)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, pieces;
	static char content[CONTENT_MAX];
	struct input in = { data, size };
	struct http_response r = { .framing = (enum http_framing)(take_byte(&in) & 3) };
	const size_t piece = 1U + take_byte(&in);
	const uint8_t *bytes;
	size_t len, used;
	long n;

	r.length = r.framing == HTTP_LENGTH ? take_number(&in, 2) : 0;
	bytes = take_bytes(&in, CONTENT_MAX, &len);
	decode(&r, (const char *)bytes, len, CONTENT_MAX, &whole);
	decode(&r, (const char *)bytes, len, piece, &pieces);
	REQUIRE(whole.rc == pieces.rc && whole.n == pieces.n && memcmp(whole.content, pieces.content, whole.n) == 0,
		"pieces of %zu: %d and %zu bytes, not %d and %zu", piece, pieces.rc, pieces.n, whole.rc, whole.n);
	REQUIRE(whole.rc < 0 || whole.used == pieces.used, "%zu and %zu bytes used", whole.used, pieces.used);
	switch (r.framing) {
	case HTTP_NO_BODY:
		REQUIRE(whole.rc == 1 && whole.used == 0, "%d", whole.rc);
		break;
	case HTTP_LENGTH:
		REQUIRE(whole.rc == (len >= r.length) && whole.n == (len < r.length ? len : r.length), "%d", whole.rc);
		break;
	case HTTP_UNTIL_CLOSE:
		REQUIRE(whole.rc == 0 && whole.n == len, "%d", whole.rc);
		break;
	case HTTP_CHUNKED:
		n = reference((const char *)bytes, len, content, &used);
		REQUIRE((n >= 0) == (whole.rc == 1), "%d, but the reference says %ld", whole.rc, n);
		if (n >= 0)
			REQUIRE((size_t)n == whole.n && used == whole.used &&
					memcmp(content, whole.content, whole.n) == 0,
				"%zu bytes of content in %zu, not %ld in %zu", whole.n, whole.used, n, used);
		break;
	}
	return 0;
}
