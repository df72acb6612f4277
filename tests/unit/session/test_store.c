/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests store_protocol.h and store_words.h: commands as bytes, answers in pieces of every size,
 * what is no answer, and the words for errors, which never quote an argument.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "session/store_protocol.h"
#include "session/store_words.h"

#if __has_include(<hiredis/hiredis.h>) && !defined(PROXXY_NO_HIREDIS)

static int begin(void **state)
{
	char why[256] = "";

	(void)state;
	if (store_protocol_open(why, sizeof(why)) == OK)
		return 0;
	fprintf(stderr, "%s\n", why);
	return -1;
}

static int finish(void **state)
{
	(void)state;
	store_protocol_close();
	return 0;
}

static void commands(void **state)
{
	static const struct {
		store_command command;
		const char *bytes;
	} table[] = {
		{ { "PING" }, "*1\r\n$4\r\nPING\r\n" },
		{ { "SET", "a b", "", "NX" }, "*4\r\n$3\r\nSET\r\n$3\r\na b\r\n$0\r\n\r\n$2\r\nNX\r\n" },
		{ { "AUTH", "\r\n$1\r\nx%s" }, "*2\r\n$4\r\nAUTH\r\n$9\r\n\r\n$1\r\nx%s\r\n" },
		{ { "1", "2", "3", "4", "5", "6", "7", "8", "9", "0" },
		  "*10\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n"
		  "$1\r\n6\r\n$1\r\n7\r\n$1\r\n8\r\n$1\r\n9\r\n$1\r\n0\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		char *encoded = NULL;
		const int size = store_protocol_encode(table[i].command, &encoded);

		CHECK_INT(size, strlen(table[i].bytes), "row %zu", i);
		CHECK(memcmp(encoded, table[i].bytes, (size_t)size) == 0, "row %zu", i);
		store_protocol_free(encoded, size);
	}
}

/* Gives the reader text in pieces of that size, and takes one answer. */
static int read_one(const char *text, size_t piece, struct store_answer *ret)
{
	struct guard guard = { NULL };
	const size_t size = strlen(text);
	int rc = 0;

	for (size_t at = 0; at < size && rc == 0; at += piece) {
		const size_t n = size - at < piece ? size - at : piece;

		rc = store_protocol_feed(guard_copy(&guard, text + at, n), n);
		if (rc == 0)
			rc = store_protocol_next(ret);
	}
	if (guard.end)
		munmap(guard.end - GUARD_MAX, GUARD_MAX + 65536);
	return rc;
}

static void answers(void **state)
{
	static const struct {
		const char *bytes, *text;
		enum store_kind kind;
		long long integer;
	} table[] = {
		{ "+OK\r\n", "OK", STORE_TEXT, 0 },
		{ "+\r\n", "", STORE_TEXT, 0 },
		{ "$5\r\nhello\r\n", "hello", STORE_TEXT, 0 },
		{ "$0\r\n\r\n", "", STORE_TEXT, 0 },
		{ "$-1\r\n", "", STORE_NIL, 0 },
		{ ":0\r\n", "", STORE_INTEGER, 0 },
		{ ":-7\r\n", "", STORE_INTEGER, -7 },
		{ ":9223372036854775807\r\n", "", STORE_INTEGER, INT64_MAX },
		{ "-OOM full\r\n", "OOM full", STORE_ERROR, 0 },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		for (size_t piece = 1; piece <= strlen(table[i].bytes); piece++) {
			struct store_answer answer = { 0 };

			assert_int_equal(begin(state), 0);
			CHECK_INT(read_one(table[i].bytes, piece, &answer), 1, "row %zu, piece %zu", i, piece);
			CHECK_INT(answer.kind, table[i].kind, "row %zu, piece %zu", i, piece);
			CHECK_INT(answer.integer, table[i].integer, "row %zu, piece %zu", i, piece);
			CHECK(strcmp(answer.text, table[i].text) == 0, "row %zu: %s", i, answer.text);
			CHECK_INT(store_protocol_next(&answer), 0, "row %zu", i);
		}
}

static void answers_behind_each_other(void **state)
{
	struct store_answer answer;

	(void)state;
	assert_int_equal(store_protocol_feed("+OK\r\n:1\r\n$-1\r\n+P", 16), OK);
	assert_int_equal(store_protocol_next(&answer), 1);
	assert_string_equal(answer.text, "OK");
	assert_int_equal(store_protocol_next(&answer), 1);
	assert_int_equal(answer.integer, 1);
	assert_int_equal(store_protocol_next(&answer), 1);
	assert_int_equal(answer.kind, STORE_NIL);
	assert_int_equal(store_protocol_next(&answer), 0);
	assert_int_equal(store_protocol_feed("ONG\r\n", 5), OK);
	assert_int_equal(store_protocol_next(&answer), 1);
	assert_string_equal(answer.text, "PONG");
}

static void no_answers(void **state)
{
	static const char *const table[] = {
		"HTTP/1.1 400 Bad Request\r\n",
		"\x15\x03\x01\r\n",
		"*2\r\n:1\r\n:2\r\n",
		"*1000000000\r\n",
		"*-1\r\n:1\r\n*0\r\n",
		"$x\r\n",
		":x\r\n",
	};
	struct store_answer answer;

	for (size_t i = 0; i < COUNT(table); i++) {
		int rc;

		assert_int_equal(begin(state), 0);
		rc = store_protocol_feed(table[i], strlen(table[i]));
		for (int n = 0; rc >= 0 && n < 3; n++)
			rc = store_protocol_next(&answer);
		CHECK_INT(rc, ERR_STORE, "row %zu", i);
	}
}

static void long_answers(void **state)
{
	static char text[STORE_ANSWER_MAX];
	struct store_answer answer;

	/* A text is cut off. */
	memset(text, 'x', sizeof(text));
	assert_int_equal(store_protocol_feed("+", 1), OK);
	assert_int_equal(store_protocol_feed(text, 1000), OK);
	assert_int_equal(store_protocol_feed("\r\n", 2), OK);
	assert_int_equal(store_protocol_next(&answer), 1);
	assert_int_equal(strlen(answer.text), STORE_TEXT_MAX - 1);
	/* Without an end, it is given up. */
	assert_int_equal(begin(state), 0);
	assert_int_equal(store_protocol_feed("$1000000\r\n", 10), OK);
	assert_int_equal(store_protocol_feed(text, sizeof(text) - 10), OK);
	assert_int_equal(store_protocol_next(&answer), 0);
	assert_int_equal(store_protocol_feed(text, 1), ERR_STORE);
	/* The limit is that of one answer, not of all. */
	assert_int_equal(begin(state), 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(store_protocol_feed("+OK\r\n", 5), OK);
		assert_int_equal(store_protocol_next(&answer), 1);
	}
}

#define PROTOCOL_TESTS \
	cmocka_unit_test_setup_teardown(commands, begin, finish), \
		cmocka_unit_test_setup_teardown(answers, begin, finish), \
		cmocka_unit_test_setup_teardown(answers_behind_each_other, begin, finish), \
		cmocka_unit_test_setup_teardown(no_answers, begin, finish), \
		cmocka_unit_test_setup_teardown(long_answers, begin, finish)
#else
static void without_hiredis(void **state)
{
	char why[256] = "";

	(void)state;
	assert_int_equal(store_protocol_open(why, sizeof(why)), ERR_CONFIG);
	assert_string_equal(why, "PROXXY_REPLAY_STORE: this proxxy-conn was built without hiredis");
}

#define PROTOCOL_TESTS cmocka_unit_test(without_hiredis)
#endif

static void words(void **state)
{
	static const struct {
		const char *error, *words;
	} table[] = {
		{ "NOAUTH Authentication required.", "it wants a password" },
		{ "WRONGPASS invalid username-password pair or user is disabled.", "refuses the user or the password" },
		{ "ERR invalid password", "refuses the password" },
		{ "ERR AUTH <password> called without any password configured for the default user. Are you sure your "
		  "configuration is correct?",
		  "it has no password" },
		{ "ERR Client sent AUTH, but no password is set", "it has no password" },
		{ "NOPERM this user has no permissions to run the 'set' command", "(ACL)" },
		{ "ERR The user executing the script can't run this command or subcommand script: x", "(ACL)" },
		{ "MOVED 3999 127.0.0.1:6381", "is a cluster" },
		{ "CLUSTERDOWN The cluster is down", "is a cluster" },
		{ "READONLY You can't write against a read only replica.", "read-only replica" },
		{ "READONLY You can't write against a read only replica. script: 1f, on @user_script:2.",
		  "read-only replica" },
		{ "ERR Error running script (call to f_1f): @user_script:2: @user_script: 2: -OOM command not allowed",
		  "memory is full" },
		{ "OOM command not allowed when used memory > 'maxmemory'.", "memory is full" },
		{ "MISCONF Redis is configured to save RDB snapshots", "cannot save its data" },
		{ "LOADING Redis is loading the dataset in memory", "still loading" },
		{ "BUSY Redis is busy running a script.", "busy with a script" },
		{ "DENIED Redis is running in protected mode", "protected-mode" },
		{ "ERR max number of clients reached", "maxclients" },
		{ "ERR DB index is out of range", "no database of that number" },
		{ "ERR unknown command 'AUTH', with args beginning with: 'hunter2'",
		  "it refuses the command SET (ERR)" },
		{ "NEWCODE hunter2", "it refuses the command SET (NEWCODE)" },
		{ "hunter2", "it refuses the command SET" },
		{ "HUNTERHUNTERHUNTERHUNTER", "it refuses the command SET" },
		{ "", "it refuses the command SET" },
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		store_words(table[i].error, "SET", text, sizeof(text));
		CHECK(strstr(text, table[i].words) != NULL, "row %zu: %s", i, text);
		CHECK(!strcasestr(text, "hunter"), "row %zu: %s", i, text);
		CHECK(strlen(text) + 1 < sizeof(text), "row %zu: %s", i, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { PROTOCOL_TESTS, cmocka_unit_test(words) };

	return cmocka_run_group_tests_name(__FILE__, tests, NULL, print_checks);
}
