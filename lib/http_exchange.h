/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP exchange with whoever is at fd 0: a request is read, an answer is sent.
 */
#ifndef PROXXY_HTTP_EXCHANGE_H
#define PROXXY_HTTP_EXCHANGE_H

#include "lib/http.h"
#include "lib/io.h"

enum {
	EXCHANGE_ANSWER_TIMEOUT_MS = 5000, /* for the client to take an answer */
	EXCHANGE_ROOM = 4096, /* bytes to read into, besides those that are kept; most heads are smaller */
};

/* Reads a request's head into head[0..size) before the deadline. size is at least EXCHANGE_ROOM.
 * Fields that http_request does not need are dropped while reading, so the head may be up to
 * HTTP_REQUEST_MAX bytes, whatever size is.
 * Returns the size of the part that was kept; *ret_request points into it. *ret_len is this size
 * plus the bytes that came after the head. Returns ERR_CLIENT_GONE if the client left; *ret_len is
 * 0 if it never sent a byte. Else returns an error of http_read_request() or io_wait().
 * *ret_used is always set: how many bytes of head were written to. They may hold secrets. */
int exchange_read(struct endpoint *client, char *head, size_t size, int64_t deadline,
		  struct http_request *ret_request, size_t *ret_len, size_t *ret_used);

/* The methods that both programs accept, as a header line. Health checks, such as HAProxy's, use
 * OPTIONS or HEAD. */
#define EXCHANGE_ALLOW "Allow: GET, HEAD, OPTIONS\r\n"
bool exchange_knows(const struct http_request *request);

/* False for HEAD: its answer is that of GET without the body. */
bool exchange_wants_body(const struct http_request *request);

/* Sends an answer as http_write_answer() writes it. Returns 0, ERR_SYSTEM or ERR_CLIENT_GONE. */
int exchange_answer(struct endpoint *client, int status, const char *extra, const char *body, bool with_body);

/* Sends answer[0..size). Returns 0 or ERR_CLIENT_GONE. After an error part of it may have been
 * sent, so no other answer may follow. */
int exchange_send(struct endpoint *client, const char *answer, size_t size);

/* Refuses the request with code's status and text, as JSON in the original's format. detail becomes
 * an issue, "" adds none; it must be safe inside a JSON string. Does nothing if code has no
 * status. */
void exchange_refuse(struct endpoint *client, const struct http_request *request, int code, const char *detail);

#endif
