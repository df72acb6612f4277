/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes what session/store.c gets from outside. If the first byte is 0, the rest is a URL
 * (lib/store_url.h). Else it is what a store sends, in pieces of that size, for
 * session/store_protocol.h with hiredis: the pieces must not change the answers.
 */
#include "tests/fuzz/fuzz.h"

#include "lib/error.h"
#include "lib/store_url.h"
#include "session/store_protocol.h"
#include "session/store_words.h"

enum { ANSWERS_MAX = 64, WORDS_MAX = 128 };

/* --- the URL ---------------------------------------------------------------------------------- */

/* Returns the text's length. It must end in its buffer, and have no control character. */
static size_t require_text(const char *text, size_t size)
{
	const size_t len = strnlen(text, size);

	REQUIRE(len < size, "a text without NUL");
	for (size_t i = 0; i < len; i++)
		REQUIRE((uint8_t)text[i] >= ' ' && text[i] != 0x7F, "a control character");
	return len;
}

static void parse_url(const uint8_t *data, size_t size)
{
	char text[512], place[STORE_PLACE_MAX];
	struct store_url url;
	bool valid;

	if (size >= sizeof(text))
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&url, 0xA5, sizeof(url));
	valid = store_url_parse(text, &url);
	if (!valid) {
		for (size_t i = 0; i < sizeof(url); i++)
			REQUIRE(((const uint8_t *)&url)[i] == 0, "byte %zu is left", i);
		return;
	}
	REQUIRE((*url.host != '\0') != (*url.path != '\0'), "host and path");
	REQUIRE(!*url.host || url.port > 0, "no port");
	REQUIRE(!*url.path || (url.path[0] == '/' && !url.tls), "a path that is not absolute");
	REQUIRE(!*url.ca_file || (url.ca_file[0] == '/' && url.tls), "a CA without TLS");
	REQUIRE(url.database <= STORE_DATABASE_MAX, "database %u", url.database);
	require_text(url.user, sizeof(url.user));
	require_text(url.password, sizeof(url.password));
	require_text(url.ca_file, sizeof(url.ca_file));
	require_text(url.path, sizeof(url.path));
	REQUIRE(!*url.host || url.host_is_address || host_is_name(url.host, strlen(url.host)), "the host is no name");
	store_url_place(&url, place);
	REQUIRE(require_text(place, sizeof(place)) > 0, "no place");
}

/* --- what a store sends ----------------------------------------------------------------------- */

struct answers {
	size_t n;
	int end; /* 0, or the error that ended it */
	struct store_answer list[ANSWERS_MAX];
};

static void take_answers(struct answers *a)
{
	while (a->end == OK && a->n < ANSWERS_MAX) {
		struct store_answer *answer = &a->list[a->n];
		const int rc = store_protocol_next(answer);

		if (rc == 0)
			return;
		if (rc < 0)
			a->end = rc;
		else
			a->n++;
	}
}

static void read_answers(const uint8_t *data, size_t size, size_t piece, struct answers *ret)
{
	char why[WORDS_MAX];

	memset(ret, 0, sizeof(*ret));
	REQUIRE(store_protocol_open(why, sizeof(why)) == OK, "%s", why);
	for (size_t at = 0; at < size && ret->end == OK; at += piece) {
		const size_t n = size - at < piece ? size - at : piece;

		ret->end = store_protocol_feed(data + at, n);
		take_answers(ret);
	}
	store_protocol_close();
}

static void require_same(const struct store_answer *a, const struct store_answer *b)
{
	REQUIRE(a->kind == b->kind, "kinds %d and %d", (int)a->kind, (int)b->kind);
	if (a->kind == STORE_INTEGER)
		REQUIRE(a->integer == b->integer, "%lld and %lld", a->integer, b->integer);
	if (a->kind == STORE_TEXT || a->kind == STORE_ERROR)
		REQUIRE(strnlen(a->text, STORE_TEXT_MAX) < STORE_TEXT_MAX && strcmp(a->text, b->text) == 0, "texts");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct answers whole, pieces;
	char words[WORDS_MAX];

	if (size == 0)
		return 0;
	if (data[0] == 0) {
		parse_url(data + 1, size - 1);
		return 0;
	}
	read_answers(data + 1, size - 1, size, &whole);
	read_answers(data + 1, size - 1, data[0], &pieces);
	REQUIRE(whole.n == pieces.n && whole.end == pieces.end, "%zu and %zu answers", whole.n, pieces.n);
	for (size_t i = 0; i < whole.n; i++) {
		require_same(&whole.list[i], &pieces.list[i]);
		if (whole.list[i].kind != STORE_ERROR)
			continue;
		store_words(whole.list[i].text, "SET", words, sizeof(words));
		REQUIRE(require_text(words, sizeof(words)) > 0, "no words");
	}
	return 0;
}
