/* SPDX-License-Identifier: Apache-2.0
 *
 * Single use: a payload with a jti opens one console. The first process that takes the jti gets it;
 * every other process gets ERR_PAYLOAD_USED until the payload expires.
 *
 * A taken jti is an empty file, named by its hash, in a directory that only the service's user can
 * write. Creating the file takes the jti. Later sessions delete expired files.
 */
#ifndef PROXXY_REPLAY_H
#define PROXXY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/access.h"

enum {
	REPLAY_SWEEP_EVERY = 16,   /* 1 in 16 calls, chosen by the hash, sweeps 1/16 of the files */
	REPLAY_SWEEP_MAX = 160000, /* a sweep reads at most this many names */
	REPLAY_SLACK = 600,        /* seconds that a file is kept after it expired */
};

/* Takes a's jti. Call this last, when nothing else can refuse the client.
 * Returns 0 if the jti was free, or if there is none. Returns ERR_PAYLOAD_USED,
 * ERR_PAYLOAD_EXPIRED, ERR_SYSTEM, or ERR_CONFIG with a->why. */
int replay_use_jti(struct access *a, const struct config *config);

/* True if replay_use_jti() would return ERR_PAYLOAD_USED now. Takes nothing. */
bool replay_is_used(const struct access *a, const struct config *config);

/* Takes id[0..len) in directory until expires, in seconds since 1970 (CLOCK_REALTIME).
 * Returns 0 to exactly one caller, and ERR_PAYLOAD_USED to the others. Returns ERR_PAYLOAD_EXPIRED
 * if expires is over, ERR_SYSTEM if the hash fails, or ERR_CONFIG with errno if the directory
 * cannot be written. */
int replay_take(const char *directory, const void *id, size_t len, int64_t expires);

/* True if id was taken already. Does not take it. */
bool replay_taken(const char *directory, const void *id, size_t len);

#endif
