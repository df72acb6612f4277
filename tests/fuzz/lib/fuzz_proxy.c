/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes proxy_protocol.h. The first byte selects the size of the pieces in which the rest is read.
 * The parser never asks for a byte behind the header, and its result does not depend on the pieces.
 * A header that it accepts is checked against a simple parser, and is written again and parsed
 * again.
 */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/proxy_protocol.h"

struct result {
	int rc;
	size_t read; /* bytes that were read */
	struct proxy_protocol header;
	const char *why;
};

static struct result read_pieces(const char *data, size_t size, size_t piece)
{
	struct result r = { .why = NULL };
	size_t more = 0;

	memset(&r.header, 0xEE, sizeof(r.header));
	for (;;) {
		char *buf = malloc(r.read ? r.read : 1); /* of its own size, for the address sanitizer */

		memcpy(buf, data, r.read);
		r.rc = proxy_protocol_parse(buf, r.read, &r.header, &more, &r.why);
		free(buf);
		if (r.rc != 0)
			return r;
		REQUIRE(more > 0 && r.read + more <= PROXY_PROTOCOL_MAX, "%zu more after %zu", more, r.read);
		more = more < piece ? more : piece;
		more = more < size - r.read ? more : size - r.read;
		if (more == 0)
			return r;
		r.read += more;
	}
}

static void require_address(const struct proxy_protocol *h)
{
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN];
	const int family = strchr(h->address, ':') ? AF_INET6 : AF_INET;

	REQUIRE(inet_pton(family, h->address, bytes) == 1, "%s", h->address);
	inet_ntop(family, bytes, text, sizeof(text));
	REQUIRE(strcmp(text, h->address) == 0 && !(strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.')),
		"%s is not %s", h->address, text);
}

/* A header of version 1 has five words behind PROXY, which sscanf(3) finds too. */
static void require_line(const char *data, const struct result *r)
{
	char line[PROXY_PROTOCOL_LINE_MAX + 1], family[8], source[64], destination[64];
	unsigned ports[2];

	REQUIRE(r->read <= PROXY_PROTOCOL_LINE_MAX, "%zu bytes", r->read);
	memcpy(line, data, r->read);
	line[r->read] = '\0';
	REQUIRE(memchr(line, '\r', r->read) == line + r->read - 2 && memchr(line, '\n', r->read) == line + r->read - 1,
		"%s", line);
	if (r->header.who == PROXY_PROTOCOL_UNKNOWN) {
		REQUIRE(strncmp(line, "PROXY UNKNOWN", 13) == 0 && strchr(" \r", line[13]), "%s", line);
		return;
	}
	REQUIRE(sscanf(line, "PROXY %7s %63s %63s %u %u", family, source, destination, &ports[0], &ports[1]) == 5 &&
			ports[0] == r->header.port && ports[0] <= 65535 && ports[1] <= 65535,
		"%s", line);
}

static void require_same(const char *name, const char *data, size_t size, const struct proxy_protocol *want)
{
	const struct result r = read_pieces(data, size, SIZE_MAX);

	REQUIRE(r.rc == (int)size && r.header.who == want->who && strcmp(r.header.address, want->address) == 0 &&
			r.header.port == want->port,
		"%s: %d, %s", name, r.rc, r.why ? r.why : "");
}

/* The same address in both versions has the same result. */
static void again(const struct proxy_protocol *h)
{
	const bool is_ipv6 = strchr(h->address, ':') != NULL;
	char text[PROXY_PROTOCOL_LINE_MAX + 1], binary[52] = "\r\n\r\n\0\r\nQUIT\n\x21";
	const size_t size = is_ipv6 ? 52 : 28;
	const int len = snprintf(text, sizeof(text), "PROXY TCP%d %s %s %u 443\r\n", is_ipv6 ? 6 : 4, h->address,
				 is_ipv6 ? "::1" : "127.0.0.1", h->port);

	require_same("version 1", text, (size_t)len, h);
	binary[13] = is_ipv6 ? 0x21 : 0x11;
	binary[15] = (char)(size - 16);
	inet_pton(is_ipv6 ? AF_INET6 : AF_INET, h->address, binary + 16);
	binary[size - 4] = (char)(h->port >> 8);
	binary[size - 3] = (char)(h->port & 255);
	require_same("version 2", binary, size, h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const size_t piece = take_byte(&in) + (size_t)1;
	const char *text = (const char *)in.at;
	const struct result r = read_pieces(text, in.left, piece), at_once = read_pieces(text, in.left, SIZE_MAX);
	struct proxy_protocol untouched;

	REQUIRE(r.rc == at_once.rc && (r.rc > 0 || r.rc == 0 || r.rc == ERR_REQUEST_MALFORMED), "%d and %d", r.rc,
		at_once.rc);
	if (r.rc <= 0) {
		memset(&untouched, 0xEE, sizeof(untouched));
		REQUIRE(memcmp(&r.header, &untouched, sizeof(untouched)) == 0, "written without success");
		REQUIRE((r.rc < 0) == (r.why != NULL), "the reason");
		return 0;
	}
	REQUIRE((size_t)r.rc == r.read && r.read == at_once.read &&
			memcmp(&r.header, &at_once.header, sizeof(r.header)) == 0,
		"pieces of %zu", piece);
	REQUIRE(proxy_protocol_begins(text, r.read), "it does not begin so");
	REQUIRE(!*r.header.address == (r.header.who != PROXY_PROTOCOL_ADDRESS), "%s", r.header.address);
	if (text[0] == 'P')
		require_line(text, &r);
	else
		REQUIRE(r.read == (size_t)(16 + (in.at[14] << 8 | in.at[15])), "%zu bytes", r.read);
	if (r.header.who == PROXY_PROTOCOL_ADDRESS) {
		require_address(&r.header);
		again(&r.header);
	}
	return 0;
}
