/* SPDX-License-Identifier: Apache-2.0
 *
 * Decrypts and encrypts payloads, and converts bytes to and from hexadecimal and base64url. Pure:
 * does no I/O, never logs, and leaves secrets in no memory but the caller's buffers. "Open" means
 * decrypt, and "seal" encrypt.
 */
#ifndef PROXXY_CRYPTO_H
#define PROXXY_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

enum {
	CRYPTO_KEY_LEN = 32,         /* bytes: AES-256 */
	CRYPTO_IV_LEN = 16,          /* bytes: an AES block */
	CRYPTO_NONCE_LEN = 12,       /* bytes: a GCM nonce (NIST SP 800-38D section 8.2) */
	CRYPTO_TAG_LEN = 16,         /* bytes: a GCM tag that is not truncated */
	CRYPTO_HASH_LEN = 32,        /* bytes: SHA-256 */
	CRYPTO_FINGERPRINT_LEN = 32, /* bytes: SHA-256 */
};

/* Decodes text[0..len), hexadecimal digits in either case, to out[0..size). len must be 2 * size.
 * Returns 0, or ERR_PAYLOAD_INVALID for any other length or character. */
int crypto_hex(const char *text, size_t len, uint8_t *out, size_t size);

/* Encodes data[0..len) to text as lower-case hexadecimal digits, NUL-terminated: 2 * len + 1 bytes.
 * Returns a pointer to the NUL. */
char *crypto_hex_encode(char *text, const uint8_t *data, size_t len);

/* Writes the SHA-256 of data[0..len) as lower-case hexadecimal digits, NUL-terminated. Returns 0 or
 * ERR_SYSTEM. */
int crypto_hash_hex(const void *data, size_t len, char ret_text[2 * CRYPTO_HASH_LEN + 1]);

/* Decodes a SHA-256 fingerprint as openssl(1) and pvenode(1) print it: 64 hexadecimal digits, with
 * a colon after every second digit or without colons. Returns 0 or ERR_PAYLOAD_INVALID. */
int crypto_fingerprint(const char *text, size_t len, uint8_t out[CRYPTO_FINGERPRINT_LEN]);

/* Decodes base64url without padding (RFC 7515 section 2) to out, which has room for size bytes.
 * Accepts only one text for each value: no white space, and unused bits of the last character must
 * be 0.
 * Returns the number of bytes, or ERR_PAYLOAD_INVALID for any other text or if out is too small. */
int crypto_base64url_decode(const char *text, size_t len, uint8_t *out, size_t size);

/* Encodes data[0..len) as base64url without padding to text, NUL-terminated. text has room for size
 * bytes. Returns the length, or ERR_SYSTEM if text is too small. */
int crypto_base64url_encode(const uint8_t *data, size_t len, char *text, size_t size);

/* Decrypts text[0..len) in place with AES-256-GCM. aad is the additional authenticated data.
 * Returns len. Returns ERR_PAYLOAD_INVALID if it was not encrypted with this key, nonce and aad, or
 * ERR_SYSTEM; text is then overwritten with zeros. */
int crypto_open_gcm(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t nonce[CRYPTO_NONCE_LEN], const void *aad,
		    size_t aad_len, uint8_t *text, size_t len, const uint8_t tag[CRYPTO_TAG_LEN]);

/* Encrypts text[0..len) in place with AES-256-GCM. The caller must not use a nonce twice with one
 * key.
 * Returns 0 or ERR_SYSTEM. */
int crypto_seal_gcm(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t nonce[CRYPTO_NONCE_LEN], const void *aad,
		    size_t aad_len, uint8_t *text, size_t len, uint8_t ret_tag[CRYPTO_TAG_LEN]);

/* Decrypts "<iv hex>:<ciphertext hex>", AES-256-CBC with PKCS#7 padding, to plain, which has room
 * for size bytes. len / 2 bytes are always enough.
 * Returns the plaintext's length. Returns ERR_PAYLOAD_INVALID for every fault of the payload, or
 * ERR_SYSTEM; plain then holds no secret. */
int crypto_open_cbc(const uint8_t key[CRYPTO_KEY_LEN], const char *payload, size_t len, uint8_t *plain, size_t size);

/* Encrypts plain[0..len) to that format with a random IV. text has room for size bytes; it is
 * NUL-terminated. Returns the length, or ERR_SYSTEM if text is too small or OpenSSL has no random
 * bytes. */
int crypto_seal_cbc(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t *plain, size_t len, char *text, size_t size);

#endif
