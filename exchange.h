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
	EXCHANGE_ROOM = 4096, /* bytes to read into beside what is kept; most heads are smaller */
};

/* Reads a request's head into head, which has room for size bytes, before the deadline. size is
 * at least EXCHANGE_ROOM; what is in the head and not in http_request may be up to
 * HTTP_REQUEST_MAX all the same.
 * Returns the size of what is left of it, *ret_request pointing into it; *ret_len is that with
 * what came behind. Returns ERR_CLIENT_GONE also for someone who never said a word (*ret_len is
 * 0 then), or an error of http_read_request() or io_wait(). *ret_used is how many bytes of head
 * were written to, in any case: they may hold secrets. */
int exchange_read(struct endpoint *client, char *head, size_t size, int64_t deadline,
		  struct http_request *ret_request, size_t *ret_len, size_t *ret_used);

/* The methods that both programs know, as a header line. HAProxy's and others' health checks ask
 * with OPTIONS or HEAD. */
#define EXCHANGE_ALLOW "Allow: GET, HEAD, OPTIONS\r\n"
bool exchange_knows(const struct http_request *request);

/* False for HEAD, which is answered as GET without the body. */
bool exchange_wants_body(const struct http_request *request);

/* Sends an answer as http_write_answer() writes it. Returns 0, ERR_SYSTEM or ERR_CLIENT_GONE. */
int exchange_answer(struct endpoint *client, int status, const char *extra, const char *body, bool with_body);

/* Sends size bytes of answer. Returns 0, or ERR_CLIENT_GONE: part of it may be out, and no other
 * answer can follow. */
int exchange_send(struct endpoint *client, const char *answer, size_t size);

/* Refuses the request with code's status and words, as JSON in the original's format, detail (""
 * for none) among the issues: it must be safe inside a JSON string. Does nothing for a code
 * without a status. */
void exchange_refuse(struct endpoint *client, const struct http_request *request, int code, const char *detail);

#endif
