/* SPDX-License-Identifier: Apache-2.0
 *
 * Identifiers that can be taken once, on this machine. The first process that takes one gets it;
 * every other process gets ERR_PAYLOAD_USED until it expires.
 *
 * A taken identifier is an empty file, named by its hash, in a directory that only the service's
 * user can write. Creating the file takes it. Later sessions delete expired files.
 */
#ifndef PROXXY_REPLAY_H
#define PROXXY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* One in 16 calls, chosen by the hash, sweeps 1/16 of the files. A sweep reads at most this
	 * many names. */
	REPLAY_SWEEP_MAX = 160000,
	REPLAY_SLACK = 600, /* seconds that a file is kept after it expired */
};

/* Takes id[0..len) in directory until expires, in seconds since 1970 (CLOCK_REALTIME).
 * Returns 0 to exactly one caller, and ERR_PAYLOAD_USED to the others. Returns ERR_PAYLOAD_EXPIRED
 * if expires is over, ERR_SYSTEM if the hash fails, or ERR_CONFIG with errno if the directory
 * cannot be written. */
int replay_take(const char *directory, const void *id, size_t len, int64_t expires);

/* True if id was taken already. Does not take it. */
bool replay_taken(const char *directory, const void *id, size_t len);

#endif
