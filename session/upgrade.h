/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's side of RFC 6455's opening handshake (section 4.2): whether a request can be
 * upgraded, and the 101. Pure.
 */
#ifndef PROXXY_UPGRADE_H
#define PROXXY_UPGRADE_H

#include <stddef.h>

#include "lib/http.h"

enum {
	UPGRADE_ANSWER_MAX = 512,   /* bytes of a 101 */
	UPGRADE_PROTOCOL_MAX = 128, /* bytes of a subprotocol that is echoed in it */
};

/* Returns 0, or why request cannot be upgraded: ERR_UPGRADE_MISSING, ERR_WEBSOCKET_VERSION or
 * ERR_WEBSOCKET_KEY. */
int upgrade_check(const struct http_request *request);

/* Writes the 101 for a request that upgrade_check() accepted. Returns its size, or ERR_SYSTEM. */
int upgrade_write(const struct http_request *request, char buf[UPGRADE_ANSWER_MAX]);

#endif
