/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the addresses that proxxy-listen listens on. Pure.
 */
#ifndef PROXXY_LISTEN_ADDRESS_H
#define PROXXY_LISTEN_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
		struct sockaddr_un local;
	} at;
	socklen_t size;
	bool both; /* only a port was named: listen on it with IPv6 and IPv4 */
};

/* Parses "PORT", "ADDRESS:PORT", "[IPv6 ADDRESS]:PORT" or "unix:/PATH". An address is numeric, a
 * port is 1 to 65535. Returns false if text is none of them; *ret is then undefined. */
bool address_parse(const char *text, struct address *ret);

/* Returns where a client on this machine connects to reach a socket that listens on a: instead of
 * the unspecified address the loopback address of the same family. */
struct address address_to_connect(const struct address *a);

/* Parses a whole number from min to max. Returns -1 if text is none. */
long address_parse_number(const char *text, long min, long max);

#endif
