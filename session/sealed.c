/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the sealed payload in a request's URL, subprotocols or Proxxy-Payload.
 */
#include "session/sealed.h"

#include <openssl/crypto.h>

#include "lib/error.h"
#include "lib/http_list.h"
#include "lib/uri.h"

int sealed_find(const struct http_request *request, char buf[HTTP_HEAD_MAX], struct slice *ret_payload,
		const char **ret_why)
{
	const int in_query = uri_query(request->target, "payload", buf, HTTP_HEAD_MAX);
	const bool in_field = request->payload.len > 0 && !request->upgrade;

	if ((in_query != 0) + request->n_ws_payloads + in_field > 1)
		return ERR_PAYLOAD_TWICE;
	if (in_query < 0) {
		*ret_why = "not well-formed in the URL";
		return ERR_PAYLOAD_INVALID;
	}
	if (in_query > 0) {
		*ret_payload = (struct slice){ buf, (size_t)in_query };
		return OK;
	}
	*ret_payload = in_field ? request->payload : request->ws_payload;
	if (ret_payload->len == 0)
		return ERR_PAYLOAD_MISSING;
	if (in_field)
		return OK;
	if (!http_is_token(*ret_payload)) {
		*ret_why = "not a token in Sec-WebSocket-Protocol: only a JWE can be there";
		return ERR_PAYLOAD_INVALID;
	}
	/* Answering none of the offered subprotocols is legal (RFC 6455 section 4.2.2). But then
	 * browsers fail the WebSocket without telling why, when the payload has been used. */
	return request->ws_protocol.at ? OK : ERR_SUBPROTOCOL;
}

static void wipe(struct slice s)
{
	if (s.at)
		OPENSSL_cleanse((char *)(uintptr_t)s.at, s.len);
}

void sealed_wipe(const struct http_request *request, char buf[HTTP_HEAD_MAX])
{
	OPENSSL_cleanse(buf, request->target.len); /* decoded text is not longer; the rest of buf is unused */
	wipe(request->target);
	wipe(request->ws_payload);
	wipe(request->payload);
}
