/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses and writes the parts of the WebSocket protocol (RFC 6455) that ws.h lists.
 */
#include "ws.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "lib/big_endian.h"
#include "lib/error.h"

#define KEY_BYTES 16
#define SHA1_BYTES 20
static const char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */

bool ws_key_valid(const char *key, size_t len)
{
	/* 16 bytes are 22 base64 characters and 2 padding characters. OpenSSL's decoder would skip
	 * white space at the ends. So we check the alphabet ourselves. */
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (len != WS_KEY_LEN || key[22] != '=' || key[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++)
		if (key[i] == '\0' || !strchr(alphabet, key[i]))
			return false;
	/* Only the upper two bits of the last character are part of the 16 bytes. Some clients set
	 * the others too, and common decoders ignore them: so do we. */
	return true;
}

int ws_key_make(char ret_key[WS_KEY_LEN + 1])
{
	uint8_t bytes[KEY_BYTES];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return ERR_SYSTEM;
	EVP_EncodeBlock((unsigned char *)ret_key, bytes, sizeof(bytes));
	return OK;
}

int ws_accept(const char *key, char ret_accept[WS_ACCEPT_LEN + 1])
{
	uint8_t text[WS_KEY_LEN + sizeof(accept_guid) - 1];
	uint8_t digest[SHA1_BYTES];

	memcpy(text, key, WS_KEY_LEN);
	memcpy(text + WS_KEY_LEN, accept_guid, sizeof(accept_guid) - 1);
	if (EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha1(), NULL) != 1)
		return ERR_SYSTEM;
	EVP_EncodeBlock((unsigned char *)ret_accept, digest, sizeof(digest));
	return OK;
}

static void write_be(uint8_t *p, uint64_t value, size_t n)
{
	for (size_t i = n; i-- > 0; value >>= 8)
		p[i] = (uint8_t)value;
}

/* Returns the size in bytes of the extended length field. Only the shortest encoding is valid. */
static size_t extended_size(uint64_t length)
{
	return length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8;
}

static int violation(enum ws_sender sender, const char **ret_why, const char *why)
{
	*ret_why = why;
	return sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL;
}

int ws_parse_header(const uint8_t *buf, size_t len, enum ws_sender sender, struct ws_header *ret_header,
		    const char **ret_why)
{
	struct ws_header h = { 0 };
	size_t extended, size;
	uint8_t length7;

	if (len < 1)
		return 0;
	if (buf[0] & 0x70) /* only extensions use these bits, and we negotiate none */
		return violation(sender, ret_why, "reserved bit set");
	h.fin = buf[0] & 0x80;
	switch (buf[0] & 0x0F) {
	case WS_CONTINUATION:
	case WS_TEXT:
	case WS_BINARY:
	case WS_CLOSE:
	case WS_PING:
	case WS_PONG:
		h.opcode = buf[0] & 0x0F;
		break;
	default:
		return violation(sender, ret_why, "unknown opcode");
	}
	if (h.opcode >= WS_CLOSE && !h.fin)
		return violation(sender, ret_why, "fragmented control frame");

	if (len < 2)
		return 0;
	h.masked = buf[1] & 0x80;
	if (h.masked != (sender == WS_FROM_CLIENT))
		return violation(sender, ret_why, h.masked ? "masked frame from a server" : "unmasked frame");
	length7 = buf[1] & 0x7F;
	if (h.opcode >= WS_CLOSE && length7 > WS_CONTROL_MAX)
		return violation(sender, ret_why, "control frame over 125 bytes");

	extended = length7 < 126 ? 0 : length7 == 126 ? 2 : 8;
	if (len < 2 + extended)
		return 0;
	h.length = extended ? big_endian(buf + 2, extended) : length7;
	if (extended_size(h.length) != extended)
		return violation(sender, ret_why, "length not in its shortest form");
	if (h.length > INT64_MAX)
		return violation(sender, ret_why, "length over 63 bits");

	size = 2 + extended + (h.masked ? 4 : 0);
	if (len < size)
		return 0;
	if (h.masked)
		memcpy(h.mask, buf + size - 4, 4);
	*ret_header = h;
	return (int)size;
}

size_t ws_header_size(const struct ws_header *header)
{
	return 2 + extended_size(header->length) + (header->masked ? 4 : 0);
}

size_t ws_write_header(uint8_t *buf, const struct ws_header *header)
{
	size_t extended = extended_size(header->length), size = 2 + extended;

	buf[0] = (uint8_t)((header->fin ? 0x80 : 0) | header->opcode);
	buf[1] = extended == 0 ? (uint8_t)header->length : extended == 2 ? 126 : 127;
	if (extended)
		write_be(buf + 2, header->length, extended);
	if (header->masked) {
		buf[1] |= 0x80;
		memcpy(buf + size, header->mask, 4);
		size += 4;
	}
	return size;
}

void ws_mask(uint8_t *data, size_t len, const uint8_t mask[4])
{
	for (size_t i = 0; i < len; i++)
		data[i] ^= mask[i % 4];
}

size_t ws_write_control(uint8_t *buf, enum ws_opcode opcode, const void *payload, size_t length, const uint8_t *mask)
{
	struct ws_header header = { .fin = true, .opcode = opcode, .length = length, .masked = mask };
	size_t size;

	if (mask)
		memcpy(header.mask, mask, 4);
	size = ws_write_header(buf, &header);
	if (length)
		memcpy(buf + size, payload, length);
	if (mask)
		ws_mask(buf + size, length, mask);
	return size + length;
}

size_t ws_write_close(uint8_t *buf, int code, const char *reason)
{
	size_t len = strlen(reason);

	if (len > WS_REASON_MAX) {
		len = WS_REASON_MAX;
		while (len > 0 && ((uint8_t)reason[len] & 0xC0) == 0x80)
			len--;
	}
	write_be(buf, (uint64_t)code, 2);
	memcpy(buf + 2, reason, len);
	return 2 + len;
}

/* Returns true if a Close frame may carry code: a registered code (RFC 6455 section 7.4.1 and the
 * IANA registry) that is not reserved for local use, or a code for libraries or applications. */
static bool close_code_valid(int code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

int ws_parse_close(const struct ws_control *close, enum ws_sender sender, int *ret_code,
		   char ret_reason[WS_REASON_MAX + 1])
{
	const int protocol = sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL;
	size_t len;
	int code;

	if (close->length == 0) {
		*ret_code = 0;
		ret_reason[0] = '\0';
		return OK;
	}
	if (close->length == 1)
		return protocol;
	code = (int)big_endian(close->payload, 2);
	if (!close_code_valid(code))
		return protocol;
	len = close->length - 2;
	if (!ws_utf8_valid(close->payload + 2, len))
		return sender == WS_FROM_CLIENT ? ERR_CLIENT_UTF8 : ERR_UPSTREAM_PROTOCOL;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = close->payload[2 + i];
		ret_reason[i] = c < 0x20 || c == 0x7F ? '?' : (char)c;
	}
	ret_reason[len] = '\0';
	*ret_code = code;
	return OK;
}

bool ws_utf8_valid(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;

	while (p < end) {
		uint8_t c = *p++, low = 0x80, high = 0xBF; /* bounds of the second byte: RFC 3629 section 4 */
		size_t more;

		if (c < 0x80)
			continue;
		else if (c >= 0xC2 && c <= 0xDF)
			more = 1;
		else if (c >= 0xE0 && c <= 0xEF)
			more = 2;
		else if (c >= 0xF0 && c <= 0xF4)
			more = 3;
		else
			return false;
		if (c == 0xE0)
			low = 0xA0; /* no overlong form */
		else if (c == 0xED)
			high = 0x9F; /* no surrogate */
		else if (c == 0xF0)
			low = 0x90; /* no overlong form */
		else if (c == 0xF4)
			high = 0x8F; /* at most U+10FFFF */

		if ((size_t)(end - p) < more)
			return false;
		for (; more > 0; more--, p++, low = 0x80, high = 0xBF)
			if (*p < low || *p > high)
				return false;
	}
	return true;
}
