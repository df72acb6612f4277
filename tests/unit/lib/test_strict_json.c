/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests strict_json.h: each rule of RFC 8259, and the value that results. Each text is parsed up to
 * an unreadable page. The results must be the same with every version of json-c.
 */
#include "tests/unit/guard.h"

#include <json-c/json.h>

#include "lib/strict_json.h"

static struct guard in;

static json_object *parse(const char *text, size_t len)
{
	return strict_json_parse(guard_copy(&in, text, len), len);
}

#define TEXT(text) text, sizeof(text) - 1

/* A value of {"x":…}, and the string that results; NULL: invalid JSON. */
static void strings(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *want;
	} table[] = {
		{ TEXT("\"\""), "" },
		{ TEXT("\"a b\""), "a b" },
		{ TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t" },
		{ TEXT("\"\x7F\""), "\x7F" },
		{ TEXT("\"it's\""), "it's" },
		{ TEXT("\"a:{[,\""), "a:{[," },
		{ TEXT("\"\\\\u0000\""), "\\u0000" },
		/* UTF-8, raw and escaped: the first and the last character of each length */
		{ TEXT("\"PVE:m\xC3\xBCller@pve\""), "PVE:m\xC3\xBCller@pve" },
		{ TEXT("\"PVE:m\\u00fcller@pve\""), "PVE:m\xC3\xBCller@pve" },
		{ TEXT("\"\\u00FC\""), "\xC3\xBC" },
		{ TEXT("\"\xC2\x80\xDF\xBF\""), "\xC2\x80\xDF\xBF" },
		{ TEXT("\"\\u0001\\u007f\\u0080\\u07ff\""), "\x01\x7F\xC2\x80\xDF\xBF" },
		{ TEXT("\"\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\""),
		  "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF" },
		{ TEXT("\"\\u0800\\ud7ff\\ue000\\uffff\""), "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF" },
		{ TEXT("\"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""), "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF" },
		{ TEXT("\"\\ud800\\udc00\\udbff\\udfff\""), "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF" },
		/* Their low 16 bits look like the first half of a pair. */
		{ TEXT("\"\\ud836\\udc00\\uD836\\uDFFFx\""), "\xF0\x9D\xA0\x80\xF0\x9D\xAF\xBFx" },
		{ TEXT("\"\xF0\x9D\xA0\x80\""), "\xF0\x9D\xA0\x80" },
		{ TEXT("\"\xEF\xBB\xBF\""), "\xEF\xBB\xBF" },
		{ TEXT("\"\xC2\x85\xE2\x80\xA8\""), "\xC2\x85\xE2\x80\xA8" },
		/* not UTF-8 */
		{ TEXT("\"\x80\""), NULL },
		{ TEXT("\"\xBF\""), NULL },
		{ TEXT("\"\xC3\""), NULL },
		{ TEXT("\"\xC3("), NULL },
		{ TEXT("\"\xFF\""), NULL },
		{ TEXT("\"\xFE\""), NULL },
		{ TEXT("\"m\xFC"
		       "ller\""),
		  NULL },
		{ TEXT("\"\xC0\x80\""), NULL },
		{ TEXT("\"\xC1\xBF\""), NULL },
		{ TEXT("\"\xE0\x9F\xBF\""), NULL },
		{ TEXT("\"\xF0\x8F\xBF\xBF\""), NULL }, /* too long */
		{ TEXT("\"\xED\xA0\x80\""), NULL },
		{ TEXT("\"\xED\xBF\xBF\""), NULL },
		{ TEXT("\"\xED\xA0\x80\xED\xB0\x80\""), NULL }, /* surrogates */
		{ TEXT("\"\xF4\x90\x80\x80\""), NULL },
		{ TEXT("\"\xF5\x80\x80\x80\""), NULL },
		{ TEXT("\"\xF8\x88\x80\x80\x80\""), NULL }, /* above U+10FFFF */
		{ TEXT("\"\xE2\x82\""), NULL },
		{ TEXT("\"\xE2\x28\xA1\""), NULL },
		{ TEXT("\"\xF0\x9F\x98\""), NULL },
		{ TEXT("\"\xF0\x9F\x98\xC0\""), NULL },
		{ TEXT("\"\xE2\x82\xAC\xAC\""), NULL },
		/* half a pair */
		{ TEXT("\"\\ud800\""), NULL },
		{ TEXT("\"\\udbffx\""), NULL },
		{ TEXT("\"\\udc00\""), NULL },
		{ TEXT("\"\\udfff\\ud800\""), NULL },
		{ TEXT("\"\\ud800\\ud800\\udc00\""), NULL },
		{ TEXT("\"\\ud800\\u0041\""), NULL },
		{ TEXT("\"\\ud800\\n\""), NULL },
		{ TEXT("\"\\ud800\\u\""), NULL },
		{ TEXT("\"\\ud83d\xF0\x9F\x98\x80\""), NULL },
		/* control characters, and invalid escapes */
		{ TEXT("\"\x01\""), NULL },
		{ TEXT("\"\t\""), NULL },
		{ TEXT("\"\n\""), NULL },
		{ TEXT("\"\x1F\""), NULL },
		{ TEXT("\"\0\""), NULL },
		{ TEXT("\"\\u0000\""), NULL },
		{ TEXT("\"a\\u0000b\""), NULL },
		{ TEXT("\"\\\""), NULL },
		{ TEXT("\"\\'\""), NULL },
		{ TEXT("\"\\q\""), NULL },
		{ TEXT("\"\\0\""), NULL },
		{ TEXT("\"\\x41\""), NULL },
		{ TEXT("\"\\U0041\""), NULL },
		{ TEXT("\"\\\0\""), NULL },
		{ TEXT("\"\\\n\""), NULL },
		{ TEXT("\"\\u\""), NULL },
		{ TEXT("\"\\u1\""), NULL },
		{ TEXT("\"\\u12\""), NULL },
		{ TEXT("\"\\u123\""), NULL },
		{ TEXT("\"\\u12g4\""), NULL },
		{ TEXT("\"\\u+123\""), NULL },
		{ TEXT("\"\\u 123\""), NULL },
		{ TEXT("\""), NULL },
		{ TEXT("\"a"), NULL },
		{ TEXT("'a'"), NULL },
		{ TEXT("\"a'"), NULL },
		{ TEXT("\xE2\x80\x9C"
		       "a\xE2\x80\x9D"),
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++)
		for (int as_name = 0; as_name < 2; as_name++) {
			char text[128];
			json_object *object, *member = NULL;
			const char *got = NULL;
			size_t len = (size_t)sprintf(text, as_name ? "{" : "{\"x\":");

			memcpy(text + len, table[i].text, table[i].len);
			len += table[i].len;
			len += (size_t)sprintf(text + len, as_name ? ":1}" : "}");
			object = parse(text, len);
			CHECK((object != NULL) == (table[i].want != NULL), "%s, as a name: %d", table[i].text, as_name);
			if (!object)
				continue;
			if (as_name) {
				got = json_object_object_get_ex(object, table[i].want, &member) ? table[i].want :
												  "another";
			} else if (json_object_object_get_ex(object, "x", &member)) {
				got = json_object_get_string(member);
				CHECK_INT(json_object_get_string_len(member), strlen(table[i].want), "%s",
					  table[i].text);
			}
			CHECK(got && strcmp(got, table[i].want) == 0, "%s, as a name: %d", table[i].text, as_name);
			strict_json_wipe(object);
		}
}

/* A number, strict_json_integer()'s result, and the number as json-c prints it; NULL: invalid
 * JSON. */
static void numbers(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
		const char *again;
	} table[] = {
		{ "0", 0, "0" },
		{ "-0", 0, "0" },
		{ "-0.0", 0, "-0.0" },
		{ "1", 1, "1" },
		{ "-1", 0, "-1" },
		{ "10", 10, "10" },
		{ "1.0", 1, "1.0" },
		{ "1e2", 100, "1e2" },
		{ "1E+2", 100, "1E+2" },
		{ "100e-2", 1, "100e-2" },
		{ "1e002", 100, "1e002" },
		{ "0e5", 0, "0e5" },
		{ "0.5", 0, "0.5" },
		{ "1.5", 0, "1.5" },
		{ "9007199254740993", 9007199254740993, "9007199254740993" },
		{ "9223372036854775807", INT64_MAX, "9223372036854775807" },
		{ "-9223372036854775808", 0, "-9223372036854775808" },
		/* outside 64 bits, or without a value: valid JSON numbers, but not valid
		 * integers */
		{ "9223372036854775808", 0, "9223372036854775808" },
		{ "-9223372036854775809", 0, "-9223372036854775809" },
		{ "18446744073709551615", 0, "18446744073709551615" },
		{ "18446744073709551616", 0, "18446744073709551616" },
		{ "18446744073709551716", 0, "18446744073709551716" },
		{ "123456789012345678901234567890123456789012345678901234567890", 0,
		  "123456789012345678901234567890123456789012345678901234567890" },
		{ "1e18", 1000000000000000000, "1e18" },
		{ "1e19", 0, "1e19" },
		{ "1e400", 0, "1e400" },
		{ "-1e400", 0, "-1e400" },
		{ "1e-400", 0, "1e-400" },
		{ "1e99999999999999999999", 0, "1e99999999999999999999" },
		{ "01", 0, NULL },
		{ "00", 0, NULL },
		{ "-01", 0, NULL },
		{ "+1", 0, NULL },
		{ "-", 0, NULL },
		{ "--1", 0, NULL },
		{ "- 1", 0, NULL },
		{ ".5", 0, NULL },
		{ "-.5", 0, NULL },
		{ "1.", 0, NULL },
		{ "1.e1", 0, NULL },
		{ "1..0", 0, NULL },
		{ "1e", 0, NULL },
		{ "1e+", 0, NULL },
		{ "1e-", 0, NULL },
		{ "1e+-1", 0, NULL },
		{ "1e1.5", 0, NULL },
		{ "1e1e1", 0, NULL },
		{ "1.2.3", 0, NULL },
		{ "1-1", 0, NULL },
		{ "1 1", 0, NULL },
		{ "0x10", 0, NULL },
		{ "1_000", 0, NULL },
		{ "1f", 0, NULL },
		{ "NaN", 0, NULL },
		{ "nan", 0, NULL },
		{ "Infinity", 0, NULL },
		{ "-Infinity", 0, NULL },
		{ "inf", 0, NULL },
		{ "-inf", 0, NULL },
		{ "1/2", 0, NULL },
		{ "\xD9\xA1", 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[128], again[128];
		size_t len = (size_t)snprintf(text, sizeof(text), "{\"x\":%s}", table[i].text);
		json_object *object = parse(text, len);

		CHECK((object != NULL) == (table[i].again != NULL), "%s", table[i].text);
		if (!object)
			continue;
		CHECK_INT(strict_json_integer(object, "x", INT64_MAX), table[i].want, "%s", table[i].text);
		snprintf(again, sizeof(again), "{\"x\":%s}", table[i].again);
		CHECK(strcmp(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), again) == 0, "%s: %s",
		      table[i].text, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
		strict_json_wipe(object);
	}
}

/* Whole texts, and how json-c prints them; NULL: invalid JSON. */
static void structure(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *want;
	} table[] = {
		{ TEXT("{}"), "{}" },
		{ TEXT(" \t\r\n{ \t\r\n} \t\r\n"), "{}" },
		{ TEXT("{ \"a\" : [ ] , \"b\" : [ 1 , 2 ] }"), "{\"a\":[],\"b\":[1,2]}" },
		{ TEXT("{\"a\":true,\"b\":false,\"c\":null,\"\":0}"), "{\"a\":true,\"b\":false,\"c\":null,\"\":0}" },
		{ TEXT("{\"a\":{\"a\":{\"a\":{}}}}"), "{\"a\":{\"a\":{\"a\":{}}}}" },
		{ TEXT("{\"a\":[null,[{}]]}"), "{\"a\":[null,[{}]]}" },
		/* eight levels of nesting, and nine */
		{ TEXT("{\"a\":[[[[[[[]]]]]]]}"), "{\"a\":[[[[[[[]]]]]]]}" },
		{ TEXT("{\"a\":[[[[[[[1]]]]]]]}"), "{\"a\":[[[[[[[1]]]]]]]}" },
		{ TEXT("{\"a\":[[[[[[[[]]]]]]]]}"), NULL },
		{ TEXT("{\"a\":[[[[[[[{}]]]]]]]}"), NULL },
		{ TEXT("{\"a\":[[[[[[[]]]]]]],\"b\":[[[[[[[]]]]]]]}"), "{\"a\":[[[[[[[]]]]]]],\"b\":[[[[[[[]]]]]]]}" },
		/* two members with one name */
		{ TEXT("{\"a\":1,\"a\":1}"), NULL },
		{ TEXT("{\"a\":1,\"\\u0061\":2}"), NULL },
		{ TEXT("{\"a\":null,\"a\":null}"), NULL },
		{ TEXT("{\"\":1,\"\":1}"), NULL },
		{ TEXT("{\"\xC3\xBC\":1,\"\\u00fc\":1}"), NULL },
		{ TEXT("{\"b\":{\"a\":1,\"a\":2},\"a\":[{\"a\":\"x\",\"a\":null}],\"A\":1}"),
		  "{\"b\":{\"a\":2},\"a\":[{\"a\":null}],\"A\":1}" },
		/* no object, or more than one */
		{ TEXT(""), NULL },
		{ TEXT(" "), NULL },
		{ TEXT("[]"), NULL },
		{ TEXT("1"), NULL },
		{ TEXT("\"a\""), NULL },
		{ TEXT("null"), NULL },
		{ TEXT("true"), NULL },
		{ TEXT("[{}]"), NULL },
		{ TEXT("{}{}"), NULL },
		{ TEXT("{} x"), NULL },
		{ TEXT("{},"), NULL },
		{ TEXT("{}\0"), NULL },
		{ TEXT("{}}"), NULL },
		{ TEXT("{}//"), NULL },
		{ TEXT("{}\v"), NULL },
		{ TEXT("\f{}"), NULL },
		{ TEXT("\xEF\xBB\xBF{}"), NULL },
		{ TEXT("{}\xC2\xA0"), NULL },
		{ TEXT("\0{}"), NULL },
		{ TEXT("{\0}"), NULL },
		{ TEXT("{"), NULL },
		{ TEXT("}"), NULL },
		{ TEXT("{]"), NULL },
		{ TEXT("{\"a\""), NULL },
		{ TEXT("{\"a\"}"), NULL },
		{ TEXT("{\"a\":"), NULL },
		{ TEXT("{\"a\":}"), NULL },
		{ TEXT("{\"a\":1"), NULL },
		{ TEXT("{\"a\":1,"), NULL },
		{ TEXT("{\"a\":1,}"), NULL },
		{ TEXT("{,}"), NULL },
		{ TEXT("{,\"a\":1}"), NULL },
		{ TEXT("{\"a\":1,,\"b\":1}"), NULL },
		{ TEXT("{\"a\":1 \"b\":1}"), NULL },
		{ TEXT("{\"a\":1;\"b\":1}"), NULL },
		{ TEXT("{\"a\"=1}"), NULL },
		{ TEXT("{\"a\"::1}"), NULL },
		{ TEXT("{\"a\" 1}"), NULL },
		{ TEXT("{a:1}"), NULL },
		{ TEXT("{1:1}"), NULL },
		{ TEXT("{null:1}"), NULL },
		{ TEXT("{'a':1}"), NULL },
		{ TEXT("{\"a\":'a'}"), NULL },
		{ TEXT("{[]:1}"), NULL },
		{ TEXT("{\"a\":[}"), NULL },
		{ TEXT("{\"a\":[1,]}"), NULL },
		{ TEXT("{\"a\":[,1]}"), NULL },
		{ TEXT("{\"a\":[1 2]}"), NULL },
		{ TEXT("{\"a\":[1:2]}"), NULL },
		{ TEXT("{\"a\":[1}"), NULL },
		{ TEXT("{\"a\":[1}]"), NULL },
		{ TEXT("{\"a\":[\"a\":1]}"), NULL },
		{ TEXT("{\"a\":True}"), NULL },
		{ TEXT("{\"a\":FALSE}"), NULL },
		{ TEXT("{\"a\":Null}"), NULL },
		{ TEXT("{\"a\":nul}"), NULL },
		{ TEXT("{\"a\":truee}"), NULL },
		{ TEXT("{\"a\":tru"), NULL },
		{ TEXT("{\"a\":undefined}"), NULL },
		{ TEXT("{\"a\":nulltrue}"), NULL },
		{ TEXT("/**/{}"), NULL },
		{ TEXT("{/**/}"), NULL },
		{ TEXT("{\"a\"/**/:1}"), NULL },
		{ TEXT("{\"a\":1//\n}"), NULL },
		{ TEXT("#\n{}"), NULL },
		{ TEXT("{\"a\":1/**/}"), NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		json_object *object = parse(table[i].text, table[i].len);

		CHECK((object != NULL) == (table[i].want != NULL), "%s", table[i].text);
		if (!object)
			continue;
		CHECK(strcmp(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN), table[i].want) == 0,
		      "%s: %s", table[i].text, json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
		strict_json_wipe(object);
		/* A prefix is not valid, unless only white space is missing. */
		for (size_t len = table[i].len; len-- > 0;) {
			object = parse(table[i].text, len);
			CHECK(!object || strspn(table[i].text + len, " \t\r\n") == table[i].len - len,
			      "%zu bytes of %s", len, table[i].text);
			strict_json_wipe(object);
		}
	}
}

/* Each Unicode character gives the same string, raw and escaped. Every surrogate, and every pair of
 * bytes that is not UTF-8, is an error. */
static void every_character(void **state)
{
	char raw[32], escaped[32];

	(void)state;
	for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x11000 || c > 0x10F000 ? 1 : 251) {
		const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
		size_t len = (size_t)sprintf(raw, "{\"x\":\"");
		json_object *object, *other, *member = NULL, *other_member = NULL;

		if (c >= 0x10000)
			raw[len++] = (char)(0xF0 | c >> 18);
		else if (c >= 0x800)
			raw[len++] = (char)(0xE0 | c >> 12);
		else
			raw[len++] = (char)(c >= 0x80 ? 0xC0 | c >> 6 : c);
		for (int shift = c >= 0x10000 ? 12 : c >= 0x800 ? 6 : 0; c >= 0x80 && shift >= 0; shift -= 6)
			raw[len++] = (char)(0x80 | (c >> shift & 0x3F));
		len += (size_t)sprintf(raw + len, "\"}");
		if (c >= 0x10000)
			sprintf(escaped, "{\"x\":\"\\u%04x\\u%04X\"}", 0xD7C0 + (c >> 10), 0xDC00 | (c & 0x3FF));
		else
			sprintf(escaped, "{\"x\":\"\\u%04x\"}", c);
		object = parse(raw, len);
		other = parse(escaped, strlen(escaped));
		CHECK((object != NULL) == (!surrogate && c >= 0x20 && c != '"' && c != '\\'), "U+%04X", c);
		CHECK((other != NULL) == !surrogate, "U+%04X, escaped", c);
		if (object && other) {
			CHECK(json_object_object_get_ex(object, "x", &member) &&
				      json_object_object_get_ex(other, "x", &other_member),
			      "U+%04X", c);
			CHECK(strcmp(json_object_get_string(member), json_object_get_string(other_member)) == 0,
			      "U+%04X", c);
		}
		strict_json_wipe(object);
		strict_json_wipe(other);
	}
}

/* A number, or a string of digits; and a member that is an object. */
static void numbers_as_strings(void **state)
{
	static const struct {
		const char *text;
		int64_t max, want;
	} table[] = {
		{ "5900", 65535, 5900 },
		{ "\"5900\"", 65535, 5900 },
		{ "\"0005900\"", 65535, 5900 },
		{ "\"65535\"", 65535, 65535 },
		{ "\"65536\"", 65535, 0 },
		{ "65536", 65535, 0 },
		{ "\"9223372036854775807\"", INT64_MAX, INT64_MAX },
		{ "\"9223372036854775808\"", INT64_MAX, 0 },
		{ "\"99999999999999999999999999999\"", INT64_MAX, 0 },
		{ "\"0\"", 65535, 0 },
		{ "\"\"", 65535, 0 },
		{ "\"-1\"", 65535, 0 },
		{ "\"+1\"", 65535, 0 },
		{ "\" 1\"", 65535, 0 },
		{ "\"1 \"", 65535, 0 },
		{ "\"1.0\"", 65535, 0 },
		{ "\"1e2\"", 65535, 0 },
		{ "\"0x1\"", 65535, 0 },
		{ "\"1\\n\"", 65535, 0 },
		{ "true", 65535, 0 },
		{ "null", 65535, 0 },
		{ "[1]", 65535, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char text[64];
		json_object *object = parse(text, (size_t)sprintf(text, "{\"x\":%s}", table[i].text));

		CHECK_INT(strict_json_number(object, "x", table[i].max), table[i].want, "%s", table[i].text);
		CHECK_INT(strict_json_number(object, "y", table[i].max), 0, "%s", table[i].text);
		CHECK(strict_json_object(object, "x") == NULL, "%s", table[i].text);
		strict_json_wipe(object);
	}
	json_object *object = parse("{\"x\":{\"y\":1}}", 13);
	assert_true(strict_json_integer(strict_json_object(object, "x"), "y", 1) == 1);
	assert_true(strict_json_object(object, "y") == NULL && strict_json_object(NULL, "x") == NULL);
	strict_json_wipe(object);
}

static void longest(void **state)
{
	static char text[STRICT_JSON_MAX + 2];

	(void)state;
	for (size_t len = STRICT_JSON_MAX; len <= STRICT_JSON_MAX + 1; len++) {
		json_object *object;

		memset(text, 'a', len);
		memcpy(text, "{\"x\":\"", 6);
		memcpy(text + len - 2, "\"}", 2);
		object = parse(text, len);
		CHECK((object != NULL) == (len <= STRICT_JSON_MAX), "%zu bytes", len);
		strict_json_wipe(object);
		object = strict_json_parse_up_to(STRICT_JSON_MAX + 1, text, len);
		CHECK(object != NULL, "%zu bytes of %d", len, STRICT_JSON_MAX + 1);
		strict_json_wipe(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings),         cmocka_unit_test(numbers), cmocka_unit_test(structure),
		cmocka_unit_test(every_character), cmocka_unit_test(longest), cmocka_unit_test(numbers_as_strings),
	};

	return RUN(tests);
}
