/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens and seals JWE in compact serialization. Section numbers are those of RFC 7516.
 */
#include "lib/jwe.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/strict_json.h"

/* The parts, in order, with dots between them (section 7.1). */
enum { HEADER, ENCRYPTED_KEY, NONCE, CIPHERTEXT, TAG, PARTS };

struct part {
	const char *at;
	size_t len;
};

/* Splits text at its dots. Returns false unless there are exactly four. */
static bool split(const char *text, size_t len, struct part parts[PARTS])
{
	const char *at = text, *end = text + len;

	for (int i = 0; i < PARTS; i++) {
		const char *dot = memchr(at, '.', (size_t)(end - at));

		if ((i < PARTS - 1) != (dot != NULL))
			return false;
		parts[i] = (struct part){ at, (size_t)((dot ? dot : end) - at) };
		at = dot ? dot + 1 : end;
	}
	return true;
}

bool jwe_looks_like(const char *text, size_t len)
{
	struct part parts[PARTS];

	return split(text, len, parts);
}

/* Checks the protected header and copies its kid, "" if it has none. Returns NULL, or a phrase that
 * says what is wrong. */
static const char *parse_header(struct part text, char kid[KEY_NAME_MAX + 1])
{
	uint8_t bytes[JWE_HEADER_MAX];
	const char *why = NULL, *alg, *enc, *id;
	struct json_object *header;
	size_t n = 0;
	int len = crypto_base64url_decode(text.at, text.len, bytes, sizeof(bytes));

	header = len > 0 ? strict_json_parse((char *)bytes, (size_t)len) : NULL;
	if (!header)
		return "its header is not JSON in base64url";
	alg = strict_json_string(header, "alg", &n);
	enc = strict_json_string(header, "enc", &n);
	id = strict_json_string(header, "kid", &n);
	kid[0] = '\0';
	if (!alg || strcmp(alg, "dir") != 0)
		why = "its alg is not dir";
	else if (!enc || strcmp(enc, "A256GCM") != 0)
		why = "its enc is not A256GCM";
	else if (strict_json_has(header, "zip") || strict_json_has(header, "crit"))
		why = "its header requires an extension, zip or crit"; /* we have none: section 4.1.13 */
	else if (strict_json_has(header, "kid") && (!id || n == 0 || n > KEY_NAME_MAX))
		why = "its kid is not the name of a key here";
	else if (id)
		memcpy(kid, id, n + 1);
	strict_json_wipe(header);
	return why;
}

int jwe_open(const struct key *keys, size_t n_keys, const char *text, size_t len, uint8_t *plain, size_t size,
	     const struct key **ret_key, const char **ret_why)
{
	struct part parts[PARTS];
	uint8_t nonce[CRYPTO_NONCE_LEN], tag[CRYPTO_TAG_LEN];
	char kid[KEY_NAME_MAX + 1];

	*ret_why = "it does not have five parts with dots between them";
	if (!split(text, len, parts))
		return ERR_PAYLOAD_INVALID;
	*ret_why = parse_header(parts[HEADER], kid);
	if (*ret_why)
		return ERR_PAYLOAD_INVALID;
	*ret_why =
		"it may be cut off: it needs an empty encrypted key, a nonce of 12 and a tag of 16 bytes, in base64url";
	if (parts[ENCRYPTED_KEY].len != 0 ||
	    crypto_base64url_decode(parts[NONCE].at, parts[NONCE].len, nonce, sizeof(nonce)) != sizeof(nonce) ||
	    crypto_base64url_decode(parts[TAG].at, parts[TAG].len, tag, sizeof(tag)) != sizeof(tag))
		return ERR_PAYLOAD_INVALID;

	*ret_why = "its kid is not the name of a key here";
	for (size_t i = 0; i < n_keys; i++) {
		int n, rc;

		if (*kid && *keys[i].kid && strcmp(kid, keys[i].kid) != 0)
			continue;
		/* crypto_open_gcm() works in place and wipes the buffer if it fails. So decode
		 * again for each key. */
		n = crypto_base64url_decode(parts[CIPHERTEXT].at, parts[CIPHERTEXT].len, plain, size);
		if (n <= 0) {
			*ret_why = "its ciphertext is not base64url";
			return ERR_PAYLOAD_INVALID;
		}
		rc = crypto_open_gcm(keys[i].key, nonce, parts[HEADER].at, parts[HEADER].len, plain, (size_t)n, tag);
		if (rc != ERR_PAYLOAD_INVALID) {
			*ret_key = &keys[i];
			return rc;
		}
		*ret_why = "not made with our key, or changed on its way";
	}
	return ERR_PAYLOAD_INVALID;
}

/* Appends dots and base64url of data to text[0..*at). Returns false if text is too small. */
static bool append(char *text, size_t size, size_t *at, const char *dots, const uint8_t *data, size_t len)
{
	const size_t n_dots = strlen(dots);
	int n;

	if (size - *at <= n_dots)
		return false;
	memcpy(text + *at, dots, n_dots);
	*at += n_dots;
	n = crypto_base64url_encode(data, len, text + *at, size - *at);
	if (n < 0)
		return false;
	*at += (size_t)n;
	return true;
}

int jwe_seal(const struct key *key, const uint8_t *plain, size_t len, char *text, size_t size)
{
	char header[128];
	uint8_t nonce[CRYPTO_NONCE_LEN], tag[CRYPTO_TAG_LEN], *cipher = malloc(len ? len : 1);
	size_t at = 0;
	bool done;

	if (!cipher)
		return ERR_SYSTEM;
	memcpy(cipher, plain, len);
	snprintf(header, sizeof(header), "{\"alg\":\"dir\",\"enc\":\"A256GCM\"%s%s%s}", *key->kid ? ",\"kid\":\"" : "",
		 key->kid, *key->kid ? "\"" : "");
	/* With "dir" the encrypted key is empty: so there are two dots before the nonce. */
	done = RAND_bytes(nonce, sizeof(nonce)) == 1 &&
	       append(text, size, &at, "", (const uint8_t *)header, strlen(header)) &&
	       crypto_seal_gcm(key->key, nonce, text, at, cipher, len, tag) == OK &&
	       append(text, size, &at, "..", nonce, sizeof(nonce)) && append(text, size, &at, ".", cipher, len) &&
	       append(text, size, &at, ".", tag, sizeof(tag));
	OPENSSL_cleanse(cipher, len);
	free(cipher);
	return done ? (int)at : ERR_SYSTEM;
}
