/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers OPTIONS and /api/status. proxxy-conn.c calls it once the request is read.
 */
#include "session/plain_answer.h"

#include <stdio.h>

#include "lib/http_exchange.h"
#include "lib/uri.h"
#include "session/uptime.h"

bool plain_answer(struct endpoint *client, const struct http_request *request)
{
	char body[64];

	if (slice_is(request->method, "OPTIONS")) {
		exchange_answer(client, 204, EXCHANGE_ALLOW, "", false);
		return true;
	}
	if (!slice_is(uri_path(request->target), "/api/status"))
		return false;
	snprintf(body, sizeof(body), "{\"uptime\":%lld}", (long long)uptime_seconds());
	exchange_answer(client, 200, "", body, exchange_wants_body(request));
	return true;
}
