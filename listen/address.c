/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses ports, numeric addresses and paths of UNIX sockets.
 */
#include "listen/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	DIGITS_MAX = 9, /* of a number, so that a long can hold it */
};

static const char UNIX_PREFIX[] = "unix:";

long address_parse_number(const char *text, long min, long max)
{
	const size_t digits = strspn(text, "0123456789");
	long number = 0;

	if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0')
		return -1;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	return number < min || number > max ? -1 : number;
}

static bool parse_path(const char *path, struct address *ret)
{
	const size_t len = strlen(path);

	if (*path != '/' || len >= sizeof(ret->at.local.sun_path))
		return false;
	ret->at.local.sun_family = AF_UNIX;
	memcpy(ret->at.local.sun_path, path, len + 1);
	ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return true;
}

static void set_ipv6(struct address *a, in_port_t port)
{
	a->at.ipv6.sin6_family = AF_INET6;
	a->at.ipv6.sin6_port = htons(port);
	a->size = sizeof(a->at.ipv6);
}

static void set_ipv4(struct address *a, in_port_t port)
{
	a->at.ipv4.sin_family = AF_INET;
	a->at.ipv4.sin_port = htons(port);
	a->size = sizeof(a->at.ipv4);
}

bool address_parse(const char *text, struct address *ret)
{
	const char *colon = strrchr(text, ':');
	const size_t len = colon ? (size_t)(colon - text) : 0;
	const long port = address_parse_number(colon ? colon + 1 : text, 1, 65535);
	char host[INET6_ADDRSTRLEN + 2];

	memset(ret, 0, sizeof(*ret));
	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return parse_path(text + strlen(UNIX_PREFIX), ret);
	if (port < 0 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (!colon) {
		ret->both = true;
		set_ipv6(ret, (in_port_t)port);
		return true;
	}
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		set_ipv6(ret, (in_port_t)port);
		return inet_pton(AF_INET6, host + 1, &ret->at.ipv6.sin6_addr) == 1;
	}
	set_ipv4(ret, (in_port_t)port);
	return inet_pton(AF_INET, host, &ret->at.ipv4.sin_addr) == 1;
}

struct address address_to_connect(const struct address *a)
{
	struct address to = *a;

	if (a->both) { /* IPv4 works also if the machine has no IPv6 */
		memset(&to, 0, sizeof(to));
		set_ipv4(&to, ntohs(a->at.ipv6.sin6_port));
		to.at.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (a->at.any.sa_family == AF_INET && a->at.ipv4.sin_addr.s_addr == htonl(INADDR_ANY)) {
		to.at.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	} else if (a->at.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->at.ipv6.sin6_addr)) {
		to.at.ipv6.sin6_addr = in6addr_loopback;
	}
	return to;
}
