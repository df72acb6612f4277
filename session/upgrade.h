/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's side of the WebSocket opening handshake (RFC 6455 section 4.2): checks whether a
 * request can be upgraded, and writes the 101. Works on memory only.
 */
#ifndef PROXXY_UPGRADE_H
#define PROXXY_UPGRADE_H

#include <stddef.h>

#include "lib/http.h"

enum {
	UPGRADE_ANSWER_MAX = 512,   /* bytes of a 101 */
	UPGRADE_PROTOCOL_MAX = 128, /* bytes of the longest subprotocol that the 101 echoes */
};

/* Returns 0, or why request cannot be upgraded: ERR_UPGRADE_MISSING, ERR_WEBSOCKET_VERSION or
 * ERR_WEBSOCKET_KEY. */
int upgrade_check(const struct http_request *request);

/* Writes the 101 for a request that upgrade_check() accepted; echoes request->ws_protocol, unless
 * it is longer than UPGRADE_PROTOCOL_MAX. Returns its size in bytes, or ERR_SYSTEM. */
int upgrade_write(const struct http_request *request, char buf[UPGRADE_ANSWER_MAX]);

#endif
