/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests form.h: each mistake in a payload's form gets its own phrase.
 */
#include "tests/unit/guard.h"

#include "lib/form.h"

static struct guard in;

#define IV "00112233445566778899aabbccddeeff"
#define BLOCK "8e9a0c6d1f2b3a4c5d6e7f8091a2b3c4"

static void words(void **state)
{
	static const struct {
		const char *text, *want; /* NULL if there is no mistake */
	} table[] = {
		{ IV ":" BLOCK, NULL },
		{ IV ":" BLOCK BLOCK BLOCK, NULL },
		{ "00112233445566778899AABBCCDDEEFF:8E9A0C6D1F2B3A4C5D6E7F8091A2B3C4", NULL },
		{ IV "%3A" BLOCK, "URL-encoded twice" },
		{ "%30" IV ":" BLOCK, "URL-encoded twice" },
		{ "ABEiM0RVZneImaq7zN3u/w==:jpoMbR8rOkxdbn+AkaKzxA==", "base64, not hex" },
		{ "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY6OGU5YTBj", "base64, not hex" },
		{ "jpoMbR8rOkxdbn AkaKzxA==", "base64, not hex" },
		{ "ABEiM0RVZneImaq7zN3u_w", "base64, not hex" },
		{ "3030313132323a3865396130633664316632623361346335643665376638303931613262336334",
		  "hex-encoded twice" },
		{ "3030313132323333343435353636373738383939616162626363646465656666:38653961306336643166326233613463",
		  "hex-encoded twice" },
		{ IV BLOCK, "no colon" },
		{ IV "::" BLOCK, "more than one colon" },
		{ IV ":" BLOCK ":" BLOCK, "more than one colon" },
		{ "0" IV ":" BLOCK, "IV is not 32" },
		{ ":" BLOCK, "IV is not 32" },
		{ IV ":", "cut off" },
		{ IV ":" BLOCK "8e9a", "cut off" },
		{ IV ":8", "cut off" },
		{ "{\"vmid\":100}", "plain JSON" },
		{ "\"" IV ":" BLOCK "\"", "in quotes" },
		{ "'" IV ":" BLOCK "'", "in quotes" },
		{ "wss://panel/ws?payload=" IV ":" BLOCK, "a URL" },
		{ "eyJhbGciOiJIUzI1NiJ9.eyJ2bWlkIjoxMDB9.c2ln", "signed JWT" },
		{ "eyJhbGciOiJkaXIifQ..bm9uY2U.Y2lwaGVy", "five parts" },
		{ "a.b", "five parts" },
		{ "a.b.c.d.e.f", "five parts" },
		{ "\xc3\xa4", "neither" },
		{ "", "no colon" },
	};
	static const struct {
		const char *text, *want;
	} jwe[] = {
		{ "eyJhbGciOiJkaXIifQ..bm9uY2U.Y2lwaGVy.dGFn", NULL },
		{ "a..b=.c.d", "not base64url" },
		{ "a+..b.c.d", "not base64url" },
		{ "a ..b.c.d", "not base64url" },
		{ "a%2E..b.c.d", "URL-encoded twice" },
		{ "a!..b.c.d", "characters" },
		{ "....", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		const size_t len = strlen(table[i].text);
		const char *got = form_error_cbc(guard_copy(&in, table[i].text, len), len);

		CHECK(table[i].want ? got && strstr(got, table[i].want) : !got, "'%s': %s", table[i].text,
		      got ? got : "nothing");
	}
	for (size_t i = 0; i < COUNT(jwe); i++) {
		const size_t len = strlen(jwe[i].text);
		const char *got = form_error_jwe(guard_copy(&in, jwe[i].text, len), len);

		CHECK(jwe[i].want ? got && strstr(got, jwe[i].want) : !got, "'%s': %s", jwe[i].text,
		      got ? got : "nothing");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(words) };

	return RUN(tests);
}
