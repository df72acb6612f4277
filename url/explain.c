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
#include <unistd.h>

#include "lib/access.h"
#include "lib/config.h"
#include "lib/error.h"
#include "lib/jwe.h"
#include "lib/strict_json.h"
#include "lib/terminal.h"
#include "lib/uri.h"

enum { EXPLAIN_TICKET_MAX = CONSOLE_TICKET_MAX + 8 }; /* bytes of a ticket's name with an ellipsis */

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

/* A payload, and what this program found out about it. */
struct view {
	struct access *access;
	int port;                /* PROXXY_UPSTREAM_PORT */
	bool accepted;           /* by proxxy, as far as we know */
	bool cluster_is_unknown; /* proxxy's cluster files cannot be read here */
	char verdict[256];
};

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

/* Writes the part of a ticket that names its user or token, and an ellipsis for the rest. */
static void shorten_ticket(const char *ticket, char *text, size_t size)
{
	static const char token[] = "PVEAPIToken=", cookie[] = "PVE:";
	size_t shown = 0;

	if (strncmp(ticket, token, strlen(token)) == 0) {
		const char *equals = strchr(ticket + strlen(token), '=');

		shown = equals ? (size_t)(equals - ticket) + 1 : 0;
	} else if (strncmp(ticket, cookie, strlen(cookie)) == 0) {
		shown = strlen(cookie) + strcspn(ticket + strlen(cookie), ":");
	}
	snprintf(text, size, "%.*s…", (int)shown, ticket);
}

/* Prints a secret: of a ticket its user or token, of others nothing. */
static void print_secret(const char *name, const char *secret)
{
	char text[EXPLAIN_TICKET_MAX];

	shorten_ticket(secret, text, sizeof(text));
	printf("%-11s ", name);
	print_untrusted(text, strlen(text) - strlen("…"));
	printf("… (%zu bytes)\n", strlen(secret));
}

/* Prints what is known of the cluster, which a payload names or which lists its host. */
static void print_cluster(const struct view *v)
{
	const struct cluster *cluster = &v->access->cluster;
	char host[CONSOLE_AUTHORITY_MAX];

	if (!*cluster->name && !*v->access->console.cluster)
		return;
	printf("%-11s %s", "cluster", *cluster->name ? cluster->name : v->access->console.cluster);
	if (v->cluster_is_unknown)
		printf(": its file is not on this machine, or you may not read it\n");
	else if (!*cluster->name)
		printf(": proxxy has no such file\n");
	for (size_t i = 0; *cluster->name && i < cluster->n_hosts; i++) {
		struct console at = { .host_port = cluster->hosts[i].port };

		memcpy(at.host, cluster->hosts[i].host, sizeof(at.host));
		printf("%s%s%s", i == 0 ? ", hosts " : ", ", console_authority(&at, v->port, host),
		       i + 1 == cluster->n_hosts ? "\n" : "");
	}
}

/* Prints whose ticket proxxy uses, and where it is. */
static void print_ticket(const struct view *v)
{
	const char *ticket = v->access->console.ticket;
	char text[EXPLAIN_TICKET_MAX] = "";

	if (*ticket && !v->access->own_token) {
		print_secret("ticket", ticket);
		return;
	}
	if (*ticket)
		shorten_ticket(ticket, text, sizeof(text));
	printf("%-11s none: proxxy uses the token in its cluster file%s%s\n", "ticket", *text ? ", " : "", text);
}

/* Prints which console the payload is for, and what is needed to get there. */
static void print_console(const struct view *v)
{
	const struct console *c = &v->access->console;
	char host[CONSOLE_AUTHORITY_MAX];

	printf("%-11s %s %u", "guest", c->type, c->vmid);
	if (!c->late)
		printf(" on node %s, console port %u\n", c->node, c->vnc_port);
	else if (*c->node)
		printf(" on node %s\n", c->node);
	else
		printf("; proxxy asks Proxmox for its node\n");
	if (c->late)
		printf("%-11s %s; proxxy requests it from Proxmox and logs in\n", "console",
		       c->terminal ? "terminal" : "VNC");
	if (!c->late && c->login)
		printf("%-11s %s; proxxy logs in\n", "console", c->terminal ? "terminal" : "VNC");
	print_cluster(v);
	if (!*c->cluster)
		printf("%-11s %s\n", "host", console_authority(c, v->port, host));
	print_ticket(v);
	if (*c->csrf)
		print_secret("csrf", c->csrf);
	if (!c->late)
		print_secret("vncticket", c->vncticket);
	if (*c->password)
		print_secret("password", c->password);
	if (*c->user) {
		printf("%-11s ", "user");
		print_untrusted(c->user, strlen(c->user));
		putchar('\n');
	}
}

/* Returns what decides whether Proxmox's certificate is trusted. */
static const char *trust(const struct access *a)
{
	if (a->claims.has_fingerprint)
		return "the certificate with the payload's fingerprint";
	if (a->claims.ca)
		return "the payload's CA";
	return *a->cluster.name && (*a->cluster.ca_file || a->cluster.n_fingerprints) ? "the cluster file" :
											"proxxy's settings";
}

static void print_claims(const struct access *a)
{
	const struct claims *c = &a->claims;
	const char *jti = *c->jti         ? c->jti :
			  a->console.late ? "none: the link opens a console each time it is used until exp" :
					    "none: the payload can be used more than once until exp";

	if (c->issued)
		print_time("iat", c->issued);
	print_time("exp", c->expires);
	if (c->not_before)
		print_time("nbf", c->not_before);
	printf("%-11s ", "jti");
	print_untrusted(jti, strlen(jti));
	putchar('\n');
	if (*c->sub) {
		printf("%-11s ", "sub");
		print_untrusted(c->sub, strlen(c->sub));
		putchar('\n');
	}
	printf("%-11s %s\n", "origin", *c->origin ? c->origin : "any");
	printf("%-11s %s\n", "client", *c->client ? c->client : "any");
	if (c->session_max)
		printf("%-11s %d s\n", "session_max", c->session_max);
	printf("%-11s %s\n", "trust", trust(a));
}

/* Prints the payload for people. Nothing in the output can open a console. */
static void print_text(const struct view *v)
{
	const struct access *a = v->access;

	printf("%-11s %s%s%s\n", "format", a->format, *a->kid ? ", key " : "", a->kid);
	if (a->console.vmid != 0) {
		print_console(v);
		if (a->authenticated)
			print_claims(a);
	}
	printf("%-11s %s\n", "verdict", v->verdict);
}

/* Adds the members of the console. Those of an older payload include its tickets, as they always
 * did. */
static void add_console(struct json_object *object, const struct view *v)
{
	const struct console *c = &v->access->console;
	char text[EXPLAIN_TICKET_MAX];

	strict_json_add_integer(object, "vmid", c->vmid);
	strict_json_add_string(object, "type", c->type);
	if (*c->cluster)
		strict_json_add_string(object, "cluster", c->cluster);
	else
		strict_json_add_string(object, "host", console_authority(c, v->port, text));
	if (*c->node)
		strict_json_add_string(object, "node", c->node);
	if (c->late || c->terminal)
		strict_json_add_string(object, "protocol", c->terminal ? "term" : "vnc");
	if (c->late && *c->ticket && !v->access->own_token) {
		shorten_ticket(c->ticket, text, sizeof(text));
		strict_json_add_string(object, "ticket", text);
	} else if (!c->late) {
		strict_json_add_string(object, "ticket", c->ticket);
		strict_json_add_string(object, "vncticket", c->vncticket);
		strict_json_add_integer(object, "port", c->vnc_port);
	}
	if (*c->csrf)
		strict_json_add_string(object, "csrf", "…");
	if (*c->password)
		strict_json_add_string(object, "password", "…");
	if (*c->user)
		strict_json_add_string(object, "user", c->user);
}

static void add_claims(struct json_object *object, const struct claims *c)
{
	if (c->issued)
		strict_json_add_integer(object, "iat", c->issued);
	strict_json_add_integer(object, "exp", c->expires);
	if (c->not_before)
		strict_json_add_integer(object, "nbf", c->not_before);
	if (*c->jti)
		strict_json_add_string(object, "jti", c->jti);
	if (*c->sub)
		strict_json_add_string(object, "sub", c->sub);
	if (*c->origin)
		strict_json_add_string(object, "origin", c->origin);
	if (*c->client)
		strict_json_add_string(object, "client", c->client);
	if (c->session_max)
		strict_json_add_integer(object, "session_max", c->session_max);
	if (c->has_fingerprint) {
		char fingerprint[2 * CRYPTO_FINGERPRINT_LEN + 1];

		crypto_hex_encode(fingerprint, c->fingerprint, CRYPTO_FINGERPRINT_LEN);
		strict_json_add_string(object, "fingerprint", fingerprint);
	}
	if (c->ca)
		strict_json_add_string(object, "ca", c->ca);
}

/* Prints the payload for programs. */
static void print_json(const struct view *v)
{
	struct json_object *object = json_object_new_object();
	const struct access *a = v->access;

	strict_json_add_string(object, "format", a->format);
	if (*a->kid)
		strict_json_add_string(object, "kid", a->kid);
	json_object_object_add(object, "accepted", json_object_new_boolean(v->accepted));
	strict_json_add_string(object, "verdict", v->verdict);
	if (a->console.vmid != 0) {
		add_console(object, v);
		if (a->authenticated)
			add_claims(object, &a->claims);
	}
	terminal_print_json(object);
	strict_json_wipe(object);
}

/* --- verdict ------------------------------------------------------------------------------ */

/* Checks the claims and writes the verdict. Does not check origin and client, which depend on who
 * connects, nor whether the jti was used, which only proxxy knows. Returns access_check()'s
 * result. */
static int check_claims(struct view *v, const struct config *config)
{
	struct access *const a = v->access;
	char origin[sizeof(a->claims.origin)], client[sizeof(a->claims.client)];
	int rc;

	memcpy(origin, a->claims.origin, sizeof(origin));
	memcpy(client, a->claims.client, sizeof(client));
	a->claims.origin[0] = a->claims.client[0] = '\0';
	rc = access_check(a, config, time(NULL), (struct slice){ NULL, 0 }, "");
	memcpy(a->claims.origin, origin, sizeof(origin));
	memcpy(a->claims.client, client, sizeof(client));
	if (rc == OK && v->cluster_is_unknown)
		snprintf(v->verdict, sizeof(v->verdict), "proxxy accepts it now, if it has %s%s",
			 *a->console.cluster ? "the cluster file " : "a cluster file that lists the host",
			 a->console.cluster);
	else
		snprintf(v->verdict, sizeof(v->verdict), "proxxy %s%s%s%s",
			 rc == OK ? "accepts it now" : "refuses it: ", rc == OK ? "" : error_info(rc)->words,
			 !*a->why ? "" :
			 rc == OK ? ", but Proxmox will refuse it: " :
				    ": ",
			 a->why);
	return rc;
}

/* A settings_use_file. Returns 1 for a file that this user may not read. */
static int is_unreadable(void *argument, const char *path)
{
	(void)argument;
	return access(path, R_OK) != 0;
}

/* Returns true if access_open() failed only because this user cannot see proxxy's cluster files:
 * proxxy runs on another machine, or as a user that may read them. */
static bool cluster_is_unknown(const struct access *a, const struct config *config)
{
	const struct console *c = &a->console;
	char why[256];

	return a->authenticated && c->late && !*a->cluster.name && (*c->cluster || !*c->ticket) &&
	       (access(config->cluster_directory, R_OK | X_OK) != 0 ||
		settings_each_file(config->cluster_directory, is_unreadable, NULL, why, sizeof(why)) != OK);
}

/* Opens and checks the payload. Returns the error of the refusal, or 0. */
static int judge(struct view *v, const struct config *config, const char *payload, size_t len)
{
	struct access *const a = v->access;
	int rc = access_open(a, config, payload, len);

	v->cluster_is_unknown = rc < 0 && cluster_is_unknown(a, config);
	if (v->cluster_is_unknown) { /* which is all that a->why says */
		const char *phrase = payload_ticket_error(&a->console, &a->claims);

		v->cluster_is_unknown = !phrase;
		snprintf(a->why, sizeof(a->why), "%s", phrase ? phrase : "");
	}
	if (rc == OK || v->cluster_is_unknown)
		rc = check_claims(v, config);
	else
		snprintf(v->verdict, sizeof(v->verdict), "proxxy refuses it: %s: %s", error_info(rc)->words, a->why);
	if (!a->format)
		a->format = jwe_looks_like(payload, len) ? "jwe" : "cbc";
	v->accepted = rc == OK;
	return rc;
}

int explain_payload(char *text, const struct key *keys, size_t n_keys, bool json, char *why, size_t size)
{
	static char payload[EXPLAIN_PAYLOAD_MAX];
	static struct config config;
	static struct access opened;
	struct view v = { .access = &opened };
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
	rc = judge(&v, &config, payload, (size_t)n);
	v.port = config.upstream_port;
	config_wipe_keys(&config);
	OPENSSL_cleanse(payload, (size_t)n);
	(json ? print_json : print_text)(&v);
	access_wipe(&opened);
	return rc;
}
