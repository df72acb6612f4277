/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests payload.h for what only an authenticated payload may have: no console ticket, a cluster,
 * and the members with which proxxy logs in to the console. The members of the payloads of earlier
 * versions must mean what they meant.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "lib/payload.h"

static struct guard in;

/* Parses {vmid, type, exp, members}. Returns NULL, or why not. */
static const char *parse(const char *members, bool authenticated, struct console *console, struct claims *claims)
{
	char json[2048];
	const int len = snprintf(json, sizeof(json), "{\"vmid\":100,\"type\":\"lxc\",\"exp\":9,%s}", members);
	const char *why = "unset";
	struct claims ignored;
	int rc;

	memset(console, 0x5A, sizeof(*console));
	claims = claims ? claims : &ignored;
	rc = payload_parse(guard_copy(&in, json, (size_t)len), (size_t)len, console, authenticated ? claims : NULL,
			   &why);
	CHECK(rc == 0 || rc == ERR_PAYLOAD_INVALID, "%s", members);
	CHECK((rc == 0) == (why == NULL), "%s", members);
	CHECK(!why || !strstr(why, "SECRET"), "%s", why);
	if (rc == 0 && authenticated)
		free(claims->ca);
	return why;
}

#define TOKEN "\"ticket\":\"PVEAPIToken=a@pve!b=SECRET\""
#define USER "\"ticket\":\"PVE:a@pve:SECRET\""

static void without_a_console_ticket(void **state)
{
	static const struct {
		const char *members, *why; /* how the reason begins, NULL if it is accepted */
	} table[] = {
		{ "\"cluster\":\"dc1\"", NULL },
		{ "\"host\":\"pve\"", NULL },
		{ "\"host\":\"pve:8006\",\"node\":\"n\"," TOKEN, NULL },
		{ "\"cluster\":\"dc1\"," USER ",\"csrf\":\"c\"", NULL },
		{ "\"cluster\":\"dc1\"," USER, NULL }, /* access.c wants a csrf */
		{ "\"cluster\":\"dc1\",\"protocol\":\"vnc\"", NULL },
		{ "\"cluster\":\"dc1\",\"protocol\":\"term\"", NULL },
		{ "\"cluster\":\"a.b-c_9\"", NULL },
		{ "\"cluster\":\"dc1\",\"password\":7,\"user\":7", NULL }, /* they are not read */
		{ "\"node\":\"n\"", "host or cluster is missing" },
		{ "\"host\":null", "host is not" },
		{ "\"host\":\"pve\",\"cluster\":\"dc1\"", "host and cluster" },
		{ "\"host\":null,\"cluster\":\"dc1\"", "host and cluster" },
		{ "\"cluster\":\"\"", "cluster" },
		{ "\"cluster\":null", "cluster" },
		{ "\"cluster\":7", "cluster" },
		{ "\"cluster\":\".dc1\"", "cluster" },
		{ "\"cluster\":\"..\"", "cluster" },
		{ "\"cluster\":\"a/b\"", "cluster" },
		{ "\"cluster\":\"a b\"", "cluster" },
		{ "\"cluster\":\"a\\u0000\"", "not a JSON object" },
		{ "\"cluster\":\"012345678901234567890123456789012\"", "cluster" },
		{ "\"cluster\":\"dc1\",\"node\":\"\"", "node" },
		{ "\"cluster\":\"dc1\",\"node\":null", "node" },
		{ "\"cluster\":\"dc1\",\"node\":\"a/b\"", "node" },
		{ "\"cluster\":\"dc1\",\"ticket\":\"\"", "ticket" },
		{ "\"cluster\":\"dc1\",\"ticket\":null", "ticket" },
		{ "\"cluster\":\"dc1\"," USER ",\"csrf\":\"\"", "csrf" },
		{ "\"cluster\":\"dc1\"," USER ",\"csrf\":\"a\\n\"", "csrf" },
		{ "\"cluster\":\"dc1\",\"protocol\":\"spice\"", "protocol" },
		{ "\"cluster\":\"dc1\",\"protocol\":\"VNC\"", "protocol" },
		{ "\"cluster\":\"dc1\",\"protocol\":null", "protocol" },
		{ "\"cluster\":\"dc1\",\"protocol\":\"\"", "protocol" },
		/* one of both: a mistake in a payload with a console ticket */
		{ "\"host\":\"h\",\"node\":\"n\"," TOKEN ",\"port\":5900", "vncticket" },
		{ "\"host\":\"h\",\"node\":\"n\"," TOKEN ",\"vncticket\":\"v\"", "port" },
		{ "\"host\":\"h\",\"node\":\"n\"," TOKEN ",\"vncticket\":\"v\",\"port\":null", "port" },
		{ "\"cluster\":\"dc1\",\"node\":\"n\"," TOKEN ",\"vncticket\":\"v\",\"port\":5900", "host" },
	};
	static struct console c;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *members = table[i].members, *why = parse(members, true, &c, NULL);

		CHECK(table[i].why ? why && strncmp(why, table[i].why, strlen(table[i].why)) == 0 : !why, "%s: %s",
		      members, why ? why : "accepted");
		CHECK(why || (c.late && c.login && c.vnc_port == 0 && !*c.vncticket && !*c.password && !*c.user), "%s",
		      members);
		CHECK(why || c.terminal == !!strstr(members, "term"), "%s", members);
		CHECK(why || !*c.host == !!*c.cluster, "%s", members);
		/* An unauthenticated payload must have a console ticket. */
		CHECK(parse(members, false, &c, NULL), "%s", members);
	}
	assert_null(parse("\"cluster\":\"dc1\",\"node\":\"n\"," USER ",\"csrf\":\"c\"", true, &c, NULL));
	assert_string_equal(c.cluster, "dc1");
	assert_string_equal(c.node, "n");
	assert_string_equal(c.csrf, "c");
	assert_false(console_has_token(&c));
	console_wipe(&c);
	assert_true(!*c.ticket && !*c.csrf && !*c.password && !*c.vncticket);
	assert_null(parse("\"host\":\"pve:1\"," TOKEN, true, &c, NULL));
	assert_true(console_has_token(&c));
	assert_int_equal(c.host_port, 1);
}

#define OLD "\"host\":\"h\",\"node\":\"n\"," TOKEN ",\"vncticket\":\"v\",\"port\":5900"

static void login_with_a_console_ticket(void **state)
{
	static const struct {
		const char *members;
		bool want, login, terminal;
		const char *password, *user;
	} table[] = {
		{ "\"x\":1", true, false, false, "", "" },
		{ "\"password\":\"12345678\"", true, true, false, "12345678", "" },
		{ "\"password\":\"123456789\"", true, true, false, "12345678", "" },
		{ "\"password\":\"p\"", true, true, false, "p", "" },
		{ "\"password\":null", true, false, false, "", "" },
		{ "\"password\":\"\"", false, false, false, "", "" },
		{ "\"password\":7", false, false, false, "", "" },
		{ "\"password\":\"a\\n\"", false, false, false, "", "" },
		/* Proxmox's whole answer, copied to the payload: user alone says nothing */
		{ "\"user\":\"a@pve!b\",\"password\":\"p\"", true, true, false, "p", "" },
		{ "\"user\":\"a@pve!b\"", true, false, false, "", "" },
		{ "\"user\":7,\"protocol\":7", true, false, false, "", "" },
		{ "\"user\":\"a@pve!b\",\"protocol\":\"term\"", true, true, true, "", "a@pve!b" },
		{ "\"user\":\"a@pve!b\",\"protocol\":\"term\",\"password\":7", true, true, true, "", "a@pve!b" },
		{ "\"protocol\":\"term\"", true, false, true, "", "" },
		{ "\"user\":\"a:b\",\"protocol\":\"term\"", false, false, false, "", "" },
		{ "\"user\":\"\",\"protocol\":\"term\"", false, false, false, "", "" },
		{ "\"user\":\"a\\n\",\"protocol\":\"term\"", false, false, false, "", "" },
		{ "\"protocol\":\"spice\",\"cluster\":7,\"csrf\":7", true, false, false, "", "" },
	};
	static struct console c;

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char members[512];
		const char *why;

		snprintf(members, sizeof(members), OLD ",%s", table[i].members);
		why = parse(members, true, &c, NULL);
		CHECK(table[i].want == !why, "%s: %s", table[i].members, why ? why : "accepted");
		if (!why) {
			CHECK(!c.late && c.vnc_port == 5900 && !*c.cluster, "%s", table[i].members);
			CHECK(c.login == table[i].login && c.terminal == table[i].terminal, "%s", table[i].members);
			CHECK(strcmp(c.password, table[i].password) == 0, "%s", table[i].members);
			CHECK(strcmp(c.user, table[i].user) == 0, "%s", table[i].members);
		}
		/* The original's format does not have these members. */
		CHECK(!parse(members, false, &c, NULL), "%s", table[i].members);
		CHECK(!c.login && !c.terminal && !*c.password && !*c.user, "%s", table[i].members);
	}
}

static void who_and_when(void **state)
{
	static const struct {
		const char *members, *sub;
		int64_t issued;
	} table[] = {
		{ "\"x\":1", "", 0 },           { "\"iat\":5", "", 5 },
		{ "\"iat\":5.9", "", 5 },       { "\"iat\":\"5\"", "", 0 },
		{ "\"iat\":null", "", 0 },      { "\"sub\":\"customer 7\"", "customer 7", 0 },
		{ "\"sub\":42", "42", 0 },      { "\"sub\":\"\"", "", 0 },
		{ "\"sub\":null", "", 0 },      { "\"sub\":[1]", "", 0 },
		{ "\"sub\":\"a\\nb\"", "", 0 }, { "\"sub\":\"m\\u00fcller\"", "m\xC3\xBCller", 0 },
	};
	static struct console c;
	static struct claims claims;
	char members[512] = "\"cluster\":\"dc1\",\"sub\":\"";

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char all[512];

		snprintf(all, sizeof(all), "\"cluster\":\"dc1\",%s", table[i].members);
		CHECK(!parse(all, true, &c, &claims), "%s", all);
		CHECK(strcmp(claims.sub, table[i].sub) == 0, "%s: %s", all, claims.sub);
		CHECK_INT(claims.issued, table[i].issued, "%s", all);
	}
	/* A long one is cut between two characters. */
	for (size_t i = 0; i < CLAIMS_SUB_MAX - 1; i++)
		strcat(members, "x");
	strcat(members, "\xC3\xBCyyy\"");
	assert_null(parse(members, true, &c, &claims));
	assert_int_equal(strlen(claims.sub), CLAIMS_SUB_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_console_ticket),
		cmocka_unit_test(login_with_a_console_ticket),
		cmocka_unit_test(who_and_when),
	};

	return RUN(tests);
}
