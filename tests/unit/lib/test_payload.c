/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests payload.h: each member's valid and invalid values, and JSON by RFC 8259. Each payload is
 * parsed at every length up to an unreadable page. After a failure the console is unchanged, and
 * the reason contains nothing of the payload.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/payload.h"

static struct guard in;

/* Writes a payload with one member changed: value is JSON, or NULL to omit the member. */
struct members {
	const char *vmid, *type, *host, *node, *ticket, *vncticket, *port;
};

static const struct members good = {
	"100",
	"\"qemu\"",
	"\"pve.example.com:8006\"",
	"\"pve1\"",
	"\"PVE:root@pam:SECRET1\"",
	"\"PVEVNC:SECRET2\"",
	"\"5900\"",
};

static const struct {
	const char *name;
	size_t offset;
} member_table[] = {
	{ "vmid", offsetof(struct members, vmid) },     { "type", offsetof(struct members, type) },
	{ "host", offsetof(struct members, host) },     { "node", offsetof(struct members, node) },
	{ "ticket", offsetof(struct members, ticket) }, { "vncticket", offsetof(struct members, vncticket) },
	{ "port", offsetof(struct members, port) },
};

static const char **value_of(struct members *m, size_t member)
{
	return (const char **)((char *)m + member_table[member].offset);
}

static size_t find_member(const char *name)
{
	size_t i = 0;

	while (strcmp(member_table[i].name, name) != 0)
		i++;
	return i;
}

static size_t write_json(char *json, struct members m)
{
	size_t len = (size_t)sprintf(json, "{");

	for (size_t i = 0; i < COUNT(member_table); i++)
		if (*value_of(&m, i))
			len += (size_t)sprintf(json + len, "%s\"%s\":%s", len > 1 ? "," : "", member_table[i].name,
					       *value_of(&m, i));
	return len + (size_t)sprintf(json + len, "}");
}

/* Parses a guarded copy, and checks what every result must fulfil. */
static int parse(const char *json, size_t len, struct console *console, const char **ret_why)
{
	static struct console before;
	const char *why = "unset";
	int rc;

	memset(console, 0x5A, sizeof(*console));
	memset(&before, 0x5A, sizeof(before));
	rc = payload_parse(guard_copy(&in, json, len), len, console, NULL, &why);
	CHECK(rc == 0 || rc == ERR_PAYLOAD_INVALID, "%.*s", (int)len, json);
	if (rc < 0) {
		CHECK(memcmp(console, &before, sizeof(before)) == 0, "console untouched: %.*s", (int)len, json);
		CHECK(why && strlen(why) > 4 && strcmp(why, "unset") != 0, "a reason: %.*s", (int)len, json);
		CHECK(!strstr(why, "SECRET") && !strstr(why, "pve"), "nothing of the payload in: %s", why);
	} else {
		CHECK(why == NULL, "no reason: %.*s", (int)len, json);
	}
	if (ret_why)
		*ret_why = why;
	return rc;
}

static void whole(void **state)
{
	static struct console c;
	char json[1024];
	size_t len = write_json(json, good);

	(void)state;
	assert_int_equal(parse(json, len, &c, NULL), 0);
	assert_int_equal(c.vmid, 100);
	assert_string_equal(c.type, "qemu");
	assert_string_equal(c.host, "pve.example.com");
	assert_false(c.host_is_address);
	assert_int_equal(c.host_port, 8006);
	assert_string_equal(c.node, "pve1");
	assert_string_equal(c.ticket, "PVE:root@pam:SECRET1");
	assert_string_equal(c.vncticket, "PVEVNC:SECRET2");
	assert_int_equal(c.vnc_port, 5900);

	/* Characters outside ASCII, raw and escaped. */
	for (int escaped = 0; escaped < 2; escaped++) {
		static struct console other;
		struct members m = good;

		m.ticket = escaped ? "\"PVE:m\\u00fcller@pve\"" : "\"PVE:m\xC3\xBCller@pve\"";
		assert_int_equal(parse(json, write_json(json, m), &other, NULL), 0);
		assert_string_equal(other.ticket, "PVE:m\xC3\xBCller@pve");
	}
	len = write_json(json, good);

	/* No prefix of it is a payload. */
	for (size_t n = 0; n < len; n++)
		CHECK(parse(json, n, &c, NULL) < 0, "%zu bytes", n);

	console_wipe(&c);
	for (size_t i = 0; i < sizeof(c.ticket); i++)
		assert_int_equal(c.ticket[i], 0);
	for (size_t i = 0; i < sizeof(c.vncticket); i++)
		assert_int_equal(c.vncticket[i], 0);
}

/* Values of each member. The reason of an error must contain its name. */
static void schema(void **state)
{
	static const struct {
		const char *member, *value; /* NULL: missing */
		bool want;
	} table[] = {
		/* clang-format off */
		{ "vmid", "1", true }, { "vmid", "100.0", true }, { "vmid", "1e2", true }, { "vmid", "1E+2", true },
		{ "vmid", "1000e-1", true },
		{ "vmid", "999999999", true }, { "vmid", "999999999.0", true },
		{ "vmid", NULL, false }, { "vmid", "0", false }, { "vmid", "-1", false }, { "vmid", "-0", false },
		{ "vmid", "0.5", false }, { "vmid", "100.5", false },
		{ "vmid", "1000000000", false }, { "vmid", "1e9", false }, { "vmid", "4294967396", false },
		{ "vmid", "9007199254740992", false },
		{ "vmid", "9223372036854775808", false }, { "vmid", "18446744073709551716", false },
		{ "vmid", "1e400", false }, { "vmid", "-1e400", false },
		{ "vmid", "NaN", false }, { "vmid", "Infinity", false }, { "vmid", "\"100\"", false },
		{ "vmid", "true", false }, { "vmid", "null", false },
		{ "vmid", "[100]", false }, { "vmid", "{}", false },
		{ "type", "\"qemu\"", true }, { "type", "\"lxc\"", true }, { "type", "\"\\u0071emu\"", true },
		{ "type", NULL, false }, { "type", "\"QEMU\"", false }, { "type", "\"qemu \"", false },
		{ "type", "\"\"", false }, { "type", "\"node\"", false },
		{ "type", "\"qemu\\u0000\"", false }, { "type", "\"lxc/../qemu\"", false }, { "type", "1", false },
		{ "type", "null", false }, { "type", "[\"qemu\"]", false },
		{ "host", "\"h\"", true }, { "host", NULL, false }, { "host", "\"\"", false }, { "host", "1", false },
		{ "host", "null", false }, { "host", "{\"a\":\"h\"}", false },
		{ "host", "\"h\\u0000\"", false }, { "host", "\"h\\r\\nX: y\"", false },
		{ "host", "\"h\\u007f\"", false },
		{ "node", "\"n\"", true }, { "node", "\"PVE-1.example\"", true }, { "node", "\"1\"", true },
		{ "node", NULL, false }, { "node", "\"\"", false }, { "node", "\"a/b\"", false },
		{ "node", "\"..\"", false }, { "node", "\"a?b\"", false }, { "node", "\"a b\"", false },
		{ "node", "\"a%2Fb\"", false }, { "node", "\"a_b\"", false }, { "node", "\"-a\"", false },
		{ "node", "\"a-\"", false }, { "node", "\"a:1\"", false }, { "node", "\"::1\"", false },
		{ "node", "\"n\\u0000\"", false }, { "node", "\"n\\n\"", false }, { "node", "\"\\u00e9\"", false },
		{ "node", "1", false }, { "node", "null", false }, { "node", "[]", false },
		{ "ticket", "\"t\"", true }, { "ticket", "\"PVEAPIToken=root@pam!a=0-1\"", true },
		{ "ticket", "\" \\\"\\\\\\/\\u00e9\xF0\x9F\x98\x80\"", true },
		{ "ticket", "\"PVE:m\xC3\xBCller@pve:SECRET\"", true },
		{ "ticket", "\"PVE:m\\u00fcller@pve:SECRET\"", true },
		{ "ticket", "\"PVE:m\xFC" "ller@pve:SECRET\"", false },
		{ "ticket", NULL, false }, { "ticket", "\"\"", false }, { "ticket", "1", false },
		{ "ticket", "null", false }, { "ticket", "true", false }, { "ticket", "[\"SECRET\"]", false },
		{ "vncticket", "\"v\"", true }, { "vncticket", "\"a&b;c d+:PVEVNC:==\"", true },
		{ "vncticket", NULL, false }, { "vncticket", "\"\"", false }, { "vncticket", "1", false },
		{ "vncticket", "null", false }, { "vncticket", "{\"SECRET\":\"SECRET\"}", false },
		{ "port", "1", true }, { "port", "65535", true }, { "port", "5900.0", true }, { "port", "59e2", true },
		{ "port", "\"1\"", true }, { "port", "\"65535\"", true },
		{ "port", NULL, false }, { "port", "0", false }, { "port", "-1", false }, { "port", "65536", false },
		{ "port", "71436", false }, { "port", "5900.5", false }, { "port", "4294973196", false },
		{ "port", "\"\"", false }, { "port", "\"0\"", false }, { "port", "\"65536\"", false },
		{ "port", "\"71436\"", false }, { "port", "\"+5900\"", false }, { "port", "\"-1\"", false },
		{ "port", "\" 5900\"", false },
		{ "port", "\"5900 \"", false }, { "port", "\"5900.0\"", false }, { "port", "\"59e2\"", false },
		{ "port", "\"0x170c\"", false }, { "port", "\"5900\\u0000\"", false },
		{ "port", "\"5900&a=b\"", false }, { "port", "\"18446744073709557516\"", false },
		{ "port", "null", false }, { "port", "true", false }, { "port", "[5900]", false },
		/* clang-format on */
	};
	static struct console c;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct members m = good;
		char json[2048];
		const char *why;
		int rc;

		*value_of(&m, find_member(table[i].member)) = table[i].value;
		rc = parse(json, write_json(json, m), &c, &why);
		CHECK_INT(rc, table[i].want ? 0 : ERR_PAYLOAD_INVALID, "%s: %s", table[i].member,
			  table[i].value ? table[i].value : "(missing)");
		CHECK(rc == 0 || strncmp(why, table[i].member, strlen(table[i].member)) == 0 ||
			      strcmp(why, "not a JSON object") == 0,
		      "%s: %s: %s", table[i].member, table[i].value ? table[i].value : "(missing)", why);
	}
}

/* A control character in any string could end a header line or a path. None is accepted, raw or
 * escaped. */
static void controls(void **state)
{
	static struct console c;

	(void)state;
	for (size_t i = 1; i < COUNT(member_table); i++)
		for (unsigned control = 0; control <= 0x7F; control += control == 0x1F ? 0x60 : 1)
			for (int place = 0; place < 3; place++)
				for (int raw = 0; raw < 2; raw++) {
					struct members m = good;
					const char *text = *value_of(&m, i);
					char escape[8], value[64], json[2048];
					size_t len;

					/* after the opening quote, inside, before the closing
					 * quote */
					size_t at = place == 0 ? 1 : place == 1 ? 2 : strlen(text) - 1;

					snprintf(escape, sizeof(escape), "\\u%04x", control);
					snprintf(value, sizeof(value), "%.*s%s%s", (int)at, text, raw ? "\x01" : escape,
						 text + at);
					*value_of(&m, i) = value;
					len = write_json(json, m);
					if (raw)
						*strchr(json, '\x01') = (char)control;
					CHECK(parse(json, len, &c, NULL) < 0, "%s with control %u, raw %d",
					      member_table[i].name, control, raw);
				}
}

static void limits(void **state)
{
	static const struct {
		const char *member;
		size_t max;
	} table[] = {
		{ "ticket", CONSOLE_TICKET_MAX }, { "vncticket", CONSOLE_VNCTICKET_MAX }, { "node", 63 }, { "host", 63 }
	};
	static struct console c;
	static char value[3 * CONSOLE_TICKET_MAX], json[4 * CONSOLE_TICKET_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		for (size_t len = table[i].max - 1; len <= table[i].max + 1; len++) {
			struct members m = good;

			memset(value, 'Z', len + 2);
			value[0] = value[len + 1] = '"';
			value[len + 2] = '\0';
			*value_of(&m, find_member(table[i].member)) = value;
			CHECK_INT(parse(json, write_json(json, m), &c, NULL),
				  len <= table[i].max ? 0 : ERR_PAYLOAD_INVALID, "%s of %zu", table[i].member, len);
		}
	/* The limits count bytes, not characters. */
	for (size_t chars = CONSOLE_VNCTICKET_MAX / 2; chars <= CONSOLE_VNCTICKET_MAX / 2 + 1; chars++) {
		struct members m = good;
		size_t n = (size_t)sprintf(value, "\"");

		for (size_t i = 0; i < chars; i++)
			n += (size_t)sprintf(value + n, "\\u00e9");
		strcpy(value + n, "\"");
		m.vncticket = value;
		CHECK_INT(parse(json, write_json(json, m), &c, NULL),
			  2 * chars <= CONSOLE_VNCTICKET_MAX ? 0 : ERR_PAYLOAD_INVALID, "%zu characters", chars);
	}
}

#define REST "\"type\":\"lxc\",\"host\":\"h\",\"node\":\"n\",\"ticket\":\"SECRET\",\"vncticket\":\"v\",\"port\":1"
#define HEAD "{\"vmid\":100," REST

struct json_row {
	const char *text;
	size_t len;
	uint32_t vmid; /* 0: refused */
};

#define JSON(text) text, sizeof(text) - 1

static void check_json(const struct json_row *table, size_t n)
{
	static struct console c;

	for (size_t i = 0; i < n; i++) {
		int rc = parse(table[i].text, table[i].len, &c, NULL);

		CHECK_INT(rc, table[i].vmid ? 0 : ERR_PAYLOAD_INVALID, "%s", table[i].text);
		CHECK(rc < 0 || c.vmid == table[i].vmid, "%s: vmid %u", table[i].text, c.vmid);
	}
}

static void json_strictness(void **state)
{
	static const struct json_row table[] = {
		{ JSON(HEAD "}"), 100 },
		{ JSON(" \t\r\n" HEAD " \t\r\n} \t\r\n"), 100 },
		{ JSON("{ \"vmid\" : 100 , " REST " }"), 100 },
		{ JSON(HEAD ",\"x\":null,\"y\":[1,\"a\",{\"vmid\":7}],\"Vmid\":5,\"vmid \":6,\"\":0}"), 100 },
		/* Two members with one name: a change to an unauthenticated payload could override
		 * the first. */
		/* clang-format off */
		{ JSON(HEAD ",\"vmid\":200}"), 0 }, { JSON(HEAD ",\"vmid\":100}"), 0 },
		{ JSON("{\"vmid\":\"x\"," REST ",\"vmid\":300}"), 0 },
		{ JSON(HEAD ",\"x\":1,\"x\":2}"), 0 }, { JSON(HEAD ",\"vm\\u0069d\":200}"), 0 },
		{ JSON(HEAD ",\"y\":{\"x\":1,\"z\":2}}"), 100 },
		{ JSON(HEAD ",\"x\":\"a:b\\\":{[\"}"), 100 }, { JSON(HEAD ",\"a:b\":1}"), 100 },
		{ JSON(HEAD ",\"vmid\":2,'x\"':3,'y\"':4}"), 0 }, { JSON(HEAD ",'x':1}"), 0 },
		{ JSON(HEAD ",\"it's\":\"'\"}"), 100 },
		{ JSON("{\"\\u0076mid\":100," REST "}"), 100 },
		{ JSON(HEAD ",\"x\":\"\xE2\x82\xAC\\ud83d\\ude00\\b\\f\\n\"}"), 100 },
		{ JSON(HEAD ",\"x\":[[[[[1]]]]]}"), 100 }, { JSON(HEAD ",\"x\":[[[[[[[[1]]]]]]]]}"), 0 },
		{ JSON(HEAD ",\"x\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}}"), 0 },
		{ JSON(""), 0 }, { JSON(" "), 0 }, { JSON("null"), 0 }, { JSON("[]"), 0 }, { JSON("[" HEAD "}]"), 0 },
		{ JSON("\"a\""), 0 }, { JSON("1"), 0 }, { JSON("{}"), 0 }, { JSON("true"), 0 },
		{ JSON(HEAD "}x"), 0 }, { JSON(HEAD "}}"), 0 }, { JSON(HEAD "}{}"), 0 }, { JSON(HEAD "},"), 0 },
		{ JSON(HEAD "}\0"), 0 }, { JSON(HEAD "}\0x"), 0 }, { JSON("\0" HEAD "}"), 0 }, { JSON(HEAD "\0}"), 0 },
		{ JSON(HEAD "} \v"), 0 }, { JSON("\v" HEAD "}"), 0 }, { JSON(HEAD "}\xC2\xA0"), 0 },
		/* one byte order mark, complete and at the beginning */
		{ JSON("\xEF\xBB\xBF" HEAD "}"), 100 }, { JSON("\xEF\xBB\xBF " HEAD "}"), 100 },
		{ JSON("\xEF\xBB\xBF"), 0 }, { JSON("\xEF\xBB"), 0 },
		{ JSON("\xEF\xBB" HEAD "}"), 0 }, { JSON("\xEF\xBB\xBF\xEF\xBB\xBF" HEAD "}"), 0 },
		{ JSON(" \xEF\xBB\xBF" HEAD "}"), 0 },
		{ JSON(HEAD "}\xEF\xBB\xBF"), 0 }, { JSON("\xFE\xFF" HEAD "}"), 0 },
		{ JSON(HEAD ",}"), 0 }, { JSON(HEAD ",,\"x\":1}"), 0 }, { JSON("{," REST "}"), 0 },
		{ JSON(HEAD ",\"x\":[1,]}"), 0 }, { JSON(HEAD ",\"x\"}"), 0 }, { JSON(HEAD ",\"x\":}"), 0 },
		{ JSON(HEAD ",x:1}"), 0 },
		{ JSON(HEAD ",1:1}"), 0 }, { JSON(HEAD " \"x\":1}"), 0 }, { JSON(HEAD ",\"x\":[1 2]}"), 0 },
		{ JSON(HEAD ",\"x\":{]}"), 0 },
		{ JSON(HEAD ",\"x\":'a'}"), 0 }, { JSON("{'vmid':'100'}"), 0 }, { JSON("/*a*/" HEAD "}"), 0 },
		{ JSON(HEAD "}//a\n"), 0 }, { JSON(HEAD ",/*a*/\"x\":1}"), 0 }, { JSON("#a\n" HEAD "}"), 0 },
		{ JSON(HEAD ",\"x\":nan}"), 0 }, { JSON(HEAD ",\"x\":inf}"), 0 }, { JSON(HEAD ",\"x\":TRUE}"), 0 },
		{ JSON(HEAD ",\"x\":Null}"), 0 }, { JSON(HEAD ",\"x\":undefined}"), 0 },
		{ JSON(HEAD ",\"x\":nul}"), 0 },
		{ JSON(HEAD ",\"x\":01}"), 0 }, { JSON(HEAD ",\"x\":+1}"), 0 }, { JSON(HEAD ",\"x\":.5}"), 0 },
		{ JSON(HEAD ",\"x\":1e}"), 0 }, { JSON(HEAD ",\"x\":1e+}"), 0 }, { JSON(HEAD ",\"x\":-}"), 0 },
		{ JSON(HEAD ",\"x\":1.2.3}"), 0 },
		{ JSON(HEAD ",\"x\":0x10}"), 0 }, { JSON(HEAD ",\"x\":1-1}"), 0 },
		{ JSON(HEAD ",\"x\":\"\\q\"}"), 0 }, { JSON(HEAD ",\"x\":\"\\u12\"}"), 0 },
		{ JSON(HEAD ",\"x\":\"\\u12g4\"}"), 0 }, { JSON(HEAD ",\"x\":\"\\x41\"}"), 0 },
		{ JSON(HEAD ",\"x\":\"a}"), 0 },
		{ JSON(HEAD ",\"x\":\"\xFF\"}"), 0 }, { JSON(HEAD ",\"x\":\"\xC3\"}"), 0 },
		{ JSON(HEAD ",\"x\":\"\x80\"}"), 0 }, { JSON(HEAD ",\"x\xE9\":1}"), 0 },
		/* clang-format on */
	};

	(void)state;
	check_json(table, COUNT(table));
}

/* json-c would end the name at the NUL, and treat it as vmid. */
static void nul_in_a_name(void **state)
{
	static const struct json_row table[] = {
		{ JSON(HEAD ",\"vmid\\u0000x\":200}"), 0 },
		{ JSON(HEAD ",\"vmid\\u0000\":200}"), 0 },
	};

	(void)state;
	check_json(table, COUNT(table));
}

/* Changes any byte of a valid payload: no crash, and nothing of the payload in the reason. */
static void any_byte(void **state)
{
	static struct console c;
	char json[1024], text[1024];
	size_t len = write_json(json, good);

	(void)state;
	for (size_t i = 0; i < len; i++)
		for (int value = 0; value < 256; value += value < 0x80 ? 1 : 17) {
			memcpy(text, json, len);
			text[i] = (char)value;
			parse(text, len, &c, NULL);
		}
}

#define PEM "-----BEGIN CERTIFICATE-----\\n"

/* Claims are parsed only if the payload is authenticated. Then each must be valid. */
static void claims(void **state)
{
	static const struct {
		const char *members;
		bool want;
	} table[] = {
		/* clang-format off */
		{ "\"exp\":1790000000", true }, { "\"exp\":1790000000.75", true }, { "\"exp\":1.79e9", true },
		{ "\"exp\":1", true }, { "\"exp\":253402300799", true },
		{ "\"x\":1", false }, { "\"exp\":0", false }, { "\"exp\":-1", false },
		{ "\"exp\":253402300800", false }, { "\"exp\":1e300", false }, { "\"exp\":9223372036854775807", false },
		{ "\"exp\":\"1790000000\"", false }, { "\"exp\":null", false }, { "\"exp\":true", false },
		{ "\"exp\":[1]", false }, { "\"EXP\":1", false },
		{ "\"exp\":9,\"nbf\":8", true }, { "\"exp\":9,\"nbf\":8.5", true }, { "\"exp\":9,\"nbf\":0", false },
		{ "\"exp\":9,\"nbf\":\"8\"", false }, { "\"exp\":9,\"nbf\":null", false },
		{ "\"exp\":9,\"jti\":\"a\"", true }, { "\"exp\":9,\"jti\":\"\"", false },
		{ "\"exp\":9,\"jti\":1", false }, { "\"exp\":9,\"jti\":null", false },
		{ "\"exp\":9,\"jti\":\"a\\n\"", false },
		{ "\"exp\":9,\"origin\":\"https://a\"", true }, { "\"exp\":9,\"origin\":\"https://*.a\"", false },
		{ "\"exp\":9,\"origin\":\"https://a,https://b\"", false },
		{ "\"exp\":9,\"origin\":\"a\"", false }, { "\"exp\":9,\"origin\":[]", false },
		{ "\"exp\":9,\"origin\":\" \"", false },
		{ "\"exp\":9,\"client\":\"192.0.2.1\"", true }, { "\"exp\":9,\"client\":\"2001:db8::/32\"", true },
		{ "\"exp\":9,\"client\":\"a\"", false }, { "\"exp\":9,\"client\":\"\"", false },
		{ "\"exp\":9,\"client\":\"10.0.0.0/8,11.0.0.0/8\"", false }, { "\"exp\":9,\"client\":0", false },
		{ "\"exp\":9,\"fingerprint\":"
		  "\"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\"", true },
		{ "\"exp\":9,\"fingerprint\":"
		  "\"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
		  "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\"", true },
		{ "\"exp\":9,\"fingerprint\":\"0011\"", false }, { "\"exp\":9,\"fingerprint\":null", false },
		{ "\"exp\":9,\"fingerprint\":\"\"", false },
		{ "\"exp\":9,\"ca\":\"" PEM "AAAA\"", true }, { "\"exp\":9,\"ca\":\"AAAA\"", false },
		{ "\"exp\":9,\"ca\":\"\"", false }, { "\"exp\":9,\"ca\":[]", false },
		{ "\"exp\":9,\"ca\":null", false },
		{ "\"exp\":9,\"session_max\":1", true }, { "\"exp\":9,\"session_max\":31536000", true },
		{ "\"exp\":9,\"session_max\":31536001", false }, { "\"exp\":9,\"session_max\":0", false },
		{ "\"exp\":9,\"session_max\":\"1\"", false }, { "\"exp\":9,\"session_max\":1.5", false },
		{ "\"exp\":9,\"session_max\":4294967297", false },
		/* clang-format on */
	};
	static struct console console;
	struct claims c;
	char json[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t len = (size_t)sprintf(json, HEAD ",%s}", table[i].members);
		const char *why = "unset";
		struct claims before;

		memset(&c, 0x5A, sizeof(c));
		before = c;
		CHECK_INT(payload_parse(guard_copy(&in, json, len), len, &console, &c, &why),
			  table[i].want ? 0 : ERR_PAYLOAD_INVALID, "%s", table[i].members);
		if (table[i].want) {
			CHECK(c.expires > 0 && why == NULL, "%s", table[i].members);
			free(c.ca);
		} else {
			CHECK(memcmp(&c, &before, sizeof(c)) == 0 && strlen(why) > 4, "untouched: %s",
			      table[i].members);
		}
		/* Unauthenticated: claims are ignored. */
		CHECK_INT(payload_parse(guard_copy(&in, json, len), len, &console, NULL, &why), 0, "%s",
			  table[i].members);
	}

	/* Values of claims, and of those that are missing. */
	size_t len = (size_t)sprintf(
		json, HEAD ",\"exp\":1790000000.9,\"nbf\":7,\"jti\":\"j\",\"origin\":\"https://a\",\"client\":\"::1\","
			   "\"session_max\":60,\"ca\":\"" PEM "\"}");
	const char *why;

	assert_int_equal(payload_parse(json, len, &console, &c, &why), 0);
	assert_int_equal(c.expires, 1790000000);
	assert_int_equal(c.not_before, 7);
	assert_string_equal(c.jti, "j");
	assert_string_equal(c.origin, "https://a");
	assert_string_equal(c.client, "::1");
	assert_int_equal(c.session_max, 60);
	assert_string_equal(c.ca, "-----BEGIN CERTIFICATE-----\n");
	assert_false(c.has_fingerprint);
	free(c.ca);
	len = (size_t)sprintf(json, HEAD ",\"exp\":1}");
	assert_int_equal(payload_parse(json, len, &console, &c, &why), 0);
	assert_true(!c.ca && !*c.jti && !*c.origin && !*c.client && !c.session_max && !c.not_before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),    cmocka_unit_test(schema),          cmocka_unit_test(controls),
		cmocka_unit_test(limits),   cmocka_unit_test(json_strictness), cmocka_unit_test(nul_in_a_name),
		cmocka_unit_test(any_byte), cmocka_unit_test(claims),
	};

	return RUN(tests);
}
