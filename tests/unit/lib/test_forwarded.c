/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests forwarded.h: which item of the four fields is the client, in lists that proxies of every
 * kind write and that clients try to forge. Each value ends at an unreadable page.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/forwarded.h"
#include "lib/host.h"

static struct guard guards[4];

/* Trusts 10.0.0.0/8, ::1, and UNIX sockets if context is not NULL. */
static bool is_trusted(const char *address, const void *context)
{
	return host_in_network("10.0.0.0/8", address) || strcmp(address, "::1") == 0 ||
	       (context && strcmp(address, "unix") == 0);
}

/* Calls forwarded_find() with up to four values. Returns what it found as text: "ADDRESS",
 * "ADDRESS port", "" if the client is unknown, or "!" and what is wrong. */
static const char *find(enum client_source source, const char *const values[], const void *context)
{
	static char text[128];
	struct forwarded got = { .address = "?", .port = 4711 };
	struct slice slices[4];
	const char *why = "";
	size_t n = 0;
	int rc;

	for (; n < 4 && values[n]; n++)
		slices[n] = (struct slice){ guard_copy(&guards[n], values[n], strlen(values[n])), strlen(values[n]) };
	rc = forwarded_find(source, slices, n, is_trusted, context, &got, &why);
	if (rc < 0) {
		CHECK_INT(rc, ERR_REQUEST_MALFORMED, "%s", values[0]);
		CHECK_INT(got.port, 4711, "%s: written without success", values[0]);
		snprintf(text, sizeof(text), "!%s", why);
	} else if (got.port >= 0) {
		snprintf(text, sizeof(text), "%s %d", got.address, got.port);
	} else {
		snprintf(text, sizeof(text), "%s", got.address);
	}
	return text;
}

struct row {
	const char *values[4], *want;
};

static void check(enum client_source source, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *got = find(source, rows[i].values, NULL);

		CHECK(strcmp(got, rows[i].want) == 0, "%s: %s, not %s", rows[i].values[0], got, rows[i].want);
	}
}

#define MALFORMED "!an address is malformed"
#define SYNTAX "!it does not have the syntax of RFC 7239"

static void x_forwarded_for(void **state)
{
	static const struct row rows[] = {
		{ { "203.0.113.7" }, "203.0.113.7" },
		{ { "203.0.113.7:4711" }, "203.0.113.7 4711" },
		{ { "203.0.113.7:0" }, "203.0.113.7 0" },
		{ { "2001:DB8::0:7" }, "2001:db8::7" },
		{ { "[2001:db8::7]" }, "2001:db8::7" },
		{ { "[2001:db8::7]:65535" }, "2001:db8::7 65535" },
		{ { "::ffff:203.0.113.7" }, "203.0.113.7" },
		{ { "[::FFFF:CB00:7107]:80" }, "203.0.113.7 80" },
		{ { "198.51.100.1, 203.0.113.7" }, "203.0.113.7" },
		{ { "198.51.100.1,203.0.113.7 ,\t10.1.2.3" }, "203.0.113.7" },
		{ { "198.51.100.1, 203.0.113.7, 10.1.2.3, ::1" }, "203.0.113.7" },
		{ { "198.51.100.1", "203.0.113.7, 10.0.0.1", "10.0.0.2" }, "203.0.113.7" },
		{ { "198.51.100.1", "203.0.113.7" }, "203.0.113.7" },
		{ { "10.0.0.1, 203.0.113.7", "10.0.0.2" }, "203.0.113.7" },
		{ { "10.0.0.1, 10.0.0.2" }, "10.0.0.1" }, /* all are trusted */
		{ { "10.0.0.1:99", "::1" }, "10.0.0.1 99" },
		{ { ", ,203.0.113.7,,", "" }, "203.0.113.7" },
		{ { "unknown" }, "" },
		{ { "Unknown, 10.0.0.1" }, "" },
		{ { "203.0.113.7, unknown, 10.0.0.1" }, "" },
		{ { "unknown, 203.0.113.7" }, "203.0.113.7" },
		{ { "unix:" }, "" },
		{ { "203.0.113.7, unix:" }, "" },
		/* What comes before the client's address is the client's own invention. */
		{ { "rubbish \" [, 203.0.113.7" }, "203.0.113.7" },
		{ { "rubbish", "203.0.113.7, 10.0.0.1" }, "203.0.113.7" },
		{ { "203.0.113.7, rubbish" }, MALFORMED },
		{ { "203.0.113.7, rubbish, 10.0.0.1" }, MALFORMED },
		{ { "rubbish, 10.0.0.1" }, MALFORMED },
		{ { "" }, "!it is empty" },
		{ { ", ," }, "!it is empty" },
		{ { "203.0.113.7 198.51.100.1" }, MALFORMED },
		{ { "203.0.113" }, MALFORMED },
		{ { "203.0.113.07" }, MALFORMED },
		{ { "203.0.113.7:" }, MALFORMED },
		{ { "203.0.113.7:65536" }, MALFORMED },
		{ { "203.0.113.7:123456" }, MALFORMED },
		{ { "203.0.113.7:+1" }, MALFORMED },
		{ { "203.0.113.7:_a" }, MALFORMED },
		{ { "[203.0.113.7]" }, MALFORMED },
		{ { "[2001:db8::7" }, MALFORMED },
		{ { "2001:db8::7]" }, MALFORMED },
		{ { "[2001:db8::7]4711" }, MALFORMED },
		{ { "[2001:db8::7]:" }, MALFORMED },
		{ { "[]" }, MALFORMED },
		{ { "[" }, MALFORMED },
		{ { ":80" }, MALFORMED },
		{ { "fe80::1%eth0" }, MALFORMED },
		{ { "[fe80::1%25eth0]" }, MALFORMED },
		{ { "\"203.0.113.7\"" }, MALFORMED },
		{ { "for=203.0.113.7" }, MALFORMED },
		{ { "_hidden" }, MALFORMED },
		{ { "localhost" }, MALFORMED },
		{ { "0xCB007107" }, MALFORMED },
		{ { "2001:0db8:0000:0000:0000:0000:0000:0007:0000:0000:0000:0000:0000:0000:0000:0000" }, MALFORMED },
	};

	(void)state;
	check(CLIENT_X_FORWARDED_FOR, rows, COUNT(rows));
}

static void unix_sockets(void **state)
{
	static const struct row rows[] = {
		{ { "203.0.113.7, unix:" }, "203.0.113.7" },
		{ { "203.0.113.7", "unix:, 10.0.0.1" }, "203.0.113.7" },
		{ { "unix:, 10.0.0.1" }, "" },
		{ { "unix:, 203.0.113.7" }, "203.0.113.7" },
		{ { "unix" }, MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *got = find(CLIENT_X_FORWARDED_FOR, rows[i].values, "unix is trusted");

		CHECK(strcmp(got, rows[i].want) == 0, "%s: %s", rows[i].values[0], got);
	}
}

static void forwarded(void **state)
{
	static const struct row rows[] = {
		/* RFC 7239 section 4 */
		{ { "for=\"_gazonk\"" }, "" },
		{ { "For=\"[2001:db8:cafe::17]:4711\"" }, "2001:db8:cafe::17 4711" },
		{ { "for=192.0.2.60;proto=http;by=203.0.113.43" }, "192.0.2.60" },
		{ { "for=192.0.2.43, for=198.51.100.17" }, "198.51.100.17" },
		{ { "for=192.0.2.43", "for=\"[2001:db8:cafe::17]\", for=unknown" }, "" },
		{ { "for=_hidden, for=_SEVKISEK" }, "" },
		{ { "for=\"192.0.2.43:47011\"" }, "192.0.2.43 47011" },
		{ { "by=10.0.0.9;for=203.0.113.7;host=a.example.com;proto=https,for=10.0.0.1" }, "203.0.113.7" },
		{ { "FOR=203.0.113.7" }, "203.0.113.7" },
		{ { "for=\"203.0.113.7\"" }, "203.0.113.7" },
		{ { "for=\"20\\3.0.113.7\"" }, "203.0.113.7" }, /* a quoted pair */
		{ { "for=\"[::ffff:203.0.113.7]\"" }, "203.0.113.7" },
		{ { "for=\"203.0.113.7:_hidden\"" }, "203.0.113.7" },
		{ { "for=\"[2001:db8::7]:_p0rt.a-b_\"" }, "2001:db8::7" },
		{ { "for=\"unknown:4711\"" }, "" },
		{ { "for=UNKNOWN" }, "" },
		{ { "for=\"_a:_b\", for=10.0.0.1" }, "" },
		{ { "for=_a, for=203.0.113.7" }, "203.0.113.7" },
		{ { "for=203.0.113.7, proto=https" }, "" }, /* the last proxy does not tell */
		{ { "for=203.0.113.7 , , for=10.0.0.1," }, "203.0.113.7" },
		{ { "for=203.0.113.7;;proto=https;" }, "203.0.113.7" },
		{ { "for=203.0.113.7 ; proto=https" }, "203.0.113.7" },
		{ { "for=10.0.0.1, for=10.0.0.2" }, "10.0.0.1" },
		{ { "host=\"a, for=198.51.100.1\";for=203.0.113.7" }, "203.0.113.7" },
		{ { "host=\"a\\\", for=198.51.100.1\";for=203.0.113.7" }, "203.0.113.7" },
		{ { "for=rubbish, for=203.0.113.7" }, "203.0.113.7" },
		{ { "for=rubbish" }, MALFORMED },
		{ { "for=203.0.113.7, for=rubbish" }, MALFORMED },
		{ { "for=\"\"" }, MALFORMED },
		{ { "for=\"2001:db8::7\"" }, MALFORMED }, /* without brackets */
		{ { "for=\"[fe80::1%eth0]\"" }, MALFORMED },
		{ { "for=\"[2001:db8::7]:65536\"" }, MALFORMED },
		{ { "for=\"unix:\"" }, MALFORMED },
		{ { "for=_" }, MALFORMED },
		{ { "for=\"_a b\"" }, MALFORMED },
		{ { "" }, "!it is empty" },
		{ { " , ;" }, "!it is empty" },
		/* The client's part must not be able to hide what a proxy adds behind it. */
		{ { "for=198.51.100.1;host=\"a, for=203.0.113.7" }, SYNTAX },
		{ { "for=198.51.100.1;host=\"a, for=\"203.0.113.7:80\"" }, SYNTAX },
		{ { "for=198.51.100.1;host=\"", "for=203.0.113.7" }, SYNTAX },
		{ { "for=198.51.100.1;host=\"a\\", "for=203.0.113.7" }, SYNTAX },
		{ { "for=203.0.113.7:80" }, SYNTAX }, /* a colon needs quotes */
		{ { "for=[2001:db8::7]" }, SYNTAX },
		{ { "for" }, SYNTAX },
		{ { "for=" }, SYNTAX },
		{ { "=203.0.113.7" }, SYNTAX },
		{ { "for =203.0.113.7" }, SYNTAX },
		{ { "for= 203.0.113.7" }, SYNTAX },
		{ { "203.0.113.7" }, SYNTAX },
		{ { "for=203.0.113.7 for=198.51.100.1" }, SYNTAX },
		{ { "for=203.0.113.7\"x\"" }, SYNTAX },
		{ { "for=\"203.0.113.7\"x" }, SYNTAX },
		{ { "for=203.0.113.7;For=198.51.100.1" }, "!an element names two addresses" },
	};

	(void)state;
	check(CLIENT_FORWARDED, rows, COUNT(rows));
}

static void single_addresses(void **state)
{
	static const struct row rows[] = {
		{ { "203.0.113.7" }, "203.0.113.7" },
		{ { "2001:db8::7" }, "2001:db8::7" },
		{ { "::ffff:203.0.113.7" }, "203.0.113.7" },
		{ { "203.0.113.7:4711" }, "203.0.113.7 4711" },
		{ { "10.0.0.1" }, "10.0.0.1" },
		{ { "unix:" }, "" },
		{ { "203.0.113.7, 198.51.100.1" }, "!it names more than one address" },
		{ { "203.0.113.7", "203.0.113.7" }, "!it names more than one address" },
		{ { "203.0.113.7", "" }, "!it names more than one address" },
		{ { "" }, "!it is empty" },
		{ { "rubbish" }, MALFORMED },
		{ { "for=203.0.113.7" }, MALFORMED },
	};

	(void)state;
	check(CLIENT_X_REAL_IP, rows, COUNT(rows));
	check(CLIENT_CF_CONNECTING_IP, rows, COUNT(rows));
}

/* A list of n items, each 10.0.0.1 but the first one. */
static const char *long_list(enum client_source source, size_t n)
{
	static char list[64 * 1024];
	const char *const values[] = { list, NULL };
	const char *name = source == CLIENT_FORWARDED ? "for=" : "";
	size_t len = (size_t)snprintf(list, sizeof(list), "%s203.0.113.7", name);

	for (size_t i = 1; i < n; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, ",%s10.0.0.1", name);
	return find(source, values, NULL);
}

static void limits(void **state)
{
	static const enum client_source lists[] = { CLIENT_FORWARDED, CLIENT_X_FORWARDED_FOR };
	static char text[20000] = "for=\"_";
	const char *const values[] = { text, NULL };

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		CHECK(strcmp(long_list(lists[i], FORWARDED_ITEMS_MAX), "203.0.113.7") == 0, "%zu", i);
		CHECK(strcmp(long_list(lists[i], FORWARDED_ITEMS_MAX + 1), "!it has more than 100 addresses") == 0,
		      "%zu", i);
		CHECK(strcmp(long_list(lists[i], 4000), "!it has more than 100 addresses") == 0, "%zu", i);
	}
	memset(text + 6, 'a', sizeof(text) - 8);
	text[sizeof(text) - 2] = '"';
	CHECK(strcmp(find(CLIENT_FORWARDED, values, NULL), "") == 0, "a long identifier");
	memcpy(text, "for=\"203.0.113.7", 16);
	CHECK(strcmp(find(CLIENT_FORWARDED, values, NULL), MALFORMED) == 0, "a long address");
}

static void names(void **state)
{
	(void)state;
	assert_null(forwarded_field(CLIENT_PEER));
	assert_null(forwarded_field(CLIENT_PROXY_PROTOCOL));
	assert_string_equal(forwarded_field(CLIENT_FORWARDED), "Forwarded");
	assert_string_equal(forwarded_field(CLIENT_X_FORWARDED_FOR), "X-Forwarded-For");
	assert_string_equal(forwarded_field(CLIENT_X_REAL_IP), "X-Real-IP");
	assert_string_equal(forwarded_field(CLIENT_CF_CONNECTING_IP), "CF-Connecting-IP");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x_forwarded_for),  cmocka_unit_test(unix_sockets), cmocka_unit_test(forwarded),
		cmocka_unit_test(single_addresses), cmocka_unit_test(limits),       cmocka_unit_test(names),
	};

	return RUN(tests);
}
