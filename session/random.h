/* SPDX-License-Identifier: Apache-2.0
 *
 * Gives OpenSSL the kernel's random bytes.
 */
#ifndef PROXXY_RANDOM_H
#define PROXXY_RANDOM_H

#include <openssl/core.h>
#include <stdbool.h>

/* A generator of random bytes for a provider (provider-rand(7)), and the empty algorithm at the
 * end. Each of its bytes comes from getrandom(2), so it has no state, which a fork or a core dump
 * could copy. OpenSSL's own generator is one that the kernel seeds, and OpenSSL makes three of
 * them: with their ciphers, this takes 0.3 million instructions. */
extern const OSSL_ALGORITHM random_generators[];

/* Makes OpenSSL use it. Call this before anything requests random bytes. Returns false if it is too
 * late, or without memory. */
bool random_use(void);

#endif
