/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers the requests that need no payload: OPTIONS, and the health check GET /api/status.
 */
#ifndef PROXXY_PLAIN_ANSWER_H
#define PROXXY_PLAIN_ANSWER_H

#include <stdbool.h>

#include "lib/http.h"
#include "lib/io.h"

/* Sends the answer to such a request. Returns false, and sends nothing, if the request needs a
 * payload. */
bool plain_answer(struct endpoint *client, const struct http_request *request);

#endif
