/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the URL of the shared store (PROXXY_REPLAY_STORE). Pure: no DNS, no sockets.
 *
 *     redis://[[user]:password@]host[:port][/database]
 *     rediss://…[?ca=/path/of/ca.pem]          the same with TLS
 *     unix://[[user]:password@]/path[?db=database]
 *
 * User, password and paths may have percent-escapes. A user without a password is allowed: the
 * password can be in a file.
 */
#ifndef PROXXY_STORE_URL_H
#define PROXXY_STORE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/host.h"

enum {
	STORE_PORT = 6379,                                   /* if the URL has none */
	STORE_DATABASE_MAX = 9999,                           /* Redis has 16, unless its configuration says otherwise */
	STORE_SOCKET_PATH_MAX = 108,                         /* bytes of sockaddr_un's sun_path, with the NUL */
	STORE_USER_MAX = 128,                                /* bytes, with the NUL, as the next two */
	STORE_PASSWORD_MAX = 256,                            /* also of a password in a file */
	STORE_CA_PATH_MAX = 256,                             /* of ca= */
	STORE_PLACE_MAX = 8 + HOST_NAME_MAX_LEN + 2 + 6 + 5, /* of store_url_place(), with the NUL */
};

struct store_url {
	bool tls;
	bool host_is_address;
	char host[HOST_NAME_MAX_LEN + 1]; /* name or address, without brackets; "" for a UNIX socket */
	uint16_t port;
	char path[STORE_SOCKET_PATH_MAX]; /* of the UNIX socket, or "" */
	unsigned database;
	char ca_file[STORE_CA_PATH_MAX];   /* "" for the system's CAs */
	char user[STORE_USER_MAX];         /* "" for the store's default user */
	char password[STORE_PASSWORD_MAX]; /* secret; "" if the URL has none */
};

/* Parses text. The caller overwrites *ret when it is used. Returns true; otherwise false, and *ret
 * holds no secret. */
bool store_url_parse(const char *text, struct store_url *ret);

/* Writes where the store is, for the log: "host:port", "[IPv6]:port" or the socket's path. Without
 * user and password. */
void store_url_place(const struct store_url *url, char ret_place[STORE_PLACE_MAX]);

#endif
