/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs one session of the installed proxxy-conn, with this program as its client.
 */
#ifndef PROXXY_SETUP_SESSION_H
#define PROXXY_SETUP_SESSION_H

#include <stddef.h>

enum { SESSION_WHY_MAX = 1024 /* bytes of why, with its NUL */ };

/* Starts proxxy-conn, which is beside this program, as the user proxxy; opens a WebSocket with
 * the payload, waits for the console's first data, and closes it. origins is
 * PROXXY_ALLOWED_ORIGINS: the request has an Origin that it allows. connect_timeout (seconds) is
 * PROXXY_CONNECT_TIMEOUT. Returns 0 if the console has sent data. Otherwise returns a code of
 * lib/error.h, and in why[0..size) what the session's log says, else what its client was told;
 * it holds no secret. */
int session_try(const char *payload, const char *origins, int connect_timeout, char *why, size_t size);

#endif
