/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the header of the PROXY protocol, versions 1 and 2, in which a proxy says whose connection
 * it forwards: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt, sections 2.1 and 2.2.
 * Pure.
 */
#ifndef PROXXY_PROXY_PROTOCOL_H
#define PROXXY_PROXY_PROTOCOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Bytes of a header. Version 2 allows 65,551, but its senders keep to the smallest TCP
	 * segment, 536 bytes; only a client's certificate in a TLV needs more. */
	PROXY_PROTOCOL_MAX = 4096,
	PROXY_PROTOCOL_LINE_MAX = 107, /* bytes of a header of version 1, with its CRLF (section 2.1) */
};

struct proxy_protocol {
	enum {
		PROXY_PROTOCOL_LOCAL,   /* the proxy's own connection, such as a health check */
		PROXY_PROTOCOL_UNKNOWN, /* of a client without an IP address */
		PROXY_PROTOCOL_ADDRESS,
	} who;
	char address[INET6_ADDRSTRLEN]; /* the client's, as host_write_address() writes it; else "" */
	uint16_t port;                  /* the client's; else 0 */
};

/* Parses the header that begins at buf. len is 0 at first; the caller then reads, behind those that
 * it has, at most as many bytes as *ret_more says, and calls again: so it never reads a byte of
 * what follows the header. buf needs room for PROXY_PROTOCOL_MAX bytes. The values of TLVs are not
 * used, and not checked; nor is PP2_TYPE_CRC32C.
 * Returns the header's size, which is len, and sets *ret_header. Or returns 0 and sets *ret_more,
 * which is at least 1. Or returns ERR_REQUEST_MALFORMED, as early as possible, and a static phrase
 * in *ret_why. */
int proxy_protocol_parse(const char *buf, size_t len, struct proxy_protocol *ret_header, size_t *ret_more,
			 const char **ret_why);

/* True if buf[0..len) begins as a header does: with "PROXY ", or with version 2's signature. */
bool proxy_protocol_begins(const char *buf, size_t len);

#endif
