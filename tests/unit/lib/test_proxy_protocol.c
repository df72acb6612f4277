/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests proxy_protocol.h: headers of both versions, and every way to malform them. Each is read as
 * session/client.c reads it, in pieces of several sizes, each piece up to an unreadable page: the
 * parser must never ask for a byte behind the header.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/proxy_protocol.h"

#define TEXT(s) s, sizeof(s) - 1
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n" /* what follows the header */
#define V6 "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xCB\0\x71\x07"

static struct guard in;

/* Reads a header from data in pieces of at most that size. Returns as proxy_protocol_parse(), or 0
 * if data ends before. *ret_read is how many bytes were read. */
static int read_pieces(const char *data, size_t size, size_t piece, struct proxy_protocol *ret, size_t *ret_read,
		       const char **ret_why)
{
	size_t len = 0, more = 0;

	for (;;) {
		const int rc = proxy_protocol_parse(guard_copy(&in, data, len), len, ret, &more, ret_why);

		*ret_read = len;
		if (rc != 0)
			return rc;
		CHECK(more > 0, "%zu bytes", len);
		more = more < piece ? more : piece;
		if (more > size - len)
			more = size - len;
		if (more == 0)
			return 0;
		len += more;
		CHECK(len <= PROXY_PROTOCOL_MAX, "%zu bytes", len);
	}
}

/* Checks a header that is followed by a request. address is NULL if it is malformed: then why is
 * what the log gets. */
static void check(const char *name, const char *header, size_t len, int who, const char *address, int port,
		  const char *why)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 15, 16, 1000, 5000 };
	const size_t size = len + sizeof(REQUEST) - 1;
	char *data = malloc(size);

	memcpy(data, header, len);
	memcpy(data + len, REQUEST, sizeof(REQUEST) - 1);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct proxy_protocol got = { .port = 4711 };
		const char *words = "";
		size_t read;
		const int rc = read_pieces(data, size, pieces[i], &got, &read, &words);

		if (why) {
			CHECK_INT(rc, ERR_REQUEST_MALFORMED, "%s in pieces of %zu", name, pieces[i]);
			CHECK(strcmp(words, why) == 0, "%s: %s", name, words);
			CHECK_INT(got.port, 4711, "%s: written without success", name);
			continue;
		}
		CHECK_INT(rc, len, "%s in pieces of %zu: %s", name, pieces[i], words);
		CHECK_INT(read, len, "%s in pieces of %zu", name, pieces[i]);
		CHECK_INT(got.who, who, "%s", name);
		CHECK(strcmp(got.address, address) == 0, "%s: %s", name, got.address);
		CHECK_INT(got.port, port, "%s", name);
	}
	free(data);
}

static void valid(void **state)
{
	static const struct {
		const char *name, *header;
		size_t len;
		int who;
		const char *address;
		int port;
	} table[] = {
		{ "the specification's example", TEXT("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"),
		  PROXY_PROTOCOL_ADDRESS, "192.168.0.1", 56324 },
		{ "the shortest IPv4", TEXT("PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n"), PROXY_PROTOCOL_ADDRESS, "1.1.1.1",
		  0 },
		{ "the longest IPv4", TEXT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
		  PROXY_PROTOCOL_ADDRESS, "255.255.255.255", 65535 },
		{ "the shortest IPv6", TEXT("PROXY TCP6 :: :: 1 2\r\n"), PROXY_PROTOCOL_ADDRESS, "::", 1 },
		{ "the longest IPv6",
		  TEXT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe "
		       "FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF:FFFF 65535 65535\r\n"),
		  PROXY_PROTOCOL_ADDRESS, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 65535 },
		{ "an IPv4-mapped address", TEXT("PROXY TCP6 ::ffff:203.0.113.7 ::1 1000 443\r\n"),
		  PROXY_PROTOCOL_ADDRESS, "203.0.113.7", 1000 },
		{ "UNKNOWN", TEXT("PROXY UNKNOWN\r\n"), PROXY_PROTOCOL_UNKNOWN, "", 0 },
		{ "UNKNOWN with more", TEXT("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n"), PROXY_PROTOCOL_UNKNOWN,
		  "", 0 },
		{ "UNKNOWN with anything", TEXT("PROXY UNKNOWN  \xFF\t \r\n"), PROXY_PROTOCOL_UNKNOWN, "", 0 },
		{ "LOCAL", TEXT(SIGNATURE "\x20\x00\x00\x00"), PROXY_PROTOCOL_LOCAL, "", 0 },
		{ "LOCAL with addresses",
		  TEXT(SIGNATURE "\x20\x11\x00\x0C\x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04"),
		  PROXY_PROTOCOL_LOCAL, "", 0 },
		{ "LOCAL with an unknown family", TEXT(SIGNATURE "\x20\xFF\x00\x01?"), PROXY_PROTOCOL_LOCAL, "", 0 },
		{ "IPv4", TEXT(SIGNATURE "\x21\x11\x00\x0C\xCB\x00\x71\x07\xC0\x00\x02\x01\xDC\x04\x01\xBB"),
		  PROXY_PROTOCOL_ADDRESS, "203.0.113.7", 56324 },
		{ "IPv4 of a datagram socket, as in HTTP/3",
		  TEXT(SIGNATURE "\x21\x12\x00\x0C\xCB\x00\x71\x07\xC0\x00\x02\x01\xDC\x04\x01\xBB"),
		  PROXY_PROTOCOL_ADDRESS, "203.0.113.7", 56324 },
		{ "IPv4 with TLVs",
		  TEXT(SIGNATURE
		       "\x21\x11\x00\x13\xCB\x00\x71\x07\xC0\x00\x02\x01\xDC\x04\x01\xBB\x04\x00\x04\r\n\r\n"),
		  PROXY_PROTOCOL_ADDRESS, "203.0.113.7", 56324 },
		{ "IPv6", TEXT(SIGNATURE "\x21\x21\x00\x24" V6 V6 "\xFF\xFF\x01\xBB"), PROXY_PROTOCOL_ADDRESS,
		  "2001:db8::7", 65535 },
		{ "IPv4-mapped", TEXT(SIGNATURE "\x21\x21\x00\x24" MAPPED V6 "\x00\x50\x01\xBB"),
		  PROXY_PROTOCOL_ADDRESS, "203.0.113.7", 80 },
		{ "no family", TEXT(SIGNATURE "\x21\x00\x00\x00"), PROXY_PROTOCOL_UNKNOWN, "", 0 },
		{ "no family, with bytes", TEXT(SIGNATURE "\x21\x00\x00\x02??"), PROXY_PROTOCOL_UNKNOWN, "", 0 },
		{ "no protocol", TEXT(SIGNATURE "\x21\x10\x00\x0C\xCB\x00\x71\x07\xC0\x00\x02\x01\xDC\x04\x01\xBB"),
		  PROXY_PROTOCOL_UNKNOWN, "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		check(table[i].name, table[i].header, table[i].len, table[i].who, table[i].address, table[i].port,
		      NULL);
}

static void sizes(void **state)
{
	static const struct {
		uint8_t family;
		size_t n; /* bytes behind the first 16 */
		int who;  /* -1: malformed */
		const char *why;
	} table[] = {
		{ 0x31, 216, PROXY_PROTOCOL_UNKNOWN, NULL },        { 0x32, 300, PROXY_PROTOCOL_UNKNOWN, NULL },
		{ 0x31, 215, -1, "its addresses are cut off" },     { 0x11, 11, -1, "its addresses are cut off" },
		{ 0x21, 35, -1, "its addresses are cut off" },      { 0x11, 4080, PROXY_PROTOCOL_ADDRESS, NULL },
		{ 0x11, 4081, -1, "it is longer than 4096 bytes" }, { 0x11, 65535, -1, "it is longer than 4096 bytes" },
	};
	static char header[70000];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const bool has_address = table[i].who == PROXY_PROTOCOL_ADDRESS;
		char name[64];

		memset(header, 1, sizeof(header));
		memcpy(header, TEXT(SIGNATURE "\x21"));
		header[13] = (char)table[i].family;
		header[14] = (char)(table[i].n >> 8);
		header[15] = (char)(table[i].n & 255);
		snprintf(name, sizeof(name), "family %02x with %zu bytes", table[i].family, table[i].n);
		check(name, header, 16 + table[i].n, table[i].who, has_address ? "1.1.1.1" : "", has_address ? 257 : 0,
		      table[i].why);
	}
}

static void malformed(void **state)
{
	static const char ends[] = "its line does not end in CRLF", line[] = "its line is longer than 107 bytes",
			  protocol[] = "its protocol is not TCP4, TCP6 or UNKNOWN",
			  form[] = "it does not have two addresses and two ports, with one space before each",
			  address[] = "an address is not of its protocol",
			  port[] = "a port is not a number from 0 to 65535", none[] = "there is none",
			  family[] = "its family or protocol is none of version 2";
	static const struct {
		const char *header;
		size_t len;
		const char *why;
	} table[] = {
		{ TEXT(""), none }, /* only the request */
		{ TEXT("P"), none },
		{ TEXT("PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n"), none },
		{ TEXT("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n"), none },
		{ TEXT(" PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"), none },
		{ TEXT("\r\n"), none },
		{ TEXT("\r\nPROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"), none },
		{ TEXT("\x16\x03\x01\x02"), none },
		{ TEXT("\r\n\r\n\0\r\nQUIT\r"), none },
		{ TEXT("\r\n\r\nGET / HTTP/1.1\r\n"), none },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n"), ends },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r"), ends },
		{ TEXT("PROXY TCP4 1.1.1.1\r 2.2.2.2 1 2\r\n"), ends },
		{ TEXT("PROXY UNKNOWN\n"), ends },
		{ TEXT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		       "65535 65535 \r\n"),
		  line },
		{ TEXT("PROXY TCP4 0000000000000000000000000000000000000000000000000000000000000000000000000000"
		       "000000000000000000000000000000000000000000\r\n"),
		  line },
		{ TEXT("PROXY \r\n"), "its protocol is missing" },
		{ TEXT("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n"), "its protocol is missing" },
		{ TEXT("PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n"), protocol },
		{ TEXT("PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n"), protocol },
		{ TEXT("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n"), protocol },
		{ TEXT("PROXY UNKNOWNX\r\n"), protocol },
		{ TEXT("PROXY / HTTP/1.1\r\n"), protocol },
		{ TEXT("PROXY TCP4\r\n"), form },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n"), form },
		{ TEXT("PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n"), form },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n"), form },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n"), form },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n"), form },
		{ TEXT("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 1.1.1.256 2.2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 ::1 ::1 1 2\r\n"), address },
		{ TEXT("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"), address },
		{ TEXT("PROXY TCP6 [::1] ::1 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 a.example.com 2.2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n"), address },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n"), port },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 99999\r\n"), port },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n"), port },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n"), port },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n"), port },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 1 0x2\r\n"), port },
		{ TEXT("PROXY TCP4 1.1.1.1 2.2.2.2 100000000001 2\r\n"), port },
		{ TEXT(SIGNATURE "\x11\x11\x00\x0C"), "its version is not 2" },
		{ TEXT(SIGNATURE "\x31\x11\x00\x0C"), "its version is not 2" },
		{ TEXT(SIGNATURE "\x22\x11\x00\x0C"), "its command is neither LOCAL nor PROXY" },
		{ TEXT(SIGNATURE "\x2F\x11\x00\x0C"), "its command is neither LOCAL nor PROXY" },
		{ TEXT(SIGNATURE "\x21\x41\x00\x00"), family },
		{ TEXT(SIGNATURE "\x21\x13\x00\x00"), family },
		{ TEXT(SIGNATURE "\x21\xF0\x00\x00"), family },
		{ TEXT(SIGNATURE "\x21\x11\x00\x00"), "its addresses are cut off" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		check(table[i].header, table[i].header, table[i].len, 0, NULL, 0, table[i].why);
}

static void begins(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		bool want;
	} table[] = {
		{ TEXT("PROXY TCP4 "), true }, { TEXT("PROXY "), true },          { TEXT("PROXY"), false },
		{ TEXT("PROXYA "), false },    { TEXT(SIGNATURE), true },         { TEXT(SIGNATURE "\x21"), true },
		{ TEXT("\r\n\r\n"), false },   { TEXT("GET / HTTP/1.1"), false }, { TEXT(""), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		CHECK(proxy_protocol_begins(guard_copy(&in, table[i].text, table[i].len), table[i].len) ==
			      table[i].want,
		      "%s", table[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid),
		cmocka_unit_test(sizes),
		cmocka_unit_test(malformed),
		cmocka_unit_test(begins),
	};

	return RUN(tests);
}
