/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests terminal.h: control characters in every form are replaced or escaped, and other text is
 * unchanged.
 */
#include "tests/unit/guard.h"

#include "lib/terminal.h"

static void cleaned(void **state)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ "", "" },
		{ "plain text", "plain text" },
		{ "größe €😀", "größe €😀" },
		{ "a\nb\tc\x1b[31m", "a?b?c?[31m" },
		{ "\x7f", "?" },
		{ "\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "???\xc2\xa0" },
		{ "\x9b", "?" },
		{ "\x9b\x9b x", "?? x" },
		{ "\xc2", "?" },
		{ "a\xc2", "a?" },
		{ "\xc0\x9b", "??" },
		{ "\xe0\x80\x9b", "???" },
		{ "\xed\xa0\x80", "???" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xe2\x82", "??" },
		{ "\xff\xfe", "??" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[64];

		strcpy(text, table[i].text);
		terminal_clean(text);
		CHECK(strcmp(text, table[i].want) == 0, "'%s' for number %zu", text, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(cleaned) };

	return RUN(tests);
}
