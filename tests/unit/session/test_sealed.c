/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests sealed.h: where a request may have its payload, what is refused, and that all places are
 * wiped.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "session/sealed.h"

#define UPGRADE "Upgrade: websocket\r\n"
#define OFFER(s) "Sec-WebSocket-Protocol: " s "\r\n"
#define FIELD(s) "Proxxy-Payload: " s "\r\n"

static const struct {
	const char *target, *fields;
	int want;
	const char *payload; /* or, with ERR_PAYLOAD_INVALID, what the reason has */
} table[] = {
	{ "/?payload=00:ff", UPGRADE, OK, "00:ff" },
	{ "/?payload=00:ff", UPGRADE OFFER("binary"), OK, "00:ff" },
	{ "/?payload=a%2Eb", "", OK, "a.b" },
	{ "/?payload=%", UPGRADE, ERR_PAYLOAD_INVALID, "URL" },
	{ "/", UPGRADE, ERR_PAYLOAD_MISSING, NULL },
	{ "/", UPGRADE OFFER("binary"), ERR_PAYLOAD_MISSING, NULL },
	{ "/?payload=", UPGRADE OFFER("binary, proxxy.payload."), ERR_PAYLOAD_MISSING, NULL },

	{ "/", UPGRADE OFFER("binary, proxxy.payload.e30..a.b.c"), OK, "e30..a.b.c" },
	{ "/?payload=", UPGRADE OFFER("proxxy.payload.a,binary"), OK, "a" },
	{ "/", UPGRADE OFFER("proxxy.payload.a") OFFER("binary"), OK, "a" },
	{ "/", UPGRADE OFFER("proxxy.payload.a, base64"), OK, "a" },
	{ "/", OFFER("binary, proxxy.payload.a"), OK, "a" }, /* a reverse proxy dropped Upgrade */
	{ "/", UPGRADE OFFER("proxxy.payload.a"), ERR_SUBPROTOCOL, NULL },
	{ "/", UPGRADE OFFER("binary, proxxy.payload.00:ff"), ERR_PAYLOAD_INVALID, "Sec-WebSocket-Protocol" },

	{ "/", FIELD("e30..a.b.c"), OK, "e30..a.b.c" },
	{ "/", FIELD("00:ff"), OK, "00:ff" },
	{ "/", FIELD(""), ERR_PAYLOAD_MISSING, NULL },
	{ "/", UPGRADE FIELD("a"), ERR_PAYLOAD_MISSING, NULL }, /* only without upgrade */
	{ "/", UPGRADE FIELD("a") OFFER("binary, proxxy.payload.b"), OK, "b" },

	{ "/?payload=a", UPGRADE OFFER("binary, proxxy.payload.a"), ERR_PAYLOAD_TWICE, NULL },
	{ "/?payload=%", UPGRADE OFFER("binary, proxxy.payload.a"), ERR_PAYLOAD_TWICE, NULL },
	{ "/?payload=a", UPGRADE OFFER("binary, proxxy.payload."), ERR_PAYLOAD_TWICE, NULL },
	{ "/", UPGRADE OFFER("binary, proxxy.payload.a, proxxy.payload.a"), ERR_PAYLOAD_TWICE, NULL },
	{ "/", UPGRADE OFFER("binary, proxxy.payload.a") OFFER("proxxy.payload.b"), ERR_PAYLOAD_TWICE, NULL },
	{ "/?payload=a", FIELD("a"), ERR_PAYLOAD_TWICE, NULL },
	{ "/", FIELD("a") OFFER("binary, proxxy.payload.a"), ERR_PAYLOAD_TWICE, NULL },
};

/* Writes the request to text and parses it. */
static void make(size_t i, char text[HTTP_HEAD_MAX], struct http_request *ret)
{
	const int n =
		snprintf(text, HTTP_HEAD_MAX, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", table[i].target, table[i].fields);

	CHECK_INT(http_parse_request(text, (size_t)n, ret), n, "%s %s", table[i].target, table[i].fields);
}

static void places(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		static char text[HTTP_HEAD_MAX], buf[HTTP_HEAD_MAX];
		struct slice found = { NULL, 0 };
		struct http_request r;
		const char *why = NULL;

		make(i, text, &r);
		CHECK_INT(sealed_find(&r, buf, &found, &why), table[i].want, "%s %s", table[i].target, table[i].fields);
		CHECK((table[i].want == ERR_PAYLOAD_INVALID) == (why != NULL), "%s: a reason", table[i].fields);
		if (table[i].want == OK)
			CHECK(slice_is(found, table[i].payload), "%s %s: found '%.*s'", table[i].target,
			      table[i].fields, (int)found.len, found.at);
		if (why)
			CHECK(strstr(why, table[i].payload), "%s: %s", table[i].fields, why);
	}
}

static void wiping(void **state)
{
	static const char request[] =
		"GET /?payload=SECRET HTTP/1.1\r\nHost: a\r\n" OFFER("binary, proxxy.payload.SECRET")
			FIELD("SECRET") "\r\n";
	static char text[HTTP_HEAD_MAX], buf[HTTP_HEAD_MAX];
	struct http_request r;
	struct slice found;
	const char *why;

	(void)state;
	memcpy(text, request, sizeof(request));
	assert_int_equal(http_parse_request(text, sizeof(request) - 1, &r), sizeof(request) - 1);
	assert_int_equal(sealed_find(&r, buf, &found, &why), ERR_PAYLOAD_TWICE);
	assert_non_null(memmem(buf, sizeof(buf), "SECRET", 6));
	sealed_wipe(&r, buf);
	assert_null(memmem(text, sizeof(text), "SECRET", 6));
	assert_null(memmem(buf, sizeof(buf), "SECRET", 6));
	assert_true(slice_is(r.ws_protocol, "binary")); /* for the answer */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(wiping),
	};

	return RUN(tests);
}
