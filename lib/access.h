/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets which console: opens a payload with whichever key and format we accept, and holds what
 * it says against the settings, the clock and who asks.
 */
#ifndef PROXXY_ACCESS_H
#define PROXXY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"
#include "lib/http.h"
#include "lib/payload.h"

enum {
	ACCESS_LEEWAY = 5, /* seconds that the backend's clock and ours may differ (RFC 7519 section 4.1.4) */
	ACCESS_WHY_MAX = 160,
};

struct access {
	const char *format;           /* "cbc" or "jwe", static storage; NULL when neither */
	char kid[KEY_NAME_MAX + 1]; /* of the key that opened it, "" when it has no name */
	bool authenticated;           /* made by a holder of the key: it may be told what is wrong */
	struct console console;
	struct claims claims;         /* all zero unless authenticated */
	char why[ACCESS_WHY_MAX];     /* what is wrong, for the log; nothing of the payload, safe inside JSON */
};

/* Opens text[0..len), at most HTTP_HEAD_MAX bytes, and checks that the console's host may be dialled as far as that
 * can be told before DNS.
 * Returns 0; a->why is set if Proxmox will refuse the ticket. Or returns ERR_PAYLOAD_INVALID,
 * ERR_HOST_FORBIDDEN (only if authenticated) or ERR_SYSTEM, and sets a->why. Keeps nothing of the
 * payload in memory except *a. */
int access_open(struct access *a, const struct config *config, const char *text, size_t len);

/* Holds an authenticated payload's claims against now (seconds since 1970), the request's Origin (at is NULL when it
 * has none) and the client's address in text ("" when it is not known).
 * Returns 0, or ERR_PAYLOAD_EXPIRED, ERR_PAYLOAD_EARLY, ERR_PAYLOAD_INVALID (exp too far ahead), ERR_ORIGIN or
 * ERR_CLIENT_ADDRESS with a->why. */
int access_check(struct access *a, const struct config *config, int64_t now, struct slice origin, const char *client);

/* Overwrites the tickets and the claims, once the console is connected: what the log needs stays. */
void access_wipe(struct access *a);

#endif
