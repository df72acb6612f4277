/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP exchange, see exchange.h.
 */
#include "exchange.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

enum { ANSWER_HEAD_MAX = 512 }; /* bytes; the longest is a 426's */

int exchange_read(struct endpoint *client, char *head, size_t size, int64_t deadline,
		  struct http_request *ret_request, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = io_read(client, head + len, size - len);
		int rc;

		if (n > 0) {
			len += (size_t)n;
			rc = http_parse_request(head, len, ret_request);
			if (rc == 0 && len == size)
				rc = ERR_REQUEST_TOO_LARGE;
		} else if (n == IO_AGAIN) {
			rc = io_wait(client, POLLIN, NULL, deadline);
			if (rc == ERR_REQUEST_TIMEOUT && len == 0)
				rc = ERR_CLIENT_GONE;
		} else {
			rc = ERR_CLIENT_GONE;
		}
		*ret_len = len;
		if (rc != 0)
			return rc;
	}
}

int exchange_answer(struct endpoint *client, int status, const char *extra, const char *body, bool with_body)
{
	const size_t size = ANSWER_HEAD_MAX + strlen(body);
	char *answer = malloc(size);
	int rc = answer ? http_write_answer(answer, size, status, extra, body, with_body) : ERR_SYSTEM;

	if (rc > 0)
		rc = io_write_all(client, answer, (size_t)rc, io_now() + EXCHANGE_ANSWER_TIMEOUT_MS);
	free(answer);
	return rc;
}
