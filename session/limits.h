/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits: how many sessions there may be at once, in total and for one client, guest and sub, and
 * how many new ones a client may begin in a minute. The sessions keep them among themselves, in
 * files in the directory "limits" in PROXXY_STATE_DIRECTORY (slots.h, rates.h). A session counts
 * from its admission until its process ends.
 */
#ifndef PROXXY_LIMITS_H
#define PROXXY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/access.h"
#include "lib/config.h"
#include "session/client.h"

enum {
	LIMITS_WHY_MAX = 240,   /* bytes of why, with its NUL */
	LIMITS_RETRY_AFTER = 5, /* seconds; nobody knows when a slot is free. A console ticket lasts 10 s */
};

/* Of one session. All zero but warn before the first call. */
struct limits {
	void (*warn)(const char *message); /* is told once if the limits cannot be kept, and are not enforced */
	int rate_seconds;                  /* after ERR_LIMIT_RATE: until the client may try again */
	bool broken;                       /* the directory cannot be used */
	char why[LIMITS_WHY_MAX];          /* for the log: which limit is reached, or ""; safe in JSON */
};

/* Admits a client: PROXXY_MAX_PER_CLIENT, PROXXY_MAX_SESSIONS, PROXXY_NEW_PER_MINUTE. Those per
 * client do not apply to a proxy, which may stand for many, or to a client without an address. Does
 * not need OpenSSL, so a refusal is cheap.
 * Returns 0. Otherwise returns ERR_LIMIT_CLIENT,
 * ERR_LIMIT_TOTAL or ERR_LIMIT_RATE, and sets l->why. */
int limits_admit_client(struct limits *l, const struct config *config, const struct client *client);

/* Admits a console, whose payload is open: PROXXY_MAX_PER_GUEST, and PROXXY_MAX_PER_SUB if the
 * payload has a sub. A guest is known by its type and vmid, and by its cluster's name or, without a
 * cluster file, by the payload's host.
 * Returns 0, ERR_LIMIT_GUEST or ERR_LIMIT_SUB with l->why, or ERR_SYSTEM if OpenSSL fails. */
int limits_admit_console(struct limits *l, const struct config *config, const struct access *access);

/* Returns the seconds for Retry-After in the answer to an error, or 0 if it gets none: only the
 * limits and ERR_STORE do. */
int limits_retry_after(const struct limits *l, int code);

/* Returns which clients are one: the same number for the same IPv4 address or IPv6 /64, for others
 * another. address is text, with no port. Returns 0 if it is none. */
uint64_t limits_client_key(const char *address);

/* Returns false, with a sentence in why[0..size), if this process cannot write to the state
 * directory, or cannot keep a limit that is set. For proxxy-conn --check. Writes no file. */
bool limits_check(const struct config *config, char *why, size_t size);

#endif
