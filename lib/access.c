/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens payloads of both formats, and checks their host and claims.
 */
#include "lib/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "lib/error.h"
#include "lib/form.h"
#include "lib/host.h"
#include "lib/jwe.h"
#include "lib/pages.h"

/* Sets a->why. Returns code. */
#define fail(a, code, ...) error_why((a)->why, sizeof((a)->why), code, __VA_ARGS__)

/* --- opening ------------------------------------------------------------------------------ */

/* Opens the original's format with the first key that yields a console. */
static int open_cbc(struct access *a, const struct config *config, const char *text, size_t len, uint8_t *plain,
		    size_t size)
{
	const char *why = form_error_cbc(text, len), *schema = NULL;
	int rc = ERR_PAYLOAD_INVALID;

	a->format = "cbc";
	if (why)
		return fail(a, rc, "%s", why);
	why = "made with another key, or changed on the way";
	for (size_t i = 0; i < config->n_keys && rc == ERR_PAYLOAD_INVALID; i++) {
		rc = crypto_open_cbc(config->keys[i].key, text, len, plain, size);
		if (rc >= 0)
			rc = payload_parse((const char *)plain, (size_t)rc, &a->console, NULL, &schema);
		/* A wrong key yields valid padding in about 1 of 256 cases, but never JSON. */
		if (rc == ERR_PAYLOAD_INVALID && schema)
			why = strcmp(schema, PAYLOAD_NOT_JSON) != 0 ?
				      schema :
				      "made with another key, or not from a JSON object";
		if (rc == OK)
			memcpy(a->kid, config->keys[i].kid, sizeof(a->kid));
	}
	if (rc < 0)
		return fail(a, rc, "%s", why);
	/* Accept a wrong ticket, as the original does: the answer to an unauthenticated payload
	 * must not depend on its contents. Only the log gets the reason. */
	why = console_ticket_error(&a->console);
	if (why)
		snprintf(a->why, sizeof(a->why), "%s", why);
	return OK;
}

/* Reads the cluster file that the console's payload names, or that lists its host. Completes the
 * console from it. */
static int use_cluster(struct access *a, const struct config *config)
{
	struct console *c = &a->console;
	const bool named = *c->cluster;
	char why[512];
	int rc = named ? cluster_find(config, c->cluster, &a->cluster, why, sizeof(why)) :
			 cluster_find_host(config, c, &a->cluster, why, sizeof(why));

	if (rc < 0)
		return fail(a, rc, "%s", why);
	if (rc == CLUSTER_NONE && named)
		return fail(a, ERR_PAYLOAD_INVALID, "cluster is not the name of a cluster file of proxxy");
	if (rc == CLUSTER_NONE && !*c->ticket)
		return fail(a, ERR_PAYLOAD_INVALID, "ticket is missing, and no cluster file lists host");
	if (rc == CLUSTER_NONE)
		return OK;
	cluster_use_host(&a->cluster.hosts[0], c);
	a->own_token = !*c->ticket;
	if (a->own_token)
		memcpy(c->ticket, a->cluster.token, sizeof(c->ticket));
	return OK;
}

static int open_jwe(struct access *a, const struct config *config, const char *text, size_t len, uint8_t *plain,
		    size_t size)
{
	const struct key *key;
	const char *why = form_error_jwe(text, len);
	int rc = why ? ERR_PAYLOAD_INVALID : jwe_open(config->keys, config->n_keys, text, len, plain, size, &key, &why);

	a->format = "jwe";
	if (rc < 0)
		return fail(a, rc, "%s", why);
	a->authenticated = true;
	memcpy(a->kid, key->kid, sizeof(a->kid));
	rc = payload_parse((const char *)plain, (size_t)rc, &a->console, &a->claims, &why);
	if (rc == OK)
		why = payload_ticket_error(&a->console, &a->claims);
	/* Reject a wrong ticket now: Proxmox would only answer 401, after 3 s. */
	if (why)
		return fail(a, ERR_PAYLOAD_INVALID, "%s", why);
	return a->console.late ? use_cluster(a, config) : OK;
}

/* Returns false if PROXXY_ALLOWED_HOSTS rules the console's host out. For a name, this is only what
 * can be decided before DNS; connect_any() in session/dial.c checks its addresses. */
static bool may_connect(const struct config *config, const struct console *c)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const enum host_verdict verdict = host_list_judge(config->allowed_hosts, c->host);

	if (inet_pton(AF_INET, c->host, &v4.sin_addr) == 1)
		return host_address_allowed(config->allowed_hosts, (struct sockaddr *)&v4, verdict);
	if (inet_pton(AF_INET6, c->host, &v6.sin6_addr) == 1)
		return host_address_allowed(config->allowed_hosts, (struct sockaddr *)&v6, verdict);
	return verdict != HOST_REFUSED;
}

int access_open(struct access *a, const struct config *config, const char *text, size_t len)
{
	static uint8_t plain[HTTP_HEAD_MAX] PAGED;
	const bool jwe = jwe_looks_like(text, len);
	int rc;

	memset(a, 0, offsetof(struct access, cluster));
	a->cluster.token[0] = '\0';
	if (*a->cluster.name) /* else do not touch the page */
		a->cluster.name[0] = '\0';
	/* Blame the setting only if the text is well-formed in the format that is not accepted;
	 * open_cbc() says what is wrong with any other text. */
	if (jwe ? !config->accept_jwe : !config->accept_cbc && !form_error_cbc(text, len))
		return fail(a, ERR_PAYLOAD_INVALID, "PROXXY_PAYLOADS does not accept this format");
	rc = (jwe ? open_jwe : open_cbc)(a, config, text, len, plain, sizeof(plain));
	/* The plaintext is shorter than its payload. */
	OPENSSL_cleanse(plain, len < sizeof(plain) ? len : sizeof(plain));
	pages_release(plain, sizeof(plain));
	/* The outcome's words, a colon and this text must fit into a Close's 123 bytes. */
	if (rc == OK && !*a->cluster.name && !may_connect(config, &a->console))
		rc = fail(a, a->authenticated ? ERR_HOST_FORBIDDEN : ERR_PAYLOAD_INVALID,
			  *config->allowed_hosts ?
				  "host is not in PROXXY_ALLOWED_HOSTS" :
				  "host is loopback, link-local or metadata and not in PROXXY_ALLOWED_HOSTS");
	return rc;
}

/* True if PROXXY_NOT_BEFORE takes the payload back. A payload without iat counts as made as early
 * as its exp allowed, so that none made before can be used. */
static bool is_withdrawn(const struct config *config, const struct claims *c)
{
	return config->not_before > (c->issued ? c->issued : c->expires - config->payload_lifetime);
}

/* --- checks ------------------------------------------------------------------------------- */

int access_check(struct access *a, const struct config *config, int64_t now, struct slice origin, const char *client)
{
	const struct claims *c = &a->claims;

	if (!a->authenticated)
		return OK;
	if (now > c->expires + ACCESS_LEEWAY)
		return fail(a, ERR_PAYLOAD_EXPIRED, "exp was %lld s ago", (long long)(now - c->expires));
	if (c->expires > now + config->payload_lifetime + ACCESS_LEEWAY)
		return fail(a, ERR_PAYLOAD_INVALID, "exp is %lld s ahead, more than PROXXY_PAYLOAD_LIFETIME",
			    (long long)(c->expires - now));
	if (is_withdrawn(config, c))
		return fail(a, ERR_PAYLOAD_WITHDRAWN, "it was made before PROXXY_NOT_BEFORE");
	if (c->not_before > now + ACCESS_LEEWAY)
		return fail(a, ERR_PAYLOAD_EARLY, "nbf is %lld s ahead", (long long)(c->not_before - now));
	if (*c->origin && (!origin.at || !host_origin_allowed(c->origin, origin.at, origin.len)))
		return fail(a, ERR_ORIGIN, "the payload is for another origin");
	if (*c->client && !host_in_network(c->client, client))
		return fail(a, ERR_CLIENT_ADDRESS, "the payload is for another client address");
	return OK;
}

void access_wipe(struct access *a)
{
	char *const begin = a->console.user, *const end = (char *)a->cluster.fingerprints;

	console_wipe(&a->console);
	cluster_wipe(&a->cluster);
	free(a->claims.ca);
	OPENSSL_cleanse(&a->claims, sizeof(a->claims));
	pages_release(begin, (size_t)(end - begin) + sizeof(a->cluster.fingerprints));
}
