/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends one session: POST /api/sessions/UNIT/end. proxxy-status cannot send signals to a session; it
 * asks ender.h, which can do nothing else.
 */
#ifndef PROXXY_STATUS_END_H
#define PROXXY_STATUS_END_H

#include <systemd/sd-bus.h>

#include "lib/http.h"
#include "status/answer.h"

/* If path is /api/sessions/UNIT/end, sets *ret_unit to UNIT as it stands there, percent-encoded,
 * and returns true. UNIT has no slash. */
bool end_is_path(struct slice path, struct slice *ret_unit);

/* Ends the session whose unit is text, percent-encoded. Logs who asked for it: the Remote-User
 * field, as the server in front says. The request needs Proxxy-Action: end, which a page of another
 * site can send only if a preflight allows it (Fetch standard, CORS); this program allows none.
 * Returns 200 when the session has the signal: it then says goodbye to both sides and ends. Returns
 * 403 if a page of another site may have made the request, 404 if there is no such session, or 503
 * if sessions cannot be ended. */
struct answer end_answer(sd_bus *bus, const struct http_request *request, struct slice text);

#endif
