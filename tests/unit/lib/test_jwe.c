/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests jwe.h: a sealed payload opens with the key that its kid names. With any truncation or
 * changed character it does not open, and leaves no plaintext. Also tests valid headers, and those
 * of known attacks.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/jwe.h"

enum { TEXT_MAX = 4096 };

static const char plain[] = "{\"SECRET\":\"the quick brown fox jumps over the lazy dog\"}";
static struct guard in, out;
static struct key keys[3];

static int make_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		memset(keys[i].key, (int)(0x11 * (i + 1)), sizeof(keys[i].key));
		snprintf(keys[i].kid, sizeof(keys[i].kid), "key-%zu", i);
	}
	return 0;
}

/* Opens a guarded copy to a buffer of exactly size bytes. */
static int open_with(size_t n_keys, const char *text, size_t len, size_t size, uint8_t **ret_plain,
		     const struct key **ret_key)
{
	const char *why = "unset";
	int rc;

	*ret_plain = guard_room(&out, size);
	memset(*ret_plain, 0xEE, size);
	rc = jwe_open(keys, n_keys, guard_copy(&in, text, len), len, *ret_plain, size, ret_key, &why);
	CHECK(rc >= 0 || rc == ERR_PAYLOAD_INVALID, "%d", rc);
	CHECK(rc >= 0 || (strcmp(why, "unset") != 0 && !strstr(why, "SECRET")), "%s", why);
	return rc;
}

static void round_trip(void **state)
{
	static char text[TEXT_MAX];
	const struct key *key;
	uint8_t *opened;

	(void)state;
	for (size_t len = 1; len <= sizeof(plain); len++)
		for (size_t k = 0; k < COUNT(keys); k++) {
			int n = jwe_seal(&keys[k], (const uint8_t *)plain, len, guard_room(&in, TEXT_MAX), TEXT_MAX);

			memcpy(text, in.end - TEXT_MAX, TEXT_MAX);
			CHECK(n > 0 && strlen(text) == (size_t)n && jwe_looks_like(text, (size_t)n), "%zu bytes", len);
			CHECK_INT(open_with(COUNT(keys), text, (size_t)n, len, &opened, &key), len, "%zu bytes", len);
			CHECK(key == &keys[k] && memcmp(opened, plain, len) == 0, "%zu bytes", len);
			CHECK_INT(open_with(COUNT(keys), text, (size_t)n, len - 1, &opened, &key), ERR_PAYLOAD_INVALID,
				  "%zu bytes, no room", len);
			CHECK_INT(open_with(COUNT(keys), text, (size_t)n, (size_t)n * 3 / 4, &opened, &key), len,
				  "%zu bytes, much room", len);
			/* It opens exactly if the buffer is large enough. */
			CHECK_INT(jwe_seal(&keys[k], (const uint8_t *)plain, len, guard_room(&in, (size_t)n),
					   (size_t)n),
				  ERR_SYSTEM, "%zu bytes", len);
			CHECK_INT(jwe_seal(&keys[k], (const uint8_t *)plain, len, guard_room(&in, (size_t)n + 1),
					   (size_t)n + 1),
				  n, "%zu bytes", len);
		}
}

static void kid_picks_the_key(void **state)
{
	static char text[TEXT_MAX];
	struct key named = keys[1], nameless = keys[1];
	const struct key *key;
	uint8_t *opened;
	int n;

	(void)state;
	/* The name of another key, and a name of no key. */
	for (int i = 0; i < 2; i++) {
		strcpy(named.kid, i ? "key-9" : "key-0");
		n = jwe_seal(&named, (const uint8_t *)plain, sizeof(plain), text, sizeof(text));
		CHECK_INT(open_with(COUNT(keys), text, (size_t)n, TEXT_MAX, &opened, &key), ERR_PAYLOAD_INVALID, "%s",
			  named.kid);
	}
	/* A header without a kid: all keys are tried. */
	nameless.kid[0] = '\0';
	n = jwe_seal(&nameless, (const uint8_t *)plain, sizeof(plain), text, sizeof(text));
	CHECK_INT(open_with(COUNT(keys), text, (size_t)n, TEXT_MAX, &opened, &key), sizeof(plain), "no kid");
	assert_ptr_equal(key, &keys[1]);
	/* A key without a name is tried for any kid. */
	n = jwe_seal(&named, (const uint8_t *)plain, sizeof(plain), text, sizeof(text));
	keys[1].kid[0] = '\0';
	CHECK_INT(open_with(COUNT(keys), text, (size_t)n, TEXT_MAX, &opened, &key), sizeof(plain), "nameless key");
	make_keys(state);
	CHECK_INT(open_with(0, text, (size_t)n, TEXT_MAX, &opened, &key), ERR_PAYLOAD_INVALID, "no keys");
}

/* Returns true if buf contains any four consecutive bytes of plain. */
static bool leaks(const uint8_t *buf, size_t size)
{
	for (size_t i = 0; i + 4 <= sizeof(plain); i++)
		if (memmem(buf, size, plain + i, 4))
			return true;
	return false;
}

static void changed_anywhere(void **state)
{
	static char text[TEXT_MAX], changed[TEXT_MAX];
	const struct key *key;
	uint8_t *opened;
	size_t len;

	(void)state;
	len = (size_t)jwe_seal(&keys[0], (const uint8_t *)plain, sizeof(plain), text, sizeof(text));
	for (size_t n = 0; n < len; n++) {
		CHECK_INT(open_with(COUNT(keys), text, n, sizeof(plain), &opened, &key), ERR_PAYLOAD_INVALID,
			  "%zu characters", n);
		CHECK(!leaks(opened, sizeof(plain)), "%zu characters", n);
	}
	for (size_t i = 0; i < len; i++)
		for (int c = 0; c < 256; c++) {
			if (text[i] == (char)c)
				continue;
			memcpy(changed, text, len);
			changed[i] = (char)c;
			CHECK_INT(open_with(COUNT(keys), changed, len, sizeof(plain), &opened, &key),
				  ERR_PAYLOAD_INVALID, "%d at %zu", c, i);
			CHECK(!leaks(opened, sizeof(plain)), "%d at %zu", c, i);
		}
}

/* Seals with the given header. */
static size_t seal_behind(const char *header, const char *parts_format, char *text)
{
	uint8_t cipher[sizeof(plain)], tag[CRYPTO_TAG_LEN];
	static const uint8_t nonce[CRYPTO_NONCE_LEN] = { 7 };
	char protected[TEXT_MAX], n64[64], c64[256], t64[64];

	assert_true(crypto_base64url_encode((const uint8_t *)header, strlen(header), protected, sizeof(protected)) >=
		    0);
	memcpy(cipher, plain, sizeof(plain));
	assert_int_equal(crypto_seal_gcm(keys[0].key, nonce, protected, strlen(protected), cipher, sizeof(cipher), tag),
			 0);
	crypto_base64url_encode(nonce, sizeof(nonce), n64, sizeof(n64));
	crypto_base64url_encode(cipher, sizeof(cipher), c64, sizeof(c64));
	crypto_base64url_encode(tag, sizeof(tag), t64, sizeof(t64));
	return (size_t)snprintf(text, TEXT_MAX, parts_format, protected, n64, c64, t64);
}

static void headers(void **state)
{
	static const struct {
		const char *header;
		bool want;
	} table[] = {
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", true },
		{ "{\"enc\":\"A256GCM\",\"alg\":\"dir\"}", true },
		{ " { \"alg\" : \"dir\" , \"enc\" : \"A256GCM\" } ", true },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"typ\":\"JWT\",\"cty\":\"JSON\",\"x\":[1]}", true },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"key-0\"}", true },
		{ "{\"alg\":\"\\u0064ir\",\"enc\":\"A256GCM\"}", true },
		{ "{\"alg\":\"none\",\"alg\":\"dir\",\"enc\":\"A256GCM\"}",
		  false }, /* RFC 7516 section 4 leaves the choice */
		{ "{\"alg\":\"dir\",\"alg\":\"none\",\"enc\":\"A256GCM\"}", false },
		{ "{\"alg\":\"dir\"}", false },
		{ "{\"enc\":\"A256GCM\"}", false },
		{ "{}", false },
		{ "[]", false },
		{ "", false },
		{ "{\"alg\":\"none\",\"enc\":\"A256GCM\"}", false },
		{ "{\"alg\":\"Dir\",\"enc\":\"A256GCM\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"a256gcm\"}", false },
		{ "{\"alg\":\"A256GCMKW\",\"enc\":\"A256GCM\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A128GCM\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256CBC-HS512\"}", false },
		{ "{\"alg\":[\"dir\"],\"enc\":\"A256GCM\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":null}", false },
		{ "{\"alg\":\"dir\\u0000\",\"enc\":\"A256GCM\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"zip\":\"DEF\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"zip\":null}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"crit\":[]}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"crit\":[\"exp\"],\"exp\":1}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":1}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"KEY-0\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\"}x", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"kid\":\"012345678901234567890123456789012\"}", false },
		{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\"", false },
	};
	static const struct {
		const char *format;
		bool want;
	} shapes[] = {
		{ "%s..%s.%s.%s", true },      { "%s.AA.%s.%s.%s", false }, { ".%s..%s.%s.%s", false },
		{ "%s.%s.%s.%s", false },      { "%s..%s.%s.%s.", false },  { "%s..%s.%s.%s=", false },
		{ " %s..%s.%s.%s", false },    { "%s..%s.%s.%s\n", false }, { "%s..A%s.%s.%s", false },
		{ "%s..%s.%s.AAAA%s", false }, { "%s..%s.%s.%.8s", false }, { "%s..%s..%.0s%s", false },
		{ "%s=..%s.%s.%s", false },
	};
	static char text[TEXT_MAX];
	const struct key *key;
	uint8_t *opened;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = seal_behind(table[i].header, "%s..%s.%s.%s", text);

		CHECK_INT(open_with(COUNT(keys), text, len, sizeof(plain), &opened, &key),
			  table[i].want ? (int)sizeof(plain) : ERR_PAYLOAD_INVALID, "%s", table[i].header);
	}
	for (size_t i = 0; i < COUNT(shapes); i++) {
		size_t len = seal_behind(table[0].header, shapes[i].format, text);

		CHECK_INT(open_with(COUNT(keys), text, len, sizeof(plain), &opened, &key),
			  shapes[i].want ? (int)sizeof(plain) : ERR_PAYLOAD_INVALID, "%s", shapes[i].format);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(round_trip, make_keys),
		cmocka_unit_test_setup(kid_picks_the_key, make_keys),
		cmocka_unit_test_setup(changed_anywhere, make_keys),
		cmocka_unit_test_setup(headers, make_keys),
	};

	return RUN(tests);
}
