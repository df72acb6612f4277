/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP exchange with a client: reads the request's head and sends the answer, with deadlines.
 */
#ifndef PROXXY_HTTP_EXCHANGE_H
#define PROXXY_HTTP_EXCHANGE_H

#include "lib/http.h"
#include "lib/io.h"

enum {
	EXCHANGE_ANSWER_TIMEOUT_MS = 5000, /* for the client's kernel to accept an answer */
	EXCHANGE_ROOM = 4096, /* bytes of the buffer that are for reading, beyond those kept; most heads are smaller */
};

/* Reads a request's head into head[0..size) before the deadline. size is at least EXCHANGE_ROOM.
 * Fields that http_request does not need are dropped while reading, so the head may be up to
 * HTTP_REQUEST_MAX bytes, whatever size is. extra is as in struct http_reader.
 * Returns the size of the part that was kept; *ret_request points into it. *ret_len is this size
 * plus the bytes that came after the head. Or returns ERR_CLIENT_GONE if the client closed, or sent
 * no byte before the deadline; ERR_REQUEST_TIMEOUT, END_TERMINATED, ERR_SYSTEM, or an error of
 * http_read_request(). *ret_used is always set: how many bytes of head were written. They may hold
 * secrets. */
int exchange_read(struct endpoint *client, const char *extra, char *head, size_t size, int64_t deadline,
		  struct http_request *ret_request, size_t *ret_len, size_t *ret_used);

/* The methods that both programs accept, as a header line. Health checks, such as HAProxy's, use
 * OPTIONS or HEAD. */
#define EXCHANGE_ALLOW "Allow: GET, HEAD, OPTIONS\r\n"

/* True if the request's method is one of EXCHANGE_ALLOW. */
bool exchange_accepts_method(const struct http_request *request);

/* False for HEAD: its answer is GET's without the body (RFC 9110 section 9.3.2). */
bool exchange_wants_body(const struct http_request *request);

/* Sends an answer as http_write_answer() formats it: extra holds more header lines, each with CRLF;
 * body is JSON. Does not report whether the client got it. */
void exchange_answer(struct endpoint *client, int status, const char *extra, const char *body, bool with_body);

/* Sends answer[0..size) within EXCHANGE_ANSWER_TIMEOUT_MS. Returns as io_write_all(). After an
 * error part of it may have been sent, so no other answer may follow. */
int exchange_send(struct endpoint *client, const char *answer, size_t size);

/* Answers the request with code's HTTP status and words (error.h), as JSON in the original's
 * format. detail becomes an issue, "" adds none; it must be safe inside a JSON string. retry_after
 * becomes Retry-After, in seconds (RFC 9110 section 10.2.3), 0 adds none. Does nothing if code has
 * no status. */
void exchange_answer_error(struct endpoint *client, const struct http_request *request, int code, const char *detail,
			   int retry_after);

#endif
