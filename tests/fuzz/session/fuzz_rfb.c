/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes rfb.h. The input is a pace, a password, and the bytes that both sides send, in the order
 * in which they are wanted. The conversation is held in parts of the pace's sizes. Then a reference
 * reads it that has all bytes at once. Both must send the same and end in the same way.
 */
#include "tests/fuzz/session/reference_rfb.h"

/* --- the conversation ----------------------------------------------------------------------- */

static void require_wiped(const struct rfb *r)
{
	for (size_t i = 0; i < sizeof(r->password); i++)
		REQUIRE(r->password[i] == 0, "the password stays");
	for (size_t i = 0; i < sizeof(r->message); i++)
		REQUIRE(r->message[i] == 0, "a message stays");
}

/* Feeds n bytes from exactly as much memory, and keeps what is sent. The 16 bytes that end there in
 * the stream are the challenge, if a response is sent. */
static void feed(struct rfb *r, const uint8_t *bytes, size_t n, const char *password, struct reference_rfb *o)
{
	uint8_t *in = malloc(n), *out = malloc(RFB_OUT_MAX);
	size_t n_out = SIZE_MAX;
	enum rfb_peer to = RFB_SERVER;
	const char *why = NULL;

	REQUIRE(in && out, "no memory");
	memcpy(in, bytes, n);
	o->result = rfb_feed(r, in, n, out, &n_out, &to, &why);
	o->used += n;
	REQUIRE(o->result >= RFB_CLIENT_INVALID && o->result <= RFB_DONE, "%d", o->result);
	REQUIRE((o->result < 0) == (why != NULL), "%d: %s", o->result, why ? why : "-");
	if (o->result >= 0) {
		REQUIRE(n_out <= RFB_OUT_MAX, "%zu bytes", n_out);
		if (to == RFB_SERVER && n_out == 16) {
			reference_check_response(password, bytes + n - 16, out);
			memset(out, 0, 16); /* as the reference has it */
		}
		reference_sent(o, to, out, n_out);
	}
	free(in);
	free(out);
}

static void converse(struct input in, uint32_t pace, const char *password, struct reference_rfb *o)
{
	struct rfb r;
	bool of_client = false;

	rfb_init(&r, password);
	while (o->result == RFB_MORE && in.left > 0) {
		enum rfb_peer from = RFB_SERVER;
		const size_t wants = rfb_wants(&r, &from);
		size_t n;

		REQUIRE(wants > 0 && wants <= RFB_WANTS_MAX, "%zu", wants);
		REQUIRE(from == RFB_CLIENT || !of_client, "the console's turn behind the client's");
		REQUIRE(from == RFB_CLIENT || o->n_sent[RFB_CLIENT] == 0, "the client heard something");
		of_client = from == RFB_CLIENT;
		pace = pace * 1664525 + 1013904223;
		n = pace >> 31 ? wants : 1 + (pace >> 8) % wants;
		n = n < in.left ? n : in.left;
		feed(&r, in.at, n, password, o);
		in.at += n;
		in.left -= n;
	}
	if (o->result == RFB_MORE)
		rfb_wipe(&r);
	require_wiped(&r);
	REQUIRE(rfb_wants(&r, &(enum rfb_peer){ 0 }) == 0, "wants more behind the end");
	REQUIRE(o->result != RFB_REFUSED || rfb_is_refused(&r), "refused");
	REQUIRE(o->result >= 0 || o->result == RFB_REFUSED || !rfb_is_refused(&r), "not refused");
	REQUIRE(strlen(rfb_reason(&r)) < sizeof(o->reason), "the reason's length");
	memcpy(o->reason, rfb_reason(&r), strlen(rfb_reason(&r)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint32_t pace = take_number(&in, 2);
	struct reference_rfb real = { 0 }, plain = { 0 };
	char password[33] = { 0 };
	bool waits;
	size_t n;
	const uint8_t *bytes = take_bytes(&in, take_byte(&in) & 31, &n);

	if (n > 0)
		memcpy(password, bytes, n);
	converse(in, pace, password, &real);
	plain.result = reference_console(&in, &plain, &waits);
	if (plain.result == RFB_DONE)
		plain.result = reference_client(&in, &plain, waits);
	REQUIRE(real.result == plain.result, "%d, and the reference says %d", real.result, plain.result);
	REQUIRE(real.used == plain.used, "%zu bytes, and the reference read %zu", real.used, plain.used);
	for (int to = RFB_SERVER; to <= RFB_CLIENT; to++)
		REQUIRE(real.n_sent[to] == plain.n_sent[to] &&
				memcmp(real.sent[to], plain.sent[to], real.n_sent[to]) == 0,
			"%zu bytes to %d, and the reference sent %zu", real.n_sent[to], to, plain.n_sent[to]);
	REQUIRE(strcmp(real.reason, plain.reason) == 0, "%s, and the reference has %s", real.reason, plain.reason);
	return 0;
}
