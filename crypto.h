/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and sealing payloads, and the text that bytes are in. Pure: no I/O, no logging, secrets only in the caller's buffers.
 */
#ifndef PROXXY_CRYPTO_H
#define PROXXY_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

enum {
	CRYPTO_KEY_LEN = 32, /* bytes: AES-256 */
	CRYPTO_IV_LEN = 16,  /* bytes: AES's block */
	CRYPTO_NONCE_LEN = 12, /* bytes: GCM's (NIST SP 800-38D section 8.2) */
	CRYPTO_TAG_LEN = 16,   /* bytes: GCM's, whole */
	CRYPTO_FINGERPRINT_LEN = 32, /* bytes: SHA-256 */
};

/* Decodes exactly 2 * size hexadecimal digits of text[0..len), in either case, to out.
 * Returns 0, or ERR_PAYLOAD_INVALID for any other length or character. */
int crypto_hex(const char *text, size_t len, uint8_t *out, size_t size);

/* Encodes data as 2 * len lower-case digits, NUL-terminated, to text. Returns where the NUL is. */
char *crypto_hex_encode(char *text, const uint8_t *data, size_t len);

/* crypto_hex() for a fingerprint as openssl and pvenode print it: 64 digits, with or without a colon after every second. */
int crypto_fingerprint(const char *text, size_t len, uint8_t out[CRYPTO_FINGERPRINT_LEN]);

/* Decodes base64url without padding (RFC 7515 section 2) to out, size bytes of room. One text for each value: no
 * white space, and no bits set behind the last byte.
 * Returns the count of bytes, or ERR_PAYLOAD_INVALID for anything else, and for what does not fit. */
int crypto_base64url_decode(const char *text, size_t len, uint8_t *out, size_t size);

/* Encodes data the same way into text, NUL-terminated. Returns the length, or ERR_SYSTEM when it does not fit. */
int crypto_base64url_encode(const uint8_t *data, size_t len, char *text, size_t size);

/* Opens text[0..len) in place with AES-256-GCM, the tag behind it being apart. Returns len, ERR_PAYLOAD_INVALID when
 * it was not sealed with this key, nonce and aad, or ERR_SYSTEM; text holds no secret unless it succeeds. */
int crypto_open_gcm(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t nonce[CRYPTO_NONCE_LEN], const void *aad,
		    size_t aad_len, uint8_t *text, size_t len, const uint8_t tag[CRYPTO_TAG_LEN]);

/* Seals text[0..len) in place, the same way. Returns 0 or ERR_SYSTEM. A nonce is for one message only. */
int crypto_seal_gcm(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t nonce[CRYPTO_NONCE_LEN], const void *aad,
		    size_t aad_len, uint8_t *text, size_t len, uint8_t ret_tag[CRYPTO_TAG_LEN]);

/* Opens "<iv hex>:<ciphertext hex>", AES-256-CBC with PKCS#7 padding, into plain, which has room
 * for size bytes; len / 2 are always enough.
 * Returns the plaintext's length, ERR_PAYLOAD_INVALID whatever is wrong with the payload, or
 * ERR_SYSTEM. plain holds no secret unless it succeeds. */
int crypto_open_cbc(const uint8_t key[CRYPTO_KEY_LEN], const char *payload, size_t len, uint8_t *plain, size_t size);

/* Seals plain[0..len) the same way, with a fresh IV, into text, NUL-terminated, with size bytes of room.
 * Returns the length, or ERR_SYSTEM when it does not fit or there is no randomness. */
int crypto_seal_cbc(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t *plain, size_t len, char *text, size_t size);

#endif
