/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds out who the client is: the socket's peer or, if that is a trusted proxy, whoever the proxy
 * says it is (PROXXY_CLIENT_ADDRESS). For the log, the payload's claim "client", and the limits.
 */
#ifndef PROXXY_CLIENT_H
#define PROXXY_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>

#include "lib/config.h"

enum { CLIENT_NAME_MAX = 64 }; /* bytes of an address with its port as text, with the NUL */

/* Texts of addresses are as inet_ntop(3) writes them; an IPv4-mapped IPv6 address is written as
 * IPv4. */
struct client {
	char peer[CLIENT_NAME_MAX];     /* the socket's peer: "ADDRESS:PORT", "[IPv6]:PORT", "unix" or "unknown" */
	char name[CLIENT_NAME_MAX];     /* the client, in that form; without port if nobody tells it; "" if unknown */
	char address[INET6_ADDRSTRLEN]; /* the client's address alone; "" if unknown */
	bool peer_is_trusted;           /* the socket's peer is in PROXXY_TRUSTED_PROXIES */
	bool is_proxy;                  /* address is in PROXXY_TRUSTED_PROXIES: it may stand for many clients */
};

/* Sets *ret_client from the peer of the socket fd, which is the client until a trusted proxy says
 * otherwise. */
void client_of_socket(int fd, const struct config *config, struct client *ret_client);

#endif
