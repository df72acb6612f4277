/* SPDX-License-Identifier: Apache-2.0
 *
 * Decides how a session ends, and closes both sides: the WebSocket closing handshake (RFC 6455
 * section 7) and the end of both connections. The first decision counts. Where each outcome is
 * decided:
 *
 *     END_CLIENT_CLOSED, ERR_CLIENT_UTF8          relay_on_close()
 *     END_UPSTREAM_CLOSED                         relay_on_close(), relay_on_upstream_end()
 *     END_UPSTREAM_EMPTY, END_PASSWORD_REFUSED    relay_on_upstream_end()
 *     ERR_UPSTREAM_BROKE                          relay_on_upstream_end(), relay_time.c
 *     ERR_CLIENT_PROTOCOL, ERR_UPSTREAM_PROTOCOL  relay_on_close(), relay.c forward()
 *     ERR_CLIENT_GONE                             relay.c relay_both(), relay_time.c check_limits()
 *     ERR_CLIENT_SILENT                           relay_time.c check_ping(), check_vanished()
 *     END_IDLE, END_SESSION_MAX                   relay_time.c check_limits()
 *     END_TERMINATED                              relay_time.c relay_keep_time()
 *     all others                                  before relaying: proxxy-conn.c, dial.c,
 *                                                 upstream.c, api.c, login.c
 *
 * ERR_CLIENT_GONE and END_TERMINATED can also come before relaying, and all of the list but the
 * limits of time from login.c.
 */
#ifndef PROXXY_RELAY_CLOSE_H
#define PROXXY_RELAY_CLOSE_H

#include "session/relay.h"

enum {
	RELAY_CLOSE_TIMEOUT_MS = 3000, /* for a peer to accept more data, once the other side has left */
	RELAY_CLOSE_CHECK_MS = 250,    /* between two checks whether the peers accept data */
};

/* Ends the session with outcome. why is a static phrase with more about it, or NULL; the client's
 * Close and the log get both. Does nothing if the session is ending already. */
void relay_end(struct relay *r, int outcome, const char *why);

/* Ends the session with outcome, and reason in the client's Close instead of outcome's words. Does
 * nothing if the session is ending already. */
void relay_end_with_reason(struct relay *r, int outcome, const char *reason);

/* Ends the session because d's sender sent a Close. If the session is ending already, only notes
 * that this side will send nothing more. */
void relay_on_close(struct relay *r, struct direction *d, const struct ws_control *close);

/* Ends the session after Proxmox's connection ended and everything that it sent is written. */
void relay_on_upstream_end(struct relay *r);

/* Extends the closing handshake while either side accepts data. now is io_now(). Returns when to
 * check again. */
int64_t relay_extend_close(struct relay *r, int64_t now);

/* Makes the closing handshake end at limit at the latest, an io_now(). */
void relay_limit_close(struct relay *r, int64_t limit);

/* True if the closing handshake is done or cannot be: the client got its Close and answered it, and
 * Proxmox got its own. */
bool relay_close_is_done(const struct relay *r);

/* Ends the connections, or only the client's, and sets r's members that say how much arrived. */
void relay_end_connections(struct relay *r, bool upstream_too);

#endif
