/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects a session to Proxmox: DNS, TCP, TLS, if the payload has no console ticket the request
 * for one, and the WebSocket of the console (vncwebsocket). proxxy-conn.c calls upstream_prepare()
 * before it accepts the client, upstream_dial() before the second sandbox, and upstream_open()
 * inside it. dial.c has DNS and TCP, api.c the request for a console. Where to find what in
 * upstream.c:
 *
 *     begin_tls(), finish_tls()  the handshake; tls_verify.c decides which certificate is accepted
 *     write_request()  the request, with the API token or the cookie, and the VNC ticket
 *     read_answer()    the answer: a 101, or rejected() with Proxmox's reason
 *     upstream_map_wait()  time-outs, a client that leaves, SIGTERM
 *     upstream_fail()      the reason of a failure, for the client and for the log
 */
#ifndef PROXXY_UPSTREAM_H
#define PROXXY_UPSTREAM_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/access.h"
#include "lib/config.h"
#include "lib/io.h"
#include "lib/payload.h"
#include "session/tls_verify.h"

enum {
	UPSTREAM_REASON_MAX = 124,       /* bytes of a sentence for the customer, with its NUL: fits into a Close */
	UPSTREAM_HEAD_MAX = 8 * 1024,    /* bytes of Proxmox's answer; Proxmox sends about 200 */
	UPSTREAM_REQUEST_MAX = 8 * 1024, /* bytes; Proxmox accepts no larger request head */
};

struct upstream {
	struct endpoint endpoint; /* after upstream_dial(): the connection; upstream_close() closes it */
	SSL_CTX *tls;             /* from upstream_prepare() to upstream_open() */
	const struct config *config;
	const struct access *access;
	struct console *console;
	const struct endpoint *client; /* watched while connecting: if the client leaves, connecting stops */
	struct tls_verify verify;
	uint16_t port;
	int64_t deadline;                 /* for connecting in total, an io_now() */
	char reason[UPSTREAM_REASON_MAX]; /* of a failure, for the client's Close: without names of machines */
	char detail[256];                 /* of a failure, for the log: with names; never holds a secret */
	/* Why a console may stay empty, if Proxmox's list of guests says so: a static phrase for
	 * the log, or "". */
	const char *guest_note;
	/* What Proxmox sent after its answer: its first frames. */
	size_t n_early;
	uint8_t early[UPSTREAM_HEAD_MAX];
};

/* Makes u empty, without a connection. */
void upstream_init(struct upstream *u);

/* Makes the TLS context with the certificates or fingerprints to verify with, while the client can
 * still get an HTTP error; tls_verify.h says which count. config and access must stay valid until
 * upstream_open() returns.
 * Returns 0, or ERR_CONFIG, ERR_PAYLOAD_INVALID or ERR_SYSTEM, each with u->detail. */
int upstream_prepare(struct upstream *u, const struct config *config, const struct access *access);

/* Connects to console's host, or to the first host of its cluster that accepts, as dial.h says. All
 * of upstream_dial() and upstream_open() must be done in the setting PROXXY_CONNECT_TIMEOUT. Ends
 * early if client leaves. console and client must stay valid until upstream_open() returns. Sends
 * the ClientHello, so that Proxmox works on its answer while the session enters the second sandbox.
 * Reads nothing, with one exception: if the system's CAs are needed, it does the whole TLS
 * handshake, because each CA is a file that the second sandbox would not let OpenSSL open.
 * Returns 0 with u->endpoint; ERR_HOST_FORBIDDEN or ERR_UPSTREAM_RESOLVE, _CONNECT, _TIMEOUT, _TLS
 * or _UNTRUSTED, each with u->reason and u->detail; ERR_CLIENT_GONE, END_TERMINATED or
 * ERR_SYSTEM. */
int upstream_dial(struct upstream *u, struct console *console, const struct endpoint *client);

/* Does the rest of the TLS handshake. If the console is late, requests it and completes
 * *console. Then opens the console's WebSocket, on the same connection. Opens no file and no
 * socket. Proxmox answers 401 only after 3 s, and does not answer at all if nothing listens on the
 * VNC port.
 * Returns 0 with u->early; ERR_UPSTREAM_TIMEOUT, _TLS, _UNTRUSTED, _REFUSED or _ANSWER, each with
 * u->reason and u->detail; ERR_CLIENT_GONE, END_TERMINATED or ERR_SYSTEM. */
int upstream_open(struct upstream *u);

/* Call it when the console's login is done: what Proxmox sends from then on is the guest's, which
 * OpenSSL need not overwrite after it was read. */
void upstream_end_secrets(struct upstream *u);

/* --- for dial.c and api.c ----------------------------------------------------------------- */

/* Sets the reason of a failure: u->reason is code's words and the formatted text, u->detail is the
 * host and that text. Returns code. */
int upstream_fail(struct upstream *u, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Turns a result of io_wait() into a code of error.h; such codes and OK pass through. late is the
 * reason if the deadline passed. */
int upstream_map_wait(struct upstream *u, int rc, const char *late);

/* Reads more of an answer to u->early + *len before the deadline, and adds to *len. late is the
 * reason if nothing comes. Returns 0 or an error of upstream_open(). */
int upstream_read_more(struct upstream *u, size_t *len, int64_t deadline, const char *late);

/* Reads an answer's head to u->early, of which *len bytes are already there. Skips interim answers,
 * which a proxy in between may send (RFC 9110 section 15.2), but not a 101. *ret has slices of
 * u->early. Returns the head's size in bytes, or an error of upstream_open(). */
struct http_response;
int upstream_read_head(struct upstream *u, size_t *len, const char *late, struct http_response *ret);

/* --- the end -------------------------------------------------------------------------------- */

/* Sends close_notify, if TLS is established, and closes the connection. Leaves it to the end of the
 * process to free TLS. Afterwards u->detail is why TLS broke during the session, or "". */
void upstream_close(struct upstream *u);

#endif
