/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening payloads, see crypto.h.
 */
#include "crypto.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "error.h"
#include "hex.h"

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
	/* In place: EVP allows it when the buffers are the same. */
	else if (EVP_DecryptUpdate(cipher, plain, &opened, plain, (int)sealed) == 1 &&
		 EVP_DecryptFinal_ex(cipher, plain + opened, &last) == 1)
		rc = opened + last;
	EVP_CIPHER_CTX_free(cipher);
	if (rc < 0)
		OPENSSL_cleanse(plain, sealed);
	return rc;
}
