/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the subprotocols that a client offers: one for the answer, and the payload.
 */
#include "lib/http.h"

#include "lib/http_list.h"

static bool is_payload(struct slice offered)
{
	const size_t len = strlen(HTTP_PAYLOAD_PROTOCOL);

	return offered.len >= len && memcmp(offered.at, HTTP_PAYLOAD_PROTOCOL, len) == 0;
}

void http_add_protocols(struct http_request *request, struct slice offered)
{
	const size_t prefix = strlen(HTTP_PAYLOAD_PROTOCOL);
	struct slice element, *const chosen = &request->ws_protocol;

	while (http_list_next(&offered, &element)) {
		if (is_payload(element)) {
			request->ws_payload = (struct slice){ element.at + prefix, element.len - prefix };
			request->n_ws_payloads++;
		} else if (http_is_token(element) &&
			   (!chosen->at || (slice_is(element, "binary") && !slice_is(*chosen, "binary")))) {
			*chosen = element;
		}
	}
}
