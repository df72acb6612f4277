/* SPDX-License-Identifier: Apache-2.0
 *
 * Encrypts and decrypts with OpenSSL's AES-256-GCM and AES-256-CBC, and converts hexadecimal and
 * base64url text.
 */
#include "crypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/hex.h"

int crypto_hex(const char *text, size_t len, uint8_t *out, size_t size)
{
	if (len != 2 * size)
		return ERR_PAYLOAD_INVALID;
	for (size_t i = 0; i < size; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_PAYLOAD_INVALID;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return OK;
}

char *crypto_hex_encode(char *text, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*text++ = digits[data[i] >> 4];
		*text++ = digits[data[i] & 0xF];
	}
	*text = '\0';
	return text;
}

int crypto_hash_hex(const void *data, size_t len, char ret_text[2 * CRYPTO_HASH_LEN + 1])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned hash_len = 0;

	if (EVP_Digest(data, len, hash, &hash_len, EVP_sha256(), NULL) != 1 || hash_len != CRYPTO_HASH_LEN)
		return ERR_SYSTEM;
	crypto_hex_encode(ret_text, hash, CRYPTO_HASH_LEN);
	return OK;
}

int crypto_fingerprint(const char *text, size_t len, uint8_t out[CRYPTO_FINGERPRINT_LEN])
{
	char digits[2 * CRYPTO_FINGERPRINT_LEN];
	size_t n = 0;

	if (len == 3 * CRYPTO_FINGERPRINT_LEN - 1) {
		for (size_t i = 0; i < len; i++) {
			if ((i % 3 == 2) != (text[i] == ':'))
				return ERR_PAYLOAD_INVALID;
			if (i % 3 != 2)
				digits[n++] = text[i];
		}
		text = digits;
		len = n;
	}
	return crypto_hex(text, len, out, CRYPTO_FINGERPRINT_LEN);
}

/* --- base64url ---------------------------------------------------------------------------- */

static int base64url_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int crypto_base64url_decode(const char *text, size_t len, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	size_t n = 0;

	if (len % 4 == 1 || len > INT_MAX || len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0) > size)
		return ERR_PAYLOAD_INVALID;
	for (size_t i = 0; i < len; i++) {
		int digit = base64url_digit(text[i]);

		if (digit < 0)
			return ERR_PAYLOAD_INVALID;
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4 != 0)
			out[n++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	/* A last group of 2 digits has 12 bits for 1 byte, one of 3 digits 18 bits for 2 bytes. The
	 * unused bits must be 0. */
	if ((len % 4 == 2 && bits & 0xF) || (len % 4 == 3 && bits & 0x3))
		return ERR_PAYLOAD_INVALID;
	return (int)n;
}

int crypto_base64url_encode(const uint8_t *data, size_t len, char *text, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t n = 0;

	if (len > INT_MAX / 2 || (len * 4 + 2) / 3 >= size)
		return ERR_SYSTEM;
	for (size_t i = 0; i < len; i += 3) {
		const uint32_t bits = (uint32_t)data[i] << 16 | (i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0) |
				      (i + 2 < len ? data[i + 2] : 0);
		const size_t count = len - i < 3 ? len - i + 1 : 4;

		for (size_t j = 0; j < count; j++)
			text[n++] = digits[bits >> (18 - 6 * j) & 0x3F];
	}
	text[n] = '\0';
	return (int)n;
}

/* --- ciphers ------------------------------------------------------------------------------ */

int crypto_open_gcm(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t nonce[CRYPTO_NONCE_LEN], const void *aad,
		    size_t aad_len, uint8_t *text, size_t len, const uint8_t tag[CRYPTO_TAG_LEN])
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n = 0, rc = ERR_PAYLOAD_INVALID;

	if (!cipher || len > INT_MAX || aad_len > INT_MAX ||
	    EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_LEN, (void *)(uintptr_t)tag) != 1 ||
	    EVP_DecryptUpdate(cipher, NULL, &n, aad, (int)aad_len) != 1 ||
	    EVP_DecryptUpdate(cipher, text, &n, text, (int)len) != 1)
		rc = ERR_SYSTEM;
	else if (EVP_DecryptFinal_ex(cipher, text + len, &n) == 1)
		rc = (int)len;
	EVP_CIPHER_CTX_free(cipher);
	if (rc < 0)
		OPENSSL_cleanse(text, len);
	return rc;
}

int crypto_seal_gcm(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t nonce[CRYPTO_NONCE_LEN], const void *aad,
		    size_t aad_len, uint8_t *text, size_t len, uint8_t ret_tag[CRYPTO_TAG_LEN])
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n = 0, rc = ERR_SYSTEM;

	if (cipher && len <= INT_MAX && aad_len <= INT_MAX &&
	    EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
	    EVP_EncryptUpdate(cipher, NULL, &n, aad, (int)aad_len) == 1 &&
	    EVP_EncryptUpdate(cipher, text, &n, text, (int)len) == 1 &&
	    EVP_EncryptFinal_ex(cipher, text + len, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_LEN, ret_tag) == 1)
		rc = OK;
	EVP_CIPHER_CTX_free(cipher);
	return rc;
}

int crypto_open_cbc(const uint8_t key[CRYPTO_KEY_LEN], const char *payload, size_t len, uint8_t *plain, size_t size)
{
	const size_t iv_digits = 2 * CRYPTO_IV_LEN;
	uint8_t iv[CRYPTO_IV_LEN];
	EVP_CIPHER_CTX *cipher;
	size_t sealed;
	int opened = 0, last = 0, rc = ERR_PAYLOAD_INVALID;

	if (len <= iv_digits || payload[iv_digits] != ':' || len > INT_MAX)
		return ERR_PAYLOAD_INVALID;
	sealed = (len - iv_digits - 1) / 2;
	if (sealed == 0 || sealed % CRYPTO_IV_LEN != 0 || sealed > size)
		return ERR_PAYLOAD_INVALID;
	if (crypto_hex(payload, iv_digits, iv, sizeof(iv)) < 0 ||
	    crypto_hex(payload + iv_digits + 1, len - iv_digits - 1, plain, sealed) < 0)
		return ERR_PAYLOAD_INVALID;

	cipher = EVP_CIPHER_CTX_new();
	if (!cipher || EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, iv) != 1)
		rc = ERR_SYSTEM;
	/* Decrypts in place: EVP allows this if input and output are the same buffer. */
	else if (EVP_DecryptUpdate(cipher, plain, &opened, plain, (int)sealed) == 1 &&
		 EVP_DecryptFinal_ex(cipher, plain + opened, &last) == 1)
		rc = opened + last;
	EVP_CIPHER_CTX_free(cipher);
	if (rc < 0)
		OPENSSL_cleanse(plain, sealed);
	return rc;
}

int crypto_seal_cbc(const uint8_t key[CRYPTO_KEY_LEN], const uint8_t *plain, size_t len, char *text, size_t size)
{
	const size_t padded = len - len % CRYPTO_IV_LEN + CRYPTO_IV_LEN;
	uint8_t iv[CRYPTO_IV_LEN], *sealed;
	EVP_CIPHER_CTX *cipher;
	int n = 0, last = 0, rc = ERR_SYSTEM;
	char *end;

	if (len > INT_MAX / 4 || 2 * (CRYPTO_IV_LEN + padded) + 1 >= size)
		return ERR_SYSTEM;
	sealed = malloc(padded);
	cipher = EVP_CIPHER_CTX_new();
	if (sealed && cipher && RAND_bytes(iv, sizeof(iv)) == 1 &&
	    EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, iv) == 1 &&
	    EVP_EncryptUpdate(cipher, sealed, &n, plain, (int)len) == 1 &&
	    EVP_EncryptFinal_ex(cipher, sealed + n, &last) == 1) {
		end = crypto_hex_encode(text, iv, sizeof(iv));
		*end++ = ':';
		end = crypto_hex_encode(end, sealed, padded);
		rc = (int)(end - text);
	}
	EVP_CIPHER_CTX_free(cipher);
	free(sealed);
	return rc;
}
