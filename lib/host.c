/* SPDX-License-Identifier: Apache-2.0
 *
 * Validates hosts, networks and origins, and checks them against lists.
 */
#include "lib/host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/list.h"

enum { ADDRESS_MAX = 16, NETWORK_TEXT_MAX = INET6_ADDRSTRLEN + 4 };

struct network {
	int family;
	uint8_t prefix[ADDRESS_MAX];
	unsigned bits;
};

/* Addresses of this machine, of its link, and those that are no host's; and the addresses of
 * clouds' metadata services, which give a machine its credentials. */
static const char special[] =
	"0.0.0.0/8,127.0.0.0/8,224.0.0.0/3,::/128,::1/128,ff00::/8," /* RFC 6890, RFC 1112, RFC 4291 */
	"169.254.0.0/16,fe80::/10,fec0::/10,"        /* link-local, with 169.254.169.254, and site-local */
	"100.100.100.200,168.63.129.16,192.0.0.192," /* metadata: Alibaba, Azure, Oracle, */
	"fd00:ec2::254,fd20:ce::254,fd00:42::42,"    /* AWS, Google, Scaleway, */
	"fd00:a9fe:a9fe::1,fd00:c1::a9fe:a9fe";      /* Linode, Oracle */

bool host_is_name(const char *s, size_t len)
{
	size_t label = 0;

	if (len == 0 || len > HOST_NAME_MAX_LEN)
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

bool host_looks_like_ipv4(const char *name, size_t len)
{
	const char *dot = memrchr(name, '.', len), *last = dot ? dot + 1 : name;
	const size_t n = (size_t)(name + len - last);
	size_t digits = 0;

	while (digits < n && last[digits] >= '0' && last[digits] <= '9')
		digits++;
	return digits == n || (n >= 2 && strncasecmp(last, "0x", 2) == 0);
}

bool host_is_address(int family, const char *text)
{
	uint8_t address[ADDRESS_MAX];

	return inet_pton(family, text, address) == 1;
}

void host_write_address(int family, const void *bytes, char ret_text[INET6_ADDRSTRLEN])
{
	struct in6_addr v6;

	if (family == AF_INET6) {
		memcpy(&v6, bytes, sizeof(v6));
		if (IN6_IS_ADDR_V4MAPPED(&v6)) {
			family = AF_INET;
			bytes = (const uint8_t *)bytes + 12;
		}
	}
	inet_ntop(family, bytes, ret_text, INET6_ADDRSTRLEN);
}

bool host_parse_address(int family, const char *text, size_t len, char ret_text[INET6_ADDRSTRLEN])
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t address[ADDRESS_MAX];

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (family == AF_UNSPEC)
		family = memchr(text, ':', len) ? AF_INET6 : AF_INET;
	if (strlen(copy) != len || inet_pton(family, copy, address) != 1)
		return false;
	host_write_address(family, address, ret_text);
	return true;
}

/* --- networks ----------------------------------------------------------------------------- */

/* Parses "address" or "address/bits". Returns false if it is neither, or if the address has bits
 * set outside its prefix, which is likely a mistake. */
static bool parse_network(const char *text, size_t len, struct network *ret)
{
	char copy[NETWORK_TEXT_MAX];
	struct network n = { 0 };
	char *slash;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	n.family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	n.bits = n.family == AF_INET6 ? 128 : 32;
	if (inet_pton(n.family, copy, n.prefix) != 1)
		return false;
	if (slash) {
		unsigned bits = 0, most = n.bits;

		if (strlen(slash) == 0 || strlen(slash) > 3 || strspn(slash, "0123456789") != strlen(slash))
			return false;
		for (const char *p = slash; *p; p++)
			bits = bits * 10 + (unsigned)(*p - '0');
		if (bits > most)
			return false;
		n.bits = bits;
		for (unsigned bit = bits; bit < most; bit++)
			if (n.prefix[bit / 8] & (0x80 >> bit % 8))
				return false;
	}
	*ret = n;
	return true;
}

static bool contains(const struct network *n, int family, const uint8_t *address)
{
	const unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (family != n->family || memcmp(n->prefix, address, whole) != 0)
		return false;
	return rest == 0 || (n->prefix[whole] ^ address[whole]) >> (8 - rest) == 0;
}

static bool is_localhost(const char *item, size_t len)
{
	return len == strlen("localhost") && strncasecmp(item, "localhost", len) == 0;
}

/* Returns true if a network of the list contains the address. */
static bool list_contains(const char *list, int family, const uint8_t *address)
{
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len))) {
		struct network n;

		if (parse_network(item, len, &n) && contains(&n, family, address))
			return true;
		if (is_localhost(item, len) && list_contains("127.0.0.0/8,::1", family, address))
			return true;
	}
	return false;
}

/* The formats of IPv6 addresses that embed an IPv4 address to which the kernel, a tunnel or a
 * translator would send: the bits that identify the format, their mask, and the positions of the
 * four IPv4 bytes. Formats with a prefix that an operator chooses cannot be recognized (RFC 6052
 * section 2.2, 6rd of RFC 5969, MAP of RFC 7597). 6over4 (RFC 2529) is link-local. */
static const struct embedding {
	const char *prefix, *mask;
	uint8_t at[4];
	bool inverted; /* every bit of the IPv4 address is inverted */
} embeddings[] = {
	{ "::ffff:0:0", "ffff:ffff:ffff:ffff:ffff:ffff::", { 12, 13, 14, 15 }, false },   /* mapped: RFC 4291 2.5.5.2 */
	{ "::", "ffff:ffff:ffff:ffff:ffff:ffff::", { 12, 13, 14, 15 }, false },           /* compatible: 2.5.5.1 */
	{ "::ffff:0:0:0", "ffff:ffff:ffff:ffff:ffff:ffff::", { 12, 13, 14, 15 }, false }, /* translated: RFC 2765 2.1 */
	{ "64:ff9b::", "ffff:ffff:ffff:ffff:ffff:ffff::", { 12, 13, 14, 15 }, false },    /* NAT64: RFC 6052 2.1 */
	/* A site's own NAT64, 64:ff9b:1::/48 (RFC 8215), with prefixes of 96, 64, 56 and 48 bits
	 * (RFC 6052 section 2.2). Bits 64 to 71 and the bytes after the address are zero. */
	{ "64:ff9b:1::", "ffff:ffff:ffff::ff00:0:0:0", { 12, 13, 14, 15 }, false },
	{ "64:ff9b:1::", "ffff:ffff:ffff:0:ff00:0:ff:ffff", { 9, 10, 11, 12 }, false },
	{ "64:ff9b:1::", "ffff:ffff:ffff:0:ff00:0:ffff:ffff", { 7, 9, 10, 11 }, false },
	{ "64:ff9b:1::", "ffff:ffff:ffff:0:ff00:ff:ffff:ffff", { 6, 7, 9, 10 }, false },
	{ "2002::", "ffff::", { 2, 3, 4, 5 }, false },                  /* 6to4: RFC 3056 section 2 */
	{ "2001::", "ffff:ffff::", { 4, 5, 6, 7 }, false },             /* Teredo server: RFC 4380 4 */
	{ "2001::", "ffff:ffff::", { 12, 13, 14, 15 }, true },          /* Teredo client */
	{ "::5efe:0:0", "::fdff:ffff:0:0", { 12, 13, 14, 15 }, false }, /* ISATAP: RFC 5214 6.1 */
};

/* Copies the embedded IPv4 address to ret. Returns false if address does not have the format e. */
static bool extract_ipv4(const struct embedding *e, const uint8_t *address, uint8_t ret[4])
{
	uint8_t prefix[ADDRESS_MAX], mask[ADDRESS_MAX];

	if (inet_pton(AF_INET6, e->prefix, prefix) != 1 || inet_pton(AF_INET6, e->mask, mask) != 1)
		return false;
	for (size_t i = 0; i < ADDRESS_MAX; i++)
		if ((address[i] & mask[i]) != prefix[i])
			return false;
	for (size_t i = 0; i < 4; i++)
		ret[i] = (uint8_t)(address[e->at[i]] ^ (e->inverted ? UINT8_MAX : 0));
	return true;
}

/* Returns true if an IPv6 address embeds a special IPv4 address. If several formats match, those
 * that yield an address in 0.0.0.0/8 do not count: such addresses are not forwarded. */
static bool embeds_special(const uint8_t *address)
{
	bool has_ipv4 = false, has_forwarded = false;
	uint8_t ipv4[4];

	for (size_t i = 0; i < sizeof(embeddings) / sizeof(embeddings[0]); i++) {
		if (!extract_ipv4(&embeddings[i], address, ipv4))
			continue;
		has_ipv4 = true;
		if (ipv4[0] == 0)
			continue;
		has_forwarded = true;
		if (list_contains(special, AF_INET, ipv4))
			return true;
	}
	return has_ipv4 && !has_forwarded;
}

static bool is_special(int family, const uint8_t *address)
{
	return list_contains(special, family, address) || (family == AF_INET6 && embeds_special(address));
}

bool host_address_allowed(const char *list, const struct sockaddr *address, enum host_verdict verdict)
{
	const uint8_t *bytes;
	int family = address->sa_family;

	if (family == AF_INET) {
		bytes = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
	} else if (family == AF_INET6) {
		bytes = (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)bytes)) {
			family = AF_INET;
			bytes += 12;
		}
	} else {
		return false;
	}
	return list_contains(list, family, bytes) || (verdict == HOST_NAMED && !is_special(family, bytes));
}

bool host_is_network(const char *text)
{
	struct network n;

	return parse_network(text, strlen(text), &n);
}

bool host_in_network(const char *network, const char *address)
{
	struct network n, a;

	return parse_network(network, strlen(network), &n) && parse_network(address, strlen(address), &a) &&
	       contains(&n, a.family, a.prefix);
}

/* --- lists -------------------------------------------------------------------------------- */

/* Returns true if s is a host name, or "*." and a host name. */
static bool is_pattern(const char *s, size_t len)
{
	if (len > 2 && s[0] == '*' && s[1] == '.') {
		s += 2;
		len -= 2;
	}
	return host_is_name(s, len) && !host_looks_like_ipv4(s, len);
}

static bool matches(const char *pattern, size_t pattern_len, const char *name, size_t len)
{
	if (pattern[0] == '*') {
		const size_t tail = pattern_len - 1; /* ".example.com" */

		return len > tail && strncasecmp(name + len - tail, pattern + 1, tail) == 0;
	}
	return len == pattern_len && strncasecmp(name, pattern, len) == 0;
}

bool host_list_valid(const char *list)
{
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len))) {
		struct network n;

		if (!parse_network(item, len, &n) && !is_pattern(item, len))
			return false;
	}
	return true;
}

enum host_verdict host_list_judge(const char *list, const char *host)
{
	const bool is_address = host_is_address(AF_INET, host) || host_is_address(AF_INET6, host);
	enum host_verdict verdict = HOST_REFUSED;
	const char *item;
	size_t len;

	if (list[strspn(list, " \t")] == '\0')
		return HOST_NAMED;
	while ((item = list_next(&list, &len))) {
		struct network n;

		if (!is_address && matches(item, len, host, strlen(host)))
			return HOST_NAMED;
		if (is_localhost(item, len) || parse_network(item, len, &n))
			verdict = HOST_BY_ADDRESS;
	}
	return verdict;
}

/* --- origins ------------------------------------------------------------------------------ */

/* The parts of scheme "://" host [":" port]. In a list, the host may be a wildcard. */
struct origin {
	const char *scheme, *host, *port;
	size_t scheme_len, host_len, port_len;
};

static bool split_origin(const char *s, size_t len, struct origin *ret)
{
	const char *end = s + len, *colon = memmem(s, len, "://", 3), *port;
	struct origin o = { .scheme = s };

	if (!colon || colon == s)
		return false;
	o.scheme_len = (size_t)(colon - s);
	o.host = colon + 3;
	if (o.host < end && *o.host == '[') { /* an IPv6 address */
		const char *bracket = memchr(o.host, ']', (size_t)(end - o.host));

		if (!bracket)
			return false;
		port = bracket + 1;
	} else {
		port = memchr(o.host, ':', (size_t)(end - o.host));
		port = port ? port : end;
	}
	o.host_len = (size_t)(port - o.host);
	if (port < end && *port != ':')
		return false;
	o.port = port < end ? port + 1 : end;
	o.port_len = (size_t)(end - o.port);
	if (o.host_len == 0 || (port < end && o.port_len == 0))
		return false;
	*ret = o;
	return true;
}

/* Returns true if s is an IPv6 address in brackets. */
static bool is_bracketed(const char *s, size_t len)
{
	char address[INET6_ADDRSTRLEN];

	if (len < 4 || len - 2 >= sizeof(address) || s[0] != '[')
		return false;
	memcpy(address, s + 1, len - 2);
	address[len - 2] = '\0';
	return host_is_address(AF_INET6, address);
}

bool host_origins_valid(const char *list)
{
	const char *item;
	size_t len;

	while ((item = list_next(&list, &len))) {
		struct origin o;
		struct network n;

		if (!split_origin(item, len, &o) || o.port_len > 5)
			return false;
		for (size_t i = 0; i < o.scheme_len; i++)
			if (!((o.scheme[i] | 0x20) >= 'a' && (o.scheme[i] | 0x20) <= 'z') &&
			    !(i > 0 && strchr("0123456789+-.", o.scheme[i])))
				return false;
		for (size_t i = 0; i < o.port_len; i++)
			if (o.port[i] < '0' || o.port[i] > '9')
				return false;
		if (!is_pattern(o.host, o.host_len) && !is_bracketed(o.host, o.host_len) &&
		    !parse_network(o.host, o.host_len, &n))
			return false;
	}
	return true;
}

static bool equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

bool host_origin_allowed(const char *list, const char *origin, size_t len)
{
	struct origin requested, o;
	const char *item;
	size_t n;

	if (len > HOST_ORIGIN_MAX || !split_origin(origin, len, &requested))
		return false;
	while ((item = list_next(&list, &n)))
		if (split_origin(item, n, &o) &&
		    equal(o.scheme, o.scheme_len, requested.scheme, requested.scheme_len) &&
		    equal(o.port, o.port_len, requested.port, requested.port_len) &&
		    matches(o.host, o.host_len, requested.host, requested.host_len) &&
		    (o.host[0] != '*' || host_is_name(requested.host, requested.host_len)))
			return true;
	return false;
}
