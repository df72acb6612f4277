/* SPDX-License-Identifier: Apache-2.0
 *
 * Single use: who comes first with an identifier gets it, whichever process asks, until it expires.
 * Each identifier is an empty file, named by its hash, in a directory that only the service's user
 * can write; creating it is what claims it. Files that expired go away with later claims.
 */
#ifndef PROXXY_ONCE_H
#define PROXXY_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ONCE_SWEEP_EVERY = 16,   /* one claim of so many, by the hash, looks for expired files among a 16th of all, */
	ONCE_SWEEP_MAX = 160000, /* and reads no more names than so many */
	ONCE_SLACK = 600,        /* seconds that a file stays beyond its time */
};

/* Claims id[0..len) in directory until expires, seconds since 1970 (CLOCK_REALTIME).
 * Returns 0 for exactly one caller; ERR_PAYLOAD_USED for everyone else; ERR_PAYLOAD_EXPIRED when that is over;
 * or ERR_CONFIG with errno when the directory cannot be written. */
int once_claim(const char *directory, const void *id, size_t len, int64_t expires);

/* True if the identifier was already claimed. Does not claim it. */
bool once_claimed(const char *directory, const void *id, size_t len);

#endif
