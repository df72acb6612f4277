/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests session_text.h: which names are those of sessions, and the parts of a status text.
 */
#include "tests/unit/guard.h"

#include "status/session_text.h"

static struct guard guard;

static void unit_names(void **state)
{
	static const struct {
		const char *name;
		bool want;
	} table[] = {
		{ "proxxy@0-127.0.0.1:8443-127.0.0.1:50000.service", true },
		{ "proxxy@17-::1:8443-2001:db8::7:50000.service", true },
		{ "proxxy@5-1234-1000.service", true }, /* a UNIX socket: the client's pid and uid */
		{ "proxxy@5.service", true },
		{ "proxxy@.service", false },
		{ "proxxy@a.service", false },
		{ "proxxy@-1.service", false },
		{ "proxxy.socket", false },
		{ "proxxy-status@5.service", false },
		{ "ssh.service", false },
		{ "proxxy@5/../ssh.service", false },
		{ "proxxy@5\\x2e.service", false },
		{ "proxxy@5 .service", false },
		{ "proxxy@5\n.service", false },
		{ "proxxy@5@6.service", false },
		{ "proxxy@5.service.service", false },
		{ "proxxy@5:6.service", false },
		{ "proxxy@5.servicex", false },
		{ "xproxxy@5.service", false },
		{ "proxxy@5*.service", false },
		{ "", false },
	};
	char longest[SESSION_UNIT_MAX + 2];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const size_t len = strlen(table[i].name);
		const char *name = guard_copy(&guard, table[i].name, len);

		CHECK_INT(session_is_unit((struct slice){ name, len }), table[i].want, "%s", table[i].name);
	}
	assert_false(session_is_unit((struct slice){ 0 }));
	memset(longest, '1', sizeof(longest));
	memcpy(longest, "proxxy@", 7);
	memcpy(longest + SESSION_UNIT_MAX - 8, ".service", 8);
	assert_true(session_is_unit((struct slice){ longest, SESSION_UNIT_MAX }));
	memcpy(longest + SESSION_UNIT_MAX - 7, ".service", 8);
	assert_false(session_is_unit((struct slice){ longest, SESSION_UNIT_MAX + 1 }));
}

static const struct {
	const char *text, *type, *vmid, *place, *client, *sub, *jti, *kid;
} whole[] = {
	{ "qemu 100 on pve01 for 203.0.113.7; sub \"alice\", jti \"a1\", kid \"main\"", "qemu", "100", "pve01",
	  "203.0.113.7", "\"alice\"", "\"a1\"", "\"main\"" },
	{ "lxc 4294967295 on [2001:db8::1] for [::1]:5", "lxc", "4294967295", "[2001:db8::1]", "[::1]:5", "", "", "" },
	{ "qemu 1 on a", "qemu", "1", "a", "", "", "", "" },
	{ "qemu 1 on a; kid \"k\"", "qemu", "1", "a", "", "", "", "\"k\"" },
	{ "qemu 1 on a for unix; sub \"\", kid \"k\"", "qemu", "1", "a", "unix", "\"\"", "", "\"k\"" },
	{ "qemu 1 on a for b; jti \"1\"", "qemu", "1", "a", "b", "", "\"1\"", "" },
	/* Texts that look like the rest of the line stay inside their string. */
	{ "qemu 1 on a for b; sub \"x\\\", jti \\\"y\", jti \"z\\\\\"", "qemu", "1", "a", "b", "\"x\\\", jti \\\"y\"",
	  "\"z\\\\\"", "" },
	{ "qemu 1 on a for b; sub \"M\xC3\xBCller; <b> on c for d\"", "qemu", "1", "a", "b",
	  "\"M\xC3\xBCller; <b> on c for d\"", "", "" },
};

static const char *const others[] = {
	"",
	"qemu",
	"qemu 100",
	"qemu 100 on",
	"qemu 100 on ",
	"qemu x on a",
	"qemu 100 in a",
	"qemu  100 on a",
	"qemu 100 on a for ",
	"qemu 100 on a for b ",
	"qemu 100 on a for b;",
	"qemu 100 on a for b; ",
	"qemu 100 on a for b; sub",
	"qemu 100 on a for b; sub ",
	"qemu 100 on a for b; sub x",
	"qemu 100 on a for b; sub \"",
	"qemu 100 on a for b; sub \"x",
	"qemu 100 on a for b; sub \"x\\",
	"qemu 100 on a for b; sub \"x\\\"",
	"qemu 100 on a for b; sub \"x\",",
	"qemu 100 on a for b; sub \"x\", ",
	"qemu 100 on a for b; sub \"x\" jti \"y\"",
	"qemu 100 on a for b; jti \"x\", sub \"y\"",
	"qemu 100 on a for b; sub \"x\", sub \"y\"",
	"qemu 100 on a for b; , sub \"x\"",
	"qemu 100 on a for b; sub \"x\"y",
	"qemu 100 on \xFF for b",
	"qemu 100 on a\n",
};

static void check_part(const char *text, struct slice got, const char *want)
{
	CHECK(got.len == strlen(want) && (got.len == 0 || memcmp(got.at, want, got.len) == 0), "%s: %.*s, not %s", text,
	      (int)got.len, got.at ? got.at : "", want);
}

static void parts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(whole); i++) {
		const char *text = guard_copy(&guard, whole[i].text, strlen(whole[i].text) + 1);
		struct session_text t;

		CHECK(session_parse(text, &t), "%s", text);
		check_part(text, t.type, whole[i].type);
		check_part(text, t.vmid, whole[i].vmid);
		check_part(text, t.place, whole[i].place);
		check_part(text, t.client, whole[i].client);
		check_part(text, t.sub, whole[i].sub);
		check_part(text, t.jti, whole[i].jti);
		check_part(text, t.kid, whole[i].kid);
	}
}

static void other_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		const char *text = guard_copy(&guard, others[i], strlen(others[i]) + 1);
		struct session_text t = { .type = { "kept", 4 } };

		CHECK(!session_parse(text, &t) && slice_is(t.type, "kept"), "%s", text);
	}
}

/* Whatever a text is cut to or changed to, nothing beyond it is read. */
static void random_texts(void **state)
{
	uint64_t seed = 17;

	(void)state;
	for (int n = 0; n < 200000; n++) {
		const char *from = whole[random_below(&seed, COUNT(whole))].text;
		const size_t len = random_below(&seed, strlen(from) + 1);
		char *text = guard_copy(&guard, from, len + 1);
		struct session_text t;

		text[len] = '\0';
		if (len)
			text[random_below(&seed, len)] = "\\\"; ,x\0"[random_below(&seed, 7)];
		session_parse(text, &t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unit_names),
		cmocka_unit_test(parts),
		cmocka_unit_test(other_texts),
		cmocka_unit_test(random_texts),
	};

	return RUN(tests);
}
