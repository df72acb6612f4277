/* SPDX-License-Identifier: Apache-2.0
 *
 * Decodes the bodies of HTTP/1.1 responses.
 */
#include "lib/http_body.h"

#include "lib/error.h"
#include "lib/hex.h"

void http_body_begin(struct http_body *b, const struct http_response *r)
{
	*b = (struct http_body){ .framing = r->framing };
	switch (r->framing) {
	case HTTP_LENGTH:
		b->left = r->length;
		b->state = b->left > 0 ? BODY_CONTENT : BODY_DONE;
		break;
	case HTTP_CHUNKED:
		b->state = BODY_SIZE;
		break;
	case HTTP_UNTIL_CLOSE:
		b->state = BODY_CONTENT;
		break;
	case HTTP_NO_BODY:
		b->state = BODY_DONE;
		break;
	}
}

/* Takes content from buf[0..len). Returns how many bytes. */
static size_t take_content(struct http_body *b, size_t len)
{
	if (b->framing == HTTP_UNTIL_CLOSE)
		return len;
	if (len > b->left)
		len = (size_t)b->left;
	b->left -= len;
	if (b->left == 0)
		b->state = b->framing == HTTP_CHUNKED ? BODY_CHUNK_CR : BODY_DONE;
	return len;
}

/* A character that may be in an extension or trailer. */
static bool is_text(char c)
{
	return ((uint8_t)c >= 0x20 && c != 0x7F) || c == '\t';
}

/* Takes a byte of the line with a chunk's size: hexadecimal digits, and an extension, which begins
 * with a semicolon or with white space before it (RFC 9112 section 7.1.1). Returns false if it is
 * not valid. */
static bool take_size(struct http_body *b, char c)
{
	const int digit = hex_digit(c);

	if (++b->line > HTTP_CHUNK_LINE_MAX)
		return false;
	if (c == '\r' && b->n_digits > 0) {
		b->state = BODY_SIZE_LF;
		return true;
	}
	if (b->state == BODY_EXTENSION)
		return is_text(c);
	if (digit >= 0) {
		b->left = b->left << 4 | (uint64_t)digit;
		return ++b->n_digits <= HTTP_CHUNK_DIGITS_MAX;
	}
	b->state = BODY_EXTENSION;
	return b->n_digits > 0 && (c == ';' || c == ' ' || c == '\t');
}

/* Goes to the next state if c is wanted. Returns false if it is not. */
static bool take(struct http_body *b, char c, char wanted, enum http_body_state next)
{
	b->state = next;
	return c == wanted;
}

/* Takes a byte that is no content. Returns false if it is not valid. */
static bool take_framing(struct http_body *b, char c)
{
	switch (b->state) {
	case BODY_SIZE:
	case BODY_EXTENSION:
		return take_size(b, c);
	case BODY_SIZE_LF:
		b->line = b->n_digits = 0;
		return take(b, c, '\n', b->left > 0 ? BODY_CONTENT : BODY_TRAILER_START);
	case BODY_CHUNK_CR:
		return take(b, c, '\r', BODY_CHUNK_LF);
	case BODY_CHUNK_LF:
		return take(b, c, '\n', BODY_SIZE);
	case BODY_TRAILER_START:
		if (c == '\r')
			return take(b, c, '\r', BODY_END_LF);
		b->state = BODY_TRAILER;
		/* fall through */
	case BODY_TRAILER:
		if (++b->line > HTTP_TRAILER_MAX)
			return false;
		return c == '\r' ? take(b, c, '\r', BODY_TRAILER_LF) : is_text(c);
	case BODY_TRAILER_LF:
		return take(b, c, '\n', BODY_TRAILER_START);
	case BODY_END_LF:
		return take(b, c, '\n', BODY_DONE);
	default:
		return false;
	}
}

int http_body_decode(struct http_body *b, const char *buf, size_t len, size_t *ret_used, struct slice *ret_content)
{
	size_t at = 0, n = 0;

	while (at < len && b->state != BODY_DONE && b->state != BODY_CONTENT)
		if (!take_framing(b, buf[at++]))
			return ERR_UPSTREAM_ANSWER;
	if (b->state == BODY_CONTENT)
		n = take_content(b, len - at);
	*ret_content = (struct slice){ buf + at, n };
	*ret_used = at + n;
	return b->state == BODY_DONE;
}
