/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the contents of a payload and the verdict, as text or JSON.
 */
#include "url/explain.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/access.h"
#include "lib/config.h"
#include "lib/error.h"
#include "lib/jwe.h"
#include "lib/strict_json.h"
#include "lib/terminal.h"
#include "lib/uri.h"

/* Copies the payload from text: all of text, plain or URL-encoded, or the parameter of a URL.
 * Returns its length, or -1. */
static int find_payload(char *text, char payload[EXPLAIN_PAYLOAD_MAX])
{
	static char query[sizeof("?payload=") + EXPLAIN_PAYLOAD_MAX];
	const char *parameter = strstr(text, "payload=");
	size_t len;
	int n;

	text += strspn(text, " \t\r\n");
	text[strcspn(text, " \t\r\n")] = '\0';
	if (!parameter) {
		len = strlen(text);
		if (len == 0 || len >= EXPLAIN_PAYLOAD_MAX)
			return -1;
		if (strchr(text, '%')) { /* URL-encoded */
			snprintf(query, sizeof(query), "?payload=%s", text);
			n = uri_query((struct slice){ query, strlen(query) }, "payload", payload, EXPLAIN_PAYLOAD_MAX);
			OPENSSL_cleanse(query, len);
			return n;
		}
		memcpy(payload, text, len + 1);
		return (int)len;
	}
	/* The parameter may also be in the URL's fragment. So make it a query of its own. */
	text = (char *)(uintptr_t)parameter - 1;
	*text = '?';
	return uri_query((struct slice){ text, strcspn(text, "#") }, "payload", payload, EXPLAIN_PAYLOAD_MAX);
}

/* --- printing ----------------------------------------------------------------------------- */

static void print_time(const char *name, int64_t when)
{
	const time_t seconds = (time_t)when; /* a 32-bit time_t ends in 2038 */
	const long long left = (long long)(when - time(NULL));
	struct tm utc;
	char text[64] = "?";

	if (seconds == when && gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	printf("%-11s %s, %lld s %s\n", name, text, left < 0 ? -left : left, left < 0 ? "ago" : "ahead");
}

/* Prints text[0..len), which comes from the payload. Replaces all but printable ASCII, because a
 * terminal obeys control characters. */
static void print_untrusted(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		putchar(text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?');
}

/* Prints the user and token name in a ticket, but not its secret part. */
static void print_ticket(const char *name, const char *ticket)
{
	static const char token[] = "PVEAPIToken=", cookie[] = "PVE:";
	size_t shown = 0;

	if (strncmp(ticket, token, strlen(token)) == 0) {
		const char *equals = strchr(ticket + strlen(token), '=');

		shown = equals ? (size_t)(equals - ticket) + 1 : 0;
	} else if (strncmp(ticket, cookie, strlen(cookie)) == 0) {
		shown = strlen(cookie) + strcspn(ticket + strlen(cookie), ":");
	}
	printf("%-11s ", name);
	print_untrusted(ticket, shown);
	printf("… (%zu bytes)\n", strlen(ticket));
}

/* Prints the payload for people. Nothing in the output can open a console. */
static void print_text(const struct access *a, int port, const char *verdict)
{
	static const char no_jti[] = "none: the payload can be used more than once until exp";
	const char *jti = *a->claims.jti ? a->claims.jti : no_jti;
	const struct console *c = &a->console;
	char host[CONSOLE_AUTHORITY_MAX];

	printf("%-11s %s%s%s\n", "format", a->format, *a->kid ? ", key " : "", a->kid);
	if (c->vmid != 0) {
		printf("%-11s %s %u on node %s, console port %u\n", "guest", c->type, c->vmid, c->node, c->vnc_port);
		printf("%-11s %s\n", "host", console_authority(c, port, host));
		print_ticket("ticket", c->ticket);
		print_ticket("vncticket", c->vncticket);
	}
	if (a->authenticated && c->vmid != 0) {
		print_time("exp", a->claims.expires);
		if (a->claims.not_before)
			print_time("nbf", a->claims.not_before);
		printf("%-11s ", "jti");
		print_untrusted(jti, strlen(jti));
		putchar('\n');
		printf("%-11s %s\n", "origin", *a->claims.origin ? a->claims.origin : "any");
		printf("%-11s %s\n", "client", *a->claims.client ? a->claims.client : "any");
		if (a->claims.session_max)
			printf("%-11s %d s\n", "session_max", a->claims.session_max);
		printf("%-11s %s\n", "trust",
		       a->claims.has_fingerprint ? "the certificate with the payload's fingerprint" :
		       a->claims.ca              ? "the payload's CA" :
						   "proxxy's settings");
	}
	printf("%-11s %s\n", "verdict", verdict);
}

/* Prints the payload for programs, including secrets. */
static void print_json(const struct access *a, int port, const char *verdict, bool accepted)
{
	struct json_object *object = json_object_new_object();
	const struct console *c = &a->console;

	strict_json_add_string(object, "format", a->format);
	if (*a->kid)
		strict_json_add_string(object, "kid", a->kid);
	json_object_object_add(object, "accepted", json_object_new_boolean(accepted));
	strict_json_add_string(object, "verdict", verdict);
	if (c->vmid != 0) {
		char host[CONSOLE_AUTHORITY_MAX];

		strict_json_add_integer(object, "vmid", c->vmid);
		strict_json_add_string(object, "type", c->type);
		strict_json_add_string(object, "host", console_authority(c, port, host));
		strict_json_add_string(object, "node", c->node);
		strict_json_add_string(object, "ticket", c->ticket);
		strict_json_add_string(object, "vncticket", c->vncticket);
		strict_json_add_integer(object, "port", c->vnc_port);
	}
	if (a->authenticated && c->vmid != 0) {
		strict_json_add_integer(object, "exp", a->claims.expires);
		if (a->claims.not_before)
			strict_json_add_integer(object, "nbf", a->claims.not_before);
		if (*a->claims.jti)
			strict_json_add_string(object, "jti", a->claims.jti);
		if (*a->claims.origin)
			strict_json_add_string(object, "origin", a->claims.origin);
		if (*a->claims.client)
			strict_json_add_string(object, "client", a->claims.client);
		if (a->claims.session_max)
			strict_json_add_integer(object, "session_max", a->claims.session_max);
		if (a->claims.has_fingerprint) {
			char fingerprint[2 * CRYPTO_FINGERPRINT_LEN + 1];

			crypto_hex_encode(fingerprint, a->claims.fingerprint, CRYPTO_FINGERPRINT_LEN);
			strict_json_add_string(object, "fingerprint", fingerprint);
		}
		if (a->claims.ca)
			strict_json_add_string(object, "ca", a->claims.ca);
	}
	terminal_print_json(object);
	strict_json_wipe(object);
}

/* Checks the claims and writes the verdict. Does not check origin and client, which depend on who
 * connects, nor whether the jti was used, which only proxxy knows. Returns access_check()'s
 * result. */
static int check_claims(const struct access *a, const struct config *config, char *verdict, size_t size)
{
	struct access anyone = *a;
	int rc;

	anyone.claims.origin[0] = anyone.claims.client[0] = '\0';
	rc = access_check(&anyone, config, time(NULL), (struct slice){ NULL, 0 }, "");
	snprintf(verdict, size, "proxxy %s%s%s%s",
		 rc == OK ? "accepts it now" : "refuses it: ", rc == OK ? "" : error_info(rc)->words,
		 !*anyone.why ? "" :
		 rc == OK     ? ", but Proxmox will refuse it: " :
				": ",
		 anyone.why);
	OPENSSL_cleanse(&anyone, sizeof(anyone));
	return rc;
}

int explain_payload(char *text, const struct key *keys, size_t n_keys, bool json, char *why, size_t size)
{
	static char payload[EXPLAIN_PAYLOAD_MAX];
	static struct config config;
	static struct access access;
	char verdict[256];
	int n = find_payload(text, payload), rc;

	if (n <= 0) {
		snprintf(why, size, "standard input contains no payload of at most %d bytes", EXPLAIN_PAYLOAD_MAX - 1);
		return ERR_PAYLOAD_MISSING;
	}
	rc = config_load_settings(&config, why, size);
	keys_wipe();
	if (rc < 0)
		return rc;
	why[0] = '\0';
	memcpy(config.keys, keys, n_keys * sizeof(*keys));
	config.n_keys = n_keys;
	rc = access_open(&access, &config, payload, (size_t)n);
	if (rc == OK)
		rc = check_claims(&access, &config, verdict, sizeof(verdict));
	else
		snprintf(verdict, sizeof(verdict), "proxxy refuses it: %s: %s", error_info(rc)->words, access.why);
	config_wipe_keys(&config);
	if (!access.format)
		access.format = jwe_looks_like(payload, (size_t)n) ? "jwe" : "cbc";
	OPENSSL_cleanse(payload, (size_t)n);
	if (json)
		print_json(&access, config.upstream_port, verdict, rc == OK);
	else
		print_text(&access, config.upstream_port, verdict);
	access_wipe(&access);
	return rc;
}
