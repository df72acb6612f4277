/* SPDX-License-Identifier: Apache-2.0
 *
 * What a payload says, see explain.h.
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

/* Finds the payload in text: all of text, plain or URL-encoded, or a URL's parameter. Returns its
 * length, or -1. */
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
	/* As the query's first parameter, wherever in the URL it was. */
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

/* Prints text[0..len), which the payload's maker chose. Only printable ASCII gets to the
 * terminal. */
static void print_free(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		putchar(text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?');
}

/* A ticket's identity without what makes it a secret. */
static void print_ticket(const char *name, const char *ticket)
{
	const char *token = strncmp(ticket, "PVEAPIToken=", strlen("PVEAPIToken=")) == 0 ? strchr(ticket + strlen("PVEAPIToken="), '=') : NULL;
	const bool cookie = strncmp(ticket, "PVE:", strlen("PVE:")) == 0;
	const size_t shown = token ? (size_t)(token - ticket) + 1 : cookie ? 4 + strcspn(ticket + 4, ":") : 0;

	printf("%-11s ", name);
	print_free(ticket, shown);
	printf("… (%zu bytes)\n", strlen(ticket));
}

/* For people: nothing in it opens a console. */
static void print_text(const struct access *a, int port, const char *verdict)
{
	static const char no_jti[] = "none: it can be used again until exp";
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
		print_free(*a->claims.jti ? a->claims.jti : no_jti, strlen(*a->claims.jti ? a->claims.jti : no_jti));
		putchar('\n');
		printf("%-11s %s\n", "origin", *a->claims.origin ? a->claims.origin : "any");
		printf("%-11s %s\n", "client", *a->claims.client ? a->claims.client : "any");
		if (a->claims.session_max)
			printf("%-11s %d s\n", "session_max", a->claims.session_max);
		printf("%-11s %s\n", "trust", a->claims.has_fingerprint ? "the certificate with the payload's fingerprint" :
			       a->claims.ca ? "the payload's CA" : "proxxy's settings");
	}
	printf("%-11s %s\n", "verdict", verdict);
}

/* For programs: all of it, secrets too. */
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

/* Whether proxxy would take it now from whoever it is for. What only proxxy knows, whether it was used, aside. */
static int judge(const struct access *a, const struct config *config, char *verdict, size_t size)
{
	struct access anyone = *a;
	int rc;

	anyone.claims.origin[0] = anyone.claims.client[0] = '\0';
	rc = access_check(&anyone, config, time(NULL), (struct slice){ NULL, 0 }, "");
	snprintf(verdict, size, "proxxy %s%s%s%s", rc == OK ? "accepts it now" : "refuses it: ",
		 rc == OK ? "" : error_info(rc)->words,
		 !*anyone.why ? "" : rc == OK ? ", but Proxmox will refuse it: " : ": ", anyone.why);
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
		snprintf(why, size, "standard input holds no payload of at most %d bytes", EXPLAIN_PAYLOAD_MAX - 1);
		return ERR_PAYLOAD_MISSING;
	}
	rc = config_load_settings(&config, why, size);
	keys_forget();
	if (rc < 0)
		return rc;
	why[0] = '\0';
	memcpy(config.keys, keys, n_keys * sizeof(*keys));
	config.n_keys = n_keys;
	rc = access_open(&access, &config, payload, (size_t)n);
	if (rc == OK)
		rc = judge(&access, &config, verdict, sizeof(verdict));
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
