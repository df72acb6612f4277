/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes forwarded.h. The first byte selects the field and whether UNIX sockets are trusted; the
 * rest are values, one in each line. X-Forwarded-For is checked against a simple parser, which
 * walks from the last item to the first. Nothing that a client puts before the items of a proxy
 * changes the result, unless it makes the field malformed.
 */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "lib/error.h"
#include "lib/forwarded.h"
#include "lib/host.h"

enum { VALUES_MAX = 8 };

static bool is_trusted(const char *address, const void *unix_is_trusted)
{
	if (strcmp(address, "unix") == 0)
		return *(const bool *)unix_is_trusted;
	return host_in_network("10.0.0.0/8", address) || host_in_network("fd00::/8", address);
}

static void require_address(const char *address)
{
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN];
	const int family = strchr(address, ':') ? AF_INET6 : AF_INET;

	REQUIRE(inet_pton(family, address, bytes) == 1, "%s", address);
	inet_ntop(family, bytes, text, sizeof(text));
	REQUIRE(strcmp(text, address) == 0 && !(strncmp(text, "::ffff:", 7) == 0 && strchr(text, '.')), "%s is not %s",
		address, text);
}

static struct slice trim(struct slice s)
{
	while (s.len > 0 && strchr(" \t", s.at[0]) && s.at[0])
		s.at++, s.len--;
	while (s.len > 0 && s.at[s.len - 1] && strchr(" \t", s.at[s.len - 1]))
		s.len--;
	return s;
}

/* Whether an item is an address of a trusted proxy. *ret_address gets its address, or "". */
static bool names_proxy(struct slice item, bool unix_is_trusted, char ret_address[INET6_ADDRSTRLEN])
{
	char digits[6] = "";
	const char *end;

	ret_address[0] = '\0';
	if (slice_is(item, "unix:"))
		return unix_is_trusted;
	if (item.len == 0)
		return false;
	end = memrchr(item.at, ':', item.len);
	/* A port behind an IPv4 address or a bracket. */
	if (end && (memchr(item.at, ':', item.len) == end || end[-1] == ']')) {
		const struct slice port = { end + 1, item.len - (size_t)(end - item.at) - 1 };

		if (port.len == 0 || port.len > 5 || !slice_is_digits(port))
			return false;
		memcpy(digits, port.at, port.len);
		if (atoi(digits) > 65535)
			return false;
		item.len -= port.len + 1;
	}
	if (item.len >= 2 && item.at[0] == '[' && item.at[item.len - 1] == ']') {
		item = (struct slice){ item.at + 1, item.len - 2 };
		return host_parse_address(AF_INET6, item.at, item.len, ret_address) && is_trusted(ret_address, NULL);
	}
	return host_parse_address(AF_UNSPEC, item.at, item.len, ret_address) && is_trusted(ret_address, NULL);
}

/* Walks over the lists from their end. Returns the address of the last item that names no trusted
 * proxy, else of the first item. */
static const char *walk_back(const struct slice *values, size_t n, bool unix_is_trusted, size_t *ret_items)
{
	static char address[INET6_ADDRSTRLEN];

	*ret_items = 0;
	while (n-- > 0) {
		struct slice rest = values[n];

		for (bool more = true; more;) {
			const char *comma = rest.len ? memrchr(rest.at, ',', rest.len) : NULL;
			const char *from = comma ? comma + 1 : rest.at;
			const struct slice item = trim((struct slice){ from, (size_t)(rest.at + rest.len - from) });

			more = comma != NULL;
			if (comma)
				rest.len = (size_t)(comma - rest.at);
			if (item.len == 0)
				continue;
			++*ret_items;
			if (!names_proxy(item, unix_is_trusted, address))
				return address;
		}
	}
	return address;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t first = take_byte(&in);
	const enum client_source source = (enum client_source)(CLIENT_FORWARDED + first % 4);
	const bool unix_is_trusted = first & 0x80;
	struct slice values[VALUES_MAX];
	struct forwarded r = { .port = 4711 }, again = { .port = 4711 };
	const char *why = NULL, *at = (const char *)in.at, *const end = at + in.left;
	char *copies[VALUES_MAX];
	size_t n = 0, items;
	int rc;

	/* Each value has its own memory, for the address sanitizer, and no control character. */
	while (n < VALUES_MAX && (n == 0 || at < end)) {
		const char *line = memchr(at, '\n', (size_t)(end - at)), *stop = line ? line : end;

		copies[n] = malloc((size_t)(stop - at) + 1);
		values[n] = (struct slice){ copies[n], 0 };
		for (; at < stop; at++)
			if ((uint8_t)*at >= 0x20 || *at == '\t')
				copies[n][values[n].len++] = *at;
		copies[n] = realloc(copies[n], values[n].len + (values[n].len == 0));
		values[n].at = copies[n];
		n++;
		at = line ? line + 1 : end;
	}
	rc = forwarded_find(source, values, n, is_trusted, &unix_is_trusted, &r, &why);
	if (rc < 0) {
		REQUIRE(rc == ERR_REQUEST_MALFORMED && why && r.port == 4711, "%d", rc);
	} else {
		REQUIRE(rc == OK && r.port >= -1 && r.port <= 65535, "port %d", r.port);
		if (*r.address)
			require_address(r.address);
		REQUIRE(*r.address || r.port == -1, "a port of nobody's");
		REQUIRE(forwarded_find(source, values, n, is_trusted, &unix_is_trusted, &again, &why) == OK &&
				strcmp(r.address, again.address) == 0 && r.port == again.port,
			"not the same again");
	}
	if (source == CLIENT_X_FORWARDED_FOR && rc == OK) {
		const char *want = walk_back(values, n, unix_is_trusted, &items);

		REQUIRE(items > 0 && strcmp(want, r.address) == 0, "%s, not %s", r.address, want);
	}
	/* A proxy adds a field: whatever was before, the result is its address or an error. */
	if (n < VALUES_MAX && (source == CLIENT_X_FORWARDED_FOR || source == CLIENT_FORWARDED)) {
		const char *added = source == CLIENT_FORWARDED ? "for=203.0.113.7" : "203.0.113.7";

		values[n] = (struct slice){ added, strlen(added) };
		rc = forwarded_find(source, values, n + 1, is_trusted, &unix_is_trusted, &again, &why);
		REQUIRE(rc == ERR_REQUEST_MALFORMED || strcmp(again.address, "203.0.113.7") == 0, "%s", again.address);
	}
	for (size_t i = 0; i < n; i++)
		free(copies[i]);
	return 0;
}
