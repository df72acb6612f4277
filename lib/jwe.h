/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens and seals payloads as JSON Web Encryption (JWE, RFC 7516) in compact serialization. There
 * is one pair of algorithms: "alg": "dir" (the shared key encrypts directly) and "enc": "A256GCM".
 * Section numbers below are those of RFC 7516. Pure.
 */
#ifndef PROXXY_JWE_H
#define PROXXY_JWE_H

#include <stdint.h>

#include "lib/keys.h"

enum { JWE_HEADER_MAX = 1024 }; /* bytes of a protected header; libraries write about 50 */

/* Returns true if text[0..len) is to be treated as a JWE: it has exactly four dots. */
bool jwe_looks_like(const char *text, size_t len);

/* Decrypts text[0..len) to plain, which has room for size bytes. len * 3 / 4 bytes are always
 * enough. If the header has a "kid", only the key of that name and keys without a name are tried;
 * otherwise all of keys[0..n_keys).
 * Returns the plaintext's length, and the key that opened it in *ret_key. Returns
 * ERR_PAYLOAD_INVALID and a static phrase for the log in *ret_why, or ERR_SYSTEM; plain then holds
 * no secret. */
int jwe_open(const struct key *keys, size_t n_keys, const char *text, size_t len, uint8_t *plain, size_t size,
	     const struct key **ret_key, const char **ret_why);

/* Encrypts plain[0..len) with key to text, which has room for size bytes, NUL-terminated. If the
 * key has a name, the header gets it as "kid".
 * Returns the length, or ERR_SYSTEM if text is too small, or without memory or random bytes. */
int jwe_seal(const struct key *key, const uint8_t *plain, size_t len, char *text, size_t size);

#endif
