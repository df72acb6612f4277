/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads an HTTP request's head from a connection and sends an answer. proxxy-conn and proxxy-status
 * use it; http.h parses and http_write.c formats.
 */
#include "lib/http_exchange.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"

enum {
	ANSWER_HEAD_MAX = 512, /* bytes, without extra lines */
	ERROR_BODY_MAX = 512,  /* bytes of an error answer's body */
};

int exchange_read(struct endpoint *client, const char *extra, char *head, size_t size, int64_t deadline,
		  struct http_request *ret_request, size_t *ret_len, size_t *ret_used)
{
	struct http_reader reader = { .extra = extra };
	size_t len = 0;

	*ret_used = 0;
	for (;;) {
		ssize_t n = io_read(client, head + len, size - len);
		int rc = ERR_CLIENT_GONE;

		if (n > 0) {
			len += (size_t)n;
			if (*ret_used < len)
				*ret_used = len;
			rc = http_read_request(&reader, head, &len, ret_request);
			if (rc == 0 && len == size)
				rc = ERR_REQUEST_TOO_LARGE;
		} else if (n == IO_AGAIN) {
			rc = io_wait(client, POLLIN, NULL, deadline);
			if (rc == IO_TIMEOUT)
				rc = len == 0 ? ERR_CLIENT_GONE : ERR_REQUEST_TIMEOUT;
			else if (rc == IO_TERMINATED)
				rc = END_TERMINATED;
		}
		*ret_len = len;
		if (rc != 0)
			return rc;
	}
}

bool exchange_accepts_method(const struct http_request *request)
{
	const struct slice method = request->method;

	return slice_is(method, "GET") || slice_is(method, "HEAD") || slice_is(method, "OPTIONS");
}

bool exchange_wants_body(const struct http_request *request)
{
	return !slice_is(request->method, "HEAD");
}

int exchange_send(struct endpoint *client, const char *answer, size_t size)
{
	return io_write_all(client, answer, size, io_now() + EXCHANGE_ANSWER_TIMEOUT_MS);
}

void exchange_answer(struct endpoint *client, int status, const char *extra, const char *body, bool with_body)
{
	const size_t size = ANSWER_HEAD_MAX + strlen(extra) + strlen(body);
	char *answer = malloc(size);
	int n = answer ? http_write_answer(answer, size, status, extra, body, with_body) : 0;

	if (n > 0)
		exchange_send(client, answer, (size_t)n);
	free(answer);
}

void exchange_answer_error(struct endpoint *client, const struct http_request *request, int code, const char *detail,
			   int retry_after)
{
	const struct error_info *info = error_info(code);
	const bool tell = *detail;
	const char *extra = "";
	char body[ERROR_BODY_MAX], retry[32];

	if (code == ERR_METHOD)
		extra = EXCHANGE_ALLOW;
	else if (code == ERR_UPGRADE_MISSING)
		extra = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
	else if (code == ERR_WEBSOCKET_VERSION)
		extra = "Sec-WebSocket-Version: 13\r\n";
	if (retry_after > 0) {
		snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", retry_after);
		extra = retry;
	}
	snprintf(body, sizeof(body), "{\"error\":\"%s\",\"code\":%d,\"issues\":[%s%s%s]}", info->words,
		 info->http_status, tell ? "{\"message\":\"" : "", detail, tell ? "\"}" : "");
	if (info->http_status)
		exchange_answer(client, info->http_status, extra, body, exchange_wants_body(request));
}
