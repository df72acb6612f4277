/* SPDX-License-Identifier: Apache-2.0
 *
 * What a session does because of the time: sends Pings, ends at its limits, and gives up peers that
 * vanished.
 */
#ifndef PROXXY_RELAY_TIME_H
#define PROXXY_RELAY_TIME_H

#include "session/relay.h"

/* Begins the session's times. Call this once, when relaying begins. */
void relay_start_time(struct relay *r);

/* Does everything that is due now, which may end the session. Returns when to call it again at the
 * latest, an io_now(). */
int64_t relay_keep_time(struct relay *r);

#endif
