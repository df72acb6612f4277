/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening payloads. Pure: no I/O, no logging, secrets only in the caller's buffers.
 */
#ifndef PROXXY_CRYPTO_H
#define PROXXY_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

enum {
	CRYPTO_KEY_LEN = 32, /* bytes: AES-256 */
	CRYPTO_IV_LEN = 16,  /* bytes: AES's block */
};

/* Decodes exactly 2 * size hexadecimal digits of text[0..len), in either case, to out.
 * Returns 0, or ERR_PAYLOAD_INVALID for any other length or character. */
int crypto_hex(const char *text, size_t len, uint8_t *out, size_t size);

/* Opens "<iv hex>:<ciphertext hex>", AES-256-CBC with PKCS#7 padding, into plain, which has room
 * for size bytes; len / 2 are always enough.
 * Returns the plaintext's length, ERR_PAYLOAD_INVALID whatever is wrong with the payload, or
 * ERR_SYSTEM. plain holds no secret unless it succeeds. */
int crypto_open_cbc(const uint8_t key[CRYPTO_KEY_LEN], const char *payload, size_t len, uint8_t *plain, size_t size);

#endif
