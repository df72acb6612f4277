/* SPDX-License-Identifier: Apache-2.0
 *
 * Validates host names, addresses and networks as text, and checks them against the lists of
 * allowed hosts and origins. Pure: no DNS, no sockets.
 *
 * A list of hosts is comma-separated. Its items are names ("pve1.example.com"), wildcards
 * ("*.example.com", for one or more labels in place of the asterisk), addresses and networks
 * ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32"). An empty list allows every name. Special addresses
 * are those of this machine (loopback), of its link, and of clouds' metadata services. They are
 * allowed only if a network in the list contains them. The item "localhost" is a name and also
 * means 127.0.0.0/8 and ::1.
 *
 * A list of origins has serialized origins (RFC 6454 section 6.2): "https://panel.example.com",
 * with a port unless it is the scheme's default. The host may be a wildcard, as in a list of hosts.
 */
#ifndef PROXXY_HOST_H
#define PROXXY_HOST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
	HOST_NAME_MAX_LEN = 253,                     /* characters of a host name in text (RFC 1035 section 2.3.4) */
	HOST_ORIGIN_MAX = 8 + HOST_NAME_MAX_LEN + 6, /* "https://", a host, ":65535" */
};

/* Returns true if s[0..len) is a host name (RFC 1123 section 2.1): labels of 1 to 63 letters,
 * digits and inner hyphens, with dots between them, 253 characters in total. So a host or node that
 * proxxy puts into a request cannot contain a path, a header or a port. */
bool host_is_name(const char *s, size_t len);

/* Returns true if getaddrinfo() would parse name[0..len) as an IPv4 address because of its last
 * label: "127.1", "2130706433". */
bool host_looks_like_ipv4(const char *name, size_t len);

/* Returns true if text is an address of that family (AF_INET or AF_INET6) as inet_pton(3) accepts
 * it. */
bool host_is_address(int family, const char *text);

/* Writes an address (AF_INET: 4 bytes, AF_INET6: 16 bytes) as inet_ntop(3) does, but an IPv4-mapped
 * IPv6 address as IPv4. */
void host_write_address(int family, const void *bytes, char ret_text[INET6_ADDRSTRLEN]);

/* Parses text[0..len), an address of that family as inet_pton(3) accepts it, so without a zone. For
 * AF_UNSPEC it may be of either family. Writes it as host_write_address() does. Returns false if it
 * is none. */
bool host_parse_address(int family, const char *text, size_t len, char ret_text[INET6_ADDRSTRLEN]);

/* Return true if every item of the list of hosts, or of the list of origins, is valid. */
bool host_list_valid(const char *list);
bool host_origins_valid(const char *list);

/* What a list of hosts says about a payload's host before its name is resolved. */
enum host_verdict {
	HOST_REFUSED,    /* not allowed, whatever it resolves to */
	HOST_BY_ADDRESS, /* allowed only at addresses that a network of the list contains */
	HOST_NAMED,      /* allowed: an item matches the name, or the list is empty */
};

/* Returns the verdict of list on host, a name or address. */
enum host_verdict host_list_judge(const char *list, const char *host);

/* Returns true if proxxy may connect to that address (AF_INET or AF_INET6) of a host with that
 * verdict. Either a network of the list contains it. Or the host is HOST_NAMED, and the address is
 * neither special nor an IPv6 address that embeds a special IPv4 address. An IPv4-mapped IPv6
 * address is treated as IPv4. */
bool host_address_allowed(const char *list, const struct sockaddr *address, enum host_verdict verdict);

/* Returns true if text is an address or a network. */
bool host_is_network(const char *text);

/* Returns true if network contains the address in text. An IPv4-mapped IPv6 address does not count
 * as IPv4. */
bool host_in_network(const char *network, const char *address);

/* Returns true if origin[0..len), the value of a request's Origin, matches an item of the list. */
bool host_origin_allowed(const char *list, const char *origin, size_t len);

#endif
