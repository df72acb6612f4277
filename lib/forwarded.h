/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the header fields in which a proxy says whose request it forwards: Forwarded (RFC 7239),
 * X-Forwarded-For, X-Real-IP and CF-Connecting-IP. Pure.
 *
 * The first two are lists: each proxy adds the address from which it got the request. So only the
 * last items are known to be true, those that trusted proxies added: everything before them comes
 * from the client, and may be invented.
 */
#ifndef PROXXY_FORWARDED_H
#define PROXXY_FORWARDED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/config.h"
#include "lib/slice.h"

enum {
	FORWARDED_ITEMS_MAX = 100, /* addresses in all fields together; each is compared to every trusted network */
	FORWARDED_NODE_MAX = 128,  /* bytes of an item's text without quotes; an address with its port has 48 */
};

struct forwarded {
	char address[INET6_ADDRSTRLEN]; /* as host_write_address() writes it; "" if the client is unknown */
	int port;                       /* -1 if it is not told */
};

/* True if address is a trusted proxy's, or is "unix" and UNIX sockets are trusted. */
typedef bool forwarded_trust(const char *address, const void *context);

/* Returns the name of the field, or NULL if source is none of the four. */
const char *forwarded_field(enum client_source source);

/* Finds the client in the values of all fields of source's name, in their order; n is at least 1.
 * Of a list, it is the last address that is no trusted proxy's; if all are, the first address. An
 * item that is "unknown" or (in Forwarded) obfuscated or without "for" is no trusted proxy: if it
 * is the last such item, the client is unknown. The same holds for "unix:", with which nginx names
 * a UNIX socket, unless UNIX sockets are trusted.
 * Returns 0 and sets *ret_client. Or returns ERR_REQUEST_MALFORMED, with a static phrase in
 * *ret_why: the found item is no address; Forwarded does not have RFC 7239's syntax; a field that
 * may occur only once occurs twice, or is a list; or there are more than FORWARDED_ITEMS_MAX
 * items. Whatever comes before the found item in X-Forwarded-For may be malformed. */
int forwarded_find(enum client_source source, const struct slice *values, size_t n, forwarded_trust *is_trusted,
		   const void *context, struct forwarded *ret_client, const char **ret_why);

#endif
