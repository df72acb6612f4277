/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses and validates the JSON of a payload.
 */
#include "lib/payload.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/slice.h"
#include "lib/strict_json.h"

static const int64_t CLAIMS_DATE_MAX = INT64_C(253402300799); /* the end of year 9999 */

/* Parses s[0..len), a decimal number from 1 to 65535. Returns it, or 0 for any other text. */
static uint16_t parse_port(const char *s, size_t len)
{
	unsigned port = 0;

	return slice_number((struct slice){ s, len }, UINT16_MAX, &port) ? (uint16_t)port : 0;
}

int payload_parse_host(const char *text, struct console *ret_console)
{
	const char *host = text, *port = NULL;
	size_t len = strlen(text);
	uint16_t host_port = 0;
	char name[CONSOLE_HOST_MAX + 1];
	bool ipv6 = false, ipv4 = false;

	if (text[0] == '[') {
		const char *bracket = strchr(text, ']');

		if (!bracket || (bracket[1] != '\0' && bracket[1] != ':'))
			return ERR_PAYLOAD_INVALID;
		host = text + 1;
		len = (size_t)(bracket - host);
		if (bracket[1] == ':')
			port = bracket + 2;
		ipv6 = true;
	} else {
		const char *colon = strchr(text, ':');

		if (colon && strchr(colon + 1, ':')) {
			ipv6 = true;
		} else if (colon) {
			len = (size_t)(colon - text);
			port = colon + 1;
		}
	}
	if (port) {
		host_port = parse_port(port, strlen(port));
		if (host_port == 0)
			return ERR_PAYLOAD_INVALID;
	}
	/* Remove the final dot of a fully qualified name: names in certificates and in our lists do
	 * not have it. */
	if (!ipv6 && len > 1 && host[len - 1] == '.')
		len--;
	if (len > CONSOLE_HOST_MAX)
		return ERR_PAYLOAD_INVALID;
	memcpy(name, host, len);
	name[len] = '\0';

	if (ipv6) {
		if (!host_is_address(AF_INET6, name))
			return ERR_PAYLOAD_INVALID;
	} else {
		ipv4 = host_is_address(AF_INET, name);
		if (!ipv4 && (!host_is_name(name, len) || host_looks_like_ipv4(name, len)))
			return ERR_PAYLOAD_INVALID;
	}
	memcpy(ret_console->host, name, len + 1);
	ret_console->host_is_address = ipv4 || ipv6;
	ret_console->host_port = host_port;
	return OK;
}

/* Copies an optional member as strict_json_copy() does. If it is missing, ret stays unchanged. */
static bool copy_optional(json_object *object, const char *name, char *ret, size_t size)
{
	return !strict_json_has(object, name) || strict_json_copy(object, name, ret, size);
}

/* True if the member is missing or null. */
static bool is_null(json_object *object, const char *name)
{
	json_object *member;

	return !json_object_object_get_ex(object, name, &member) || !member;
}

/* Reads host and, if the payload has no console ticket, cluster. */
static const char *read_host(json_object *object, struct console *c)
{
	const char *text;
	size_t len;

	if (c->late && strict_json_has(object, "cluster")) {
		if (strict_json_has(object, "host"))
			return "host and cluster cannot be combined";
		if (!strict_json_copy(object, "cluster", c->cluster, sizeof(c->cluster)) ||
		    !keys_name_valid(c->cluster, strlen(c->cluster)) || *c->cluster == '.')
			return "cluster is not the name of a cluster file";
		return NULL;
	}
	if (c->late && !strict_json_has(object, "host"))
		return "host or cluster is missing";
	text = strict_json_string(object, "host", &len);
	if (!text || payload_parse_host(text, c) < 0)
		return "host is not a host name or address, with or without a port";
	return NULL;
}

/* Reads the members for the console's login. Those of a payload with a console ticket had no
 * meaning in earlier versions, so only what proxxy can use counts. */
static const char *read_login(json_object *object, struct console *c)
{
	const char *text;
	size_t len;

	text = strict_json_string(object, "protocol", &len);
	c->terminal = text && strcmp(text, "term") == 0;
	if (c->late) {
		c->login = true;
		if (strict_json_has(object, "protocol") && !c->terminal && (!text || strcmp(text, "vnc") != 0))
			return "protocol is not vnc or term";
		return NULL;
	}
	if (c->terminal) {
		if (!strict_json_has(object, "user"))
			return NULL;
		c->login = strict_json_copy(object, "user", c->user, sizeof(c->user)) && !strchr(c->user, ':');
		return c->login ? NULL : "user is not USER@REALM or USER@REALM!NAME";
	}
	if (is_null(object, "password"))
		return NULL;
	text = strict_json_string(object, "password", &len);
	if (!text || len == 0)
		return "password is not a string without control characters";
	memcpy(c->password, text, len < CONSOLE_PASSWORD_MAX ? len : CONSOLE_PASSWORD_MAX);
	c->login = true;
	return NULL;
}

/* Reads the console ticket, and where it is valid. */
static const char *read_console_ticket(json_object *object, struct console *c)
{
	const char *text;
	size_t len;

	if (!strict_json_copy(object, "vncticket", c->vncticket, sizeof(c->vncticket)))
		return "vncticket is not a string of 1 to 512 bytes without control characters";
	text = strict_json_string(object, "port", &len);
	c->vnc_port = text ? parse_port(text, len) : (uint16_t)strict_json_integer(object, "port", UINT16_MAX);
	return c->vnc_port == 0 ? "port is not a number from 1 to 65535" : NULL;
}

/* Reads and validates the console's members. Returns NULL, or a phrase that says what is wrong. */
static const char *read_console(json_object *object, bool authenticated, struct console *c)
{
	const char *text, *why;
	size_t len;

	c->vmid = (uint32_t)strict_json_integer(object, "vmid", CONSOLE_VMID_MAX);
	if (c->vmid == 0)
		return "vmid is not an integer from 1 to 999999999";

	text = strict_json_string(object, "type", &len);
	c->type = text && strcmp(text, "qemu") == 0 ? "qemu" : text && strcmp(text, "lxc") == 0 ? "lxc" : NULL;
	if (!c->type)
		return "type is not qemu or lxc";

	c->late = authenticated && !strict_json_has(object, "vncticket") && !strict_json_has(object, "port");
	why = read_host(object, c);
	if (why)
		return why;

	if (!(c->late && !strict_json_has(object, "node")) &&
	    (!strict_json_copy(object, "node", c->node, sizeof(c->node)) || !host_is_name(c->node, strlen(c->node))))
		return "node is not a host name";

	if (!(c->late && !strict_json_has(object, "ticket")) &&
	    !strict_json_copy(object, "ticket", c->ticket, sizeof(c->ticket)))
		return "ticket is not a string of 1 to 4096 bytes without control characters";
	if (c->late && !copy_optional(object, "csrf", c->csrf, sizeof(c->csrf)))
		return "csrf is not a string of 1 to 256 bytes without control characters";

	why = c->late ? NULL : read_console_ticket(object, c);
	return why || !authenticated ? why : read_login(object, c);
}

/* Returns a copy of ca, a PEM text, for free(). It is the only string that may have line feeds.
 * Returns NULL if it is missing, too long or no PEM, or without memory. */
static char *copy_ca(json_object *object)
{
	json_object *member;
	const char *text = "";

	if (json_object_object_get_ex(object, "ca", &member) && json_object_is_type(member, json_type_string))
		text = json_object_get_string(member);
	if (strlen(text) > CLAIMS_CA_MAX || !strstr(text, "-----BEGIN CERTIFICATE-----"))
		return NULL;
	return strdup(text);
}

/* Reads a NumericDate (RFC 7519 section 2), and drops its fraction if it has one. Returns Unix time
 * in seconds, or 0 if it is missing or invalid. */
static int64_t read_date(json_object *object, const char *name)
{
	json_object *member;

	if (!json_object_object_get_ex(object, name, &member))
		return 0;
	if (json_object_is_type(member, json_type_double)) {
		double value = json_object_get_double(member);

		return value >= 1 && value <= (double)CLAIMS_DATE_MAX ? (int64_t)value : 0;
	}
	return strict_json_integer(object, name, CLAIMS_DATE_MAX);
}

/* Reads sub (RFC 7519 section 4.1.2) for the log: a string, cut off between two characters if it is
 * long, or a number. It limits nothing, so other values are ignored. Control characters are
 * replaced: a user who may choose their own name must not be able to stay out of the log. */
static void read_sub(json_object *object, struct claims *c)
{
	json_object *member;
	const char *text;
	size_t len;

	if (!json_object_object_get_ex(object, "sub", &member))
		return;
	if (json_object_is_type(member, json_type_int)) {
		snprintf(c->sub, sizeof(c->sub), "%lld", (long long)json_object_get_int64(member));
		return;
	}
	if (!json_object_is_type(member, json_type_string))
		return;
	text = json_object_get_string(member);
	len = (size_t)json_object_get_string_len(member);
	if (len > CLAIMS_SUB_MAX)
		for (len = CLAIMS_SUB_MAX; len > 0 && ((uint8_t)text[len] & 0xC0) == 0x80;)
			len--; /* not inside a character of UTF-8 */
	for (size_t i = 0; i < len; i++)
		c->sub[i] = (uint8_t)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
	c->sub[len] = '\0';
}

/* Reads and validates the claims. Returns NULL, or a phrase that says what is wrong. */
static const char *read_claims(json_object *object, struct claims *c)
{
	const char *text;
	size_t len;

	c->expires = read_date(object, "exp");
	if (c->expires == 0)
		return "exp is missing or not in seconds since 1970";
	c->not_before = read_date(object, "nbf");
	if (c->not_before == 0 && strict_json_has(object, "nbf"))
		return "nbf is not in seconds since 1970";
	c->issued = read_date(object, "iat");
	read_sub(object, c);
	if (!copy_optional(object, "jti", c->jti, sizeof(c->jti)))
		return "jti is not a string of 1 to 256 bytes without control characters";
	if (!copy_optional(object, "origin", c->origin, sizeof(c->origin)) || strpbrk(c->origin, ",* \t") ||
	    !host_origins_valid(c->origin))
		return "origin is not an origin, like https://panel.example.com";
	if (!copy_optional(object, "client", c->client, sizeof(c->client)) ||
	    (*c->client && !host_is_network(c->client)))
		return "client is not an IP address or network";
	text = strict_json_string(object, "fingerprint", &len);
	c->has_fingerprint = text && crypto_fingerprint(text, len, c->fingerprint) == OK;
	if (!c->has_fingerprint && strict_json_has(object, "fingerprint"))
		return "fingerprint is not a SHA-256 fingerprint, 64 hex digits";
	c->session_max = (int)strict_json_integer(object, "session_max", CLAIMS_SESSION_MAX);
	if (c->session_max == 0 && strict_json_has(object, "session_max"))
		return "session_max is not a number of seconds from 1 to 31536000";
	c->ca = copy_ca(object);
	if (!c->ca && strict_json_has(object, "ca"))
		return "ca is not a PEM certificate of at most 8192 bytes";
	return NULL;
}

int payload_parse(const char *json, size_t len, struct console *ret_console, struct claims *ret_claims,
		  const char **ret_why)
{
	/* RFC 8259 section 8.1 allows a parser to ignore a byte order mark. The original does so,
	 * and some backends send one. */
	const size_t mark = byte_order_mark_len(json, len);
	struct console console = { 0 };
	struct claims claims = { 0 };
	json_object *object = strict_json_parse(json + mark, len - mark);

	*ret_why = object ? read_console(object, ret_claims, &console) : PAYLOAD_NOT_JSON;
	if (!*ret_why && ret_claims) {
		*ret_why = read_claims(object, &claims);
		if (!*ret_why)
			*ret_claims = claims;
	}
	strict_json_wipe(object);
	if (!*ret_why)
		*ret_console = console;
	console_wipe(&console);
	return *ret_why ? ERR_PAYLOAD_INVALID : OK;
}

const char *console_authority(const struct console *console, int port, char text[CONSOLE_AUTHORITY_MAX])
{
	const bool ipv6 = strchr(console->host, ':');

	snprintf(text, CONSOLE_AUTHORITY_MAX, ipv6 ? "[%s]:%u" : "%s:%u", console->host,
		 console->host_port ? console->host_port : (uint16_t)port);
	return text;
}

static bool begins(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

bool console_has_token(const struct console *console)
{
	return strncmp(console->ticket, "PVEAPIToken=", strlen("PVEAPIToken=")) == 0;
}

const char *console_ticket_error(const struct console *console)
{
	const char *const ticket = console->ticket, *const bang = strchr(ticket, '!');

	if (console_has_token(console) || strncmp(ticket, "PVE:", strlen("PVE:")) == 0 || begins(ticket, "PVE%3A"))
		return NULL;
	if (begins(ticket, "PVEAuthCookie=") || begins(ticket, "Authorization:") || begins(ticket, "Cookie:"))
		return "ticket has a header or cookie name before it: a user's ticket begins with PVE:, "
		       "a token with PVEAPIToken=";
	if (strstr(ticket, "PVEVNC:"))
		return "ticket is a VNC ticket, which belongs in vncticket; "
		       "ticket is for a token or a user's ticket";
	if (bang && memchr(ticket, '@', (size_t)(bang - ticket)) && strchr(bang, '='))
		return "ticket is an API token without PVEAPIToken= before it";
	return "ticket is neither PVEAPIToken=USER@REALM!NAME=SECRET nor a user's ticket, which begins with PVE:";
}

const char *payload_ticket_error(const struct console *c, const struct claims *claims)
{
	const char *why;

	if (c->late && !*c->ticket)
		return claims->ca || claims->has_fingerprint ? "ca and fingerprint need a ticket in the payload" : NULL;
	why = console_ticket_error(c);
	/* A browser sends a user's ticket by itself, as a cookie: Proxmox wants proof of more. */
	if (!why && c->late && !console_has_token(c) && !*c->csrf)
		why = "csrf is missing: a user's ticket needs the CSRFPreventionToken of its making";
	return why;
}

void console_wipe(struct console *console)
{
	OPENSSL_cleanse(console->ticket, sizeof(console->ticket));
	OPENSSL_cleanse(console->csrf, sizeof(console->csrf));
	OPENSSL_cleanse(console->vncticket, sizeof(console->vncticket));
	OPENSSL_cleanse(console->password, sizeof(console->password));
}
