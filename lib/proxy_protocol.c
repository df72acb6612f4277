/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the PROXY protocol's line of text (version 1) and its binary header (version 2).
 * session/client.c reads them.
 */
#include "lib/proxy_protocol.h"

#include <string.h>
#include <sys/socket.h>

#include "lib/big_endian.h"
#include "lib/error.h"
#include "lib/host.h"
#include "lib/slice.h"

#define LINE_PREFIX "PROXY "
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

enum {
	LINE_PREFIX_LEN = sizeof(LINE_PREFIX) - 1,
	SIGNATURE_LEN = sizeof(SIGNATURE) - 1,
	SHORTEST = sizeof("PROXY UNKNOWN\r\n") - 1, /* bytes; shorter than any header of version 2 */
	BINARY_HEAD = 16,                           /* bytes up to the addresses, which is what their length counts */
	SPACES = 5,                                 /* in a line with addresses */
	PORT_MAX = 65535,
	COMMAND_LOCAL = 0x0,
	COMMAND_PROXY = 0x1,
	FAMILY_UNSPEC = 0x0,
	FAMILY_INET = 0x1,
	FAMILY_INET6 = 0x2,
	FAMILY_UNIX = 0x3,
	TRANSPORT_UNSPEC = 0x0,
	TRANSPORT_DGRAM = 0x2,
};

static int fail(const char **ret_why, const char *why)
{
	*ret_why = why;
	return ERR_REQUEST_MALFORMED;
}

/* True if buf[0..len) and prefix are the same, as far as both go. */
static bool agrees(const char *buf, size_t len, const char *prefix, size_t prefix_len)
{
	return memcmp(buf, prefix, len < prefix_len ? len : prefix_len) == 0;
}

/* --- version 1 ---------------------------------------------------------------------------- */

/* Takes the next word of a line, which one space ends, or the line's end. Returns false if there is
 * none. */
static bool take_word(struct slice *line, struct slice *ret_word)
{
	const char *space;

	if (line->len == 0)
		return false;
	space = memchr(line->at, ' ', line->len);
	*ret_word = (struct slice){ line->at, space ? (size_t)(space - line->at) : line->len };
	line->at += ret_word->len + (space != NULL);
	line->len -= ret_word->len + (space != NULL);
	return ret_word->len > 0;
}

/* Parses a port without leading zeros. */
static bool parse_port(struct slice word, uint16_t *ret_port)
{
	unsigned port = 0;

	if ((word.len > 1 && word.at[0] == '0') || !slice_number(word, PORT_MAX, &port))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* Parses a line behind its "PROXY ", without its CRLF. Returns NULL, or what is wrong. */
static const char *parse_line(struct slice line, struct proxy_protocol *ret)
{
	struct slice family, source, destination, source_port, destination_port;
	char unused[INET6_ADDRSTRLEN];
	uint16_t unused_port;
	int number;

	if (!take_word(&line, &family))
		return "its protocol is missing";
	if (slice_is(family, "UNKNOWN")) {
		ret->who = PROXY_PROTOCOL_UNKNOWN;
		return NULL;
	}
	if (slice_is(family, "TCP4"))
		number = AF_INET;
	else if (slice_is(family, "TCP6"))
		number = AF_INET6;
	else
		return "its protocol is not TCP4, TCP6 or UNKNOWN";
	if (!take_word(&line, &source) || !take_word(&line, &destination) || !take_word(&line, &source_port) ||
	    !take_word(&line, &destination_port) || line.len > 0 || line.at[-1] == ' ')
		return "it does not have two addresses and two ports, with one space before each";
	if (!host_parse_address(number, source.at, source.len, ret->address) ||
	    !host_parse_address(number, destination.at, destination.len, unused))
		return "an address is not of its protocol";
	if (!parse_port(source_port, &ret->port) || !parse_port(destination_port, &unused_port))
		return "a port is not a number from 0 to 65535";
	ret->who = PROXY_PROTOCOL_ADDRESS;
	return NULL;
}

/* Returns how many bytes an incomplete line of version 1 still has at least. */
static size_t missing_of_line(const char *buf, size_t len)
{
	const bool begins_word = buf[len - 1] == ' ';
	size_t spaces = 0;

	if (buf[len - 1] == '\r')
		return 1;
	if (len < SHORTEST)
		return SHORTEST - len;
	for (size_t i = 0; i < len; i++)
		spaces += buf[i] == ' ';
	if (spaces >= SPACES || memcmp(buf + LINE_PREFIX_LEN, "TCP", 3) != 0)
		return 2;
	return begins_word + 2 * (SPACES - spaces) + 2;
}

static int parse_text(const char *buf, size_t len, struct proxy_protocol *ret, size_t *ret_more, const char **ret_why)
{
	const char *end = memchr(buf, '\n', len), *cr = memchr(buf, '\r', len), *why;

	if ((end && cr != end - 1) || (!end && cr && cr != buf + len - 1))
		return fail(ret_why, "its line does not end in CRLF");
	if ((end ? (size_t)(end - buf) + 1 : len + 1) > PROXY_PROTOCOL_LINE_MAX)
		return fail(ret_why, "its line is longer than 107 bytes");
	if (!end) {
		*ret_more = missing_of_line(buf, len);
		return 0;
	}
	why = parse_line((struct slice){ buf + LINE_PREFIX_LEN, (size_t)(cr - buf) - LINE_PREFIX_LEN }, ret);
	return why ? fail(ret_why, why) : (int)(end + 1 - buf);
}

/* --- version 2 ---------------------------------------------------------------------------- */

/* Parses the addresses of a complete header. Returns NULL, or what is wrong. */
static const char *parse_addresses(const uint8_t *head, size_t size, struct proxy_protocol *ret)
{
	static const size_t needed[] = { 0, 12, 36, 216 }; /* bytes of both addresses and ports, by family */
	const unsigned family = head[13] >> 4, transport = head[13] & 15;
	const uint8_t *addresses = head + BINARY_HEAD;

	if (family > FAMILY_UNIX || transport > TRANSPORT_DGRAM)
		return "its family or protocol is none of version 2";
	if (size - BINARY_HEAD < needed[family])
		return "its addresses are cut off";
	if (transport == TRANSPORT_UNSPEC || family == FAMILY_UNSPEC || family == FAMILY_UNIX) {
		ret->who = PROXY_PROTOCOL_UNKNOWN;
		return NULL;
	}
	/* The source's address, the destination's, the source's port, the destination's. */
	host_write_address(family == FAMILY_INET ? AF_INET : AF_INET6, addresses, ret->address);
	addresses += needed[family] - 4;
	ret->port = (uint16_t)big_endian(addresses, 2);
	ret->who = PROXY_PROTOCOL_ADDRESS;
	return NULL;
}

static int parse_binary(const char *buf, size_t len, struct proxy_protocol *ret, size_t *ret_more, const char **ret_why)
{
	const uint8_t *head = (const uint8_t *)buf;
	const char *why;
	size_t size;

	if (len > 12 && head[12] >> 4 != 2)
		return fail(ret_why, "its version is not 2");
	if (len > 12 && (head[12] & 15) > COMMAND_PROXY)
		return fail(ret_why, "its command is neither LOCAL nor PROXY");
	if (len < BINARY_HEAD) {
		*ret_more = len < SHORTEST ? SHORTEST - len : BINARY_HEAD - len;
		return 0;
	}
	size = BINARY_HEAD + (size_t)big_endian(head + 14, 2);
	if (size > PROXY_PROTOCOL_MAX)
		return fail(ret_why, "it is longer than 4096 bytes");
	if (len < size) {
		*ret_more = size - len;
		return 0;
	}
	if ((head[12] & 15) == COMMAND_LOCAL)
		ret->who = PROXY_PROTOCOL_LOCAL;
	else if ((why = parse_addresses(head, size, ret)))
		return fail(ret_why, why);
	return (int)size;
}

/* --- both --------------------------------------------------------------------------------- */

int proxy_protocol_parse(const char *buf, size_t len, struct proxy_protocol *ret_header, size_t *ret_more,
			 const char **ret_why)
{
	struct proxy_protocol header = { .port = 0 };
	int rc;

	if (len == 0) {
		*ret_more = SHORTEST;
		return 0;
	}
	if (agrees(buf, len, LINE_PREFIX, LINE_PREFIX_LEN))
		rc = parse_text(buf, len, &header, ret_more, ret_why);
	else if (agrees(buf, len, SIGNATURE, SIGNATURE_LEN))
		rc = parse_binary(buf, len, &header, ret_more, ret_why);
	else
		return fail(ret_why, "there is none");
	if (rc > 0)
		*ret_header = header;
	return rc;
}

bool proxy_protocol_begins(const char *buf, size_t len)
{
	return (len >= LINE_PREFIX_LEN && agrees(buf, len, LINE_PREFIX, LINE_PREFIX_LEN)) ||
	       (len >= SIGNATURE_LEN && agrees(buf, len, SIGNATURE, SIGNATURE_LEN));
}
