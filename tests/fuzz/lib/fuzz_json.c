/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes payload.h with any bytes as a payload's JSON. A console and claims that result must be
 * valid. After an error there must be no result. A reference parser (RFC 8259) must agree on what
 * is JSON, whatever json-c's version.
 */
#include "tests/fuzz/lib/reference_json.h"

#include <arpa/inet.h>

#include "lib/error.h"
#include "lib/payload.h"
#include "lib/strict_json.h"

/* Characters that cannot end a header line. */
static bool no_controls(const char *s, size_t max)
{
	const size_t len = strnlen(s, max + 1);

	for (size_t i = 0; i < len; i++)
		if ((uint8_t)s[i] < 0x20 || s[i] == 0x7F)
			return false;
	return len <= max;
}

static bool only(const char *s, const char *also)
{
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
		      strchr(also, *s)))
			return false;
	return true;
}

static void require_host(const struct console *c)
{
	struct in6_addr address;
	struct in_addr address4;

	REQUIRE(*c->host && strnlen(c->host, sizeof(c->host)) <= CONSOLE_HOST_MAX, "host");
	if (c->host_is_address)
		REQUIRE(inet_pton(AF_INET, c->host, &address4) == 1 || inet_pton(AF_INET6, c->host, &address) == 1,
			"host %s", c->host);
	else /* and no name that the resolver would parse as an address: "127.1", "0x7f000001" */
		REQUIRE(only(c->host, "-.") && inet_aton(c->host, &address4) == 0, "host %s", c->host);
}

/* A console ticket is there as a whole, or it is requested and not there at all. */
static void require_ticket(const struct console *c)
{
	REQUIRE(c->late || (*c->vncticket && c->vnc_port >= 1 && *c->node && *c->ticket && !*c->csrf && !*c->cluster),
		"a ticket without a part");
	REQUIRE(!c->late || (!*c->vncticket && !c->vnc_port && !*c->password && !*c->user && c->login),
		"a part of a ticket");
	REQUIRE(c->login || (!*c->password && !*c->user), "a login without a reason");
	REQUIRE(c->late || !c->login || (c->terminal ? *c->user && !*c->password : *c->password && !*c->user),
		"a login");
	REQUIRE(no_controls(c->ticket, CONSOLE_TICKET_MAX) && no_controls(c->vncticket, CONSOLE_VNCTICKET_MAX) &&
			no_controls(c->csrf, CONSOLE_CSRF_MAX) && no_controls(c->password, CONSOLE_PASSWORD_MAX) &&
			no_controls(c->user, CONSOLE_USER_MAX) && !strchr(c->user, ':'),
		"a control character");
}

static void require_console(const struct console *c)
{
	REQUIRE(c->vmid >= 1 && c->vmid <= CONSOLE_VMID_MAX, "vmid %u", c->vmid);
	REQUIRE(strcmp(c->type, "qemu") == 0 || strcmp(c->type, "lxc") == 0, "type %s", c->type);
	if (*c->cluster)
		REQUIRE(!*c->host && *c->cluster != '.' && strnlen(c->cluster, sizeof(c->cluster)) <= KEY_NAME_MAX &&
				only(c->cluster, "-_."),
			"cluster %s", c->cluster);
	else
		require_host(c);
	REQUIRE(strnlen(c->node, sizeof(c->node)) <= CONSOLE_HOST_MAX && only(c->node, "-."), "node %s", c->node);
	require_ticket(c);
}

static void require_claims(const struct claims *c)
{
	REQUIRE(c->expires >= 1 && c->not_before >= 0, "exp, nbf");
	REQUIRE(c->expires <= INT64_C(253402300799) && c->not_before <= INT64_C(253402300799), "year 9999");
	REQUIRE(no_controls(c->jti, CLAIMS_JTI_MAX), "jti");
	REQUIRE(no_controls(c->origin, HOST_ORIGIN_MAX) && !strpbrk(c->origin, ",* \t"), "origin %s", c->origin);
	REQUIRE(!*c->origin || strstr(c->origin, "://"), "origin %s", c->origin);
	REQUIRE(strnlen(c->client, sizeof(c->client)) <= CLAIMS_NETWORK_MAX && only(c->client, ".:/"), "client %s",
		c->client);
	REQUIRE(c->session_max >= 0 && c->session_max <= CLAIMS_SESSION_MAX, "session_max %d", c->session_max);
	REQUIRE(!c->ca || (strlen(c->ca) <= CLAIMS_CA_MAX && strstr(c->ca, "BEGIN CERTIFICATE")), "ca");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct console plain, with_claims, untouched;
	static struct claims claims, untouched_claims;
	const char *why = NULL, *why_claims = NULL;
	int rc, rc_claims;

	bool is_json = reference_json(data, size);
	struct json_object *object = strict_json_parse((const char *)data, size);

	REQUIRE((object != NULL) == is_json, "is it JSON: %d", is_json);
	strict_json_wipe(object);
	memset(&untouched, 0xEE, sizeof(untouched));
	memset(&untouched_claims, 0xEE, sizeof(untouched_claims));
	plain = with_claims = untouched;
	claims = untouched_claims;
	rc = payload_parse((const char *)data, size, &plain, NULL, &why);
	rc_claims = payload_parse((const char *)data, size, &with_claims, &claims, &why_claims);

	/* A payload may have a byte order mark before its JSON. */
	if (size >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0)
		is_json = reference_json(data + 3, size - 3);
	REQUIRE(is_json || (rc < 0 && strcmp(why, "not a JSON object") == 0), "no JSON");
	REQUIRE(rc == OK || (rc == ERR_PAYLOAD_INVALID && why && *why), "%d", rc);
	REQUIRE(rc_claims == OK || (rc_claims == ERR_PAYLOAD_INVALID && why_claims && *why_claims), "%d", rc_claims);
	/* Only a payload with claims may leave the console ticket to proxxy. */
	REQUIRE(rc == OK || rc_claims < 0 || with_claims.late, "claims make no console");
	REQUIRE(rc < 0 || (!plain.late && !plain.login), "a payload without claims that proxxy logs in with");
	REQUIRE(rc == OK || memcmp(&plain, &untouched, sizeof(plain)) == 0, "written without success");
	REQUIRE(rc_claims == OK || memcmp(&with_claims, &untouched, sizeof(plain)) == 0, "written without success");
	REQUIRE(rc_claims == OK || memcmp(&claims, &untouched_claims, sizeof(claims)) == 0, "written without success");
	if (rc == OK)
		require_console(&plain);
	if (rc_claims == OK) {
		REQUIRE(with_claims.late || (strcmp(plain.host, with_claims.host) == 0 &&
					     strcmp(plain.ticket, with_claims.ticket) == 0),
			"the same console");
		require_console(&with_claims);
		require_claims(&claims);
		free(claims.ca);
	}
	return 0;
}
