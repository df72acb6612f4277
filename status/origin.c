/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks where a request comes from. proxxy-status.c and end.c call it.
 */
#include "status/origin.h"

#include <arpa/inet.h>

/* Returns true if name, without brackets, is an IP address of that family. */
static bool is_address(struct slice name, int family)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.at, name.len);
	text[name.len] = '\0';
	return inet_pton(family, text, &address) == 1;
}

bool origin_is_local(const struct http_request *request)
{
	struct slice host = request->host;
	const char *end;

	if (!host.at)
		return true;
	if (host.len && host.at[0] == '[') {
		end = memchr(host.at, ']', host.len);
		return end && is_address((struct slice){ host.at + 1, (size_t)(end - host.at) - 1 }, AF_INET6);
	}
	end = memchr(host.at, ':', host.len);
	if (end)
		host.len = (size_t)(end - host.at);
	return slice_is_nocase(host, "localhost") || is_address(host, AF_INET);
}

bool origin_is_own(const struct http_request *request)
{
	return !request->fetch_site.at || slice_is(request->fetch_site, "same-origin");
}
