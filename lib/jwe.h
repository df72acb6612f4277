/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Web Encryption (RFC 7516) in compact serialization, with one pair of algorithms: "alg":
 * "dir", the shared key itself, and "enc": "A256GCM". Pure.
 */
#ifndef PROXXY_JWE_H
#define PROXXY_JWE_H

#include <stdint.h>

#include "lib/keys.h"

enum { JWE_HEADER_MAX = 1024 }; /* bytes of a protected header; libraries write some 50 */

/* True when text can only be meant as one: it has the four dots. */
bool jwe_looks_like(const char *text, size_t len);

/* Opens text[0..len) into plain, which has room for size bytes; len * 3 / 4 are always enough. A header's "kid" picks
 * the key of that name; keys without a name are tried for every payload, and all keys for a header without one.
 * Returns the plaintext's length and in *ret_key the key that opened it; ERR_PAYLOAD_INVALID with a static phrase for
 * the log in *ret_why; or ERR_SYSTEM. plain holds no secret unless it succeeds. */
int jwe_open(const struct key *keys, size_t n_keys, const char *text, size_t len, uint8_t *plain, size_t size,
	     const struct key **ret_key, const char **ret_why);

/* Seals plain[0..len) with key into text, NUL-terminated, with size bytes of room.
 * Returns the length, or ERR_SYSTEM when it does not fit or there is no randomness. */
int jwe_seal(const struct key *key, const uint8_t *plain, size_t len, char *text, size_t size);

#endif
