/* SPDX-License-Identifier: Apache-2.0
 *
 * Single use: a payload with a jti opens one console, on this machine or, with PROXXY_REPLAY_STORE,
 * on all machines that share the store.
 *
 * With a store, the store decides first, and then this machine's directory (replay.h) as well. So a
 * store that fails uses up no link; and if a store lost its data, each machine still refuses what
 * it has opened itself.
 */
#ifndef PROXXY_SINGLE_USE_H
#define PROXXY_SINGLE_USE_H

#include <stddef.h>

#include "lib/access.h"
#include "lib/config.h"

/* Takes a's jti. Before, enters the session in the store if it counts there (store_sub.h); its
 * connection is then open afterwards, else there is none. Call this last, when nothing else can
 * refuse the client.
 * Returns 0 if the jti was free, or if there is none. Returns ERR_LIMIT_SUB, ERR_PAYLOAD_USED,
 * ERR_PAYLOAD_EXPIRED, ERR_SYSTEM, ERR_CONFIG with a sentence for the log in why[0..size), or with
 * a store as store_ask(). */
int single_use_take(const struct access *a, const struct config *config, char *why, size_t size);

/* Returns what single_use_take() would return for the jti now, but 0 for an error of the directory.
 * Takes nothing. */
int single_use_look(const struct access *a, const struct config *config, char *why, size_t size);

#endif
