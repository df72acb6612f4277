/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests http.h (heads): requests of real browsers, malformed heads of every kind, Proxmox's
 * answers, and the limits. Each head is parsed at every length, always up to an unreadable page.
 * Each request is also read in pieces of several sizes.
 */
#include "tests/unit/lib/pieces.h"
#include "tests/unit/lib/slices.h"

#include "lib/error.h"

#define TEXT(s) s, sizeof(s) - 1
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static struct guard in;

static int parse_request(const char *buf, size_t len, void *ret)
{
	return http_parse_request(buf, len, ret);
}

static int parse_response(const char *buf, size_t len, void *ret)
{
	return http_parse_response(buf, len, ret);
}

/* Parses every prefix, and the whole head last, so that ret's slices point to the guarded copy.
 * Before the end the result is "need more". After it, more bytes must not change an error or a
 * size. */
static int at_every_length(int (*parse)(const char *, size_t, void *), const char *name, const char *text, size_t len,
			   void *ret)
{
	int before = 0;

	for (size_t n = 0; n <= len; n++) {
		int rc;

		/* Of large heads, try each length only around the limit and at the end. */
		if (n > 1024 && n % 509 != 0 && (n < HTTP_HEAD_MAX - 32 || n > HTTP_HEAD_MAX + 32) && n < len - 32)
			continue;
		rc = parse(guard_copy(&in, text, n), n, ret);

		if (before < 0)
			CHECK(rc < 0, "%s, %zu bytes", name, n);
		else if (before > 0)
			CHECK_INT(rc, before, "%s, %zu bytes", name, n);
		else if (rc > 0)
			CHECK_INT(n, rc, "%s: the first length that is enough", name);
		before = rc;
	}
	return before;
}

static void valid_requests(void **state)
{
	static const struct {
		const char *name, *text, *method, *target, *host;
		int minor;
		bool upgrade, has_body;
		const char *key, *version, *protocol;
	} table[] = {
		{ "Chromium",
		  "GET /console?payload=00ff:aa HTTP/1.1\r\nHost: proxy.example.com:8443\r\nConnection: Upgrade\r\n"
		  "Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
		  "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n"
		  "Origin: https://panel.example.com\r\nSec-WebSocket-Version: 13\r\n"
		  "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n"
		  "Sec-WebSocket-Key: " KEY
		  "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
		  "Sec-WebSocket-Protocol: binary\r\n\r\n",
		  "GET", "/console?payload=00ff:aa", "proxy.example.com:8443", 1, true, false, KEY, "13", "binary" },
		{ "Firefox",
		  "GET /?payload=00ff%3Aaa HTTP/1.1\r\nHost: localhost:8443\r\n"
		  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
		  "Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
		  "Sec-WebSocket-Version: 13\r\nOrigin: http://localhost:8000\r\n"
		  "Sec-WebSocket-Extensions: permessage-deflate\r\n"
		  "Sec-WebSocket-Key: " KEY "\r\nDNT: 1\r\nConnection: keep-alive, Upgrade\r\nSec-Fetch-Dest: empty\r\n"
		  "Sec-Fetch-Mode: websocket\r\nSec-Fetch-Site: same-site\r\nPragma: no-cache\r\n"
		  "Cache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n",
		  "GET", "/?payload=00ff%3Aaa", "localhost:8443", 1, true, false, KEY, "13", NULL },
		{ "curl",
		  "GET /api/status HTTP/1.1\r\nHost: localhost:8443\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
		  "GET", "/api/status", "localhost:8443", 1, false, false, NULL, NULL, NULL },
		{ "HTTP/1.0, no Host", "GET /api/status HTTP/1.0\r\n\r\n", "GET", "/api/status", NULL, 0, false, false,
		  NULL, NULL, NULL },
		{ "an nginx without proxy_http_version", "GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE "\r\n", "GET", "/",
		  "a", 0, true, false, NULL, NULL, NULL },
		{ "an nginx without a line for Connection",
		  "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n", "GET", "/", "a", 0,
		  true, false, NULL, NULL, NULL },
		{ "Upgrade without Connection", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "GET", "/",
		  "a", 1, true, false, NULL, NULL, NULL },
		{ "only GET can upgrade", "HEAD http://b/ HTTP/1.1\r\nHost: a\r\n" UPGRADE "\r\n", "HEAD", "/", "a", 1,
		  false, false, NULL, NULL, NULL },
		{ "Connection without Upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", "GET", "/",
		  "a", 1, false, false, NULL, NULL, NULL },
		{ "upgrade to something else",
		  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "GET", "/", "a", 1, false,
		  false, NULL, NULL, NULL },
		{ "no part of a token counts",
		  "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websockets\r\nConnection: upgrade\r\n\r\n", "GET", "/", "a", 1,
		  false, false, NULL, NULL, NULL },
		{ "any case, several in a list and lines",
		  "GET / HTTP/1.1\r\nHOST: a\r\nuPGRADE: h2c,\tWebSocket ,x\r\nUpgrade: y\r\n"
		  "connection: close\r\nCONNECTION:keep-alive ,UPGRADE\r\nConnection: z\r\n\r\n",
		  "GET", "/", "a", 1, true, false, NULL, NULL, NULL },
		{ "white space around values, obs-text in one",
		  "GET / HTTP/1.1\r\nHost: \t a \t\r\nX: \xE9\xFF\r\nEmpty:\r\n\r\n", "GET", "/", "a", 1, false, false,
		  NULL, NULL, NULL },
		{ "empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/", "", 1, false, false, NULL, NULL, NULL },
		{ "empty values are there",
		  "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: \r\nSec-WebSocket-Version:\r\n"
		  "Sec-WebSocket-Protocol:\r\n\r\n",
		  "GET", "/", "a", 1, false, false, "", "", NULL },
		{ "two protocol fields are one list",
		  "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: x, y\r\n"
		  "Sec-WebSocket-Protocol: z,binary\r\n\r\n",
		  "GET", "/", "a", 1, false, false, NULL, NULL, "binary" },
		{ "the first of two lists",
		  "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol:\r\n"
		  "Sec-WebSocket-Protocol: x, y\r\nSec-WebSocket-Protocol: z\r\n\r\n",
		  "GET", "/", "a", 1, false, false, NULL, NULL, "x" },
		{ "a payload beside the subprotocol, and one in a field",
		  "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: proxxy.payload.e30..a.b.c, binary\r\n"
		  "Proxxy-Payload: e30..d.e.f\r\n\r\n",
		  "GET", "/", "a", 1, false, false, NULL, NULL, "binary" },
		{ "POST with a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "POST", "/", "a", 1,
		  false, true, NULL, NULL, NULL },
		{ "a length of nothing", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 00\r\n\r\n", "GET", "/", "a", 1,
		  false, false, NULL, NULL, NULL },
		{ "a length that is no 64-bit number",
		  "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 36893488147419103232\r\n\r\n", "GET", "/", "a", 1,
		  false, true, NULL, NULL, NULL },
		{ "chunked", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", "/", "a", 1,
		  false, true, NULL, NULL, NULL },
		{ "absolute-form", "GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/c?d", "a", 1, false,
		  false, NULL, NULL, NULL },
		{ "absolute-form, https", "GET HTTPS://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", 1, false,
		  false, NULL, NULL, NULL },
		{ "authority-form", "CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT", "b:443", "a", 1, false,
		  false, NULL, NULL, NULL },
		{ "asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", "a", 1, false, false, NULL,
		  NULL, NULL },
		{ "an empty line first", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", "a", 1, false, false,
		  NULL, NULL, NULL },
		{ "a higher minor version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET", "/", "a", 1, false, false, NULL,
		  NULL, NULL },
		{ "a Host that is an address", "GET / HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n", "GET", "/", "[::1]:8443",
		  1, false, false, NULL, NULL, NULL },
		{ "a method of our own", "M-SEARCH /*?a HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH", "/*?a", "a", 1, false,
		  false, NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *name = table[i].name;
		struct http_request r;
		char behind[4096];
		int rc = at_every_length(parse_request, name, table[i].text, strlen(table[i].text), &r);

		CHECK_INT(rc, strlen(table[i].text), "%s", name);
		check_slice(r.method, table[i].method, name, "method");
		check_slice(r.target, table[i].target, name, "target");
		check_slice(r.host, table[i].host, name, "host");
		check_slice(r.ws_key, table[i].key, name, "key");
		check_slice(r.ws_version, table[i].version, name, "version");
		check_slice(r.ws_protocol, table[i].protocol, name, "protocol");
		CHECK_INT(r.minor, table[i].minor, "%s", name);
		CHECK_INT(r.upgrade, table[i].upgrade, "%s", name);
		CHECK_INT(r.has_body, table[i].has_body, "%s", name);

		/* The bytes after the head are not parsed: a WebSocket frame, or any others. */
		snprintf(behind, sizeof(behind), "%s\x82\x01\r\r\n:", table[i].text);
		CHECK_INT(at_every_length(parse_request, name, behind, strlen(behind), &r), rc, "%s", name);
		CHECK_INT(http_parse_request(table[i].text, strlen(table[i].text), &r), rc, "%s", name);
		check_pieces(name, behind, strlen(behind), &r, rc);
	}
}

#define A "GET / HTTP/1.1\r\nHost: a\r\n"

static void malformed_requests(void **state)
{
	static const struct {
		const char *name, *text;
		size_t len;
		int want;
	} table[] = {
		{ "bare LF", TEXT("GET / HTTP/1.1\nHost: a\n\n"), ERR_REQUEST_MALFORMED },
		{ "bare LF in a field", TEXT(A "X: a\nY: b\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "bare LF at the end", TEXT(A "\n"), ERR_REQUEST_MALFORMED },
		{ "bare CR", TEXT(A "X: a\rb\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "CR CR LF", TEXT(A "X: a\r\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "CR in the target", TEXT("GET /\rHTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "obs-fold", TEXT(A "X: a\r\n b\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "obs-fold with a colon", TEXT(A "X: a\r\n\tb: c\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "obs-fold first", TEXT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a line of white space", TEXT(A " \r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "NUL in a value", TEXT(A "X: a\0b\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "NUL in a name", TEXT(A "X\0: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "NUL in the target", TEXT("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "DEL", TEXT(A "X: \x7F\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "vertical tab", TEXT(A "X: \v\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "space before the colon", TEXT(A "X : a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "tab before the colon", TEXT(A "X\t: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no colon", TEXT(A "X\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no name", TEXT(A ": a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a name that is no token", TEXT(A "X(y): a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a name beyond ASCII", TEXT(A "X\xE9: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no Host", TEXT("GET / HTTP/1.1\r\nX: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two Hosts", TEXT(A "Host: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two Hosts, one empty", TEXT("GET / HTTP/1.1\r\nHost:\r\nhost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a Host with a space", TEXT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two keys", TEXT(A "Sec-WebSocket-Key: " KEY "\r\nsec-websocket-key: " KEY "\r\n\r\n"),
		  ERR_REQUEST_MALFORMED },
		{ "two versions", TEXT(A "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n\r\n"),
		  ERR_REQUEST_MALFORMED },
		{ "two payloads", TEXT(A "Proxxy-Payload: a\r\nproxxy-payload: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two lengths", TEXT(A "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a list of lengths", TEXT(A "Content-Length: 0, 0\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "length and encoding", TEXT(A "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"),
		  ERR_REQUEST_MALFORMED },
		{ "encoding and length", TEXT(A "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
		  ERR_REQUEST_MALFORMED },
		{ "two encodings", TEXT(A "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
		  ERR_REQUEST_MALFORMED },
		{ "empty length", TEXT(A "Content-Length:\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "negative length", TEXT(A "Content-Length: -1\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "signed length", TEXT(A "Content-Length: +1\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "hexadecimal length", TEXT(A "Content-Length: 0x1\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "length with a space", TEXT(A "Content-Length: 1 1\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "absolute-form without an authority", TEXT("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n"),
		  ERR_REQUEST_MALFORMED },
		{ "another scheme", TEXT("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no slash", TEXT("GET a HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a Host with a path", TEXT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a Host with a user", TEXT("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two empty lines first", TEXT("\r\n\r\n" A "\r\n"), ERR_REQUEST_MALFORMED },
		{ "fragment", TEXT("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "target beyond ASCII", TEXT("GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "tab in the target", TEXT("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no target", TEXT("GET  HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two spaces", TEXT("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two spaces before the version", TEXT("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "space at the line's end", TEXT("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "HTTP/0.9", TEXT("GET /\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a method alone", TEXT("GET\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "a method that is no token", TEXT("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no method", TEXT(" / HTTP/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "http in small letters", TEXT("GET / http/1.1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "no minor version", TEXT("GET / HTTP/1\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "two digits", TEXT("GET / HTTP/1.10\r\nHost: a\r\n\r\n"), ERR_REQUEST_MALFORMED },
		{ "HTTP/2.0", TEXT("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), ERR_REQUEST_VERSION },
		{ "HTTP/2's preface", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ERR_REQUEST_VERSION },
		{ "TLS ClientHello", TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03"), ERR_REQUEST_MALFORMED },
		{ "SSH", TEXT("SSH-2.0-OpenSSH_9.2\r\n"), ERR_REQUEST_MALFORMED },
		{ "RFB", TEXT("RFB 003.008\n"), ERR_REQUEST_MALFORMED },
	};
	struct http_request r;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		CHECK_INT(at_every_length(parse_request, table[i].name, table[i].text, table[i].len, &r), table[i].want,
			  "%s", table[i].name);
		/* The last byte received may be a single CR, for example. */
		check_pieces(table[i].name, table[i].text, table[i].len, &r, table[i].want);
	}

	/* Only the valid bytes are accepted in a method, a target and a name. The first byte of a
	 * method is checked at once. */
	for (int c = 0; c < 256; c++) {
		const bool tchar = c > 0x20 && c < 0x7F && !strchr("\"(),/:;<=>?@[\\]{}", c);
		const struct {
			const char *before, *behind;
			bool want;
		} places[] = {
			{ "", " / HTTP/1.1\r\nHost: a\r\n\r\n", tchar },
			{ "GET /", "x HTTP/1.1\r\nHost: a\r\n\r\n", c > 0x20 && c < 0x7F && c != '#' },
			{ A "X", "Y: a\r\n\r\n", tchar || c == ':' },
			{ A "X: a", "b\r\n\r\n", c == '\t' || (c >= 0x20 && c != 0x7F) },
		};
		char first = (char)c;

		/* A CR may begin the one empty line that is skipped. */
		CHECK_INT(http_parse_request(guard_copy(&in, &first, 1), 1, &r),
			  tchar || c == 0x0D ? 0 : ERR_REQUEST_MALFORMED, "first byte %d", c);
		for (size_t i = 0; i < COUNT(places); i++) {
			char text[64];
			size_t len = (size_t)sprintf(text, "%s?%s", places[i].before, places[i].behind);

			text[strlen(places[i].before)] = first;
			CHECK_INT(at_every_length(parse_request, "each byte", text, len, &r),
				  places[i].want ? (int)len : ERR_REQUEST_MALFORMED, "byte %d between %s and %s", c,
				  places[i].before, places[i].behind);
		}
	}
}

/* Writes a head of n fields and exactly size bytes: the last field fills it. Returns size. */
static size_t make_head(char *text, const char *first, int n, size_t size)
{
	size_t len = strlen(strcpy(text, first));

	for (int i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "X%d: a\r\n", i);
	if (size > len + 4) {
		memset(text + len - 2, 'a', size - len - 2);
		memcpy(text + size - 4, "\r\n", 2);
		len = size - 2;
	}
	memcpy(text + len, "\r\n", 3);
	return len + 2;
}

static void limits_of_a_head(void **state)
{
	static char text[2 * HTTP_HEAD_MAX + 64];
	struct http_request r;
	struct http_response s;
	size_t len;

	(void)state;
	len = make_head(text, A, HTTP_FIELDS_MAX - 1, 0);
	CHECK_INT(at_every_length(parse_request, "100 fields", text, len, &r), len, "100 fields");
	len = make_head(text, A, HTTP_FIELDS_MAX, 0);
	CHECK_INT(at_every_length(parse_request, "101 fields", text, len, &r), ERR_REQUEST_TOO_LARGE, "101 fields");
	len = make_head(text, A, 3, HTTP_HEAD_MAX);
	CHECK_INT(at_every_length(parse_request, "16 KiB", text, len, &r), HTTP_HEAD_MAX, "16 KiB");
	len = make_head(text, A, 3, HTTP_HEAD_MAX + 1);
	CHECK_INT(at_every_length(parse_request, "16 KiB and a byte", text, len, &r), ERR_REQUEST_TOO_LARGE,
		  "16 KiB and a byte");
	CHECK_INT(http_parse_request(guard_copy(&in, text, HTTP_HEAD_MAX - 1), HTTP_HEAD_MAX - 1, &r), 0, "not yet");
	CHECK_INT(http_parse_request(guard_copy(&in, text, HTTP_HEAD_MAX), HTTP_HEAD_MAX, &r), ERR_REQUEST_TOO_LARGE,
		  "no need to wait");
	len = make_head(text, A, 3, 2 * HTTP_HEAD_MAX);
	CHECK_INT(http_parse_request(guard_copy(&in, text, len), len, &r), ERR_REQUEST_TOO_LARGE, "whole at once");

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET /", 5);
	CHECK_INT(at_every_length(parse_request, "endless target", text, sizeof(text), &r), ERR_REQUEST_TOO_LARGE,
		  "endless target");
	CHECK_INT(at_every_length(parse_response, "endless line", text, sizeof(text), &s), ERR_UPSTREAM_ANSWER,
		  "endless line");
	len = make_head(text, "HTTP/1.1 101 a\r\n", HTTP_FIELDS_MAX, 0);
	CHECK_INT(at_every_length(parse_response, "100 fields", text, len, &s), len, "100 fields");
	len = make_head(text, "HTTP/1.1 101 a\r\n", HTTP_FIELDS_MAX + 1, 0);
	CHECK_INT(at_every_length(parse_response, "101 fields", text, len, &s), ERR_UPSTREAM_ANSWER, "101 fields");
	len = make_head(text, "HTTP/1.1 101 a\r\n", 3, HTTP_HEAD_MAX + 1);
	CHECK_INT(at_every_length(parse_response, "large", text, len, &s), ERR_UPSTREAM_ANSWER, "large");
}

static void responses(void **state)
{
	static const struct {
		const char *name, *text;
		int want; /* 0: valid */
		int status;
		const char *reason;
		bool upgrade;
		const char *accept;
	} table[] = {
		{ "Proxmox's 101",
		  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: binary\r\n\r\n",
		  0, 101, "Switching Protocols", true, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" },
		{ "Proxmox's 401",
		  "HTTP/1.1 401 No ticket\r\nCache-Control: max-age=0\r\nConnection: close\r\n"
		  "Date: Tue, 06 Jan 2026 10:00:00 GMT\r\nPragma: no-cache\r\nServer: pve-api-daemon/3.0\r\n"
		  "Expires: Tue, 06 Jan 2026 10:00:00 GMT\r\n\r\n",
		  0, 401, "No ticket", false, NULL },
		{ "Proxmox's ticket error", "HTTP/1.1 401 permission denied - invalid PVEVNC ticket\r\n\r\n", 0, 401,
		  "permission denied - invalid PVEVNC ticket", false, NULL },
		{ "upgrade in one of several lines",
		  "HTTP/1.1 101 a\r\nUpgrade: WebSocket\r\nUpgrade: y\r\nConnection: Upgrade\r\nConnection: z\r\n\r\n",
		  0, 101, "a", true, NULL },
		{ "Proxmox's 500",
		  "HTTP/1.1 500 unable to find configuration file for VM 100 on node 'pve'\r\n"
		  "Content-Length: 13\r\n\r\n",
		  0, 500, "unable to find configuration file for VM 100 on node 'pve'", false, NULL },
		{ "empty reason", "HTTP/1.1 403 \r\n\r\n", 0, 403, "", false, NULL },
		{ "no reason nor space", "HTTP/1.1 501\r\n\r\n", 0, 501, "", false, NULL },
		{ "reason beyond ASCII", "HTTP/1.1 400 d\xC3\xA9j\xC3\xA0\r\n\r\n", 0, 400, "d\xC3\xA9j\xC3\xA0", false,
		  NULL },
		{ "HTTP/1.0", "HTTP/1.0 301 Moved\r\nLocation: https://a/\r\n\r\n", 0, 301, "Moved", false, NULL },
		{ "101 to something else", "HTTP/1.1 101 a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 0, 101, "a",
		  false, NULL },
		{ "two Accepts", "HTTP/1.1 101 a\r\nSec-WebSocket-Accept: a\r\nSec-WebSocket-Accept: a\r\n\r\n", -1, 0,
		  NULL, false, NULL },
		{ "two digits", "HTTP/1.1 10 a\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "four digits", "HTTP/1.1 1010 a\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "no digits", "HTTP/1.1 1O1 a\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "two spaces", "HTTP/1.1  101 a\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "HTTP/2", "HTTP/2 101 a\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "no digit in the version", "HTTP/1.x 101 a\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "bare LF", "HTTP/1.1 200 OK\n\n", -1, 0, NULL, false, NULL },
		{ "bare CR", "HTTP/1.1 200 OK\rx\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "control in the reason", "HTTP/1.1 401 a\x1B[2J\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "obs-fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", -1, 0, NULL, false, NULL },
		{ "SSH", "SSH-2.0-OpenSSH_9.2p1\r\n", -1, 0, NULL, false, NULL },
		{ "RFB", "RFB 003.008\n", -1, 0, NULL, false, NULL },
		{ "a TLS alert", "\x15\x03\x01\x02\x02\x46", -1, 0, NULL, false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_response r;
		int rc = at_every_length(parse_response, table[i].name, table[i].text, strlen(table[i].text), &r);

		CHECK_INT(rc, table[i].want < 0 ? ERR_UPSTREAM_ANSWER : (int)strlen(table[i].text), "%s",
			  table[i].name);
		if (rc < 0)
			continue;
		CHECK_INT(r.status, table[i].status, "%s", table[i].name);
		CHECK_INT(r.upgrade, table[i].upgrade, "%s", table[i].name);
		check_slice(r.reason, table[i].reason, table[i].name, "reason");
		check_slice(r.ws_accept, table[i].accept, table[i].name, "accept");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_requests),
		cmocka_unit_test(malformed_requests),
		cmocka_unit_test(limits_of_a_head),
		cmocka_unit_test(responses),
	};

	return RUN(tests);
}
