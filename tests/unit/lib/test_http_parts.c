/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests http.h except for heads, and uri.h: query parameters, the choice of a subprotocol,
 * percent-encoding, and each byte of the answers. Input and output end at an unreadable page.
 */
#include "lib/uri.h"
#include "tests/unit/lib/slices.h"

#include "lib/error.h"

#define SLICE(s) ((struct slice){ s, sizeof(s) - 1 })
#define NO_SLICE ((struct slice){ NULL, 0 })

static struct guard in, out;

static void query(void **state)
{
	enum { SIZE = 16 };
	static const struct {
		const char *target;
		int want; /* length, or an error */
		const char *value;
	} table[] = {
		{ "/?payload=abc", 3, "abc" },
		{ "/any/path?a=b&payload=abc&c", 3, "abc" },
		{ "/?payload=a&payload=b", 1, "a" },
		{ "/?payload=&payload=b", 0, "" },
		{ "/?payload&payload=b", 0, NULL },
		{ "/?payload=", 0, "" },
		{ "/?payload", 0, NULL },
		{ "/", 0, NULL },
		{ "/?", 0, NULL },
		{ "/?&&", 0, NULL },
		{ "/?=abc", 0, NULL },
		{ "/payload=abc", 0, NULL },
		{ "/&payload=abc", 0, NULL },
		{ "/?Payload=abc", 0, NULL },
		{ "/?payloads=abc", 0, NULL },
		{ "/?payloa=abc", 0, NULL },
		{ "/?xpayload=abc", 0, NULL },
		{ "/?payload%00=abc", 0, NULL },
		{ "/?payload%=x&payload=abc", 3, "abc" },
		{ "/?a-name-that-is-too-long-for-the-buffer=x&payload=abc", 3, "abc" },
		{ "/?%70ayloa%64=abc", 3, "abc" },
		{ "/?x?payload=abc", 0, NULL },
		{ "/?payload=?", 1, "?" },
		{ "/?payload=a=b", 3, "a=b" },
		{ "/?payload=00:ff", 5, "00:ff" },
		{ "/?payload=00%3Aff", 5, "00:ff" },
		{ "/?payload=00%3aFF", 5, "00:FF" },
		{ "/?payload=a+b%2B", 4, "a b+" },
		{ "/?payload=%26%3D%25", 3, "&=%" },
		{ "/?payload=%C3%a9%ff", 3, "\xC3\xA9\xFF" },
		{ "/?payload=a;b", 3, "a;b" },
		{ "/?payload=%", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=a%4", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%4&a=1", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%&a", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%4g", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%g4", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%%41", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%-1", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=% 1", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%u0041", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=%00", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=ab%00c", ERR_REQUEST_MALFORMED, NULL },
		{ "/?payload=123456789012345", 15, "123456789012345" },
		{ "/?payload=%31%32%33%34%35%36%37%38%39%30%31%32%33%34%35", 15, "123456789012345" },
		{ "/?payload=1234567890123456", ERR_REQUEST_TOO_LARGE, NULL },
		{ "/?payload=123456789012345%36", ERR_REQUEST_TOO_LARGE, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = strlen(table[i].target);
		struct slice target = { guard_copy(&in, table[i].target, len), len };
		char *buf = guard_room(&out, SIZE);

		memset(buf, 'Z', SIZE);
		CHECK_INT(uri_query(target, "payload", buf, SIZE), table[i].want, "%s", table[i].target);
		if (table[i].value)
			CHECK(strcmp(buf, table[i].value) == 0, "%s is %s", table[i].target, buf);
		/* For no prefix does it read beyond the end. */
		for (size_t n = 0; n < len; n++)
			CHECK(uri_query((struct slice){ guard_copy(&in, table[i].target, n), n }, "payload", buf,
					SIZE) < SIZE,
			      "%s", table[i].target);
	}
	check_slice(uri_path(SLICE("/a/b?c?d")), "/a/b", "path", "path");
	check_slice(uri_path(SLICE("/a")), "/a", "path", "path");
	check_slice(uri_path(SLICE("/?")), "/", "path", "path");
}

/* Returns the choice from two fields. */
static struct slice chosen(struct slice first, struct slice second)
{
	struct http_request r = { 0 };

	http_add_protocols(&r, first);
	http_add_protocols(&r, second);
	return r.ws_protocol;
}

static void protocol_choice(void **state)
{
	static const struct {
		const char *offered, *want;
	} table[] = {
		{ "binary", "binary" },
		{ "base64, binary", "binary" },
		{ "a,binary,b", "binary" },
		{ "a , b", "a" },
		{ " a", "a" },
		{ "Binary, x", "Binary" },
		{ "binaryx, x", "binaryx" },
		{ "", NULL },
		{ ",", NULL },
		{ " , ,", NULL },
		{ ",,b", "b" },
		{ "a b, c", "c" },
		{ "a\tb", NULL },
		{ "\"a\", b", "b" },
		{ "a/b", NULL },
		{ "\xE9, x", "x" },
		{ "a;q=1", NULL },
		{ "proxxy.payload.e30..a.b.c", NULL },
		{ "proxxy.payload.e30..a.b.c, binary", "binary" },
		{ "binary, proxxy.payload.", "binary" },
		{ "proxxy.payload.e30, base64", "base64" },
		{ "proxxy.payload", "proxxy.payload" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = strlen(table[i].offered);
		struct slice offered = { guard_copy(&in, table[i].offered, len), len };

		check_slice(chosen(offered, NO_SLICE), table[i].want, table[i].offered, "protocol");
		/* Several fields count as one list (RFC 6455 section 11.3.4). */
		check_slice(chosen(offered, SLICE("z, binary")), "binary", table[i].offered, "with binary behind");
		check_slice(chosen(offered, SLICE("z")), table[i].want ? table[i].want : "z", table[i].offered,
			    "with another behind");
		check_slice(chosen(SLICE("binary"), offered), "binary", table[i].offered, "behind binary");
	}
	check_slice(chosen(NO_SLICE, NO_SLICE), NULL, "nothing offered", "protocol");
	assert_true(slice_is_nocase(SLICE("WebSocket"), "websocket") && !slice_is(SLICE("WebSocket"), "websocket"));
	assert_false(slice_is_nocase(SLICE("web"), "websocket") || slice_is((struct slice){ NULL, 0 }, ""));
}

static void protocol_payload(void **state)
{
	static const struct {
		const char *offered, *want;
		size_t n;
	} table[] = {
		{ "binary", NULL, 0 },
		{ "binary, proxxy.payload.e30..a.b.c-_", "e30..a.b.c-_", 1 },
		{ "proxxy.payload.a,binary", "a", 1 },
		{ " ,proxxy.payload.a\t", "a", 1 },
		{ "proxxy.payload.", "", 1 },
		{ "proxxy.payload.00ff:aa", "00ff:aa", 1 },
		{ "proxxy.payload.a b", "a b", 1 },
		{ "proxxy.payload.a, proxxy.payload.b", "b", 2 },
		{ "proxxy.payload", NULL, 0 },
		{ "Proxxy.payload.a", NULL, 0 },
		{ "xproxxy.payload.a", NULL, 0 },
		{ "proxxy.payloads.a", NULL, 0 },
		{ "", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = strlen(table[i].offered);
		struct http_request r = { 0 };

		http_add_protocols(&r, (struct slice){ guard_copy(&in, table[i].offered, len), len });
		check_slice(r.ws_payload, table[i].want, table[i].offered, "payload");
		CHECK_INT(r.n_ws_payloads, table[i].n, "%s", table[i].offered);
		http_add_protocols(&r, SLICE("binary, proxxy.payload.other"));
		CHECK_INT(r.n_ws_payloads, table[i].n + 1, "%s, and another field", table[i].offered);
	}
}

/* Writes to buffers of every size. If there is room for the text and its NUL, it is complete;
 * otherwise it is an error, and nothing is written beyond the buffer. */
#define CHECK_WRITE(want, call) \
	for (size_t size_ = 1; size_ <= strlen(want) + 8; size_++) { \
		char *buf = guard_room(&out, size_); \
		bool fits_ = size_ > strlen(want); \
		CHECK_INT(call, fits_ ? (int)strlen(want) : ERR_SYSTEM, "%s", want); \
		CHECK(!fits_ || strcmp(buf, want) == 0, "%s, written %s", want, buf); \
	} \
	(void)0

#define COMMON "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

static void answers(void **state)
{
	(void)state;
	CHECK_WRITE("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n" COMMON
		    "Connection: close\r\n\r\n{\"uptime\":5}",
		    http_write_answer(buf, size_, 200, "", "{\"uptime\":5}", true));
	CHECK_WRITE("HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" COMMON
		    "Allow: GET\r\nConnection: close\r\n\r\n",
		    http_write_answer(buf, size_, 405, "Allow: GET\r\n", "{}", false));
	CHECK_WRITE("HTTP/1.1 204 No Content\r\n" COMMON "Allow: GET\r\nConnection: close\r\n\r\n",
		    http_write_answer(buf, size_, 204, "Allow: GET\r\n", "{}", true));
	CHECK_WRITE("HTTP/1.1 426 Upgrade Required\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" COMMON
		    "Connection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n{}",
		    http_write_answer(buf, size_, 426, "Connection: Upgrade, close\r\nUpgrade: websocket\r\n", "{}",
				      true));
	CHECK_WRITE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: s3p=\r\nSec-WebSocket-Protocol: binary\r\n\r\n",
		    http_write_upgrade(buf, size_, "s3p=", ((struct slice){ "binary, x", 6 })));
	CHECK_WRITE("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: s3p=\r\n\r\n",
		    http_write_upgrade(buf, size_, "s3p=", ((struct slice){ NULL, 0 })));

	/* Each HTTP status in the table of errors has its own reason phrase. */
	for (int code = 0; code > -70; code--) {
		char buf[512];
		int status = error_info(code)->http_status;

		if (status == 0)
			continue;
		assert_true(http_write_answer(buf, sizeof(buf), status, "", "", true) > 0);
		CHECK(status == 500 || !strstr(buf, "Internal Server Error"), "status %d", status);
	}
}

static void percent_encoding(void **state)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	(void)state;
	CHECK_WRITE(unreserved, uri_percent_encode(unreserved, buf, size_));
	CHECK_WRITE("", uri_percent_encode("", buf, size_));
	CHECK_WRITE("a%20b%2Bc%2F%3D%25%26%3A%3B%23%3F%22", uri_percent_encode("a b+c/=%&:;#?\"", buf, size_));
	CHECK_WRITE("PVEVNC%3A66F%3A%3AaZ%2B%2F%3D%3D", uri_percent_encode("PVEVNC:66F::aZ+/==", buf, size_));
	for (int c = 1; c < 256; c++) {
		char text[2] = { (char)c }, want[4];

		snprintf(want, sizeof(want), strchr(unreserved, c) ? "%c" : "%%%02X", c);
		CHECK_WRITE(want, uri_percent_encode(text, buf, size_));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query),   cmocka_unit_test(protocol_choice),  cmocka_unit_test(protocol_payload),
		cmocka_unit_test(answers), cmocka_unit_test(percent_encoding),
	};

	return RUN(tests);
}
