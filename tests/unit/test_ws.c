/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests ws.h: the accept key, every first byte of a header, the limits of each length encoding,
 * control frames, each close code, and UTF-8. Each header is parsed at every length, up to an
 * unreadable page.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "ws.h"

#define TEXT(s) s, sizeof(s) - 1

static struct guard in, out;
static const uint8_t key_bytes[4] = { 0x37, 0xFA, 0x21, 0x3D };

static int violation_of(enum ws_sender sender)
{
	return sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL;
}

/* Returns the result for the whole, after each prefix gave "need more". Once a prefix gives an
 * error, longer ones must, too. */
static int parse_at_every_length(const uint8_t *buf, size_t len, enum ws_sender sender, struct ws_header *ret)
{
	int before = 0;

	for (size_t n = 0; n <= len; n++) {
		const char *why = NULL;
		struct ws_header h = { .length = 0xABCD };
		int rc = ws_parse_header(guard_copy(&in, buf, n), n, sender, &h, &why);

		CHECK(before < 0 ? rc == before :
		      before > 0 ? rc == before :
				   true,
		      "%zu bytes of %02x %02x", n, buf[0], buf[1]);
		CHECK(rc <= 0 || before > 0 || rc == (int)n, "a size is told when it is there: %zu bytes of %02x %02x",
		      n, buf[0], buf[1]);
		CHECK(rc >= 0 || (rc == violation_of(sender) && why), "%zu bytes of %02x %02x", n, buf[0], buf[1]);
		CHECK(rc > 0 || h.length == 0xABCD, "set on success only: %02x %02x", buf[0], buf[1]);
		before = rc;
		*ret = h;
	}
	return before;
}

static void accept_key(void **state)
{
	char accept[WS_ACCEPT_LEN + 1], first[WS_KEY_LEN + 1], second[WS_KEY_LEN + 1];

	(void)state;
	assert_int_equal(ws_accept(guard_copy(&in, TEXT("dGhlIHNhbXBsZSBub25jZQ==")), accept), 0);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 section 1.3 */

	for (int i = 0; i < 100; i++) {
		assert_int_equal(ws_key_make(first) | ws_key_make(second), 0);
		assert_int_equal(strlen(first), WS_KEY_LEN);
		assert_true(ws_key_valid(first, WS_KEY_LEN));
		assert_string_not_equal(first, second);
	}
}

static void key_validity(void **state)
{
	static const struct {
		const char *key;
		size_t len;
		bool want;
	} table[] = {
		{ TEXT("dGhlIHNhbXBsZSBub25jZQ=="), true },
		{ TEXT("AAAAAAAAAAAAAAAAAAAAAA=="), true },
		{ TEXT("++++++++++//////////+w=="), true },
		{ TEXT("dGhlIHNhbXBsZSBub25jZR=="), true }, /* spare bits: see ws.c */
		{ TEXT(""), false },
		{ TEXT("="), false },
		{ TEXT("dGhlIHNhbXBsZSBub25jZQ="), false },
		{ TEXT("dGhlIHNhbXBsZSBub25jZQ"), false },
		{ TEXT("dGhlIHNhbXBsZSBub25jZQ==="), false },
		{ TEXT("dGhlIHNhbXBsZSBub25jZQA="), false },
		{ TEXT("dGhlIHNhbXBsZSBub25jZQAA"), false },
		{ TEXT("dGhlIHNhbXBsZSBub25jZ==="), false },
		{ TEXT("dGhlIHNhbXBsZS\0ub25jZQ=="), false },
		{ TEXT("dGhlIHNhbXBsZS-ub25jZQ=="), false },
		{ TEXT(" dGhlIHNhbXBsZSBub25jZQ="), false },
		{ TEXT("dGhlIHNhbXBsZSBub25 ZQ=="), false },
		{ TEXT("dGhlIHNhbXBsZS\xC3\xA9"
		       "b25jZQ=="),
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		CHECK_INT(ws_key_valid(guard_copy(&in, table[i].key, table[i].len), table[i].len), table[i].want, "%s",
			  table[i].key);
		for (size_t n = 0; n < table[i].len && n < WS_KEY_LEN; n++)
			CHECK(!ws_key_valid(guard_copy(&in, table[i].key, n), n), "%zu of %s", n, table[i].key);
	}
}

/* Every first byte, from both senders, masked or not. */
static void first_bytes(void **state)
{
	(void)state;
	for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++)
		for (unsigned first = 0; first < 256; first++)
			for (unsigned second = 0; second < 256; second++) {
				uint8_t frame[WS_HEADER_MAX] = {
					(uint8_t)first, (uint8_t)second, 0, 126, 0xAA, 0xBB, 0xCC, 0xDD
				};
				const unsigned opcode = first & 0x0F, length = second & 0x7F;
				const bool fin = first & 0x80, masked = second & 0x80, control = opcode >= 8;
				bool legal = (first & 0x70) == 0 && (opcode <= 2 || (opcode >= 8 && opcode <= 10)) &&
					     (fin || !control) && masked == (sender == WS_FROM_CLIENT) &&
					     (!control || length <= 125);
				size_t size = 2 + (length == 126 ? 2U : length == 127 ? 8U : 0U) + (masked ? 4U : 0U);
				struct ws_header h;
				int rc;

				if (length == 127) /* 65536 */
					memcpy(frame + 2, "\0\0\0\0\0\1\0\0\xAA\xBB\xCC\xDD", 12);
				rc = parse_at_every_length(frame, size, sender, &h);
				CHECK_INT(rc, legal ? (int)size : violation_of(sender), "%02x %02x", first, second);
				if (!legal)
					continue;
				CHECK(h.fin == fin && h.opcode == opcode && h.masked == masked, "%02x %02x", first,
				      second);
				CHECK(!masked || memcmp(h.mask, frame + size - 4, 4) == 0, "%02x %02x", first, second);
				CHECK_INT(h.length,
					  length == 126 ? 126 :
					  length == 127 ? 65536 :
							  length,
					  "%02x %02x", first, second);
			}
}

static void lengths(void **state)
{
	static const struct {
		const char *encoded; /* the second byte, less the mask bit, and the extended length */
		size_t len;
		int64_t want; /* -1: a violation */
	} table[] = {
		{ TEXT("\x00"), 0 },
		{ TEXT("\x01"), 1 },
		{ TEXT("\x7D"), 125 },
		{ TEXT("\x7E\x00\x7E"), 126 },
		{ TEXT("\x7E\x00\x7F"), 127 },
		{ TEXT("\x7E\x01\x00"), 256 },
		{ TEXT("\x7E\xFF\xFF"), 65535 },
		{ TEXT("\x7F\x00\x00\x00\x00\x00\x01\x00\x00"), 65536 },
		{ TEXT("\x7F\x00\x00\x00\x00\x00\x02\x00\x01"), 131073 },
		{ TEXT("\x7F\x00\x00\x00\x00\xFF\xFF\xFF\xFF"), UINT32_MAX },
		{ TEXT("\x7F\x01\x02\x03\x04\x05\x06\x07\x08"), 0x0102030405060708 },
		{ TEXT("\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), INT64_MAX },
		{ TEXT("\x7F\x80\x00\x00\x00\x00\x00\x00\x00"), -1 },
		{ TEXT("\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), -1 },
		{ TEXT("\x7E\x00\x00"), -1 },
		{ TEXT("\x7E\x00\x01"), -1 },
		{ TEXT("\x7E\x00\x7D"), -1 },
		{ TEXT("\x7F\x00\x00\x00\x00\x00\x00\x00\x00"), -1 },
		{ TEXT("\x7F\x00\x00\x00\x00\x00\x00\x00\x7D"), -1 },
		{ TEXT("\x7F\x00\x00\x00\x00\x00\x00\x00\x7E"), -1 },
		{ TEXT("\x7F\x00\x00\x00\x00\x00\x00\xFF\xFF"), -1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++) {
			uint8_t frame[WS_HEADER_MAX] = { 0x82 }, *written;
			size_t size = 1 + table[i].len;
			struct ws_header h;
			int rc;

			memcpy(frame + 1, table[i].encoded, table[i].len);
			if (sender == WS_FROM_CLIENT) {
				frame[1] |= 0x80;
				memcpy(frame + size, key_bytes, 4);
				size += 4;
			}
			rc = parse_at_every_length(frame, size, sender, &h);
			CHECK_INT(rc, table[i].want < 0 ? violation_of(sender) : (int)size, "length %zu", i);
			if (rc < 0)
				continue;
			CHECK_INT(h.length, table[i].want, "length %zu", i);

			/* And write it again, to a buffer of exactly its size. */
			CHECK_INT(ws_header_size(&h), size, "length %zu", i);
			written = guard_room(&out, size);
			CHECK_INT(ws_write_header(written, &h), size, "length %zu", i);
			CHECK(memcmp(written, frame, size) == 0, "length %zu", i);
		}
}

static void control_frames(void **state)
{
	static const enum ws_opcode opcodes[] = { WS_CLOSE, WS_PING, WS_PONG };
	uint8_t payload[WS_CONTROL_MAX];

	(void)state;
	/* RFC 6455 section 5.7: an unmasked Ping and a masked Pong of "Hello". */
	uint8_t *frame = guard_room(&out, 7);
	assert_int_equal(ws_write_control(frame, WS_PING, guard_copy(&in, "Hello", 5), 5, NULL), 7);
	assert_memory_equal(frame, "\x89\x05Hello", 7);
	frame = guard_room(&out, 11);
	assert_int_equal(ws_write_control(frame, WS_PONG, "Hello", 5, key_bytes), 11);
	assert_memory_equal(frame, "\x8A\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58", 11);

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < COUNT(opcodes); i++)
		for (size_t len = 0; len <= WS_CONTROL_MAX; len++)
			for (int masked = 0; masked < 2; masked++) {
				const size_t size = 2 + len + (masked ? 4U : 0U);
				const char *why;
				struct ws_header h;

				frame = guard_room(&out, size);
				CHECK_INT(ws_write_control(frame, opcodes[i],
							   len ? guard_copy(&in, payload, len) : NULL, len,
							   masked ? key_bytes : NULL),
					  size, "%zu", len);
				CHECK_INT(ws_parse_header(frame, size, masked ? WS_FROM_CLIENT : WS_FROM_SERVER, &h,
							  &why),
					  size - len, "%zu", len);
				CHECK(h.opcode == opcodes[i] && h.fin && h.length == len, "%zu", len);
				if (masked)
					ws_mask(frame + size - len, len, h.mask);
				CHECK(len == 0 || memcmp(frame + size - len, payload, len) == 0, "%zu", len);
			}

	/* Masking depends on the position, and masking twice gives the original. */
	for (size_t len = 0; len <= 33; len++) {
		uint8_t *data = guard_copy(&in, payload, len);

		ws_mask(data, len, key_bytes);
		for (size_t i = 0; i < len; i++)
			CHECK_INT(data[i], payload[i] ^ key_bytes[i % 4], "%zu of %zu", i, len);
		ws_mask(data, len, key_bytes);
		CHECK(len == 0 || memcmp(data, payload, len) == 0, "%zu", len);
	}
}

static int parse_close(const void *payload, size_t len, enum ws_sender sender, int *ret_code, char *reason)
{
	struct ws_control close = { .opcode = WS_CLOSE, .length = len };

	memset(close.payload, 'Z', sizeof(close.payload));
	memcpy(close.payload, payload, len);
	*ret_code = -77;
	return ws_parse_close(&close, sender, ret_code, reason);
}

static void close_codes(void **state)
{
	(void)state;
	for (int code = 0; code <= UINT16_MAX; code++) {
		/* RFC 6455 section 7.4 and IANA's registry: 1004 is reserved. 1005, 1006 and 1015
		 * are never sent. 1012 to 1014 were added later. 1016 to 2999 are for later
		 * versions, 3000 to 4999 are free to use. */
		bool legal = code == 1000 || code == 1001 || code == 1002 || code == 1003 || code == 1007 ||
			     code == 1008 || code == 1009 || code == 1010 || code == 1011 || code == 1012 ||
			     code == 1013 || code == 1014 || (code >= 3000 && code < 5000);
		uint8_t payload[WS_CONTROL_MAX];
		char reason[WS_REASON_MAX + 1];
		size_t len = ws_write_close(payload, code, "bye");
		int got;

		CHECK(len == 5 && payload[0] == code >> 8 && payload[1] == (code & 0xFF) &&
			      memcmp(payload + 2, "bye", 3) == 0,
		      "%d", code);
		for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++) {
			CHECK_INT(parse_close(payload, len, sender, &got, reason), legal ? 0 : violation_of(sender),
				  "%d", code);
			CHECK_INT(got, legal ? code : -77, "%d", code);
			CHECK(!legal || strcmp(reason, "bye") == 0, "%d", code);
			CHECK_INT(parse_close(payload, 2, sender, &got, reason), legal ? 0 : violation_of(sender),
				  "%d, no reason", code);
			CHECK(!legal || reason[0] == '\0', "%d", code);
		}
	}
}

static void close_payloads(void **state)
{
	static const struct {
		const char *payload;
		size_t len;
		int want, want_upstream, code;
		const char *reason;
	} table[] = {
		{ TEXT(""), 0, 0, 0, "" },
		{ TEXT("\x03"), ERR_CLIENT_PROTOCOL, ERR_UPSTREAM_PROTOCOL, 0, NULL },
		{ TEXT("\x03\xE8"), 0, 0, 1000, "" },
		{ TEXT("\x03\xE8"
		       "caf\xC3\xA9"),
		  0, 0, 1000, "caf\xC3\xA9" },
		{ TEXT("\x03\xE8"
		       "a\r\nb\tc\x7F"
		       "d\0e\x1B[m"),
		  0, 0, 1000, "a??b?c?d?e?[m" },
		{ TEXT("\x03\xE8\xFF"), ERR_CLIENT_UTF8, ERR_UPSTREAM_PROTOCOL, 0, NULL },
		{ TEXT("\x03\xE8"
		       "a\x80"),
		  ERR_CLIENT_UTF8, ERR_UPSTREAM_PROTOCOL, 0, NULL },
		{ TEXT("\x03\xE8\xC3"), ERR_CLIENT_UTF8, ERR_UPSTREAM_PROTOCOL, 0, NULL },
		{ TEXT("\x03\xE8\xC0\xAF"), ERR_CLIENT_UTF8, ERR_UPSTREAM_PROTOCOL, 0, NULL },
		{ TEXT("\x03\xE8\xED\xA0\x80"), ERR_CLIENT_UTF8, ERR_UPSTREAM_PROTOCOL, 0, NULL },
		{ TEXT("\x00\x00\xFF"), ERR_CLIENT_PROTOCOL, ERR_UPSTREAM_PROTOCOL, 0, NULL },
	};
	uint8_t full[WS_CONTROL_MAX];
	char reason[WS_REASON_MAX + 1];
	int code;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		CHECK_INT(parse_close(table[i].payload, table[i].len, WS_FROM_SERVER, &code, reason),
			  table[i].want_upstream, "close %zu", i);
		CHECK_INT(parse_close(table[i].payload, table[i].len, WS_FROM_CLIENT, &code, reason), table[i].want,
			  "close %zu", i);
		if (table[i].want == 0)
			CHECK(code == table[i].code && strcmp(reason, table[i].reason) == 0, "close %zu: %d %s", i,
			      code, reason);
	}
	memset(full, 'r', sizeof(full));
	memcpy(full, "\x03\xF3", 2);
	CHECK_INT(parse_close(full, sizeof(full), WS_FROM_CLIENT, &code, guard_room(&out, sizeof(reason))), 0, "full");

	/* Reasons of every length, with characters of one to four bytes, at every offset. */
	for (size_t offset = 0; offset < 4; offset++)
		for (size_t chars = 0; chars < 140; chars++) {
			static const char *const characters[] = { "a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };

			for (size_t c = 0; c < COUNT(characters); c++) {
				const size_t width = strlen(characters[c]);
				char text[600] = "aaa";
				size_t want = offset + chars * width, got;
				uint8_t *buf = guard_room(&out, WS_CONTROL_MAX);

				text[offset] = '\0';
				for (size_t i = 0; i < chars; i++)
					memcpy(text + offset + i * width, characters[c], width + 1);
				if (want > WS_REASON_MAX)
					want = offset + (WS_REASON_MAX - offset) / width * width;
				got = ws_write_close(buf, 1011, text);
				CHECK_INT(got, 2 + want, "%zu, %zu of %zu bytes", offset, chars, width);
				CHECK(memcmp(buf + 2, text, want) == 0, "%zu, %zu of %zu bytes", offset, chars, width);
				CHECK_INT(parse_close(buf, got, WS_FROM_SERVER, &code, reason), 0,
					  "%zu, %zu of %zu bytes", offset, chars, width);
			}
		}
}

static void utf8(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool want;
	} table[] = {
		{ TEXT(""), true },
		{ TEXT("\0"), true },
		{ TEXT("\x7F"), true },
		{ TEXT("\xC2\x80"), true },
		{ TEXT("\xDF\xBF"), true },
		{ TEXT("\xE0\xA0\x80"), true },
		{ TEXT("\xED\x9F\xBF"), true },
		{ TEXT("\xEE\x80\x80"), true },
		{ TEXT("\xEF\xBF\xBF"), true },
		{ TEXT("\xF0\x90\x80\x80"), true },
		{ TEXT("\xF4\x8F\xBF\xBF"), true },
		{ TEXT("\xEF\xBB\xBF"), true },
		{ TEXT("\xCE\xBA\xE1\xBD\xB9\xCF\x83\xCE\xBC\xCE\xB5"), true },
		{ TEXT("\x80"), false },
		{ TEXT("\xBF"), false },
		{ TEXT("\xC0\x80"), false },
		{ TEXT("\xC1\xBF"), false },
		{ TEXT("\xC2"), false },
		{ TEXT("\xC2\x7F"), false },
		{ TEXT("\xC2\xC0"), false },
		{ TEXT("\xE0\x9F\xBF"), false },
		{ TEXT("\xE0\x80\x80"), false },
		{ TEXT("\xED\xA0\x80"), false },
		{ TEXT("\xED\xBF\xBF"), false },
		{ TEXT("\xE2\x82"), false },
		{ TEXT("\xE2\x82\x28"), false },
		{ TEXT("\xE2\x28\xA1"), false },
		{ TEXT("\xF0\x8F\xBF\xBF"), false },
		{ TEXT("\xF0\x80\x80\x80"), false },
		{ TEXT("\xF4\x90\x80\x80"), false },
		{ TEXT("\xF5\x80\x80\x80"), false },
		{ TEXT("\xF0\x9F\x98"), false },
		{ TEXT("\xF0\x9F\x98\x28"), false },
		{ TEXT("\xF8\x88\x80\x80\x80"), false },
		{ TEXT("\xFE"), false },
		{ TEXT("\xFF"), false },
		{ TEXT("\xC2\x80\x80"), false },
		{ TEXT("a\xC3"), false },
		{ TEXT("\xC3"
		       "a"),
		  false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		CHECK_INT(ws_utf8_valid(guard_copy(&in, table[i].text, table[i].len), table[i].len), table[i].want,
			  "row %zu", i);

	/* Each code point in its valid form, in each form that is too long, and truncated. */
	for (uint32_t point = 0; point <= 0x110FFF;
	     point += point < 0x3000 || (point > 0xD000 && point < 0xE100) || point > 0x10FE00 ? 1 : 61)
		for (size_t size = 1; size <= 4; size++) {
			static const uint32_t beyond[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
			static const uint8_t lead[] = { 0, 0x00, 0xC0, 0xE0, 0xF0 };
			uint8_t text[4];
			uint32_t rest = point;
			bool proper = point < beyond[size] && point >= beyond[size - 1] && point <= 0x10FFFF &&
				      (point < 0xD800 || point > 0xDFFF);

			if (point >= beyond[size])
				continue;
			for (size_t i = size; i-- > 1; rest >>= 6)
				text[i] = (uint8_t)(0x80 | (rest & 0x3F));
			text[0] = (uint8_t)(lead[size] | rest);
			CHECK_INT(ws_utf8_valid(guard_copy(&in, text, size), size), proper, "U+%04X in %zu bytes",
				  point, size);
			CHECK(size == 1 || !ws_utf8_valid(guard_copy(&in, text, size - 1), size - 1),
			      "U+%04X cut from %zu bytes", point, size);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accept_key),     cmocka_unit_test(key_validity),   cmocka_unit_test(first_bytes),
		cmocka_unit_test(lengths),        cmocka_unit_test(control_frames), cmocka_unit_test(close_codes),
		cmocka_unit_test(close_payloads), cmocka_unit_test(utf8),
	};

	return RUN(tests);
}
