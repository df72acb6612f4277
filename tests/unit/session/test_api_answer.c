/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests api_answer.h: the answers of Proxmox's releases, answers with a member that is not valid,
 * and what the client and the log are told about each kind of refusal. Each text ends at an
 * unreadable page.
 */
#include "tests/unit/guard.h"

#include <string.h>

#include "lib/error.h"
#include "session/api_answer.h"

#define TICKET "PVEVNC:66F0::aZ+/=="
#define DATA(members) "{\"data\":{" members "}}"

static struct guard in;

static void releases(void **state)
{
	static const struct {
		const char *body;
		int want;
	} table[] = {
		{ DATA("\"release\":\"9.2\",\"version\":\"9.2.1\",\"repoid\":\"abcdef\""), 902 },
		{ DATA("\"version\":\"9.1.11\",\"release\":\"9.1\""), 901 },
		{ DATA("\"version\":\"9.10.0\""), 910 },
		{ DATA("\"version\":\"10.0\""), 1000 },
		{ DATA("\"version\":\"8.4-1\""), 804 },
		{ DATA("\"version\":\"9.2~beta1\""), 902 },
		{ DATA("\"release\":\"8.4\""), 804 },
		{ DATA("\"release\":\"15\",\"version\":\"5.4\""), 504 },
		{ DATA("\"version\":\"9\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":\"9.\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":\".2\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":\"\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":\"-9.2\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":\"9.100\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":\"99999999999.2\""), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":9.2"), ERR_UPSTREAM_ANSWER },
		{ DATA("\"version\":null"), ERR_UPSTREAM_ANSWER },
		{ DATA(""), ERR_UPSTREAM_ANSWER },
		{ "{\"data\":null}", ERR_UPSTREAM_ANSWER },
		{ "{\"version\":\"9.2\"}", ERR_UPSTREAM_ANSWER },
		{ "", ERR_UPSTREAM_ANSWER },
		{ "{\"data\":{\"version\":\"9.2\"}", ERR_UPSTREAM_ANSWER },
		{ "<html>", ERR_UPSTREAM_ANSWER },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const size_t len = strlen(table[i].body);

		CHECK_INT(api_answer_release(guard_copy(&in, table[i].body, len), len), table[i].want, "%s",
			  table[i].body);
	}
}

#define T512 "PVEVNC:" /* 7 */ X100 X100 X100 X100 X100 "12345"
#define X100 X50 X50
#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void consoles(void **state)
{
	static const struct {
		const char *body;
		bool terminal;
		const char *why; /* NULL: valid */
		int port;
		const char *password, *user;
	} table[] = {
		/* 9.2, as seen; 8.4 with generate-password; lxc before 9.2 */
		{ DATA("\"upid\":\"UPID:pve01:1:2:3:vncproxy:100:root@pam:\",\"port\":\"5900\",\"user\":\"root@pam!p\","
		       "\"cert\":\"-----BEGIN CERTIFICATE-----\\nMII\\n-----END CERTIFICATE-----\\n\",\"password\":"
		       "\"a\\\"b=c:d\\\\\",\"ticket\":\"" TICKET "\""),
		  false, NULL, 5900, "a\"b=c:d\\", "" },
		{ DATA("\"port\":5999,\"password\":\"01234567\",\"ticket\":\"" TICKET "\""), false, NULL, 5999,
		  "01234567", "" },
		{ DATA("\"port\":\"5901\",\"ticket\":\"" TICKET "\",\"user\":\"u@pve\""), false, NULL, 5901, "PVEVNC:6",
		  "" },
		{ DATA("\"port\":\"5901\",\"ticket\":\"" TICKET "\",\"password\":null"), false, NULL, 5901, "PVEVNC:6",
		  "" },
		{ DATA("\"port\":1,\"ticket\":\"abc\""), false, NULL, 1, "abc", "" },
		{ DATA("\"port\":\"65535\",\"password\":\"0123456789\",\"ticket\":\"" TICKET "\""), false, NULL, 65535,
		  "01234567", "" },
		{ DATA("\"port\":\"5900\",\"ticket\":\"" TICKET "\",\"user\":\"root@pam!p\""), true, NULL, 5900, "",
		  "root@pam!p" },
		{ DATA("\"port\":5900,\"ticket\":\"" T512 "\""), false, NULL, 5900, "PVEVNC:x", "" },
		{ " { \"x\":[{}], \"data\" : {\"port\":5900,\"ticket\":\"" TICKET "\"} } ", false, NULL, 5900,
		  "PVEVNC:6", "" },
		{ DATA("\"port\":5900,\"ticket\":\"" T512 "6\""), false, "ticket", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":\"\""), false, "ticket", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":\"a\\nb\""), false, "ticket", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":null"), false, "ticket", 0, "", "" },
		{ DATA("\"port\":5900,\"vncticket\":\"" TICKET "\""), false, "ticket", 0, "", "" },
		{ DATA("\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":\"\",\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":0,\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":65536,\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":\"65536\",\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":\"99999999999999999999\",\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":\"5900 \",\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":\"0x17\",\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":-5900,\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":5900.5,\"ticket\":\"" TICKET "\""), false, "port", 0, "", "" },
		{ DATA("\"port\":5900,\"password\":\"\",\"ticket\":\"" TICKET "\""), false, "password", 0, "", "" },
		{ DATA("\"port\":5900,\"password\":1,\"ticket\":\"" TICKET "\""), false, "password", 0, "", "" },
		{ DATA("\"port\":5900,\"password\":\"a\\u0007\",\"ticket\":\"" TICKET "\""), false, "password", 0, "",
		  "" },
		{ DATA("\"port\":5900,\"ticket\":\"" TICKET "\""), true, "user", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":\"" TICKET "\",\"user\":\"\""), true, "user", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":\"" TICKET "\",\"user\":\"a:b\""), true, "user", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":\"" TICKET "\",\"user\":\"a\\nb\""), true, "user", 0, "", "" },
		{ DATA("\"port\":5900,\"ticket\":\"" TICKET "\",\"user\":\"" X100 X50 "12345678901\""), true, "user", 0,
		  "", "" },
		{ "{\"data\":null}", false, "not from Proxmox's API", 0, "", "" },
		{ "{\"data\":[]}", false, "not from Proxmox's API", 0, "", "" },
		{ "{}", false, "not from Proxmox's API", 0, "", "" },
		{ "", false, "not from Proxmox's API", 0, "", "" },
		{ "<html>", false, "not from Proxmox's API", 0, "", "" },
		{ "{\"data\":{\"port\":5900,\"ticket\":\"" TICKET "\"}} {}", false, "not from Proxmox's API", 0, "",
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *body = table[i].body, *why = "";
		const size_t len = strlen(body);
		struct console c, before;
		int rc;

		memset(&c, 0, sizeof(c));
		c.terminal = table[i].terminal;
		memcpy(&before, &c, sizeof(c));
		rc = api_answer_console(guard_copy(&in, body, len), len, &c, &why);
		CHECK_INT(rc, table[i].why ? ERR_UPSTREAM_ANSWER : OK, "%s", body);
		if (rc < 0) {
			CHECK(strstr(why, table[i].why), "%s: %s", body, why);
			CHECK(memcmp(&c, &before, sizeof(c)) == 0, "%s: written without success", body);
			continue;
		}
		CHECK_INT(c.vnc_port, table[i].port, "%s", body);
		CHECK(strcmp(c.password, table[i].password) == 0, "%s: %s", body, c.password);
		CHECK(strcmp(c.user, table[i].user) == 0, "%s: %s", body, c.user);
		CHECK(strstr(body, c.vncticket), "%s: %s", body, c.vncticket);
		for (size_t n = 0; n < len; n++)
			CHECK(api_answer_console(guard_copy(&in, body, n), n, &before, &why) < 0 || body[n] == ' ',
			      "%zu bytes of %s", n, body);
	}
}

static const struct console token = {
	.ticket = "PVEAPIToken=u@pve!t=0123-secret-89", .vncticket = "PVEVNC:66F0::aZ+/==", .password = "pass word"
};
static const struct console user = { .ticket = "PVE:u@pve:66F0::sig==", .csrf = "66F0:csrf/token" };

static void refusals(void **state)
{
	static const struct {
		const struct console *c;
		int status;
		const char *reason, *body;
		const char *known, *words, *hint; /* the hint has this part */
	} table[] = {
		{ &token, 500, "Configuration file 'nodes/pve01/qemu-server/999.conf' does not exist",
		  "{\"data\":null,\"message\":\"Configuration file 'nodes/pve01/qemu-server/999.conf' does not "
		  "exist\\n\"}",
		  "no such guest", "Configuration file 'nodes/pve01/qemu-server/999.conf' does not exist",
		  "on another node" },
		{ &token, 500, "", "{\"message\":\"Configuration file 'nodes/pve01/lxc/999.conf' does not exist\\n\"}",
		  "no such guest", "Configuration file 'nodes/pve01/lxc/999.conf' does not exist", "removed" },
		{ &token, 500, "unable to find configuration file for VM 100 on node 'pve'", "", "no such guest",
		  "unable to find configuration file for VM 100 on node 'pve'", "removed" },
		{ &token, 403, "Permission check failed (/vms/100, VM.Console)", "{\"data\":null}", "permission denied",
		  "Permission check failed (/vms/100, VM.Console)", "VM.Console" },
		{ &token, 401, "no such token 't' for user 'u@pve'", "", "authentication failed",
		  "no such token 't' for user 'u@pve'", "API token" },
		{ &token, 401, "", "", "authentication failed", "", "API token" },
		{ &user, 401, "permission denied - invalid PVE ticket", "", "authentication failed",
		  "permission denied - invalid PVE ticket", "2 hours" },
		{ &user, 401, "Permission denied - invalid csrf token", "", "authentication failed",
		  "Permission denied - invalid csrf token", "CSRFPreventionToken" },
		{ &token, 595, "No route to host", "", "its API does not answer", "No route to host", "node on" },
		{ &token, 596, "Connection timed out", "", "its API does not answer", "Connection timed out",
		  "node on" },
		{ &token, 500, "hostname lookup 'pve9' failed - failed to get address info for: pve9", "",
		  "no such node", "hostname lookup 'pve9' failed - failed to get address info for: pve9", "cluster" },
		{ &token, 500, "no such cluster node 'pve9'", "", "no such node", "no such cluster node 'pve9'",
		  "cluster" },
		{ &token, 500, "VM is locked (backup)", "", "the guest is locked", "VM is locked (backup)", "backup" },
		{ &token, 500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "",
		  "the guest is locked", "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
		  "backup" },
		{ &token, 500, "unable to find a serial interface", "", "the guest has no serial port",
		  "unable to find a serial interface", "serial0" },
		{ &token, 400, "Parameter verification failed.",
		  "{\"errors\":{\"bogus\":\"property is not defined in schema\\n\",\"b\":\"x\"},\"message\":\"P\"}",
		  "a parameter was refused",
		  "Parameter verification failed. (bogus: property is not defined in schema, b: x)", "release" },
		{ &token, 400, "a", "{\"errors\":{\"b\":1}}", "a parameter was refused", "a (b)", "release" },
		{ &token, 400, "", "{\"errors\":{\"b\":\"c\"}}", "a parameter was refused", "(b: c)", "release" },
		{ &token, 400, "a", "{\"errors\":{}}", "a parameter was refused", "a", "release" },
		{ &token, 400, "a", "{\"errors\":[\"b\"]}", "a parameter was refused", "a", "release" },
		{ &token, 501, "Method 'POST /nodes/a/qemu/1/termproxy' not implemented", "",
		  "this kind of console is not supported", "Method 'POST /nodes/a/qemu/1/termproxy' not implemented",
		  "" },
		{ &token, 502, "Bad Gateway", "<html>", "it does not answer", "Bad Gateway", "proxy" },
		{ &token, 301, "Moved", "", "a redirect", "Moved", "8006" },
		{ &token, 500, "got no worker upid - start worker failed", "", "",
		  "got no worker upid - start worker failed", "" },
		{ &token, 500, "\x1B[2J\xFF OUTCOME=ok \"x\"", "", "", "?[2J? OUTCOME?ok ?x?", "" },
		{ &token, 418, "", "{\"message\":\"a\\u001b\\nb\\u00e9\"}", "", "a??b??", "" },
		{ &token, 201, "Created", "{", "", "Created", "" },
		/* A secret that comes back, in phrase, message, or errors. */
		{ &token, 500, "PVEAPIToken=u@pve!t=0123-secret-89", "", "", "", "" },
		{ &token, 500, "no token 0123-secret-89 here", "", "", "", "" },
		{ &token, 403, "", "{\"message\":\"x 0123-secret-89\"}", "permission denied", "", "VM.Console" },
		{ &token, 400, "bad", "{\"errors\":{\"0123-secret-89\":\"a\",\"c\":\"d\"}}", "a parameter was refused",
		  "bad (c: d)", "release" },
		{ &token, 400, "bad", "{\"errors\":{\"b\":\"0123-secret-8\\u0039\"}}", "a parameter was refused",
		  "bad (b)", "release" },
		{ &token, 500, "PVEVNC:66F0::aZ+/==", "", "", "", "" },
		{ &token, 500, "vncticket=PVEVNC%3A66F0%3A%3AaZ%2B%2F%3D%3D", "", "", "", "" },
		{ &token, 500, "pass word", "", "", "", "" },
		{ &user, 500, "PVE:u@pve:66F0::sig==", "", "", "", "" },
		{ &user, 500, "66F0:csrf/token", "", "", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const char *body = table[i].body, *phrase = table[i].reason;
		const struct slice reason = { phrase, strlen(phrase) };
		struct api_refusal r;

		memset(&r, 0xEE, sizeof(r));
		api_answer_refusal(table[i].c, table[i].status, reason, guard_copy(&in, body, strlen(body)),
				   strlen(body), &r);
		CHECK(strcmp(r.known, table[i].known) == 0, "%d %s: %s", table[i].status, phrase, r.known);
		CHECK(strcmp(r.words, table[i].words) == 0, "%d %s: %s", table[i].status, phrase, r.words);
		CHECK(strstr(r.hint, table[i].hint), "%d %s: %s", table[i].status, phrase, r.hint);
	}
}

static void long_refusals(void **state)
{
	static char body[API_ANSWER_MAX], phrase[4096];
	struct api_refusal r;
	size_t len;

	(void)state;
	memset(phrase, 'p', sizeof(phrase));
	len = (size_t)sprintf(body, "{\"errors\":{");
	for (int i = 0; len < 60000; i++)
		len += (size_t)sprintf(body + len, "\"member%d\":\"property is not defined\\n\",", i);
	len += (size_t)sprintf(body + len - 1, "}}") - 1;
	for (size_t n = 0; n < 2 * API_WORDS_MAX; n++) {
		api_answer_refusal(&token, 400, (struct slice){ phrase, n }, body, len, &r);
		CHECK(memchr(r.words, '\0', sizeof(r.words)), "%zu bytes of phrase", n);
		CHECK(n == 0 || memcmp(r.words, phrase, n < API_WORDS_MAX ? n : API_WORDS_MAX - 1) == 0, "%zu", n);
	}
}

static void quotes(void **state)
{
	char room[8];
	const struct slice text = { "0123456789", 10 };

	(void)state;
	CHECK_INT(api_answer_quote(text, &token, room, sizeof(room)), 7, "cut off");
	CHECK(strcmp(room, "0123456") == 0, "%s", room);
	CHECK_INT(api_answer_quote((struct slice){ text.at, 7 }, &token, room, sizeof(room)), 7, "fits");
	CHECK_INT(api_answer_quote((struct slice){ text.at, 0 }, &token, room, sizeof(room)), 0, "empty");
	CHECK(*room == '\0', "empty");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases),      cmocka_unit_test(consoles), cmocka_unit_test(refusals),
		cmocka_unit_test(long_refusals), cmocka_unit_test(quotes),
	};

	return RUN(tests);
}
