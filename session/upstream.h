/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to Proxmox: name, TCP, verified TLS, and the upgrade of its vncwebsocket endpoint.
 */
#ifndef PROXXY_UPSTREAM_H
#define PROXXY_UPSTREAM_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/io.h"
#include "lib/payload.h"
#include "session/tls_verify.h"

enum {
	UPSTREAM_REASON_MAX = 124, /* bytes of a sentence for the customer, with its NUL: fits a Close */
	UPSTREAM_HEAD_MAX = 8 * 1024, /* bytes of Proxmox's answer; it sends some 200 */
	UPSTREAM_ADDRESSES_MAX = 8,   /* of a name; more are not tried */
};

struct upstream {
	struct endpoint endpoint; /* fd and TLS, once connected */
	SSL_CTX *tls;
	const struct config *config;
	struct trust trust;
	uint16_t port;
	int64_t deadline; /* of dialling and opening, an io_now() */
	char reason[UPSTREAM_REASON_MAX]; /* why it failed, without names of machines: for the client's Close */
	char detail[256];                 /* the same for the log: with them, never with a secret */
	/* What came right behind Proxmox's answer: the first frames. */
	size_t n_early;
	uint8_t early[UPSTREAM_HEAD_MAX];
};

/* Begins with nothing. */
void upstream_init(struct upstream *u);

/* Loads what TLS is verified with, before anything is promised to the client: the payload's own fingerprint and CA
 * when claims has them, and then nothing else, whatever the settings say.
 * Returns 0, or ERR_CONFIG / ERR_PAYLOAD_INVALID / ERR_SYSTEM with u->detail. claims must outlive upstream_open(). */
int upstream_prepare(struct upstream *u, const struct config *config, const struct claims *claims);

/* The first half: finds the host and connects, before the settings' connect_timeout is over in all; gives up when the
 * client leaves. Each address that the host resolves to is held against PROXXY_ALLOWED_HOSTS; it is the very one that is
 * dialled. Nothing is said to the host or read from it, unless its certificate has to be held against the system's
 * directory of CAs, in files of their own: then TLS's handshake is done here.
 * Returns 0 and u->endpoint, or ERR_HOST_FORBIDDEN, ERR_UPSTREAM_RESOLVE, _CONNECT, _TIMEOUT, _TLS, _UNTRUSTED with u->reason and
 * u->detail, or ERR_CLIENT_GONE, END_TERMINATED, ERR_SYSTEM. */
int upstream_dial(struct upstream *u, const struct console *console, const struct endpoint *client);

/* The second half: the handshake, unless it is done, and the console's upgrade, within the same time. It needs no file and no
 * further socket. Returns 0, or ERR_UPSTREAM_TIMEOUT, _TLS, _UNTRUSTED, _REFUSED, _ANSWER with u->reason and u->detail,
 * or ERR_CLIENT_GONE, END_TERMINATED, ERR_SYSTEM.
 * Proxmox refuses after 3 s, and does not answer at all for a console that is gone. */
int upstream_open(struct upstream *u, const struct console *console, const struct endpoint *client);

/* Sends close_notify, if TLS is established, and closes. u->detail then says why TLS broke, or is
 * "". */
void upstream_close(struct upstream *u);

#endif
