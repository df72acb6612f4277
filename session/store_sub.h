/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the sessions of a sub (the user that the payload names) on all machines together, in the
 * shared store: PROXXY_MAX_PER_SUB. limits.h counts those of this machine.
 *
 * A session is an entry of a sorted set, with the time when it expires. The session renews its
 * entry, and removes it at its end. The entry of a session that was killed, or whose machine is
 * cut off, expires.
 */
#ifndef PROXXY_STORE_SUB_H
#define PROXXY_STORE_SUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/access.h"
#include "lib/config.h"

enum {
	STORE_SUB_LIFE_S = 90,  /* how long an entry lives that is not renewed */
	STORE_SUB_RENEW_S = 30, /* between renewals: two may fail */
};

/* Adds an entry for this session, if the settings have a store and PROXXY_MAX_PER_SUB, and the
 * payload has a sub. The connection to the store then stays open.
 * Returns 0; ERR_LIMIT_SUB if there are as many already; or as store_ask(), with why. */
int store_sub_enter(const struct access *a, const struct config *config, char *why, size_t size);

/* Renews the entry if it is time to; now is an io_now(). Does not wait, and opens nothing: it works
 * in the second sandbox. If the store fails, logs one warning, and the session continues without an
 * entry.
 * Returns when to call it again, or INT64_MAX if there is no entry. */
int64_t store_sub_renew(int64_t now);

/* True if there is an entry. */
bool store_sub_is_held(void);

/* Removes the entry, if there is one, without waiting for the store's answer, and closes the
 * connection. */
void store_sub_leave(void);

#endif
