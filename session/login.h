/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs in to the console in place of the client, between the console's upgrade and the relay:
 *
 *     VNC       authenticates with the password, then does the client's part of the handshake
 *               without one (rfb.h). The relay begins with ClientInit.
 *     terminal  sends "USER:TICKET" and a line feed, and takes termproxy's "OK" away
 *               (pve-xtermjs: termproxy, read_ticket_line())
 *
 * So neither password nor ticket reaches the client. proxxy-conn.c calls it inside the second
 * sandbox.
 */
#ifndef PROXXY_LOGIN_H
#define PROXXY_LOGIN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/payload.h"
#include "session/relay.h"

enum {
	LOGIN_REASON_MAX = 124, /* bytes of a sentence for the client's Close, with its NUL */
	LOGIN_DETAIL_MAX = 256, /* bytes of a sentence for the log, with its NUL */
};

/* Why a login failed. reason is for the client's Close, detail for the log; each may be "". */
struct login {
	const char *note;              /* see login_run() */
	const struct console *console; /* the same */
	char reason[LOGIN_REASON_MAX];
	char detail[LOGIN_DETAIL_MAX];
};

/* Logs in to the console that r's upstream relays, with console's password or user and vncticket.
 * note is a static phrase that says why the console may stay empty, or "".
 * Proxmox's part must be done before deadline, an io_now(); the client has config->request_timeout
 * seconds from then on. Frames that both sides sent early are in r->up.framer and r->down.framer;
 * what follows the login stays there. Answers Pings of the client. A client's Close stays in
 * r->up.framer for relay_close_only().
 * Returns 0 with r->logged_in. Otherwise returns END_UPSTREAM_EMPTY, END_PASSWORD_REFUSED,
 * END_LOGIN_REFUSED, END_CLIENT_CLOSED, END_TERMINATED, ERR_CLIENT_GONE, _VNC or _PROTOCOL,
 * ERR_UPSTREAM_TIMEOUT, _BROKE, _LOGIN or _PROTOCOL, or ERR_SYSTEM, and sets *login. */
int login_run(struct login *login, struct relay *r, const struct console *console, const char *note, int64_t deadline);

#endif
