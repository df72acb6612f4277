/* SPDX-License-Identifier: Apache-2.0
 *
 * Host names, addresses and networks in text, and the lists of what may be dialled and of who may
 * ask. Pure: no DNS, no sockets.
 *
 * A list of hosts is comma-separated: names ("pve1.example.com"), wildcards ("*.example.com": one or more labels
 * before it), addresses and networks ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32"). An empty list has no opinion on
 * names. Addresses that lead back to this machine, to its link or to a cloud's metadata service are dialled only
 * when a network of the list holds them; the name "localhost" stands for 127.0.0.0/8 and ::1 as well.
 *
 * A list of origins holds serialized origins (RFC 6454 section 6.2): "https://panel.example.com", with a port when
 * it is not the scheme's own; a wildcard may stand for its first labels, as in a list of hosts.
 */
#ifndef PROXXY_HOST_H
#define PROXXY_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
	HOST_NAME_MAX_LEN = 253, /* characters of a host name in text (RFC 1035 section 2.3.4) */
	HOST_ORIGIN_MAX = 8 + HOST_NAME_MAX_LEN + 6, /* "https://", a host, ":65535" */
};

/* Letters, digits and inner hyphens, in labels of 1 to 63, with dots between (RFC 1123 section 2.1). It is what
 * keeps a host or node from being a path, a header or a port. */
bool host_is_name(const char *s, size_t len);

/* True when a name's last label would make getaddrinfo() read it as an IPv4 address: "127.1", "2130706433". */
bool host_looks_like_ipv4(const char *name, size_t len);

/* True when text is an address of that family. */
bool host_is_address(int family, const char *text);

/* True when every item is one, for the settings. */
bool host_list_valid(const char *list);
bool host_origins_valid(const char *list);

/* What a list of hosts says of the host that a payload names, before DNS is asked. */
enum host_verdict {
	HOST_REFUSED,     /* whatever it resolves to */
	HOST_BY_ADDRESS,  /* only where it resolves into one of the list's networks */
	HOST_NAMED,       /* by name, or by a list that is empty */
};
enum host_verdict host_list_judge(const char *list, const char *host);

/* True when that address may be dialled for a host with that verdict. Either a network of the list
 * contains it. Or the host is HOST_NAMED, and the address is neither special nor an IPv6 address
 * that embeds a special IPv4 address. An IPv4-mapped IPv6 address is treated as IPv4. */
bool host_address_allowed(const char *list, const struct sockaddr *address, enum host_verdict verdict);

/* True when text is an address or network; and when the address in text lies in it. An IPv4 address in IPv6 clothes
 * is not the same as the plain one. */
bool host_is_network(const char *text);
bool host_in_network(const char *network, const char *address);

/* True when origin[0..len), a request's Origin, is one of the list's. */
bool host_origin_allowed(const char *list, const char *origin, size_t len);

#endif
