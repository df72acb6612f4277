/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds out who the client is: the socket's peer or, if that is a trusted proxy, whoever the proxy
 * says it is (PROXXY_CLIENT_ADDRESS). For the log, the payload's claim "client", and the limits.
 */
#ifndef PROXXY_CLIENT_H
#define PROXXY_CLIENT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/http.h"
#include "lib/io.h"

enum {
	CLIENT_NAME_MAX = 64,  /* bytes of an address with its port as text, with the NUL */
	CLIENT_HINT_MAX = 128, /* bytes of client_hint()'s text, with the NUL */
};

/* What the proxy told about the client. */
enum client_told {
	CLIENT_TOLD_NOTHING, /* no field; a PROXY header of the proxy's own connection; or nobody is asked */
	CLIENT_TOLD_UNUSED,  /* the peer sent the field, but is not trusted */
	CLIENT_TOLD_UNKNOWN, /* that its address is not known */
	CLIENT_TOLD_ADDRESS,
};

/* Texts of addresses are as host_write_address() writes them. */
struct client {
	char peer[CLIENT_NAME_MAX];     /* the socket's peer: "ADDRESS:PORT", "[IPv6]:PORT", "unix" or "unknown" */
	char name[CLIENT_NAME_MAX];     /* the client, in that form; without port if nobody tells it; "" if unknown */
	char address[INET6_ADDRSTRLEN]; /* the client's address alone; "" if unknown */
	char peer_address[INET6_ADDRSTRLEN]; /* the socket's peer's address alone; "" if it is none */
	bool peer_is_trusted;                /* the socket's peer is in PROXXY_TRUSTED_PROXIES */
	bool is_proxy;                       /* address is in PROXXY_TRUSTED_PROXIES: it may stand for many clients */
	enum client_told told;
};

/* Sets *ret_client from the peer of the socket fd. The peer is the client, unless it is a trusted
 * proxy that is to tell the client's address: then the client is unknown until
 * client_read_header() or client_of_request() sets it. */
void client_of_socket(int fd, const struct config *config, struct client *ret_client);

/* With PROXXY_CLIENT_ADDRESS=proxy-protocol, reads the PROXY header of a trusted proxy from e
 * before the deadline, an io_now(), and sets *c from it. Reads no byte behind the header. buf has
 * room for PROXY_PROTOCOL_MAX bytes. Does nothing with another setting, or if the peer is not
 * trusted.
 * Returns 0, ERR_CLIENT_GONE (the peer closed, or sent no byte before the deadline),
 * ERR_REQUEST_TIMEOUT, END_TERMINATED or ERR_SYSTEM. Or returns ERR_REQUEST_MALFORMED, with a
 * sentence for the log in why[0..size). *ret_used is how many bytes of an incomplete header were
 * read. */
int client_read_header(struct client *c, const struct config *config, struct endpoint *e, int64_t deadline, char *buf,
		       size_t *ret_used, char *why, size_t size);

/* Returns the name of the field that client_of_request() needs, for exchange_read(); or NULL. */
const char *client_field(const struct config *config);

/* If PROXXY_CLIENT_ADDRESS names a header field, sets *c from the fields of a trusted proxy's
 * request. Without one, the client is the peer: a health check, for example.
 * Returns 0, or ERR_REQUEST_MALFORMED with a sentence for the log in why[0..size). */
int client_of_request(struct client *c, const struct config *config, const struct http_request *request, char *why,
		      size_t size);

/* Returns why a request that begins as a PROXY header is no request: a static phrase for the
 * log. */
const char *client_header_hint(const struct client *c, const struct config *config);

/* Writes a phrase for the log to text: why the client's address is not known, or may not be its
 * own. Writes "" if neither is so. For refusals that depend on the address. Returns text. */
const char *client_hint(const struct client *c, const struct config *config, char text[CLIENT_HINT_MAX]);

#endif
