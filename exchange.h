/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP exchange with whoever is at fd 0: a request is read, an answer is sent.
 */
#ifndef PROXXY_EXCHANGE_H
#define PROXXY_EXCHANGE_H

#include "http.h"
#include "io.h"

enum {
	EXCHANGE_ANSWER_TIMEOUT_MS = 5000, /* for the client to take an answer */
};

/* Reads a request's head into head, which has room for size bytes, before the deadline.
 * Returns the head's size, *ret_request pointing into it; *ret_len is how much was read, in any
 * case. Returns ERR_CLIENT_GONE also for someone who never said a word, or an error of
 * http_parse_request() or io_wait(). */
int exchange_read(struct endpoint *client, char *head, size_t size, int64_t deadline,
		  struct http_request *ret_request, size_t *ret_len);

/* Sends an answer as http_write_answer() writes it. Returns 0, or an error of io_write_all(). */
int exchange_answer(struct endpoint *client, int status, const char *extra, const char *body, bool with_body);

#endif
