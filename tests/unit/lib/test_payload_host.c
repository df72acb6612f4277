/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests payload.h: the host that a payload names, as a name or an address, with or without a port.
 * Each text ends at an unreadable page. After a failure the console is unchanged.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/payload.h"

static struct guard in;

#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi-0"
#define NAME253 \
	LABEL63 "." LABEL63 "." LABEL63 "." \
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"

static void hosts(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: refused */
		bool is_address;
		int port;
	} table[] = {
		/* clang-format off */
		{ "a", "a", false, 0 }, { "pve.example.com", "pve.example.com", false, 0 },
		{ "PVE-1.Example.COM:8006", "PVE-1.Example.COM", false, 8006 },
		{ "a:1", "a", false, 1 }, { "a:65535", "a", false, 65535 }, { "3com.com", "3com.com", false, 0 },
		{ "1.2.3.4.com", "1.2.3.4.com", false, 0 },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example", false, 0 }, { "a--b", "a--b", false, 0 },
		{ "0xa.example", "0xa.example", false, 0 },
		{ LABEL63 ".de", LABEL63 ".de", false, 0 }, { NAME253, NAME253, false, 0 },
		{ NAME253 ":8006", NAME253, false, 8006 },
		{ "127.0.0.1", "127.0.0.1", true, 0 }, { "192.0.2.1:443", "192.0.2.1", true, 443 },
		{ "255.255.255.255", "255.255.255.255", true, 0 },
		{ "::1", "::1", true, 0 }, { "a::1", "a::1", true, 0 }, { "2001:db8::1", "2001:db8::1", true, 0 },
		{ "[::1]", "::1", true, 0 }, { "[2001:DB8::1]:8006", "2001:DB8::1", true, 8006 },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", true, 0 }, { "[::]:1", "::", true, 1 },
		{ "2001:db8:0:0:0:0:0:1", "2001:db8:0:0:0:0:0:1", true, 0 },
		/* a final dot, which the original accepts */
		{ "pve.example.com.", "pve.example.com", false, 0 },
		{ "pve.example.com.:8006", "pve.example.com", false, 8006 }, { "a.", "a", false, 0 },
		{ NAME253 ".", NAME253, false, 0 }, { NAME253 ".:1", NAME253, false, 1 },
		{ "127.0.0.1.", "127.0.0.1", true, 0 }, { "192.0.2.1.:443", "192.0.2.1", true, 443 },
		{ "a..", NULL, 0, 0 }, { "..", NULL, 0, 0 }, { ".:1", NULL, 0, 0 }, { "a-.", NULL, 0, 0 },
		{ "127.1.", NULL, 0, 0 }, { "0x7f000001.", NULL, 0, 0 },
		{ "127.0.0.1..", NULL, 0, 0 }, { "::1.", NULL, 0, 0 }, { "[::1.]", NULL, 0, 0 },
		{ "[::1].", NULL, 0, 0 }, { "a.:", NULL, 0, 0 }, { "a:1.", NULL, 0, 0 },
		{ "", NULL, 0, 0 }, { " ", NULL, 0, 0 }, { " a", NULL, 0, 0 }, { "a ", NULL, 0, 0 },
		{ "a b", NULL, 0, 0 }, { ".", NULL, 0, 0 }, { "a..b", NULL, 0, 0 }, { ".a", NULL, 0, 0 },
		{ "-a", NULL, 0, 0 }, { "a-", NULL, 0, 0 }, { "a.-b", NULL, 0, 0 }, { "a-.b", NULL, 0, 0 },
		{ "-", NULL, 0, 0 }, { "a_b", NULL, 0, 0 }, { "a/b", NULL, 0, 0 }, { "a@b", NULL, 0, 0 },
		{ "a?b", NULL, 0, 0 }, { "a#b", NULL, 0, 0 }, { "a%20b", NULL, 0, 0 }, { "a\\b", NULL, 0, 0 },
		{ "b\xC3\xBC" "cher", NULL, 0, 0 }, { "a,b", NULL, 0, 0 }, { "a;b", NULL, 0, 0 }, { "*", NULL, 0, 0 },
		{ "https://a", NULL, 0, 0 }, { "a:", NULL, 0, 0 }, { ":1", NULL, 0, 0 }, { "a:0", NULL, 0, 0 },
		{ "a:65536", NULL, 0, 0 }, { "a:1a", NULL, 0, 0 }, { "a:+1", NULL, 0, 0 }, { "a:-1", NULL, 0, 0 },
		{ "a: 1", NULL, 0, 0 }, { "a:99999999999", NULL, 0, 0 }, { "a:1:2", NULL, 0, 0 }, { ":", NULL, 0, 0 },
		{ "g::1", NULL, 0, 0 },
		/* names that getaddrinfo() would parse as IPv4 addresses */
		{ "127.1", NULL, 0, 0 }, { "0x7f.1", NULL, 0, 0 }, { "0x7f000001", NULL, 0, 0 },
		{ "0X7F000001", NULL, 0, 0 }, { "2130706433", NULL, 0, 0 }, { "0177.0.0.1", NULL, 0, 0 },
		{ "127.0.0.01", NULL, 0, 0 },
		{ "0", NULL, 0, 0 }, { "1.2.3", NULL, 0, 0 }, { "1.2.3.4.5", NULL, 0, 0 }, { "256.1.1.1", NULL, 0, 0 },
		{ "127.0.0.0x1", NULL, 0, 0 }, { "127.0.0.1:", NULL, 0, 0 },
		{ "127.0.0.1 ", NULL, 0, 0 }, { "a.0x", NULL, 0, 0 }, { "a.1", NULL, 0, 0 },
		{ "[::1", NULL, 0, 0 }, { "::1]", NULL, 0, 0 }, { "[]", NULL, 0, 0 }, { "[", NULL, 0, 0 },
		{ "[::1]8006", NULL, 0, 0 }, { "[::1]:", NULL, 0, 0 }, { "[::1]:0", NULL, 0, 0 },
		{ "[::1]:1:2", NULL, 0, 0 },
		{ "[[::1]]", NULL, 0, 0 }, { "[127.0.0.1]", NULL, 0, 0 }, { "[a]", NULL, 0, 0 },
		{ "[a]:1", NULL, 0, 0 }, { "fe80::1%eth0", NULL, 0, 0 }, { "[fe80::1%eth0]:8006", NULL, 0, 0 },
		{ "[fe80::1%25eth0]", NULL, 0, 0 },
		{ ":::1", NULL, 0, 0 }, { "1::2::3", NULL, 0, 0 }, { "2001:db8::g", NULL, 0, 0 },
		{ "::ffff:127.1", NULL, 0, 0 }, { "12345::1", NULL, 0, 0 },
		{ NAME253 "x", NULL, 0, 0 }, { NAME253 "x:1", NULL, 0, 0 }, { "x" LABEL63 ".de", NULL, 0, 0 },
		{ NAME253 "." NAME253, NULL, 0, 0 }, { "[" NAME253 NAME253 "]", NULL, 0, 0 },
		/* clang-format on */
	};

	(void)state;
	assert_int_equal(strlen(NAME253), CONSOLE_HOST_MAX);
	for (size_t i = 0; i < COUNT(table); i++) {
		static struct console c, before;
		int rc;

		memset(&c, 0x5A, sizeof(c));
		before = c;
		rc = payload_parse_host(guard_copy(&in, table[i].text, strlen(table[i].text) + 1), &c);
		CHECK_INT(rc, table[i].host ? 0 : ERR_PAYLOAD_INVALID, "%s", table[i].text);
		if (rc < 0) {
			CHECK(memcmp(&c, &before, sizeof(c)) == 0, "untouched: %s", table[i].text);
			continue;
		}
		CHECK(strcmp(c.host, table[i].host) == 0, "%s: %s", table[i].text, c.host);
		CHECK_INT(c.host_is_address, table[i].is_address, "%s", table[i].text);
		CHECK_INT(c.host_port, table[i].port, "%s", table[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
	};

	return RUN(tests);
}
