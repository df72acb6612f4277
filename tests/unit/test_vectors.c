/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests crypto.h with NIST's CAVP vectors, from Debian's python3-cryptography-vectors: AES-256-CBC,
 * and all of AES-256-GCM with the nonce and tag lengths of JWE. Half of the latter are forged and
 * must not open.
 */
#include "tests/unit/guard.h"

#include <openssl/evp.h>

#include "crypto.h"
#include "lib/error.h"

#define VECTORS "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/"

enum { FIELD_MAX = 1024 }; /* hex digits; the longest vector has 320 */

struct vector {
	char key[FIELD_MAX], iv[FIELD_MAX], ciphertext[FIELD_MAX], plaintext[FIELD_MAX], aad[FIELD_MAX], tag[FIELD_MAX];
	bool forged;
};

static struct guard in, out, aad_room;

/* Calls check for every vector of a file, and returns their number. An empty line ends a vector. */
static size_t each(const char *path, void (*check)(const struct vector *))
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "Key = ", offsetof(struct vector, key) },
		{ "KEY = ", offsetof(struct vector, key) },
		{ "IV = ", offsetof(struct vector, iv) },
		{ "CT = ", offsetof(struct vector, ciphertext) },
		{ "CIPHERTEXT = ", offsetof(struct vector, ciphertext) },
		{ "PT = ", offsetof(struct vector, plaintext) },
		{ "PLAINTEXT = ", offsetof(struct vector, plaintext) },
		{ "AAD = ", offsetof(struct vector, aad) },
		{ "Tag = ", offsetof(struct vector, tag) },
	};
	static struct vector v;
	char line[2 * FIELD_MAX];
	FILE *f = fopen(path, "r");
	size_t n = 0;

	CHECK(f != NULL, "%s: is python3-cryptography-vectors installed?", path);
	memset(&v, 0, sizeof(v));
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line == '\0' && *v.key) {
			check(&v);
			n++;
			memset(&v, 0, sizeof(v));
		}
		if (strcmp(line, "FAIL") == 0)
			v.forged = true;
		for (size_t i = 0; i < COUNT(fields); i++)
			if (strncmp(line, fields[i].name, strlen(fields[i].name)) == 0) {
				const char *value = line + strlen(fields[i].name);

				CHECK(strlen(value) < FIELD_MAX, "%s", line);
				strcpy((char *)&v + fields[i].offset, value);
			}
	}
	if (f)
		fclose(f);
	return n;
}

static void unhex(const char *hex, uint8_t *to)
{
	assert_int_equal(crypto_hex(hex, strlen(hex), to, strlen(hex) / 2), 0);
}

static size_t n_used, n_forged;

static void check_gcm(const struct vector *v)
{
	const size_t len = strlen(v->ciphertext) / 2, aad_len = strlen(v->aad) / 2;
	uint8_t key[CRYPTO_KEY_LEN], nonce[CRYPTO_NONCE_LEN], tag[CRYPTO_TAG_LEN], made[CRYPTO_TAG_LEN],
		plain[FIELD_MAX];
	uint8_t *text = guard_room(&in, len), *aad = guard_room(&aad_room, aad_len);

	if (strlen(v->iv) != 2 * CRYPTO_NONCE_LEN || strlen(v->tag) != 2 * CRYPTO_TAG_LEN)
		return; /* not the lengths of JWE */
	n_used++;
	n_forged += v->forged;
	unhex(v->key, key);
	unhex(v->iv, nonce);
	unhex(v->tag, tag);
	unhex(v->aad, aad);
	unhex(v->ciphertext, text);
	CHECK_INT(crypto_open_gcm(key, nonce, aad, aad_len, text, len, tag), v->forged ? ERR_PAYLOAD_INVALID : (int)len,
		  "key %s", v->key);
	if (v->forged) {
		for (size_t i = 0; i < len; i++)
			CHECK(text[i] == 0, "nothing is left, key %s", v->key);
		return;
	}
	unhex(v->plaintext, plain);
	CHECK(memcmp(text, plain, len) == 0, "key %s", v->key);
	assert_int_equal(crypto_seal_gcm(key, nonce, aad, aad_len, text, len, made), 0);
	unhex(v->ciphertext, plain);
	CHECK(memcmp(text, plain, len) == 0 && memcmp(made, tag, sizeof(tag)) == 0, "sealed, key %s", v->key);

	/* Change each bit of the tag. */
	for (size_t bit = 0; bit < 8 * CRYPTO_TAG_LEN; bit++) {
		unhex(v->ciphertext, text);
		tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_INT(crypto_open_gcm(key, nonce, aad, aad_len, text, len, tag), ERR_PAYLOAD_INVALID,
			  "bit %zu, key %s", bit, v->key);
		tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void gcm(void **state)
{
	(void)state;
	CHECK(each(VECTORS "GCM/gcmDecrypt256.rsp", check_gcm) > 7000, "the file is whole");
	CHECK(n_used > 300 && n_forged > 100, "%zu used, %zu forged", n_used, n_forged);
}

/* NIST's vectors have no padding. We add a block of padding to each, chained to its last block. */
static void check_cbc(const struct vector *v)
{
	const size_t len = strlen(v->ciphertext) / 2;
	uint8_t key[CRYPTO_KEY_LEN], last[CRYPTO_IV_LEN], padding[CRYPTO_IV_LEN], plain[FIELD_MAX];
	char payload[3 * FIELD_MAX];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *opened = guard_room(&out, len + CRYPTO_IV_LEN);
	int n = 0;
	size_t size;

	unhex(v->key, key);
	unhex(v->ciphertext + strlen(v->ciphertext) - 2 * CRYPTO_IV_LEN, last);
	memset(padding, CRYPTO_IV_LEN, sizeof(padding));
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), NULL, key, last), 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	assert_int_equal(EVP_EncryptUpdate(c, padding, &n, padding, sizeof(padding)), 1);
	EVP_CIPHER_CTX_free(c);

	size = (size_t)snprintf(payload, sizeof(payload), "%s:%s", v->iv, v->ciphertext);
	for (size_t i = 0; i < sizeof(padding); i++)
		size += (size_t)sprintf(payload + size, "%02x", padding[i]);
	unhex(v->plaintext, plain);
	CHECK_INT(crypto_open_cbc(key, guard_copy(&in, payload, size), size, opened, len + CRYPTO_IV_LEN), len,
		  "key %s", v->key);
	CHECK(memcmp(opened, plain, len) == 0, "key %s", v->key);
}

static void cbc(void **state)
{
	static const char *const files[] = { "GFSbox", "KeySbox", "MMT", "VarKey", "VarTxt" };
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		char path[256];

		snprintf(path, sizeof(path), VECTORS "CBC/CBC%s256.rsp", files[i]);
		n += each(path, check_cbc);
	}
	CHECK(n > 800, "%zu", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(gcm), cmocka_unit_test(cbc) };

	return RUN(tests);
}
