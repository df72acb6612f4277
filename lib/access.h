/* SPDX-License-Identifier: Apache-2.0
 *
 * Decides whether a payload gives access to a console: opens it with the configured keys, and
 * checks its contents against the settings, the clock, the request's Origin and the client's
 * address.
 */
#ifndef PROXXY_ACCESS_H
#define PROXXY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/cluster.h"
#include "lib/config.h"
#include "lib/http.h"
#include "lib/payload.h"

enum {
	ACCESS_LEEWAY = 5,    /* seconds by which the backend's clock and ours may differ (RFC 7519 4.1.4) */
	ACCESS_WHY_MAX = 160, /* bytes of why, with its NUL */
};

/* What access_wipe() overwrites lies together, from console.user to cluster.fingerprints, so that
 * its pages can be returned. */
struct access {
	const char *format;         /* "cbc" or "jwe", static storage; NULL if the format is not accepted */
	char kid[KEY_NAME_MAX + 1]; /* name of the key that opened the payload, "" if it has none */
	bool authenticated;         /* a holder of the key sealed it, so the client may see why */
	bool own_token;             /* the payload has no ticket: console.ticket is the cluster file's token */
	char why[ACCESS_WHY_MAX];   /* for the log: what is wrong, or a warning; no text of the payload, safe in JSON */
	struct console console;
	struct claims claims;   /* all zero unless authenticated */
	struct cluster cluster; /* the file that the payload names or that lists its host; else its name is "" */
};

/* Opens the payload text[0..len), at most HTTP_HEAD_MAX bytes. If it has no console ticket, reads
 * the cluster file: a->console then has the file's first host and, if the payload has no ticket,
 * the file's token. Checks PROXXY_ALLOWED_HOSTS as far as possible before DNS, unless a cluster
 * file lists the host; session/dial.c checks the addresses that a name resolves to.
 * Returns 0; a->why is then set if Proxmox will reject the ticket. Otherwise returns
 * ERR_PAYLOAD_INVALID, ERR_HOST_FORBIDDEN (only if authenticated), ERR_CONFIG (the cluster file is
 * invalid or cannot be read) or ERR_SYSTEM, and sets a->why.
 * Leaves nothing of the payload in memory except *a, which the caller wipes with access_wipe(). */
int access_open(struct access *a, const struct config *config, const char *text, size_t len);

/* Checks the claims of an authenticated payload against now (Unix time in seconds), the request's
 * Origin (at is NULL if it has none) and the client's address as text ("" if it is unknown).
 * Accepts any unauthenticated payload: it has no claims.
 * Returns 0. Otherwise returns ERR_PAYLOAD_EXPIRED, ERR_PAYLOAD_EARLY, ERR_PAYLOAD_INVALID (exp is
 * too far ahead), ERR_PAYLOAD_WITHDRAWN, ERR_ORIGIN or ERR_CLIENT_ADDRESS, and sets a->why. */
int access_check(struct access *a, const struct config *config, int64_t now, struct slice origin, const char *client);

/* Overwrites the tickets and claims, and returns their pages to the kernel. The members that the
 * log needs stay: format, kid, why, the console's guest, node and host, and the cluster's name. */
void access_wipe(struct access *a);

#endif
