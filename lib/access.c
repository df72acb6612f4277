/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets which console, see access.h.
 */
#include "lib/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"
#include "lib/error.h"
#include "lib/form.h"
#include "lib/host.h"
#include "lib/jwe.h"

static int __attribute__((format(printf, 3, 4))) fail(struct access *a, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(a->why, sizeof(a->why), format, args);
	va_end(args);
	return code;
}

/* --- opening ------------------------------------------------------------------------------ */

/* The old format, with whichever key gives a console. */
static int open_cbc(struct access *a, const struct config *config, const char *text, size_t len, uint8_t *plain,
		    size_t size)
{
	const char *why = form_wrong(text, len), *schema = NULL;
	int rc = ERR_PAYLOAD_INVALID;

	a->format = "cbc";
	if (why)
		return fail(a, rc, "%s", why);
	why = "made with another key, or changed on the way";
	for (size_t i = 0; i < config->n_keys && rc == ERR_PAYLOAD_INVALID; i++) {
		rc = crypto_open_cbc(config->keys[i].key, text, len, plain, size);
		if (rc >= 0)
			rc = payload_parse((const char *)plain, (size_t)rc, &a->console, NULL, &schema);
		/* A wrong key yields valid padding in one of 256 cases, but never JSON. */
		if (rc == ERR_PAYLOAD_INVALID && schema)
			why = strcmp(schema, PAYLOAD_NOT_JSON) != 0 ? schema :
			      "made with another key, or not from a JSON object";
		if (rc == OK)
			memcpy(a->kid, config->keys[i].kid, sizeof(a->kid));
	}
	if (rc < 0)
		return fail(a, rc, "%s", why);
	/* Accepted anyway, as by the original: an unauthenticated payload must not get another
	 * answer. */
	why = console_ticket_wrong(&a->console);
	if (why)
		fail(a, OK, "%s", why);
	return OK;
}

static int open_jwe(struct access *a, const struct config *config, const char *text, size_t len, uint8_t *plain,
		    size_t size)
{
	const struct key *key;
	const char *why = form_wrong_jwe(text, len);
	int rc = why ? ERR_PAYLOAD_INVALID : jwe_open(config->keys, config->n_keys, text, len, plain, size, &key, &why);

	a->format = "jwe";
	if (rc < 0)
		return fail(a, rc, "%s", why);
	a->authenticated = true;
	memcpy(a->kid, key->kid, sizeof(a->kid));
	rc = payload_parse((const char *)plain, (size_t)rc, &a->console, &a->claims, &why);
	if (rc == OK)
		why = console_ticket_wrong(&a->console);
	/* Tell the payload's maker at once: Proxmox would only answer 401, after 3 s. */
	return why ? fail(a, ERR_PAYLOAD_INVALID, "%s", why) : OK;
}

/* An address can be judged now, a name only as far as the list goes by names. */
static bool may_dial(const struct config *config, const struct console *c)
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
	static uint8_t plain[HTTP_HEAD_MAX];
	const bool jwe = jwe_looks_like(text, len);
	int rc;

	memset(a, 0, sizeof(*a));
	if (jwe ? !config->accept_jwe : !config->accept_cbc && !form_wrong(text, len))
		return fail(a, ERR_PAYLOAD_INVALID, "PROXXY_PAYLOADS does not accept this format");
	rc = (jwe ? open_jwe : open_cbc)(a, config, text, len, plain, sizeof(plain));
	OPENSSL_cleanse(plain, len < sizeof(plain) ? len : sizeof(plain)); /* what is opened is shorter than its text */
	if (rc == OK && !may_dial(config, &a->console))
		rc = fail(a, a->authenticated ? ERR_HOST_FORBIDDEN : ERR_PAYLOAD_INVALID,
			  *config->allowed_hosts ? "its host is not in PROXXY_ALLOWED_HOSTS" :
			  "its host is loopback, link-local or a metadata service, which PROXXY_ALLOWED_HOSTS must name");
	return rc;
}

/* --- checks ------------------------------------------------------------------------------- */

int access_check(struct access *a, const struct config *config, int64_t now, struct slice origin, const char *client)
{
	const struct claims *c = &a->claims;

	if (!a->authenticated)
		return OK;
	if (now > c->expires + ACCESS_LEEWAY)
		return fail(a, ERR_PAYLOAD_EXPIRED, "%lld s ago", (long long)(now - c->expires));
	if (c->expires > now + config->payload_lifetime + ACCESS_LEEWAY)
		return fail(a, ERR_PAYLOAD_INVALID, "exp is %lld s ahead, more than PROXXY_PAYLOAD_LIFETIME",
			    (long long)(c->expires - now));
	if (c->not_before > now + ACCESS_LEEWAY)
		return fail(a, ERR_PAYLOAD_EARLY, "%lld s too early", (long long)(c->not_before - now));
	if (*c->origin && (!origin.at || !host_origin_allowed(c->origin, origin.at, origin.len)))
		return fail(a, ERR_ORIGIN, "the payload is for another origin");
	if (*c->client && !host_in_network(c->client, client))
		return fail(a, ERR_CLIENT_ADDRESS, "the payload is for another client's address");
	return OK;
}

void access_wipe(struct access *a)
{
	console_wipe(&a->console);
	free(a->claims.ca);
	OPENSSL_cleanse(&a->claims, sizeof(a->claims));
}
