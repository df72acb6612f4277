/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of the sessions that run on this machine: GET /api/sessions.
 */
#ifndef PROXXY_STATUS_SESSIONS_H
#define PROXXY_STATUS_SESSIONS_H

#include <systemd/sd-bus.h>

#include "status/answer.h"

/* Returns the list as JSON, or a 503 if systemd cannot be queried. */
struct answer sessions_answer(sd_bus *bus);

#endif
