/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests origin.h: which Host fields name no site, and what a browser says of a request's origin.
 */
#include "tests/unit/guard.h"

#include "status/origin.h"

static struct slice slice(const char *text)
{
	return (struct slice){ text, text ? strlen(text) : 0 };
}

static void hosts(void **state)
{
	static const struct {
		const char *host;
		bool want;
	} table[] = {
		{ NULL, true }, /* HTTP/1.0 */
		{ "localhost", true },
		{ "LocalHost:9000", true },
		{ "127.0.0.1", true },
		{ "127.0.0.1:8444", true },
		{ "192.0.2.7", true },
		{ "[::1]", true },
		{ "[::1]:8444", true },
		{ "[2001:db8::7]", true },
		{ "", false },
		{ "panel.example.com", false },
		{ "localhost.example.com", false },
		{ "localhost.", false },
		{ "127.0.0.1.example.com", false },
		{ "127.1", false },
		{ "[::1", false },
		{ "[localhost]", false },
		{ "::1", false },
		{ ":80", false },
		{ "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]", false },
	};
	static struct guard guard;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct http_request request = { .host = slice(table[i].host) };

		if (request.host.at)
			request.host.at = guard_copy(&guard, request.host.at, request.host.len);
		CHECK_INT(origin_is_local(&request), table[i].want, "%s", table[i].host ? table[i].host : "none");
	}
}

static void sites(void **state)
{
	static const struct {
		const char *site;
		bool want;
	} table[] = { { NULL, true },    { "same-origin", true }, { "same-site", false },   { "cross-site", false },
		      { "none", false }, { "", false },           { "same-origin2", false } };

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const struct http_request request = { .fetch_site = slice(table[i].site) };

		CHECK_INT(origin_is_own(&request), table[i].want, "%s", table[i].site ? table[i].site : "none");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(sites),
	};

	return RUN(tests);
}
