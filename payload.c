/* SPDX-License-Identifier: Apache-2.0
 *
 * From JSON to a console, see payload.h.
 */
#include "payload.h"

#include <arpa/inet.h>
#include <json-c/json.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "error.h"

/* Letters, digits and inner hyphens, in labels of 1 to 63, with dots between (RFC 1123 section 2.1).
 * It is what keeps a host or node from being a path, a header or a port. */
static bool is_hostname(const char *s, size_t len)
{
	size_t label = 0;

	if (len == 0 || len > CONSOLE_HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (c == '.' && label > 0 && s[i - 1] != '-')
			label = 0;
		else if ((alnum || (c == '-' && label > 0)) && label < 63)
			label++;
		else
			return false;
	}
	return label > 0 && s[len - 1] != '-';
}

/* 1 to 65535 in decimal, all of it. Returns 0 for anything else. */
static uint16_t parse_port(const char *s, size_t len)
{
	unsigned port = 0;

	if (len == 0 || len > 5)
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		port = port * 10 + (unsigned)(s[i] - '0');
	}
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool is_address(int family, const char *text)
{
	uint8_t address[sizeof(struct in6_addr)];

	return inet_pton(family, text, address) == 1;
}

/* A last label of digits only is no host name but a broken address: getaddrinfo would read
 * "127.1" and "2130706433" as addresses. */
static bool looks_like_ipv4(const char *host)
{
	const char *last = strrchr(host, '.');

	last = last ? last + 1 : host;
	return last[strspn(last, "0123456789")] == '\0' || strncasecmp(last, "0x", 2) == 0;
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
	if (len > CONSOLE_HOST_MAX)
		return ERR_PAYLOAD_INVALID;
	memcpy(name, host, len);
	name[len] = '\0';

	if (ipv6) {
		if (!is_address(AF_INET6, name))
			return ERR_PAYLOAD_INVALID;
	} else {
		ipv4 = is_address(AF_INET, name);
		if (!ipv4 && (!is_hostname(name, len) || looks_like_ipv4(name)))
			return ERR_PAYLOAD_INVALID;
	}
	memcpy(ret_console->host, name, len + 1);
	ret_console->host_is_address = ipv4 || ipv6;
	ret_console->host_port = host_port;
	return OK;
}

/* The member as a string without controls (they would end a header line), or NULL. */
static const char *get_string(json_object *object, const char *name, size_t *ret_len)
{
	json_object *member;
	const char *text;

	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return NULL;
	text = json_object_get_string(member);
	*ret_len = (size_t)json_object_get_string_len(member);
	for (size_t i = 0; i < *ret_len; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7F)
			return NULL;
	return text;
}

/* Copies a string member of at least 1 and at most size - 1 bytes. */
static bool copy_string(json_object *object, const char *name, char *ret, size_t size)
{
	size_t len;
	const char *text = get_string(object, name, &len);

	if (!text || len == 0 || len >= size)
		return false;
	memcpy(ret, text, len + 1);
	return true;
}

/* A whole number from 1 to max. JSON does not tell 100 from 100.0 or 1e2, so neither do we. Returns 0 for
 * anything else. */
static uint32_t get_integer(json_object *member, uint32_t max)
{
	if (json_object_is_type(member, json_type_int)) {
		int64_t value = json_object_get_int64(member);

		return value >= 1 && value <= max ? (uint32_t)value : 0;
	}
	if (json_object_is_type(member, json_type_double)) {
		double value = json_object_get_double(member);

		return value >= 1 && value <= max && value == (double)(uint32_t)value ? (uint32_t)value : 0;
	}
	return 0;
}

/* The schema. Returns NULL, or what is wrong. */
static const char *validate(json_object *object, struct console *c)
{
	json_object *member;
	const char *text;
	size_t len;

	if (!json_object_is_type(object, json_type_object))
		return "not a JSON object";

	if (json_object_object_get_ex(object, "vmid", &member))
		c->vmid = get_integer(member, CONSOLE_VMID_MAX);
	if (c->vmid == 0)
		return "vmid is not an integer from 1 to 999999999";

	text = get_string(object, "type", &len);
	c->type = text && strcmp(text, "qemu") == 0 ? "qemu" : text && strcmp(text, "lxc") == 0 ? "lxc" : NULL;
	if (!c->type)
		return "type is not qemu or lxc";

	text = get_string(object, "host", &len);
	if (!text || payload_parse_host(text, c) < 0)
		return "host is not a host name or address, with or without a port";

	if (!copy_string(object, "node", c->node, sizeof(c->node)) || !is_hostname(c->node, strlen(c->node)))
		return "node is not a host name";

	if (!copy_string(object, "ticket", c->ticket, sizeof(c->ticket)))
		return "ticket is not a string of 1 to 4096 bytes without controls";
	if (!copy_string(object, "vncticket", c->vncticket, sizeof(c->vncticket)))
		return "vncticket is not a string of 1 to 512 bytes without controls";

	if (json_object_object_get_ex(object, "port", &member)) {
		text = get_string(object, "port", &len);
		c->vnc_port = text ? parse_port(text, len) : (uint16_t)get_integer(member, UINT16_MAX);
	}
	if (c->vnc_port == 0)
		return "port is not a number from 1 to 65535";
	return NULL;
}

/* Overwrites every string of the object: json-c frees without wiping. */
static void wipe_strings(json_object *object)
{
	if (json_object_is_type(object, json_type_object)) {
		json_object_object_foreach(object, name, member) {
			(void)name;
			wipe_strings(member);
		}
	} else if (json_object_is_type(object, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(object); i++)
			wipe_strings(json_object_array_get_idx(object, i));
	} else if (json_object_is_type(object, json_type_string)) {
		/* The string belongs to the object, which dies right after. */
		OPENSSL_cleanse((char *)(uintptr_t)json_object_get_string(object),
				(size_t)json_object_get_string_len(object));
	}
}

int payload_parse(const char *json, size_t len, struct console *ret_console, const char **ret_why)
{
	struct console console = { 0 };
	json_tokener *tokener;
	json_object *object;

	*ret_why = "not JSON";
	if (len == 0 || len > INT_MAX)
		return ERR_PAYLOAD_INVALID;
	/* json-c cuts a member's name off at a NUL, so that "vmid\u0000" would be vmid. */
	if (memmem(json, len, "\\u0000", 6))
		return ERR_PAYLOAD_INVALID;
	tokener = json_tokener_new_ex(CONSOLE_JSON_DEPTH);
	if (!tokener)
		return ERR_SYSTEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, json, (int)len);
	if (json_tokener_get_error(tokener) == json_tokener_success && json_tokener_get_parse_end(tokener) == len)
		*ret_why = validate(object, &console);
	wipe_strings(object);
	json_object_put(object);
	json_tokener_free(tokener);
	if (!*ret_why)
		*ret_console = console;
	console_wipe(&console);
	return *ret_why ? ERR_PAYLOAD_INVALID : OK;
}

void console_wipe(struct console *console)
{
	OPENSSL_cleanse(console->ticket, sizeof(console->ticket));
	OPENSSL_cleanse(console->vncticket, sizeof(console->vncticket));
}
