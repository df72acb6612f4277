/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests host.h: which lists are valid, which hosts and origins they allow, and every way to write
 * an address of this machine or of a metadata service.
 */
#include "tests/unit/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "lib/host.h"

static struct guard in;

static void lists(void **state)
{
	static const struct {
		const char *list;
		bool want;
	} table[] = {
		{ "", true },
		{ " ", true },
		{ "a", true },
		{ "pve1.example.com", true },
		{ "*.example.com", true },
		{ "a, b ,c,", true },
		{ "localhost", true },
		{ "10.0.0.0/8", true },
		{ "10.1.2.3", true },
		{ "10.1.2.3/32", true },
		{ "0.0.0.0/0", true },
		{ "::/0", true },
		{ "2001:db8::/32", true },
		{ "::1", true },
		{ "2001:db8::1/128", true },
		{ "192.0.2.128/25", true },
		{ "*", false },
		{ "*.", false },
		{ "**.a", false },
		{ "a.*", false },
		{ "a*.b", false },
		{ "*.*.a", false },
		{ ",a", false },
		{ "a,,b", false },
		{ "a b", false },
		{ "a:8006", false },
		{ "https://a", false },
		{ "-a", false },
		{ "a_b", false },
		{ "[::1]", false },
		{ "127.1", false },
		{ "*.1", false },
		{ "0x7f.0.0.1", false },
		{ "10.0.0.1/8", false },
		{ "10.0.0.0/33", false },
		{ "10.0.0.0/", false },
		{ "10.0.0.0/-1", false },
		{ "10.0.0.0/8/8", false },
		{ "10.0.0.0/0008", false },
		{ "10/8", false },
		{ "2001:db8::1/32", false },
		{ "::/129", false },
		{ "fe80::1%eth0", false },
		{ "a/24", false },
		{ "10.0.0.0/ 8", false },
		{ "1.2.3.4.5", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		CHECK_INT(host_list_valid(guard_copy(&in, table[i].list, strlen(table[i].list) + 1)), table[i].want,
			  "'%s'", table[i].list);
}

static void verdicts(void **state)
{
	static const struct {
		const char *list, *host;
		enum host_verdict want;
	} table[] = {
		{ "", "a", HOST_NAMED },
		{ " \t", "127.0.0.1", HOST_NAMED },
		{ "a", "a", HOST_NAMED },
		{ "a", "A", HOST_NAMED },
		{ "b, a", "a", HOST_NAMED },
		{ "a", "b", HOST_REFUSED },
		{ "a", "aa", HOST_REFUSED },
		{ "aa", "a", HOST_REFUSED },
		{ "a.example.com", "b.a.example.com", HOST_REFUSED },
		{ "*.example.com", "a.example.com", HOST_NAMED },
		{ "*.example.com", "B.A.Example.COM", HOST_NAMED },
		{ "*.example.com", "example.com", HOST_REFUSED },
		{ "*.example.com", "aexample.com", HOST_REFUSED },
		{ "*.example.com", "a.example.com.evil.example", HOST_REFUSED },
		{ "*.example.com", ".example.com", HOST_REFUSED },
		{ "a,10.0.0.0/8", "b", HOST_BY_ADDRESS },
		{ "a,10.0.0.0/8", "a", HOST_NAMED },
		{ "10.0.0.0/8", "10.1.1.1", HOST_BY_ADDRESS },
		{ "10.0.0.0/8,a", "a", HOST_NAMED },
		{ "a", "10.0.0.1", HOST_REFUSED },
		{ "localhost", "localhost", HOST_NAMED },
		{ "localhost", "127.0.0.1", HOST_BY_ADDRESS },
		{ "localhost", "a", HOST_BY_ADDRESS },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		CHECK_INT(host_list_judge(table[i].list, guard_copy(&in, table[i].host, strlen(table[i].host) + 1)),
			  table[i].want, "%s in '%s'", table[i].host, table[i].list);
}

static bool allowed(const char *list, const char *text, enum host_verdict verdict)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return host_address_allowed(list, (struct sockaddr *)&v4, verdict);
	CHECK(inet_pton(AF_INET6, text, &v6.sin6_addr) == 1, "%s", text);
	return host_address_allowed(list, (struct sockaddr *)&v6, verdict);
}

/* These addresses are not allowed unless a network of the list contains them, however they are
 * written. */
static void special_addresses(void **state)
{
	static const char *const special[] = {
		"127.0.0.1",
		"127.255.255.255",
		"0.0.0.0",
		"0.1.2.3",
		"169.254.0.0",
		"169.254.169.254",
		"169.254.255.255",
		"224.0.0.1",
		"239.255.255.255",
		"255.255.255.255",
		"240.0.0.1",
		"100.100.100.200",
		"168.63.129.16",
		"192.0.0.192",
		"::",
		"::1",
		"fe80::1",
		"febf:ffff::1",
		"fec0::1",
		"ff02::1",
		"ff0e::1",
		"fd00:ec2::254",
		"fd20:ce::254",
		"::ffff:127.0.0.1",
		"::ffff:169.254.169.254",
		"::ffff:0.0.0.0",
		"::127.0.0.1",
		"::169.254.169.254",
		"64:ff9b::127.0.0.1",
		"64:ff9b::a9fe:a9fe",
		"2002:7f00:1::",
		"2002:a9fe:a9fe::1",
		/* Each format that embeds an IPv4 address, with 127.0.0.1 or 169.254.169.254: see
		 * host.c. */
		"::ffff:0:127.0.0.1",
		"::ffff:0:169.254.169.254",
		"64:ff9b::169.254.169.254",
		"64:ff9b:1::127.0.0.1",
		"64:ff9b:1::169.254.169.254",
		"64:ff9b:1:abcd::127.0.0.1",
		"64:ff9b:1:ffff:ff:ffff:a9fe:a9fe",
		"64:ff9b:1:0:7f:0:100:0",
		"64:ff9b:1:1234:a9:fea9:fe00:0",
		"64:ff9b:1:7f:0:1::",
		"64:ff9b:1:12a9:fe:a9fe::",
		"64:ff9b:1:7f00:0:100::",
		"64:ff9b:1:a9fe:a9:fe00::",
		"64:ff9b:1::",
		"64:ff9b::",
		"2002:7f00:1:ffff:1:2:3:4",
		"2002:6464:64c8::",
		"2001:0:7f00:1::1:2",
		"2001:0:a00:1:0:0:80ff:fffe",
		"2001:0:c633:6401:8000:63bf:5601:5601",
		"2001:470::5efe:127.0.0.1",
		"2001:470:1:2:200:5efe:169.254.169.254",
		"fd00::200:5efe:a9fe:a9fe",
	};
	static const char *const plain[] = {
		"126.255.255.255",
		"128.0.0.0",
		"1.0.0.0",
		"169.253.255.255",
		"169.255.0.0",
		"223.255.255.255",
		"10.0.0.1",
		"192.168.1.1",
		"172.16.0.1",
		"100.64.0.1",
		"100.100.100.201",
		"168.63.129.17",
		"192.0.0.193",
		"::2:0:0:1",
		"fe00::1",
		"fd00::1",
		"fd00:ec2::253",
		"2001:db8::1",
		"2002:a00:1::",
		"64:ff9b::a00:1",
		"::ffff:10.0.0.1",
		"2003::1",
		"::ffff:0:10.0.0.1",
		"64:ff9b:1::10.0.0.1",
		"64:ff9b:1:a00:0:100::",
		"64:ff9b:1:a:0:1::",
		"64:ff9b:1:0:a:0:100:0",
		"64:ff9b:2::127.0.0.1",
		"64:ff9b:1:a00:1:7f00:a00:1",
		"2001:0:a00:1:0:0:f5ff:fffe",
		"2001:1::7f00:1",
		"2001:db8::5efe:10.0.0.1",
		"2001:db8::100:5efe:127.0.0.1",
		"2001:db8::5eff:127.0.0.1",
		"::1:0:127.0.0.1",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(special); i++) {
		CHECK(!allowed("", special[i], HOST_NAMED), "%s", special[i]);
		CHECK(!allowed("a.example.com,*.b", special[i], HOST_NAMED), "%s by name", special[i]);
		CHECK(!allowed("10.0.0.0/8,2001:db8::/32", special[i], HOST_NAMED), "%s beside a network", special[i]);
		CHECK(allowed("0.0.0.0/0,::/0", special[i], HOST_BY_ADDRESS), "%s by a network", special[i]);
	}
	for (size_t i = 0; i < COUNT(plain); i++) {
		CHECK(allowed("", plain[i], HOST_NAMED), "%s", plain[i]);
		CHECK(!allowed("192.0.2.0/24", plain[i], HOST_BY_ADDRESS), "%s not in the network", plain[i]);
	}
}

static void networks(void **state)
{
	static const struct {
		const char *network, *address;
		bool want;
	} table[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.7", "192.0.2.7", true },
		{ "192.0.2.7", "192.0.2.6", false },
		{ "192.0.2.6/31", "192.0.2.7", true },
		{ "0.0.0.0/0", "255.255.255.255", true },
		{ "0.0.0.0/0", "::1", false },
		{ "::/0", "1.2.3.4", false },
		{ "2001:db8::/32", "2001:db8:ffff::1", true },
		{ "2001:db8::/32", "2001:db9::", false },
		{ "2001:db8::8000/113", "2001:db8::ffff", true },
		{ "2001:db8::8000/113", "2001:db8::7fff", false },
		{ "::1", "::1", true },
		{ "::1", "", false },
		{ "127.0.0.1", "unknown", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		CHECK_INT(host_in_network(table[i].network, table[i].address), table[i].want, "%s in %s",
			  table[i].address, table[i].network);
	assert_true(allowed("localhost", "127.0.0.1", HOST_BY_ADDRESS));
	assert_true(allowed("localhost", "::1", HOST_BY_ADDRESS));
	assert_false(allowed("localhost", "192.0.2.1", HOST_BY_ADDRESS));
	assert_true(allowed("127.0.0.0/8", "::ffff:127.0.0.1", HOST_BY_ADDRESS));
	assert_false(allowed("::/0", "::ffff:127.0.0.1", HOST_BY_ADDRESS)); /* it counts as IPv4 */
	assert_false(host_address_allowed("0.0.0.0/0,::/0", &(struct sockaddr){ .sa_family = AF_UNIX }, HOST_NAMED));
}

static void origins(void **state)
{
	static const struct {
		const char *list, *origin;
		bool want;
	} table[] = {
		{ "https://a.example", "https://a.example", true },
		{ "https://a.example", "HTTPS://A.example", true },
		{ "https://b, https://a", "https://a", true },
		{ "https://a:8443", "https://a:8443", true },
		{ "http://[::1]:80", "http://[::1]:80", true },
		{ "https://10.0.0.1", "https://10.0.0.1", true },
		{ "https://*.example", "https://a.example", true },
		{ "https://*.example", "https://b.a.example", true },
		{ "https://a.example", "http://a.example", false },
		{ "https://a", "https://a:443", false },
		{ "https://a:443", "https://a", false },
		{ "https://a", "https://aa", false },
		{ "https://a", "https://a.", false },
		{ "https://a", "https://a/", false },
		{ "https://a", "https://a/x", false },
		{ "https://a", "null", false },
		{ "https://a", "", false },
		{ "https://a", "https://", false },
		{ "https://a", "https://b https://a", false },
		{ "https://a", "https://x@a", false },
		{ "https://a", "https://a,https://a", false },
		{ "https://*.example", "https://example", false },
		{ "https://*.example", "https://.example", false },
		{ "https://*.example", "https://evil/.example", false },
		{ "https://*.example", "https://evil#.example", false },
		{ "https://*.example", "https://evil?.example", false },
		{ "https://*.example", "https://a@b.example", false },
		{ "https://*.example", "https://evil\\.example", false },
		{ "https://*.example", "https://a.example.evil", false },
		{ "https://*.example", "https://*.example", false },
		{ "", "https://a", false },
		{ "http://[::1]", "http://[::1", false },
		{ "https://a", "://a", false },
	};
	static const char *const bad[] = {
		"a.example",   "https://",    "https://a/",   "https://a/x",      "https://*",
		"*",           "https://a:",  "https://a:x",  "https://a:123456", "1http://a",
		"https://x@a", "https://a b", "https://[::1", "https://[a]",      "https://a.*",
		"null",        ",https://a",  "ht tp://a",    "https://a?x",      "https://a#",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const size_t len = strlen(table[i].origin);

		CHECK(host_origins_valid(table[i].list), "%s", table[i].list);
		CHECK_INT(host_origin_allowed(table[i].list, guard_copy(&in, table[i].origin, len), len), table[i].want,
			  "'%s' in '%s'", table[i].origin, table[i].list);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK(!host_origins_valid(guard_copy(&in, bad[i], strlen(bad[i]) + 1)), "%s", bad[i]);
}

static void addresses(void **state)
{
	static const struct {
		int family;
		const char *text, *want; /* NULL if it is none */
	} table[] = {
		{ AF_INET, "203.0.113.7", "203.0.113.7" },
		{ AF_UNSPEC, "203.0.113.7", "203.0.113.7" },
		{ AF_INET6, "2001:DB8:0::7", "2001:db8::7" },
		{ AF_UNSPEC, "2001:db8::0007", "2001:db8::7" },
		{ AF_UNSPEC, "::ffff:203.0.113.7", "203.0.113.7" },
		{ AF_INET6, "0:0:0:0:0:FFFF:CB00:7107", "203.0.113.7" },
		{ AF_INET6, "::203.0.113.7", "::203.0.113.7" }, /* compatible, not mapped */
		{ AF_INET6, "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ AF_INET, "::ffff:203.0.113.7", NULL },
		{ AF_INET6, "203.0.113.7", NULL },
		{ AF_UNSPEC, "", NULL },
		{ AF_UNSPEC, "203.0.113", NULL },
		{ AF_UNSPEC, "203.0.113.07", NULL },
		{ AF_UNSPEC, " 203.0.113.7", NULL },
		{ AF_UNSPEC, "fe80::1%1", NULL },
		{ AF_UNSPEC, "fe80::1%eth0", NULL },
		{ AF_UNSPEC, "[::1]", NULL },
		{ AF_UNSPEC, "1:2:3:4:5:6:7:8:9", NULL },
		{ AF_UNSPEC, "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL },
	};
	char text[INET6_ADDRSTRLEN];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const size_t len = strlen(table[i].text);
		const bool is_address =
			host_parse_address(table[i].family, guard_copy(&in, table[i].text, len), len, text);

		CHECK(is_address == (table[i].want != NULL), "%s", table[i].text);
		CHECK(!is_address || strcmp(text, table[i].want) == 0, "%s: %s", table[i].text, text);
	}
	CHECK(!host_parse_address(AF_INET, "203.0.113.7\0", 12, text), "a NUL");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),    cmocka_unit_test(verdicts), cmocka_unit_test(special_addresses),
		cmocka_unit_test(networks), cmocka_unit_test(origins),  cmocka_unit_test(addresses),
	};

	return RUN(tests);
}
