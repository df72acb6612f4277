/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of proxxy-status: what every route returns, and the errors that they share.
 */
#ifndef PROXXY_STATUS_ANSWER_H
#define PROXXY_STATUS_ANSWER_H

#include <json-c/json.h>

/* An HTTP answer. Without memory, body is NULL: then there is no answer. */
struct answer {
	int status;
	const char *extra; /* header lines that each end in CRLF */
	char *body;        /* owned */
};

/* Frees object. Returns a 200 with it as JSON. */
struct answer answer_json(json_object *object);

/* Returns an error of the HTTP status, as JSON with words. extra: header lines that each end in
 * CRLF. */
struct answer answer_error(int status, const char *extra, const char *words);

/* Logs the negative errno rc of a query to systemd. Returns a 503. */
struct answer answer_unavailable(int rc);

#endif
