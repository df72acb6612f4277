/* SPDX-License-Identifier: Apache-2.0
 *
 * Adds the claims of time and single use, checks details, and seals them.
 */
#include "url/seal.h"

#include <json-c/json.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <time.h>

#include "crypto.h"
#include "lib/error.h"
#include "lib/jwe.h"
#include "lib/payload.h"
#include "lib/strict_json.h"
#include "url/options.h"

enum { JTI_BYTES = 16 }; /* random bytes of a jti, as many as a UUID has */

bool seal_is_link(struct json_object *details)
{
	return !strict_json_has(details, "vncticket") && !strict_json_has(details, "port");
}

/* Adds the claims that details does not have yet. */
static int add_claims(struct json_object *details, const struct seal_options *o, char *why, size_t size)
{
	const bool link = seal_is_link(details);
	const int64_t now = time(NULL);
	const int lifetime = o->lifetime ? o->lifetime : link ? URL_LIFETIME_DEFAULT : URL_LIFETIME_ASKED;
	uint8_t random[JTI_BYTES];
	char jti[2 * JTI_BYTES + 1];

	if (!strict_json_has(details, "iat"))
		strict_json_add_integer(details, "iat", now);
	if (!strict_json_has(details, "exp"))
		strict_json_add_integer(details, "exp", now + lifetime);
	if (strict_json_has(details, "jti") || (link && !o->once))
		return OK;
	if (RAND_bytes(random, sizeof(random)) != 1 ||
	    crypto_base64url_encode(random, sizeof(random), jti, sizeof(jti)) < 0)
		return error_why(why, size, ERR_SYSTEM, "OpenSSL has no random bytes");
	strict_json_add_string(details, "jti", jti);
	return OK;
}

/* Checks the text of the details as proxxy will. */
static int check(const char *text, size_t len, bool cbc, char *why, size_t size)
{
	static struct console console; /* too large for the stack */
	struct claims claims = { 0 };
	const char *phrase;

	if (payload_parse(text, len, &console, cbc ? NULL : &claims, &phrase) < 0)
		return error_why(why, size, ERR_PAYLOAD_INVALID, "proxxy would refuse this payload: %s", phrase);
	phrase = payload_ticket_error(&console, &claims);
	console_wipe(&console);
	free(claims.ca);
	return phrase ? error_why(why, size, ERR_PAYLOAD_INVALID, "%s would refuse this payload: %s",
				  console.late ? "proxxy" : "Proxmox", phrase) :
			OK;
}

int seal_details(struct json_object *details, const struct seal_options *o, const struct key *key,
		 char payload[SEAL_PAYLOAD_MAX], char *why, size_t size)
{
	const char *text;
	size_t len;
	int rc;

	if (o->cbc && seal_is_link(details))
		return error_why(why, size, ERR_PAYLOAD_INVALID,
				 "vncticket and port are missing: proxxy requests a console only for a JWE, which is "
				 "authenticated");
	rc = o->cbc ? OK : add_claims(details, o, why, size);
	if (rc < 0)
		return rc;
	text = json_object_to_json_string_length(details, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
						 &len);
	rc = check(text, len, o->cbc, why, size);
	if (rc < 0)
		return rc;
	rc = o->cbc ? crypto_seal_cbc(key->key, (const uint8_t *)text, len, payload, SEAL_PAYLOAD_MAX) :
		      jwe_seal(key, (const uint8_t *)text, len, payload, SEAL_PAYLOAD_MAX);
	return rc < 0 ? error_why(why, size, ERR_PAYLOAD_INVALID, "the details are too long for a URL") : OK;
}
