/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests rfb.h: conversations between a console and a client, with every pair of versions, each
 * message whole and cut at every byte: what either side gets, and how it ends.
 */
#include "tests/unit/guard.h"

#include "session/rfb.h"

enum { MESSAGES_MAX = 12, MESSAGE_MAX = 300 };

#define PASSWORD "password"
#define CHALLENGE "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"
#define RESPONSE "\xB8\x66\x92\x41\x25\xC8\xEE\xBB\x9D\xEB\xC1\xDB\x61\xC5\x38\xE2"
#define VERSION "RFB 003.008\n"

/* What a message is answered with, until the next message. */
struct answer {
	uint8_t bytes[2 * RFB_OUT_MAX];
	size_t size;
};

struct message {
	enum rfb_peer from;
	uint8_t bytes[MESSAGE_MAX];
	size_t size;
	struct answer to[2]; /* by enum rfb_peer */
};

struct talk {
	struct message messages[MESSAGES_MAX];
	size_t n;
	int result;
	const char *why, *reason; /* at an error */
};

static void say(struct talk *t, enum rfb_peer from, const void *bytes, size_t size)
{
	struct message *m = &t->messages[t->n++];

	CHECK(t->n <= MESSAGES_MAX && size <= MESSAGE_MAX, "%zu messages, %zu bytes", t->n, size);
	memset(m, 0, sizeof(*m));
	m->from = from;
	memcpy(m->bytes, bytes, size);
	m->size = size;
}

static void answer(struct talk *t, enum rfb_peer to, const void *bytes, size_t size)
{
	struct answer *a = &t->messages[t->n - 1].to[to];

	CHECK(a->size + size <= sizeof(a->bytes), "%zu bytes", size);
	memcpy(a->bytes + a->size, bytes, size);
	a->size += size;
}

#define SAY(talk, from, text) say(talk, from, text, sizeof(text) - 1)
#define ANSWER(talk, to, text) answer(talk, to, text, sizeof(text) - 1)

/* --- running a conversation ----------------------------------------------------------------- */

static struct guard state_guard, in_guard, out_guard;

/* Feeds a part of a message, in as many calls as rfb_wants() demands, and adds up what is sent. */
static int feed(struct rfb *r, const struct message *m, size_t at, size_t size, struct answer sent[2],
		const char **ret_why, const char *name)
{
	int rc = RFB_MORE;

	while (size > 0 && rc == RFB_MORE) {
		enum rfb_peer from = RFB_SERVER, to = RFB_SERVER;
		const size_t wants = rfb_wants(r, &from);
		const size_t n = wants < size ? wants : size;
		uint8_t *out = guard_room(&out_guard, RFB_OUT_MAX);
		size_t n_out = SIZE_MAX;

		CHECK(wants > 0 && wants <= m->size - at && wants <= RFB_WANTS_MAX, "%s: %zu of %zu bytes", name, wants,
		      m->size - at);
		CHECK_INT(from, m->from, "%s", name);
		rc = rfb_feed(r, guard_copy(&in_guard, m->bytes + at, n), n, out, &n_out, &to, ret_why);
		if (rc < 0) {
			CHECK_INT(n_out, SIZE_MAX, "%s: output at an error", name);
			break;
		}
		CHECK(n_out <= RFB_OUT_MAX && sent[to].size + n_out <= sizeof(sent[to].bytes), "%s", name);
		memcpy(sent[to].bytes + sent[to].size, out, n_out);
		sent[to].size += n_out;
		at += n;
		size -= n;
	}
	return rc;
}

static void check_end(const struct rfb *r, const struct talk *t, int rc, const char *why, const char *name)
{
	enum rfb_peer from;

	CHECK_INT(rc, t->result, "%s", name);
	CHECK_INT(rfb_wants(r, &from), 0, "%s", name);
	CHECK_INT(rfb_is_refused(r), rc == RFB_REFUSED, "%s", name);
	if (rc < 0)
		CHECK(why && strcmp(why, t->why) == 0, "%s: %s", name, why ? why : "no reason");
	else
		CHECK(!why, "%s: %s", name, why);
	CHECK(strcmp(rfb_reason(r), t->reason ? t->reason : "") == 0, "%s: %s", name, rfb_reason(r));
	CHECK(!memmem(r, sizeof(*r), PASSWORD, 4), "%s: the password stays", name);
}

/* Message number cut_message in two parts, of which the first has cut bytes; the others whole.
 * With cut 0 all messages come byte by byte. */
static void run_cut(const struct talk *t, const char *name, size_t cut_message, size_t cut)
{
	struct rfb *r = guard_room(&state_guard, sizeof(*r));
	const char *why = NULL;
	int rc = RFB_MORE;

	memset(r, 0xA5, sizeof(*r));
	rfb_init(r, PASSWORD);
	for (size_t i = 0; i < t->n; i++) {
		const struct message *m = &t->messages[i];
		struct answer sent[2] = { 0 };
		size_t at = 0;

		CHECK_INT(rc, RFB_MORE, "%s: message %zu", name, i);
		while (at < m->size && rc == RFB_MORE) {
			size_t n = cut == 0 ? 1 : i == cut_message && at == 0 ? cut : m->size - at;

			rc = feed(r, m, at, n, sent, &why, name);
			at += n;
		}
		CHECK_INT(at, m->size, "%s: message %zu is not read to its end", name, i);
		for (int to = RFB_SERVER; to <= RFB_CLIENT; to++)
			CHECK(sent[to].size == m->to[to].size &&
				      memcmp(sent[to].bytes, m->to[to].bytes, sent[to].size) == 0,
			      "%s: message %zu, the answer to %d", name, i, to);
	}
	check_end(r, t, rc, why, name);
}

static void run_talk(const struct talk *t, const char *name)
{
	run_cut(t, name, 0, 0);
	for (size_t i = 0; i < t->n; i++)
		for (size_t cut = 1; cut <= t->messages[i].size; cut++)
			run_cut(t, name, i, cut);
}

/* --- conversations that succeed ------------------------------------------------------------- */

/* Up to what the client is greeted with. */
static void say_console(struct talk *t, const char *version, int minor, const char *types)
{
	const bool vnc = strchr(types, 2) != NULL;
	const uint8_t n_types = (uint8_t)strlen(types);

	say(t, RFB_SERVER, version, 12);
	if (minor == 3) {
		ANSWER(t, RFB_SERVER, "RFB 003.003\n");
		say(t, RFB_SERVER, (const uint8_t[4]){ 0, 0, 0, vnc ? 2 : 1 }, 4);
	} else {
		answer(t, RFB_SERVER, minor == 7 ? "RFB 003.007\n" : "RFB 003.008\n", 12);
		say(t, RFB_SERVER, &n_types, 1);
		say(t, RFB_SERVER, types, n_types);
		if (vnc)
			ANSWER(t, RFB_SERVER, "\x02");
		else if (minor == 8)
			ANSWER(t, RFB_SERVER, "\x01");
	}
	if (vnc) {
		SAY(t, RFB_SERVER, CHALLENGE);
		ANSWER(t, RFB_SERVER, RESPONSE);
	}
	if (vnc || minor == 8)
		SAY(t, RFB_SERVER, "\0\0\0\0");
	ANSWER(t, RFB_CLIENT, VERSION);
}

static void say_client(struct talk *t, const char *version, int minor, bool choice_waits)
{
	say(t, RFB_CLIENT, version, 12);
	if (choice_waits)
		ANSWER(t, RFB_SERVER, "\x01");
	t->result = RFB_DONE;
	if (minor == 3) {
		ANSWER(t, RFB_CLIENT, "\0\0\0\x01");
		return;
	}
	ANSWER(t, RFB_CLIENT, "\x01\x01");
	SAY(t, RFB_CLIENT, "\x01");
	if (minor == 8)
		ANSWER(t, RFB_CLIENT, "\0\0\0\0");
	else if (minor == 889)
		ANSWER(t, RFB_SERVER, "\x01"); /* ClientInit */
}

static void version_pairs(void **state)
{
	static const struct {
		const char *version;
		int minor;
	} consoles[] = {
		{ "RFB 003.003\n", 3 }, { "RFB 003.007\n", 7 }, { "RFB 003.008\n", 8 },
		/* "should be interpreted as 3.3" */
		{ "RFB 003.000\n", 3 }, { "RFB 003.005\n", 3 }, { "RFB 003.006\n", 3 },
		{ "RFB 003.009\n", 3 }, { "RFB 003.889\n", 3 },
	}, clients[] = {
		{ "RFB 003.003\n", 3 }, { "RFB 003.007\n", 7 }, { "RFB 003.008\n", 8 },
		{ "RFB 003.000\n", 3 }, { "RFB 003.004\n", 3 }, { "RFB 003.006\n", 3 },
		{ "RFB 003.009\n", 8 }, { "RFB 003.016\n", 8 }, { "RFB 003.889\n", 889 },
		{ "RFB 004.000\n", 8 }, { "RFB 004.001\n", 8 }, { "RFB 005.000\n", 8 },
	};
	static const char *const types[] = { "\x02", "\x01", "\x01\x02", "\x02\x01", "\x13\x02\x10", "\x13\x01\x05" };

	(void)state;
	for (size_t s = 0; s < COUNT(consoles); s++)
		for (size_t c = 0; c < COUNT(clients); c++)
			for (size_t i = 0; i < COUNT(types); i++) {
				const bool choice_waits = consoles[s].minor == 7 && !strchr(types[i], 2);
				struct talk t = { .n = 0 };
				char name[64];

				snprintf(name, sizeof(name), "%.11s and %.11s, types %zu", consoles[s].version,
					 clients[c].version, i);
				say_console(&t, consoles[s].version, consoles[s].minor, types[i]);
				say_client(&t, clients[c].version, clients[c].minor, choice_waits);
				run_talk(&t, name);
			}
}

/* A console may offer as many types as a byte can count. */
static void many_types(void **state)
{
	char types[256];

	(void)state;
	for (int last = 1; last <= 2; last++) {
		struct talk t = { .n = 0 };

		memset(types, 0x80, 254);
		types[254] = (char)last;
		types[255] = '\0';
		say_console(&t, VERSION, 8, types);
		say_client(&t, VERSION, 8, false);
		run_talk(&t, "255 types");
	}
}

/* --- conversations that fail ---------------------------------------------------------------- */

static void versions_that_are_none(void **state)
{
	static const char *const none[] = {
		"RFB 003 008\n", "RFB 003.008\r", "RFB 003.00a\n", "RFB  03.008\n", "RFB -03.008\n",  "rfb 003.008\n",
		"RFB003.0088\n", "SSH-2.0-Open",  "GET / HTTP/1",  "RFB 003.+08\n", "RFB 003.08\n\n",
	};
	static const struct {
		const char *version;
		bool client_too; /* its version is refused from a client as well */
	} others[] = {
		{ "RFB 000.000\n", true },  { "RFB 002.008\n", true },  { "RFB 004.001\n", false },
		{ "RFB 005.000\n", false }, { "RFB 999.999\n", false },
	};
	struct talk t;

	(void)state;
	for (size_t i = 0; i < COUNT(none); i++) {
		t = (struct talk){ .result = RFB_SERVER_INVALID,
				   .why = "the console does not begin with a version of RFB" };
		say(&t, RFB_SERVER, none[i], 12);
		run_talk(&t, none[i]);
		t = (struct talk){ .n = 0 };
		say_console(&t, VERSION, 8, "\x02");
		say(&t, RFB_CLIENT, none[i], 12);
		t.result = RFB_CLIENT_INVALID;
		t.why = "the client does not begin with a version of RFB";
		run_talk(&t, none[i]);
	}
	for (size_t i = 0; i < COUNT(others); i++) {
		t = (struct talk){ .result = RFB_SERVER_INVALID, .why = "the console's version of RFB is not 3" };
		say(&t, RFB_SERVER, others[i].version, 12);
		run_talk(&t, others[i].version);
		if (!others[i].client_too)
			continue;
		t = (struct talk){ .n = 0 };
		say_console(&t, VERSION, 8, "\x02");
		say(&t, RFB_CLIENT, others[i].version, 12);
		t.result = RFB_CLIENT_INVALID;
		t.why = "the client's version of RFB is below 3";
		run_talk(&t, others[i].version);
	}
}

static void types_that_we_have_not(void **state)
{
	static const char *const lists[] = { "\x10", "\x05\x13\xFF", "\x03", "\x12\x12" };

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++)
		for (int minor = 7; minor <= 8; minor++) {
			const uint8_t n = (uint8_t)strlen(lists[i]);
			struct talk t = { .result = RFB_NO_AUTH,
					  .why = "the console offers neither VNC Authentication nor None" };

			say(&t, RFB_SERVER, minor == 7 ? "RFB 003.007\n" : VERSION, 12);
			answer(&t, RFB_SERVER, minor == 7 ? "RFB 003.007\n" : VERSION, 12);
			say(&t, RFB_SERVER, &n, 1);
			say(&t, RFB_SERVER, lists[i], n);
			run_talk(&t, "types that we have not");
		}
	for (size_t i = 0; i < 4; i++) {
		static const char numbers[4][5] = { "\0\0\0\x03", "\0\0\0\x10", "\x02\0\0\0", "\x01\0\0\x01" };
		struct talk t = { .result = RFB_NO_AUTH, .why = "the console chose an unknown security type" };

		SAY(&t, RFB_SERVER, "RFB 003.003\n");
		ANSWER(&t, RFB_SERVER, "RFB 003.003\n");
		say(&t, RFB_SERVER, numbers[i], 4);
		run_talk(&t, "3.3, types that we have not");
	}
}

/* A SecurityResult of a console of that version, after types, which is "\x02" or "\x01". */
static void say_result(struct talk *t, int minor, const char *types, const char *result)
{
	char version[] = "RFB 003.00?\n";

	version[10] = (char)('0' + minor);
	say_console(t, version, minor, types);
	t->n--;
	say(t, RFB_SERVER, result, 4);
	t->result = RFB_REFUSED;
	t->why = "the console refused the password";
}

static void results(void **state)
{
	static const char unknown[][5] = { "\0\0\0\x03", "\0\0\0\xFF", "\x01\0\0\0", "\0\0\x01\0", "\0\0\x02\x01" };

	(void)state;
	for (int minor = 3; minor <= 8; minor += minor == 3 ? 4 : 1) {
		struct talk t = { .n = 0 };

		say_result(&t, minor, "\x02", "\0\0\0\x01");
		if (minor == 8) {
			SAY(&t, RFB_SERVER, "\0\0\0\x15");
			SAY(&t, RFB_SERVER, "Authentication failed");
			t.reason = "Authentication failed";
		}
		run_talk(&t, "failed");
		t = (struct talk){ .n = 0 };
		say_result(&t, minor, "\x02", "\0\0\0\x02");
		t.why = "the console refused: too many attempts";
		run_talk(&t, "too many");
		for (size_t i = 0; i < COUNT(unknown); i++) {
			t = (struct talk){ .n = 0 };
			say_result(&t, minor, "\x02", unknown[i]);
			t.result = RFB_SERVER_INVALID;
			t.why = "the console's SecurityResult is unknown";
			run_talk(&t, "unknown");
		}
	}
	struct talk t = { .n = 0 };

	say_result(&t, 8, "\x01", "\0\0\0\x01");
	SAY(&t, RFB_SERVER, "\0\0\0\x02");
	SAY(&t, RFB_SERVER, "no");
	t.why = "the console refused the connection";
	t.reason = "no";
	run_talk(&t, "failed without a password");
}

/* In place of the security types: a reason of size bytes, of which those in given come. */
static void say_refusal(struct talk *t, int minor, uint32_t size, const void *given, size_t n_given)
{
	const uint8_t number[4] = { (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size };
	char version[] = "RFB 003.00?\n";

	version[10] = (char)('0' + minor);
	say(t, RFB_SERVER, version, 12);
	answer(t, RFB_SERVER, version, 12);
	say(t, RFB_SERVER, "\0\0\0", minor == 3 ? 4 : 1);
	say(t, RFB_SERVER, number, 4);
	if (n_given > 0)
		say(t, RFB_SERVER, given, n_given);
	t->result = RFB_REFUSED;
	t->why = "the console refused the connection";
}

static void refusals(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 255, 256, 257, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF };
	char words[RFB_REASON_MAX + 1] = { 0 };

	(void)state;
	memset(words, 'x', RFB_REASON_MAX);
	for (int minor = 3; minor <= 8; minor += minor == 3 ? 4 : 1) {
		struct talk t = { .reason = "Too many authentication failures" };

		say_refusal(&t, minor, 32, t.reason, 32);
		run_talk(&t, "a reason");
		t = (struct talk){ .reason = "" };
		say_refusal(&t, minor, 0, "", 0);
		run_talk(&t, "an empty reason");
		t = (struct talk){ .reason = "a?b?[31m???c ~?" };
		say_refusal(&t, minor, 15,
			    "a\nb\x1B[31m\0\xC3\xA9"
			    "c ~\x7F",
			    15);
		run_talk(&t, "a reason that is not printable");
		for (size_t i = 0; i < COUNT(sizes); i++) {
			const size_t n = sizes[i] < RFB_REASON_MAX ? sizes[i] : RFB_REASON_MAX;

			t = (struct talk){ .reason = words + RFB_REASON_MAX - n };
			say_refusal(&t, minor, sizes[i], words, n);
			run_talk(&t, "a long reason");
		}
	}
}

/* The console closes the connection before its reason is complete. */
static void reason_that_ends_early(void **state)
{
	struct rfb r;
	struct answer sent[2];
	struct talk t = { .n = 0 };
	const char *why = NULL;

	(void)state;
	say_result(&t, 8, "\x02", "\0\0\0\x01");
	SAY(&t, RFB_SERVER, "\0\0\0\x15");
	SAY(&t, RFB_SERVER, "Authentication failed");
	rfb_init(&r, PASSWORD);
	for (size_t i = 0; i < t.n; i++) {
		const struct message *m = &t.messages[i];
		const size_t n = i == t.n - 1 ? 6 : m->size;

		CHECK_INT(rfb_is_refused(&r), i >= t.n - 2, "message %zu", i);
		memset(sent, 0, sizeof(sent));
		CHECK_INT(feed(&r, m, 0, n, sent, &why, "early"), RFB_MORE, "message %zu", i);
	}
	CHECK(strcmp(rfb_reason(&r), "Authen") == 0, "%s", rfb_reason(&r));
	rfb_wipe(&r);
	CHECK(rfb_is_refused(&r) && strcmp(rfb_reason(&r), "Authen") == 0, "%s", rfb_reason(&r));
}

static void choices(void **state)
{
	(void)state;
	for (int choice = 0; choice < 256; choice++) {
		const uint8_t byte = (uint8_t)choice;
		struct talk t = { .n = 0 };

		if (choice == 1)
			continue;
		say_console(&t, VERSION, 8, "\x02");
		say_client(&t, choice % 2 ? VERSION : "RFB 003.007\n", 8, false);
		t.n--;
		say(&t, RFB_CLIENT, &byte, 1);
		t.result = RFB_CLIENT_INVALID;
		t.why = "the client chose a security type that it was not offered";
		run_talk(&t, "another type");
	}
}

static void more_than_wanted(void **state)
{
	struct rfb r;
	uint8_t out[RFB_OUT_MAX], in[RFB_WANTS_MAX] = VERSION;
	size_t n_out;
	enum rfb_peer to;
	const char *why = NULL;

	(void)state;
	rfb_init(&r, PASSWORD);
	CHECK_INT(rfb_feed(&r, in, 0, out, &n_out, &to, &why), RFB_MORE, "no bytes");
	CHECK_INT(n_out, 0, "no bytes");
	CHECK_INT(rfb_feed(&r, in, 13, out, &n_out, &to, &why), RFB_SERVER_INVALID, "13 bytes");
	CHECK_INT(rfb_feed(&r, in, 1, out, &n_out, &to, &why), RFB_SERVER_INVALID, "after the end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_pairs),
		cmocka_unit_test(many_types),
		cmocka_unit_test(versions_that_are_none),
		cmocka_unit_test(types_that_we_have_not),
		cmocka_unit_test(results),
		cmocka_unit_test(refusals),
		cmocka_unit_test(reason_that_ends_early),
		cmocka_unit_test(choices),
		cmocka_unit_test(more_than_wanted),
	};

	return RUN(tests);
}
