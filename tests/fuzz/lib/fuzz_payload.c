/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes the steps from a payload's text to a console. The first byte selects how the input becomes
 * a text: unchanged; or sealed with the key, so that it must open to the same bytes and the same
 * console; or sealed and then changed, which an authenticated format must detect; or sealed with a
 * header from the input.
 */
#include "tests/fuzz/fuzz.h"

#include <openssl/evp.h>

#include "lib/access.h"
#include "lib/error.h"
#include "lib/jwe.h"

enum {
	TEXT_MAX = HTTP_HEAD_MAX,
	PLAIN_MAX = 4096, /* bytes that are sealed: a text has room for twice as many digits */
	NOW = 1700000000, /* Unix time in seconds, for all checks */
};

static const struct key key = {
	.kid = "k1",
	.key = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 },
};
static const uint8_t iv[CRYPTO_IV_LEN] = { 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 };
static struct config config;

/* --- the formats ---------------------------------------------------------------------------- */

static int open_cbc(const char *text, size_t len, uint8_t *plain, size_t size)
{
	return crypto_open_cbc(key.key, text, len, plain, size);
}

static int open_jwe(const char *text, size_t len, uint8_t *plain, size_t size)
{
	const struct key *opened = NULL;
	const char *why = NULL;
	int rc = jwe_open(&key, 1, text, len, plain, size, &opened, &why);

	REQUIRE(rc < 0 ? rc == ERR_SYSTEM || (why && *why) : opened == &key, "%d", rc);
	return rc;
}

static size_t hex(const uint8_t *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		text[2 * i + 1] = "0123456789ABCDEF"[bytes[i] & 15];
	}
	return 2 * n;
}

static int seal_cbc(const uint8_t *plain, size_t len, char *text)
{
	static uint8_t sealed[PLAIN_MAX + CRYPTO_IV_LEN];
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n = 0, last = 0;
	size_t at;

	REQUIRE(EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.key, iv) == 1 &&
			EVP_EncryptUpdate(cipher, sealed, &n, plain, (int)len) == 1 &&
			EVP_EncryptFinal_ex(cipher, sealed + n, &last) == 1,
		"AES-256-CBC");
	EVP_CIPHER_CTX_free(cipher);
	at = hex(iv, sizeof(iv), text);
	text[at++] = ':';
	return (int)(at + hex(sealed, (size_t)(n + last), text + at));
}

static int seal_jwe(const uint8_t *plain, size_t len, char *text)
{
	return jwe_seal(&key, plain, len, text, TEXT_MAX);
}

enum { CBC, JWE, FORMATS };
static int (*const open[FORMATS])(const char *text, size_t len, uint8_t *plain, size_t size) = { open_cbc, open_jwe };
static int (*const seal[FORMATS])(const uint8_t *plain, size_t len, char *text) = { seal_cbc, seal_jwe };
static const bool authenticated[FORMATS] = { false, true };

/* --- what must hold ------------------------------------------------------------------------- */

/* Opens the text in every format. The buffer is the smallest that the headers of both allow. */
static int open_text(int format, const char *text, size_t len, uint8_t **ret_plain)
{
	const size_t size = format == CBC ? len / 2 : len / 4 * 3 + 3;
	int rc;

	*ret_plain = malloc(size + 1);
	rc = open[format](text, len, *ret_plain, size);
	REQUIRE(rc == ERR_PAYLOAD_INVALID || (rc >= 0 && (size_t)rc <= size), "%d", rc);
	return rc;
}

/* Opens and checks the payload as a session does. Returns access_open()'s result. */
static int grant(const char *text, size_t len)
{
	static const struct slice origin = { "https://panel.example.com", 25 };
	static struct access a;
	const char *clients[] = { "", "192.0.2.1", "2001:db8::1" };
	int rc = access_open(&a, &config, text, len), check;

	REQUIRE(rc == OK || *a.why, "%d has no reason", rc);
	REQUIRE(rc == OK || rc == ERR_PAYLOAD_INVALID || (rc == ERR_HOST_FORBIDDEN && a.authenticated), "%d", rc);
	REQUIRE(memchr(a.why, '\0', sizeof(a.why)) && !strpbrk(a.why, "\"\\\r\n"), "safe inside JSON: %s", a.why);
	for (size_t i = 0; rc == OK && i < 3; i++) {
		check = access_check(&a, &config, NOW, origin, clients[i]);
		REQUIRE(check == OK || (check < 0 && a.authenticated && *a.why), "%d", check);
		REQUIRE(check < 0 || !a.authenticated ||
				(a.claims.expires + ACCESS_LEEWAY >= NOW &&
				 a.claims.expires <= NOW + config.payload_lifetime + ACCESS_LEEWAY),
			"%lld", (long long)a.claims.expires);
	}
	access_wipe(&a);
	REQUIRE(!*a.console.ticket && !*a.console.vncticket && !*a.console.csrf && !*a.console.password && !a.claims.ca,
		"wiped");
	return rc;
}

static bool needs_cluster(const struct console *c)
{
	return c->late && (*c->cluster || !*c->ticket);
}

/* After sealing and opening, the bytes and the console must be the same. */
static void require_same(int format, const char *text, size_t text_len, const uint8_t *plain, size_t len)
{
	static struct console console;
	static struct claims claims;
	const char *why;
	uint8_t *opened;
	int rc = open_text(format, text, text_len, &opened), granted;

	if (len == 0 && rc < 0) { /* a format may reject an empty payload */
		free(opened);
		return;
	}
	REQUIRE(rc == (int)len && memcmp(opened, plain, len) == 0, "%zu bytes opened as %d", len, rc);
	free(opened);
	rc = payload_parse((const char *)plain, len, &console, authenticated[format] ? &claims : NULL, &why);
	granted = grant(text, text_len);
	if (rc == OK && needs_cluster(&console))
		REQUIRE(granted == ERR_PAYLOAD_INVALID, "there is no cluster file: %d", granted);
	else if (rc == OK && authenticated[format] && console_ticket_error(&console))
		REQUIRE(granted == ERR_PAYLOAD_INVALID, "a ticket that Proxmox takes from nobody: %d", granted);
	else if (rc == OK && console.late && !console_has_token(&console) && !*console.csrf)
		REQUIRE(granted == ERR_PAYLOAD_INVALID, "a user's ticket without csrf: %d", granted);
	else
		REQUIRE(rc == OK ? granted != ERR_PAYLOAD_INVALID || !authenticated[format] : granted == rc,
			"%d, then %d", rc, granted);
	if (rc == OK && authenticated[format])
		free(claims.ca);
}

/* Changes one character. An authenticated format must detect it. */
static void change(int format, char *text, size_t len, uint32_t where, uint8_t to)
{
	const size_t at = where % len;
	uint8_t *opened;
	int rc;

	if (text[at] == (char)to)
		return;
	text[at] = (char)to;
	rc = open_text(format, text, len, &opened);
	free(opened);
	REQUIRE(!authenticated[format] || rc < 0, "a change at %zu was not seen", at);
	grant(text, len);
}

/* Seals a JWE with the key and any header. It must open only if we accept that header. */
static void own_header(const uint8_t *header, size_t header_len, const uint8_t *plain, size_t len)
{
	static char text[TEXT_MAX];
	static uint8_t cipher[PLAIN_MAX];
	uint8_t tag[CRYPTO_TAG_LEN], *opened;
	int n = crypto_base64url_encode(header, header_len, text, sizeof(text)), rc;
	size_t at = (size_t)n;

	REQUIRE(n >= 0, "%d", n);
	memcpy(cipher, plain, len);
	REQUIRE(crypto_seal_gcm(key.key, iv, text, at, cipher, len, tag) == OK, "AES-256-GCM");
	memcpy(text + at, "..", 2);
	at += 2;
	at += (size_t)crypto_base64url_encode(iv, CRYPTO_NONCE_LEN, text + at, sizeof(text) - at);
	text[at++] = '.';
	at += (size_t)crypto_base64url_encode(cipher, len, text + at, sizeof(text) - at);
	text[at++] = '.';
	at += (size_t)crypto_base64url_encode(tag, sizeof(tag), text + at, sizeof(text) - at);
	rc = open_text(JWE, text, at, &opened);
	if (rc >= 0) {
		REQUIRE(rc == (int)len && memcmp(opened, plain, len) == 0, "%zu bytes opened as %d", len, rc);
		REQUIRE(memmem(header, header_len, "alg", 3) || memmem(header, header_len, "\\u", 2), "no alg");
		REQUIRE(memmem(header, header_len, "enc", 3) || memmem(header, header_len, "\\u", 2), "no enc");
	}
	free(opened);
	grant(text, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[TEXT_MAX + 1];
	struct input in = { data, size };
	const uint8_t mode = take_byte(&in);
	const int format = mode & 1 ? JWE : CBC;
	const uint8_t *header, *bytes;
	uint32_t where;
	uint8_t *opened, to;
	size_t n, header_len;
	int len;

	config = (struct config){
		.n_keys = 1,
		.accept_cbc = true,
		.accept_jwe = true,
		.payload_lifetime = 300,
	};
	config.keys[0] = key;
	if (mode & 64)
		snprintf(config.allowed_hosts, sizeof(config.allowed_hosts),
			 "*.example.com, 10.0.0.0/8, 2001:db8::/32");
	switch (mode >> 1 & 3) {
	case 0:
		bytes = take_bytes(&in, TEXT_MAX, &n);
		for (int i = 0; i < FORMATS; i++) {
			open_text(i, (const char *)bytes, n, &opened);
			free(opened);
		}
		grant((const char *)bytes, n);
		break;
	case 1:
		bytes = take_bytes(&in, PLAIN_MAX, &n);
		len = seal[format](bytes, n, text);
		REQUIRE(len > 0, "sealing: %d", len);
		require_same(format, text, (size_t)len, bytes, n);
		break;
	case 2:
		where = take_number(&in, 2);
		to = take_byte(&in);
		bytes = take_bytes(&in, PLAIN_MAX, &n);
		len = seal[format](bytes, n, text);
		REQUIRE(len > 0, "sealing: %d", len);
		change(format, text, (size_t)len, where, to);
		break;
	default:
		header = take_bytes(&in, take_byte(&in), &header_len);
		bytes = take_bytes(&in, PLAIN_MAX, &n);
		own_header(header, header_len, bytes, n);
		break;
	}
	return 0;
}
