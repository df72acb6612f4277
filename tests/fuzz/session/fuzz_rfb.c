/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes rfb.h. The input is a pace, a password, and the bytes that both sides send, in the order
 * in which they are wanted. The conversation is held in parts of the pace's sizes. Then a reference
 * reads it that has all bytes at once. Both must send the same and end in the same way.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* as session/rfb.c */

#include "tests/fuzz/fuzz.h"

#include <openssl/des.h>

#include "session/rfb.h"

enum { SENT_MAX = 64 }; /* bytes that either side gets at most */

/* What a conversation came to. */
struct outcome {
	int result;
	size_t used; /* bytes of the stream */
	uint8_t sent[2][SENT_MAX];
	size_t n_sent[2]; /* by enum rfb_peer */
	char reason[RFB_REASON_MAX + 1];
};

static void add_sent(struct outcome *o, enum rfb_peer to, const void *bytes, size_t size)
{
	REQUIRE(o->n_sent[to] + size <= SENT_MAX, "%zu bytes", o->n_sent[to] + size);
	memcpy(o->sent[to] + o->n_sent[to], bytes, size);
	o->n_sent[to] += size;
}

/* --- the reference -------------------------------------------------------------------------- */

/* Returns the next size bytes, or NULL if the stream ends before. */
static const uint8_t *next(struct input *in, struct outcome *o, size_t size)
{
	size_t got;
	const uint8_t *bytes = take_bytes(in, size, &got);

	o->used += got;
	return got == size ? bytes : NULL;
}

static int number(const uint8_t *bytes, size_t size)
{
	unsigned value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value > 1000 ? 1000 : (int)value;
}

/* Returns major * 1000 + minor, or -1. */
static int version(const uint8_t *v)
{
	char text[13] = { 0 };
	int major, minor;

	memcpy(text, v, 12);
	if (strspn(text + 4, "0123456789") != 3 || strspn(text + 8, "0123456789") != 3 ||
	    sscanf(text, "RFB %3d.%3d", &major, &minor) != 2 || text[3] != ' ' || text[7] != '.' || text[11] != '\n')
		return -1;
	return major * 1000 + minor;
}

static int refuse(struct input *in, struct outcome *o)
{
	const uint8_t *size = next(in, o, 4), *words = in->at;
	size_t n, left;

	if (!size)
		return RFB_MORE;
	n = (size_t)number(size, 4);
	n = n > RFB_REASON_MAX ? RFB_REASON_MAX : n;
	left = n < in->left ? n : in->left;
	for (size_t i = 0; i < left; i++)
		o->reason[i] = words[i] < 0x20 || words[i] > 0x7E ? '?' : (char)words[i];
	return next(in, o, n) ? RFB_REFUSED : RFB_MORE;
}

/* The console's phase: RFB_DONE if it let us in. Zeros stand for the response, which
 * check_response() checks. *ret_waits is true if a console of 3.7 gets the choice of None later. */
static int reference_console(struct input *in, struct outcome *o, bool *ret_waits)
{
	const uint8_t *m = next(in, o, 12);
	int v, type;

	*ret_waits = false;
	if (!m)
		return RFB_MORE;
	v = version(m);
	if (v / 1000 != 3)
		return RFB_SERVER_INVALID;
	v = v == 3007 ? 7 : v == 3008 ? 8 : 3;
	add_sent(o, RFB_SERVER, v == 7 ? "RFB 003.007\n" : v == 8 ? "RFB 003.008\n" : "RFB 003.003\n", 12);
	if (!(m = next(in, o, v == 3 ? 4 : 1)))
		return RFB_MORE;
	type = number(m, v == 3 ? 4 : 1);
	if (type == 0)
		return refuse(in, o);
	if (v != 3) {
		const size_t n = (size_t)type;

		if (!(m = next(in, o, n)))
			return RFB_MORE;
		type = memchr(m, 2, n) ? 2 : memchr(m, 1, n) ? 1 : 0;
		*ret_waits = v == 7 && type == 1;
		if (type != 0 && !*ret_waits)
			add_sent(o, RFB_SERVER, type == 2 ? "\x02" : "\x01", 1);
	}
	if (type != 1 && type != 2)
		return RFB_NO_AUTH;
	if (type == 2) {
		if (!next(in, o, 16))
			return RFB_MORE;
		add_sent(o, RFB_SERVER, (const uint8_t[16]){ 0 }, 16);
	}
	if (type == 1 && v != 8)
		return RFB_DONE; /* without a SecurityResult */
	if (!(m = next(in, o, 4)))
		return RFB_MORE;
	switch (number(m, 4)) {
	case 0:
		return RFB_DONE;
	case 1:
		return v == 8 ? refuse(in, o) : RFB_REFUSED;
	case 2:
		return RFB_REFUSED;
	default:
		return RFB_SERVER_INVALID;
	}
}

static int reference_client(struct input *in, struct outcome *o, bool waits)
{
	const uint8_t *m;
	int v;

	add_sent(o, RFB_CLIENT, "RFB 003.008\n", 12);
	if (in->left > 0 && waits)
		add_sent(o, RFB_SERVER, "\x01", 1);
	if (!(m = next(in, o, 12)))
		return RFB_MORE;
	v = version(m);
	if (v < 3000)
		return RFB_CLIENT_INVALID;
	if (v < 3007) {
		add_sent(o, RFB_CLIENT, "\0\0\0\1", 4);
		return RFB_DONE;
	}
	add_sent(o, RFB_CLIENT, "\1\1", 2);
	if (!(m = next(in, o, 1)))
		return RFB_MORE;
	if (*m != 1)
		return RFB_CLIENT_INVALID;
	if (v == 3889)
		add_sent(o, RFB_SERVER, "\1", 1);
	else if (v != 3007)
		add_sent(o, RFB_CLIENT, "\0\0\0\0", 4);
	return RFB_DONE;
}

/* --- the conversation ----------------------------------------------------------------------- */

/* Decrypting the response gives the challenge. */
static void check_response(const char *password, const uint8_t challenge[16], const uint8_t response[16])
{
	DES_cblock key = { 0 }, block;
	DES_key_schedule schedule;

	for (size_t i = 0; i < 8 && password[i]; i++)
		for (unsigned bit = 0; bit < 8; bit++)
			if ((uint8_t)password[i] & 1U << bit)
				key[i] |= (uint8_t)(0x80U >> bit);
	DES_set_key_unchecked(&key, &schedule);
	for (size_t at = 0; at < 16; at += 8) {
		DES_ecb_encrypt((const_DES_cblock *)(response + at), &block, &schedule, DES_DECRYPT);
		REQUIRE(memcmp(block, challenge + at, 8) == 0, "block %zu", at / 8);
	}
}

static void require_wiped(const struct rfb *r)
{
	for (size_t i = 0; i < sizeof(r->password); i++)
		REQUIRE(r->password[i] == 0, "the password stays");
	for (size_t i = 0; i < sizeof(r->message); i++)
		REQUIRE(r->message[i] == 0, "a message stays");
}

/* Feeds n bytes from exactly as much memory, and keeps what is sent. The 16 bytes that end there in
 * the stream are the challenge, if a response is sent. */
static void feed(struct rfb *r, const uint8_t *bytes, size_t n, const char *password, struct outcome *o)
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
			check_response(password, bytes + n - 16, out);
			memset(out, 0, 16); /* as the reference has it */
		}
		add_sent(o, to, out, n_out);
	}
	free(in);
	free(out);
}

static void converse(struct input in, uint32_t pace, const char *password, struct outcome *o)
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
	struct outcome real = { 0 }, plain = { 0 };
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
