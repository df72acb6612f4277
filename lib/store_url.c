/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses the URL of the shared store. config.c validates the setting with it, and store.c connects
 * to what it says.
 */
#include "lib/store_url.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/hex.h"
#include "lib/slice.h"

/* Removes text up to the first of the characters in stops, and that character, from the front of
 * *rest. Returns the text before it. If there is none, returns all of *rest, and *rest is then
 * without text. */
static struct slice cut(struct slice *rest, const char *stops)
{
	struct slice before = *rest;

	for (size_t i = 0; i < rest->len; i++)
		if (strchr(stops, rest->at[i])) {
			before.len = i;
			*rest = (struct slice){ rest->at + i + 1, rest->len - i - 1 };
			return before;
		}
	*rest = (struct slice){ NULL, 0 };
	return before;
}

/* Decodes percent-escapes to out, which has room for size bytes, NUL-terminated. No control
 * character may result, and a space only from an escape. Returns false otherwise, or without
 * room. */
static bool decode(struct slice s, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = (uint8_t)s.at[i], lowest = ' ' + 1;

		if (c == '%') {
			const int high = i + 2 < s.len ? hex_digit(s.at[i + 1]) : -1;
			const int low = i + 2 < s.len ? hex_digit(s.at[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (uint8_t)(high << 4 | low);
			lowest = ' ';
			i += 2;
		}
		if (c < lowest || c == 0x7F || n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

/* Parses "user", "user:password" or ":password". */
static bool parse_account(struct slice account, struct store_url *url)
{
	const struct slice user = cut(&account, ":");

	return decode(user, url->user, sizeof(url->user)) &&
	       (!account.at || (account.len > 0 && decode(account, url->password, sizeof(url->password))));
}

/* Takes the account, if any, from the front of *authority. */
static bool take_account(struct slice *authority, struct store_url *url)
{
	struct slice rest = *authority;
	const struct slice account = cut(&rest, "@");

	if (!rest.at)
		return true;
	*authority = rest;
	return account.len > 0 && parse_account(account, url);
}

static bool copy(struct slice s, char *out, size_t size)
{
	if (s.len == 0 || s.len >= size)
		return false;
	memcpy(out, s.at, s.len);
	out[s.len] = '\0';
	return true;
}

/* Parses "host", "host:port", "[IPv6]" or "[IPv6]:port". */
static bool parse_host(struct slice authority, struct store_url *url)
{
	const bool is_v6 = authority.len > 0 && authority.at[0] == '[';
	struct slice host, port = authority;
	unsigned number = STORE_PORT;

	if (is_v6) {
		port = (struct slice){ authority.at + 1, authority.len - 1 };
		host = cut(&port, "]");
		if (!port.at || (port.len > 0 && port.at[0] != ':'))
			return false;
		port = port.len > 0 ? (struct slice){ port.at + 1, port.len - 1 } : (struct slice){ NULL, 0 };
	} else {
		host = cut(&port, ":");
	}
	if (port.at && (!slice_number(port, UINT16_MAX, &number) || number == 0))
		return false;
	url->port = (uint16_t)number;
	if (!copy(host, url->host, sizeof(url->host)))
		return false;
	url->host_is_address = host_is_address(is_v6 ? AF_INET6 : AF_INET, url->host);
	return url->host_is_address ||
	       (!is_v6 && host_is_name(host.at, host.len) && !host_looks_like_ipv4(host.at, host.len));
}

/* Parses the query: one parameter, called name, whose value goes to *ret_value. */
static bool parse_query(struct slice query, const char *name, struct slice *ret_value)
{
	*ret_value = (struct slice){ NULL, 0 };
	if (!query.at)
		return true;
	if (!slice_is(cut(&query, "="), name) || !query.at)
		return false;
	*ret_value = query;
	return true;
}

/* Parses what follows "redis://" or "rediss://". */
static bool parse_tcp(struct slice rest, struct store_url *url)
{
	struct slice query = rest, value;
	struct slice path = cut(&query, "?"), authority = cut(&path, "/");

	if (!take_account(&authority, url) || !parse_host(authority, url) || !parse_query(query, "ca", &value))
		return false;
	if (path.len > 0 && !slice_number(path, STORE_DATABASE_MAX, &url->database))
		return false;
	return !value.at || (url->tls && decode(value, url->ca_file, sizeof(url->ca_file)) && url->ca_file[0] == '/');
}

/* Parses what follows "unix://". */
static bool parse_unix(struct slice rest, struct store_url *url)
{
	struct slice query = rest, value, authority;
	struct slice path = cut(&query, "?");
	const char *slash = path.at ? memchr(path.at, '/', path.len) : NULL;

	if (!slash)
		return false;
	authority = (struct slice){ path.at, (size_t)(slash - path.at) };
	path = (struct slice){ slash, path.len - authority.len };
	if (!take_account(&authority, url) || authority.len > 0)
		return false;
	if (!decode(path, url->path, sizeof(url->path)) || !parse_query(query, "db", &value))
		return false;
	return !value.at || slice_number(value, STORE_DATABASE_MAX, &url->database);
}

static bool parse(const char *text, struct store_url *url)
{
	const char *colon = strstr(text, "://");
	struct slice scheme = { text, colon ? (size_t)(colon - text) : 0 }, rest;

	if (!colon || strchr(text, '#'))
		return false;
	rest = (struct slice){ colon + 3, strlen(colon + 3) };
	url->tls = slice_is_nocase(scheme, "rediss");
	if (url->tls || slice_is_nocase(scheme, "redis"))
		return parse_tcp(rest, url);
	return slice_is_nocase(scheme, "unix") && parse_unix(rest, url);
}

bool store_url_parse(const char *text, struct store_url *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (parse(text, ret))
		return true;
	OPENSSL_cleanse(ret, sizeof(*ret));
	return false;
}

void store_url_place(const struct store_url *url, char ret_place[STORE_PLACE_MAX])
{
	const bool is_v6 = strchr(url->host, ':');

	if (*url->path)
		snprintf(ret_place, STORE_PLACE_MAX, "%s", url->path);
	else
		snprintf(ret_place, STORE_PLACE_MAX, "%s%s%s:%u", is_v6 ? "[" : "", url->host, is_v6 ? "]" : "",
			 url->port);
}
