/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks a client's WebSocket request and writes the 101. proxxy-conn.c calls it; http_write.c
 * formats.
 */
#include "session/upgrade.h"

#include "lib/error.h"
#include "ws.h"

int upgrade_check(const struct http_request *request)
{
	if (!request->upgrade)
		return ERR_UPGRADE_MISSING;
	if (!slice_is(request->ws_version, "13"))
		return ERR_WEBSOCKET_VERSION;
	return ws_key_valid(request->ws_key.at, request->ws_key.len) ? OK : ERR_WEBSOCKET_KEY;
}

int upgrade_write(const struct http_request *request, char buf[UPGRADE_ANSWER_MAX])
{
	struct slice protocol = request->ws_protocol;
	char accept[WS_ACCEPT_LEN + 1];
	int rc = ws_accept(request->ws_key.at, accept);

	if (protocol.len > UPGRADE_PROTOCOL_MAX)
		protocol = (struct slice){ NULL, 0 };
	return rc < 0 ? rc : http_write_upgrade(buf, UPGRADE_ANSWER_MAX, accept, protocol);
}
