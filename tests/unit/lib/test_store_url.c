/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests store_url.h: URLs that are accepted with what they mean, URLs that are refused, and that a
 * refused one leaves no password.
 */
#include "tests/unit/guard.h"

#include "lib/store_url.h"

static const struct {
	const char *text, *host, *path, *user, *password, *ca_file, *place;
	unsigned port, database;
	bool tls, is_address;
} valid[] = {
	{ "redis://store", "store", "", "", "", "", "store:6379", 6379, 0, false, false },
	{ "redis://store/", "store", "", "", "", "", "store:6379", 6379, 0, false, false },
	{ "REDIS://store:1/0", "store", "", "", "", "", "store:1", 1, 0, false, false },
	{ "redis://192.0.2.7:65535/15", "192.0.2.7", "", "", "", "", "192.0.2.7:65535", 65535, 15, false, true },
	{ "redis://[2001:db8::7]/9999", "2001:db8::7", "", "", "", "", "[2001:db8::7]:6379", 6379, 9999, false, true },
	{ "redis://[::1]:7", "::1", "", "", "", "", "[::1]:7", 7, 0, false, true },
	{ "redis://alice@store", "store", "", "alice", "", "", "store:6379", 6379, 0, false, false },
	{ "redis://:pw@store", "store", "", "", "pw", "", "store:6379", 6379, 0, false, false },
	{ "redis://alice:p:w@store/2", "store", "", "alice", "p:w", "", "store:6379", 6379, 2, false, false },
	{ "redis://a%3Ab:%40%2f%20%ff@store", "store", "", "a:b", "@/ \xFF", "", "store:6379", 6379, 0, false, false },
	{ "rediss://store.example.com", "store.example.com", "", "", "", "", "store.example.com:6379", 6379, 0, true,
	  false },
	{ "rediss://:x@store:6380/1?ca=/etc/proxxy/store%20ca.pem", "store", "", "", "x", "/etc/proxxy/store ca.pem",
	  "store:6380", 6380, 1, true, false },
	{ "unix:///run/redis/redis.sock", "", "/run/redis/redis.sock", "", "", "", "/run/redis/redis.sock", 0, 0, false,
	  false },
	{ "unix://:x@/s?db=3", "", "/s", "", "x", "", "/s", 0, 3, false, false },
	{ "unix://u:x@/s%40t", "", "/s@t", "u", "x", "", "/s@t", 0, 0, false, false },
};

static void accepted(void **state)
{
	struct guard guard = { NULL };
	struct store_url url;
	char place[STORE_PLACE_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(valid); i++) {
		const char *text = guard_copy(&guard, valid[i].text, strlen(valid[i].text) + 1);

		memset(&url, 0xA5, sizeof(url));
		CHECK(store_url_parse(text, &url), "%s", valid[i].text);
		CHECK(strcmp(url.host, valid[i].host) == 0, "%s: host %s", valid[i].text, url.host);
		CHECK(strcmp(url.path, valid[i].path) == 0, "%s: path %s", valid[i].text, url.path);
		CHECK(strcmp(url.user, valid[i].user) == 0, "%s: user %s", valid[i].text, url.user);
		CHECK(strcmp(url.password, valid[i].password) == 0, "%s: password", valid[i].text);
		CHECK(strcmp(url.ca_file, valid[i].ca_file) == 0, "%s: ca %s", valid[i].text, url.ca_file);
		CHECK_INT(url.port, valid[i].port, "%s: port", valid[i].text);
		CHECK_INT(url.database, valid[i].database, "%s: database", valid[i].text);
		CHECK_INT(url.tls, valid[i].tls, "%s: TLS", valid[i].text);
		CHECK_INT(url.host_is_address, valid[i].is_address, "%s: address", valid[i].text);
		store_url_place(&url, place);
		CHECK(strcmp(place, valid[i].place) == 0, "%s: place %s", valid[i].text, place);
	}
}

static const char *const invalid[] = {
	"",
	"store",
	"redis:",
	"redis://",
	"redis:///0",
	"http://store",
	"redisss://store",
	"redis://store:",
	"redis://store:0",
	"redis://store:65536",
	"redis://store:+1",
	"redis://store:6379:1",
	"redis://store/x",
	"redis://store/-1",
	"redis://store/10000",
	"redis://store/0/1",
	"redis://127.1",
	"redis://2130706433",
	"redis://a_b",
	"redis://a b",
	"redis://[store]",
	"redis://[192.0.2.7]",
	"redis://[::1",
	"redis://[::1]6379",
	"redis://[::1]x:1",
	"redis://::1",
	"redis://@store",
	"redis://alice:@store",
	"redis://:@store",
	"redis://a@b@store",
	"redis://:pass/word@store",
	"redis://:pass word@store",
	"redis://:%@store",
	"redis://:%4@store",
	"redis://:%4g@store",
	"redis://:%00@store",
	"redis://:%0a@store",
	"redis://:%7f@store",
	"redis://store?ca=/x", /* without TLS it would have no effect */
	"rediss://store?ca=x", /* not absolute */
	"rediss://store?ca=",
	"rediss://store?ca",
	"rediss://store?db=1",
	"rediss://store?",
	"rediss://store#x",
	"unix://store/s",
	"unix://s",
	"unix://",
	"unix:///s?db=",
	"unix:///s?db=x",
	"unix:///s?ca=/x",
	"unix:///s?db=1&db=2",
	"unix://@/s",
};

static void refused(void **state)
{
	struct guard guard = { NULL };
	struct store_url url, zero;

	(void)state;
	memset(&zero, 0, sizeof(zero));
	for (size_t i = 0; i < COUNT(invalid); i++) {
		const char *text = guard_copy(&guard, invalid[i], strlen(invalid[i]) + 1);

		memset(&url, 0xA5, sizeof(url));
		CHECK(!store_url_parse(text, &url), "%s", invalid[i]);
		CHECK(memcmp(&url, &zero, sizeof(url)) == 0, "%s leaves something", invalid[i]);
	}
}

/* Returns whether a URL with so many times 'a' between before and after is accepted. */
static bool accepts_many(const char *before, size_t n, const char *after)
{
	char text[1024], *end = text;
	struct store_url url;

	end = stpcpy(end, before);
	memset(end, 'a', n);
	stpcpy(end + n, after);
	return store_url_parse(text, &url);
}

static void lengths(void **state)
{
	static const struct {
		const char *before, *after;
		size_t longest;
	} table[] = {
		{ "redis://:", "@store", STORE_PASSWORD_MAX - 1 },
		{ "redis://", ":x@store", STORE_USER_MAX - 1 },
		{ "rediss://store?ca=/", "", STORE_CA_PATH_MAX - 2 },
		{ "unix:///", "", STORE_SOCKET_PATH_MAX - 2 },
		{ "redis://", "", 63 }, /* a label of a name */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		CHECK(accepts_many(table[i].before, table[i].longest, table[i].after), "row %zu", i);
		CHECK(!accepts_many(table[i].before, table[i].longest + 1, table[i].after), "row %zu and one more", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(accepted), cmocka_unit_test(refused),
					    cmocka_unit_test(lengths) };

	return cmocka_run_group_tests_name(__FILE__, tests, NULL, print_checks);
}
