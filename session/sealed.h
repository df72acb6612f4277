/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the sealed payload in a request, and wipes it. proxxy-conn.c calls it before and after it
 * opens the payload. Pure.
 *
 * The payload is in one of three places:
 *   the query parameter payload
 *   a subprotocol proxxy.payload.PAYLOAD, offered beside another one for the answer
 *   the field Proxxy-Payload, only in a request without upgrade: fetch() cannot set
 *   Sec-WebSocket-Protocol, and a WebSocket's script cannot set Proxxy-Payload
 */
#ifndef PROXXY_SEALED_H
#define PROXXY_SEALED_H

#include "lib/http.h"

/* Finds the payload. buf has room for HTTP_HEAD_MAX bytes, for a payload that is decoded from a
 * query. The result is part of buf or of the request.
 * Returns 0, ERR_PAYLOAD_MISSING, ERR_PAYLOAD_TWICE, ERR_SUBPROTOCOL, or ERR_PAYLOAD_INVALID with
 * *ret_why, a static phrase for the log. */
int sealed_find(const struct http_request *request, char buf[HTTP_HEAD_MAX], struct slice *ret_payload,
		const char **ret_why);

/* Wipes the payload in all places, and buf. Of the request, the target ends to be usable. */
void sealed_wipe(const struct http_request *request, char buf[HTTP_HEAD_MAX]);

#endif
