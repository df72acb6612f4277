/* SPDX-License-Identifier: Apache-2.0
 *
 * Seals the payloads of fuzzed sessions.
 */
#include "tests/fuzz/session/payloads.h"

#include <openssl/evp.h>

#include "lib/jwe.h"

const struct key sealing_key = {
	.kid = "k1",
	.key = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 },
};

#define GUEST "\"vmid\":100,\"type\":\"qemu\""
#define PLAIN GUEST ",\"node\":\"pve1\",\"ticket\":\"" TICKET "\",\"vncticket\":\"" VNCTICKET "\",\"port\":\"5900\""
#define EXP ",\"exp\":1700000060"

/* WORLD_EPOCH is 1700000000. The corpus has numbers of payloads: add new ones at the end. */
static const struct {
	bool jwe;
	const char *json;
	bool login;
} plains[PAYLOADS] = {
	{ false, "{" PLAIN ",\"host\":\"pve1.example.com\"}", false },
	{ true, "{" PLAIN ",\"host\":\"192.0.2.7:8006\"" EXP "}", false },
	{ true, "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"jti\":\"one\",\"session_max\":5}", false },
	{ true,
	  "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"origin\":\"https://panel.example.com\",\"client\":\"192.0.2.0/24\"}",
	  false },
	{ true, "{" PLAIN ",\"host\":\"pve1\",\"exp\":1600000000}", false },
	{ true, "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"nbf\":1700000030}", false },
	{ true, "{" PLAIN ",\"host\":\"127.0.0.1\"" EXP "}", false },
	{ false, "{" PLAIN ",\"host\":\"[::1]:8006\"}", false },
	{ true, "{" PLAIN ",\"host\":\"pve1\",\"exp\":1900000000,\"ca\":\"-----BEGIN CERTIFICATE-----\"}", false },
	{ false, "{" PLAIN "}", false },
	/* proxxy logs in to the console, with a ticket from the payload */
	{ true, "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"password\":\"" VNC_PASSWORD "\"}", true },
	{ true, "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"protocol\":\"term\",\"user\":\"" CONSOLE_USER "\"}", true },
	/* it does not: a terminal without a user; the old format */
	{ true, "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"protocol\":\"term\",\"password\":\"x\"}", false },
	{ false, "{" PLAIN ",\"host\":\"pve1\",\"password\":\"" VNC_PASSWORD "\"}", false },
	/* without a console ticket: with the cluster file's token, a token and a user's ticket */
	{ true, "{" GUEST ",\"cluster\":\"main\",\"iat\":1700000000" EXP ",\"sub\":\"alice\"}", true },
	{ true, "{\"vmid\":101,\"type\":\"lxc\",\"host\":\"pve1\",\"protocol\":\"term\"" EXP "}", true },
	{ true, "{" GUEST ",\"host\":\"pve1\",\"node\":\"pve1\",\"ticket\":\"" TOKEN "\"" EXP "}", true },
	{ true,
	  "{" GUEST ",\"host\":\"pve1\",\"protocol\":\"term\",\"ticket\":\"" TICKET "\",\"csrf\":\"" CSRF "\"" EXP "}",
	  true },
	/* withdrawn by PROXXY_NOT_BEFORE; refused: a user's ticket without csrf */
	{ true, "{" PLAIN ",\"host\":\"pve1\"" EXP ",\"iat\":1699999000}", false },
	{ true, "{" GUEST ",\"host\":\"pve1\",\"ticket\":\"" TICKET "\"" EXP "}", true },
};
static const char *payloads[PAYLOADS];

static char *seal_cbc(const char *json)
{
	static const uint8_t iv[CRYPTO_IV_LEN] = { 0xA5, 0x5A };
	uint8_t sealed[1024];
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n = 0, last = 0, at = 0;
	char *text = malloc(4096);

	REQUIRE(strlen(json) < sizeof(sealed) - CRYPTO_IV_LEN &&
			EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, sealing_key.key, iv) == 1 &&
			EVP_EncryptUpdate(cipher, sealed, &n, (const uint8_t *)json, (int)strlen(json)) == 1 &&
			EVP_EncryptFinal_ex(cipher, sealed + n, &last) == 1,
		"AES-256-CBC");
	EVP_CIPHER_CTX_free(cipher);
	for (int i = 0; i < CRYPTO_IV_LEN; i++)
		at += sprintf(text + at, "%02x", iv[i]);
	text[at++] = ':';
	for (int i = 0; i < n + last; i++)
		at += sprintf(text + at, "%02x", sealed[i]);
	return text;
}

static char *seal_jwe(const char *json)
{
	char *text = malloc(4096);

	REQUIRE(jwe_seal(&sealing_key, (const uint8_t *)json, strlen(json), text, 4096) > 0, "sealing");
	return text;
}

const char *const *payloads_sealed(void)
{
	for (size_t i = 0; i < PAYLOADS && !payloads[i]; i++)
		payloads[i] = (plains[i].jwe ? seal_jwe : seal_cbc)(plains[i].json);
	return payloads;
}

size_t payloads_find(const void *text, size_t size)
{
	size_t i = 0;

	while (i < PAYLOADS && !memmem(text, size, payloads[i], strlen(payloads[i])))
		i++;
	return i;
}

bool payloads_log_in(size_t number)
{
	return number < PAYLOADS && plains[number].login;
}

void payloads_require_wiped(const struct access *opened, const struct config *config)
{
	static const uint8_t nothing[CRYPTO_KEY_LEN];

	REQUIRE(!opened->console.ticket[0] && !opened->console.vncticket[0] && !opened->claims.ca, "tickets are left");
	REQUIRE(!opened->console.password[0] && !opened->console.csrf[0] && !opened->cluster.token[0],
		"secrets are left");
	REQUIRE(memcmp(config->keys[0].key, nothing, sizeof(nothing)) == 0, "the key is left");
}

void payloads_require_no_secret(const void *text, size_t size, const void *from_proxmox, size_t n_from_proxmox)
{
	static const char *const secrets[] = { TICKET_SECRET, VNCTICKET_SECRET, TOKEN_SECRET, VNC_PASSWORD,
					       CSRF,          KEY_HEX };

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		REQUIRE(!memmem(text, size, secrets[i], strlen(secrets[i])) ||
				memmem(from_proxmox, n_from_proxmox, secrets[i], strlen(secrets[i])),
			"%.*s", (int)size, (const char *)text);
	REQUIRE(!memmem(text, size, sealing_key.key, CRYPTO_KEY_LEN), "%.*s", (int)size, (const char *)text);
	/* 24 characters from its middle */
	for (size_t i = 0; i < PAYLOADS; i++)
		REQUIRE(!memmem(text, size, payloads[i] + strlen(payloads[i]) / 2, 24), "%.*s", (int)size,
			(const char *)text);
}

void payloads_cluster(struct cluster *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "main");
	snprintf(ret->token, sizeof(ret->token), TOKEN);
	snprintf(ret->hosts[0].host, sizeof(ret->hosts[0].host), "pve1");
	ret->n_hosts = 1;
}
