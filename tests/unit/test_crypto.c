/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests crypto.h: NIST's AES-256-CBC vectors (SP 800-38A, F.2.5 and F.2.6), every valid and invalid
 * PKCS#7 padding, malformed payloads of every kind, and that a failure leaves no plaintext. Input
 * and output buffers end at an unreadable page.
 */
#include "tests/unit/guard.h"

#include <openssl/evp.h>

#include "crypto.h"
#include "lib/error.h"

#define NIST_KEY "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define NIST_IV "000102030405060708090a0b0c0d0e0f"
static const char *const nist_plain[] = {
	"6bc1bee22e409f96e93d7e117393172a",
	"ae2d8a571e03ac9c9eb76fac45af8e51",
	"30c81c46a35ce411e5fbc1191a0a52ef",
	"f69f2445df4f9b17ad2b417be66c3710",
};
static const char *const nist_cipher[] = {
	"f58c4c04d6e5f1ba779eabfb5f7bfbd6",
	"9cfc4e967edb808d679f777bc6702c7d",
	"39f23369a9d9bacfa530e26304231461",
	"b2eb05e2c39be9fcda6c19078c6a9d1b",
};

enum { BLOCK = 16, LONGEST = 8 * BLOCK };

static struct guard in, out;
static uint8_t key[CRYPTO_KEY_LEN];

static int read_key(void **state)
{
	(void)state;
	return crypto_hex(NIST_KEY, 64, key, sizeof(key));
}

/* Encrypts plain to "iv:cipher". Its length is a multiple of the block: the caller adds the
 * padding. */
static size_t seal(char *text, const uint8_t *plain, size_t len, const char *iv_hex)
{
	uint8_t iv[CRYPTO_IV_LEN], cipher[LONGEST];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n = 0;
	size_t size;

	assert_int_equal(crypto_hex(iv_hex, 32, iv, sizeof(iv)), 0);
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), NULL, key, iv), 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	assert_int_equal(EVP_EncryptUpdate(c, cipher, &n, plain, (int)len), 1);
	assert_int_equal(n, len);
	EVP_CIPHER_CTX_free(c);
	size = (size_t)sprintf(text, "%s:", iv_hex);
	for (size_t i = 0; i < len; i++)
		size += (size_t)sprintf(text + size, "%02x", cipher[i]);
	return size;
}

/* Opens a guarded copy to a guarded buffer of size bytes, which is filled with a mark. */
static int open_guarded(const char *text, size_t len, size_t size, uint8_t **ret_plain)
{
	*ret_plain = guard_room(&out, size);
	memset(*ret_plain, 0xEE, size);
	return crypto_open_cbc(key, guard_copy(&in, text, len), len, *ret_plain, size);
}

/* Returns true if the buffer has no four consecutive bytes of plain. Zeros do not count: they may
 * come from wiping. */
static bool is_clean(const uint8_t *buf, const uint8_t *plain, size_t len)
{
	for (size_t i = 0; i + 4 <= len; i++)
		if (memcmp(buf + i, plain + i, 4) == 0 && memcmp(plain + i, "\0\0\0", 4) != 0)
			return false;
	return true;
}

static void nist_vectors(void **state)
{
	uint8_t plain[LONGEST], *opened;
	char text[3 * LONGEST], want[3 * LONGEST];

	(void)state;
	for (size_t blocks = 1; blocks <= COUNT(nist_plain); blocks++) {
		size_t len;

		strcpy(want, NIST_IV ":");
		for (size_t i = 0; i < blocks; i++) {
			assert_int_equal(crypto_hex(nist_plain[i], 32, plain + i * BLOCK, BLOCK), 0);
			strcat(want, nist_cipher[i]);
		}
		/* F.2.5: the encrypted text begins with NIST's ciphertext. F.2.6: with a block of
		 * padding after it, it opens. */
		memset(plain + blocks * BLOCK, BLOCK, BLOCK);
		len = seal(text, plain, (blocks + 1) * BLOCK, NIST_IV);
		CHECK(strncmp(text, want, strlen(want)) == 0, "%zu blocks", blocks);
		CHECK_INT(open_guarded(text, len, (blocks + 1) * BLOCK, &opened), blocks * BLOCK, "%zu blocks", blocks);
		CHECK(memcmp(opened, plain, blocks * BLOCK) == 0, "%zu blocks", blocks);
		/* NIST's ciphertext has no padding: it does not open, and leaves no plaintext. */
		CHECK_INT(open_guarded(want, strlen(want), blocks * BLOCK, &opened), ERR_PAYLOAD_INVALID, "%zu blocks",
			  blocks);
		CHECK(is_clean(opened, plain, blocks * BLOCK), "%zu blocks", blocks);
	}
}

/* Texts of every length, truncated at every length. */
static void lengths(void **state)
{
	uint8_t plain[LONGEST], *opened;
	char text[3 * LONGEST];

	(void)state;
	for (size_t len = 0; len <= 3 * BLOCK; len++) {
		const uint8_t pad = (uint8_t)(BLOCK - len % BLOCK);
		const size_t padded = len + pad;
		size_t size;

		memset(plain, 'p', len);
		memset(plain + len, pad, pad);
		size = seal(text, plain, padded, "ffeeddccbbaa99887766554433221100");
		for (size_t room = padded; room <= padded + 3; room++) {
			CHECK_INT(open_guarded(text, size, room, &opened), len, "%zu bytes", len);
			CHECK(len == 0 || memcmp(opened, plain, len) == 0, "%zu bytes", len);
		}
		CHECK_INT(open_guarded(text, size, size / 2, &opened), len, "%zu bytes, len / 2 are enough", len);
		CHECK_INT(open_guarded(text, size, padded - 1, &opened), ERR_PAYLOAD_INVALID, "%zu bytes, no room",
			  len);
		for (size_t n = 0; n < size; n++) {
			CHECK_INT(open_guarded(text, n, padded, &opened), ERR_PAYLOAD_INVALID, "%zu of %zu characters",
				  n, size);
			CHECK(is_clean(opened, plain, len), "%zu of %zu characters", n, size);
		}
	}
}

/* All cases of the classes in Wycheproof's AES-CBC-PKCS5 set: each value of the last byte, with
 * each number of bytes that have this value. */
static void padding(void **state)
{
	uint8_t plain[LONGEST], *opened;
	char text[3 * LONGEST];

	(void)state;
	for (size_t len = BLOCK; len <= 3 * BLOCK; len += BLOCK)
		for (unsigned last = 0; last < 256; last++)
			for (unsigned filled = 0; filled <= BLOCK; filled++) {
				/* The last `filled` bytes have the value `last`, and the byte
				 * before them has another. The padding is valid if at least `last`
				 * bytes have it. */
				bool valid = last >= 1 && last <= BLOCK && filled >= last;
				size_t size;

				memset(plain, last == 'q' ? 'r' : 'q', len);
				memset(plain + len - filled, (int)last, filled);
				plain[len - 1] = (uint8_t)last;
				valid |= last == 1;
				size = seal(text, plain, len, NIST_IV);
				CHECK_INT(open_guarded(text, size, len, &opened),
					  valid ? (int)(len - last) : ERR_PAYLOAD_INVALID, "%zu bytes, %u times %u",
					  len, filled, last);
				CHECK(valid || is_clean(opened, plain, len), "%zu bytes, %u times %u", len, filled,
				      last);
			}

	/* Other paddings in use: zeros, 0xff, ISO 7816 (0x80 and zeros), ANSI X9.23 (zeros and the
	 * length), and PKCS#7 with one byte off at each place. */
	for (size_t pad = 1; pad <= BLOCK; pad++)
		for (size_t kind = 0; kind < 4 + pad; kind++) {
			uint8_t *end = plain + 2 * BLOCK;
			size_t size;

			memset(plain, 'q', 2 * BLOCK);
			memset(end - pad, kind == 1 ? 0xFF : kind < 4 ? 0 : (int)pad, pad);
			if (kind == 2)
				end[-(ptrdiff_t)pad] = 0x80;
			else if (kind == 3)
				end[-1] = (uint8_t)pad;
			else if (kind >= 4)
				plain[2 * BLOCK - pad + kind - 4] ^= 0x20;
			if (kind == 3 && pad == 1)
				continue; /* that is also valid PKCS#7 */
			size = seal(text, plain, 2 * BLOCK, NIST_IV);
			CHECK_INT(open_guarded(text, size, 2 * BLOCK, &opened), ERR_PAYLOAD_INVALID,
				  "kind %zu of %zu bytes", kind, pad);
			CHECK(is_clean(opened, plain, 2 * BLOCK), "kind %zu of %zu bytes", kind, pad);
		}
}

static void malformed(void **state)
{
	uint8_t plain[2 * BLOCK], *opened;
	char good[3 * LONGEST], text[3 * LONGEST + 8];
	size_t size;

	(void)state;
	memset(plain, 's', BLOCK);
	memset(plain + BLOCK, BLOCK, BLOCK);
	size = seal(good, plain, sizeof(plain), NIST_IV);

	/* One invalid character at each position: no digit, or no colon. */
	for (size_t i = 0; i < size; i++)
		for (int c = 0; c < 256; c++) {
			bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
			int rc;

			memcpy(text, good, size);
			text[i] = (char)c;
			if (i == 32 ? c == ':' : hex)
				continue;
			rc = open_guarded(text, size, sizeof(plain), &opened);
			CHECK(rc == ERR_PAYLOAD_INVALID && is_clean(opened, plain, sizeof(plain)), "byte %d at %zu", c,
			      i);
		}

	/* Upper case is valid, too. */
	for (size_t i = 0; i < size; i++)
		text[i] = (char)(good[i] >= 'a' ? good[i] - 'a' + 'A' : good[i]);
	CHECK_INT(open_guarded(text, size, sizeof(plain), &opened), BLOCK, "upper case");
	CHECK(memcmp(opened, plain, BLOCK) == 0, "upper case");

	/* Extra characters at either end, or one more part. */
	static const char *const extra[] = {
		"0", "00", " ", "\n", ":", ":00", "=", "00112233445566778899aabbccddeeff"
	};

	for (size_t i = 0; i < COUNT(extra); i++) {
		size_t n = strlen(extra[i]);

		memcpy(text, good, size), memcpy(text + size, extra[i], n);
		CHECK_INT(open_guarded(text, size + n, 4 * BLOCK, &opened), ERR_PAYLOAD_INVALID, "good and %s",
			  extra[i]);
		memcpy(text, extra[i], n), memcpy(text + n, good, size);
		CHECK_INT(open_guarded(text, size + n, 4 * BLOCK, &opened), ERR_PAYLOAD_INVALID, "%s and good",
			  extra[i]);
	}

	static const char *const shapes[] = {
		"",
		":",
		"::",
		"00",
		NIST_IV,
		NIST_IV ":",
		NIST_IV ":0",
		NIST_IV ":00",
		NIST_IV "::",
		":" NIST_IV,
		NIST_IV NIST_IV,
		NIST_IV "." NIST_IV,
		"0001:" NIST_IV,
		NIST_IV "00:" NIST_IV,
		"0x" NIST_IV ":" NIST_IV,
	};

	for (size_t i = 0; i < COUNT(shapes); i++)
		CHECK_INT(open_guarded(shapes[i], strlen(shapes[i]), 4 * BLOCK, &opened), ERR_PAYLOAD_INVALID, "%s",
			  shapes[i]);

	/* With any other key, the padding is nearly always invalid, and the text is never the
	 * same. */
	for (int i = 0; i < CRYPTO_KEY_LEN * 8; i++) {
		int rc;

		key[i / 8] ^= (uint8_t)(1 << i % 8);
		rc = open_guarded(good, size, sizeof(plain), &opened);
		CHECK((rc == ERR_PAYLOAD_INVALID || rc >= 0) && is_clean(opened, plain, sizeof(plain)), "key's bit %d",
		      i);
		key[i / 8] ^= (uint8_t)(1 << i % 8);
	}
}

static void hex(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		int want;
	} table[] = {
		{ "", 0, 0 },
		{ "00", 1, 0 },
		{ "fF", 1, 0 },
		{ "0123456789abcdefABCDEF", 11, 0 },
		{ "", 1, ERR_PAYLOAD_INVALID },
		{ "0", 1, ERR_PAYLOAD_INVALID },
		{ "000", 1, ERR_PAYLOAD_INVALID },
		{ "00", 0, ERR_PAYLOAD_INVALID },
		{ "00", 2, ERR_PAYLOAD_INVALID },
		{ "0g", 1, ERR_PAYLOAD_INVALID },
		{ "g0", 1, ERR_PAYLOAD_INVALID },
		{ " 0", 1, ERR_PAYLOAD_INVALID },
		{ "0 ", 1, ERR_PAYLOAD_INVALID },
		{ "0x", 1, ERR_PAYLOAD_INVALID },
		{ "+1", 1, ERR_PAYLOAD_INVALID },
		{ "-1", 1, ERR_PAYLOAD_INVALID },
		{ "\xC3\xA9", 1, ERR_PAYLOAD_INVALID },
		{ "00:1", 2, ERR_PAYLOAD_INVALID },
	};
	uint8_t *bytes;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = strlen(table[i].text);

		CHECK_INT(crypto_hex(guard_copy(&in, table[i].text, len), len, guard_room(&out, table[i].size),
				     table[i].size),
			  table[i].want, "%s", table[i].text);
		for (size_t n = 0; n < len && n != 2 * table[i].size; n++) /* a prefix has the wrong length */
			CHECK_INT(crypto_hex(guard_copy(&in, table[i].text, n), n, guard_room(&out, table[i].size),
					     table[i].size),
				  ERR_PAYLOAD_INVALID, "%zu of %s", n, table[i].text);
	}
	for (int value = 0; value < 256; value++) {
		static const char *const formats[] = { "%02x", "%02X" };

		for (size_t i = 0; i < COUNT(formats); i++) {
			char text[3];

			snprintf(text, sizeof(text), formats[i], value);
			bytes = guard_room(&out, 1);
			CHECK(crypto_hex(guard_copy(&in, text, 2), 2, bytes, 1) == 0 && *bytes == value, "%s", text);
		}
	}
}

static void base64url(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: refused */
	} table[] = {
		/* RFC 4648 section 10, without padding */
		{ "", "" },
		{ "Zg", "f" },
		{ "Zm8", "fo" },
		{ "Zm9v", "foo" },
		{ "Zm9vYg", "foob" },
		{ "Zm9vYmE", "fooba" },
		{ "Zm9vYmFy", "foobar" },
		{ "A-z_", "\x03\xEC\xFF" },
		{ "____", "\xFF\xFF\xFF" },
		{ "Z", NULL },
		{ "Zm9vY", NULL },
		{ "Zg==", NULL },
		{ "Zm8=", NULL },
		{ "Zm9v=", NULL },
		{ "Zh", NULL },
		{ "Zv", NULL },
		{ "Zm9", NULL },
		{ "Zm+v", NULL },
		{ "Zm/v", NULL },
		{ " Zm9v", NULL },
		{ "Zm9v ", NULL },
		{ "Zm\n9v", NULL },
		{ "Zm.v", NULL },
		{ "Zm9\xC3", NULL },
		{ "Zm9[", NULL },
		{ "Zm9`", NULL },
		{ "Zm9{", NULL },
		{ "Zm9@", NULL },
		{ "Zm9:", NULL },
	};
	uint64_t seed = 42;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const size_t len = strlen(table[i].text), size = table[i].bytes ? strlen(table[i].bytes) : 8;
		uint8_t *bytes = guard_room(&out, size);
		int n = crypto_base64url_decode(guard_copy(&in, table[i].text, len), len, bytes, size);

		CHECK_INT(n, table[i].bytes ? (int)size : ERR_PAYLOAD_INVALID, "%s", table[i].text);
		CHECK(n < 0 || memcmp(bytes, table[i].bytes, size) == 0, "%s", table[i].text);
		if (n > 0)
			CHECK_INT(crypto_base64url_decode(guard_copy(&in, table[i].text, len), len,
							  guard_room(&out, size - 1), size - 1),
				  ERR_PAYLOAD_INVALID, "%s, no room", table[i].text);
	}
	for (size_t len = 0; len < 300; len++) {
		uint8_t bytes[300], *back;
		char *text = guard_room(&in, (len * 4 + 2) / 3 + 1);
		int n;

		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)random_next(&seed);
		n = crypto_base64url_encode(bytes, len, text, (len * 4 + 2) / 3 + 1);
		CHECK(n >= 0 && strlen(text) == (size_t)n &&
			      strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
				      (size_t)n,
		      "%zu bytes", len);
		back = guard_room(&out, len);
		CHECK_INT(crypto_base64url_decode(text, (size_t)n, back, len), len, "%zu bytes", len);
		CHECK(len == 0 || memcmp(back, bytes, len) == 0, "%zu bytes", len);
		CHECK_INT(crypto_base64url_encode(bytes, len, guard_room(&in, (size_t)n), (size_t)n), ERR_SYSTEM,
			  "%zu bytes, no room", len);
	}
}

static void seals_cbc(void **state)
{
	(void)state;
	for (size_t len = 0; len < 100; len++) {
		const size_t size = 2 * (CRYPTO_IV_LEN + len / 16 * 16 + 16) + 2;
		char *text = guard_room(&in, size), first[512];
		uint8_t plain[100], *back;
		int n;

		memset(plain, (int)len, sizeof(plain));
		n = crypto_seal_cbc(key, plain, len, text, size);
		CHECK(n == (int)size - 1 && strlen(text) == (size_t)n && strspn(text, "0123456789abcdef:") == (size_t)n,
		      "%zu bytes", len);
		memcpy(first, text, size);
		back = guard_room(&out, (size_t)n / 2);
		CHECK_INT(crypto_open_cbc(key, text, (size_t)n, back, (size_t)n / 2), len, "%zu bytes", len);
		CHECK(memcmp(back, plain, len) == 0, "%zu bytes", len);
		CHECK(crypto_seal_cbc(key, plain, len, text, size) == n && strcmp(first, text) != 0,
		      "%zu bytes, an IV of its own", len);
		CHECK_INT(crypto_seal_cbc(key, plain, len, guard_room(&in, size - 1), size - 1), ERR_SYSTEM,
			  "%zu bytes, no room", len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nist_vectors, read_key),
		cmocka_unit_test_setup(lengths, read_key),
		cmocka_unit_test_setup(padding, read_key),
		cmocka_unit_test_setup(malformed, read_key),
		cmocka_unit_test_setup(seals_cbc, read_key),
		cmocka_unit_test(hex),
		cmocka_unit_test(base64url),
	};

	return RUN(tests);
}
