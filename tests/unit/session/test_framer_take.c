/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests framer_take(): the first bytes of a stream are taken for a login, and the rest goes on as
 * if it had begun there. Streams of random frames, read in pieces of every size, are cut at every
 * place. All data must come once and in order, in frames that the other side accepts.
 */
#include "tests/unit/guard.h"

#include "lib/error.h"
#include "session/framer.h"

enum { STREAM_MAX = 4096, TAKEN_MAX = 200 };

static uint8_t stream[STREAM_MAX];
static size_t n_stream, n_data, n_controls;
static struct framer framer;

/* Adds a frame to the stream. The n-th data byte is n, and the n-th control frame has the payload
 * n. */
static void add(enum ws_sender sender, enum ws_opcode opcode, bool fin, size_t length)
{
	struct ws_header h = { .fin = fin, .opcode = opcode, .length = length, .masked = sender == WS_FROM_CLIENT };
	uint8_t *payload;

	memcpy(h.mask, (uint8_t[]){ 0xA1, (uint8_t)n_data, 0xC3, (uint8_t)length }, sizeof(h.mask));
	n_stream += ws_write_header(stream + n_stream, &h);
	payload = stream + n_stream;
	for (size_t i = 0; i < length; i++)
		payload[i] = opcode >= WS_CLOSE ? (uint8_t)n_controls : (uint8_t)n_data++;
	n_controls += opcode >= WS_CLOSE;
	n_stream += length;
	if (h.masked)
		ws_mask(payload, length, h.mask);
}

static void make_stream(enum ws_sender sender, uint64_t *random)
{
	bool inside = false;

	n_stream = n_data = n_controls = 0;
	for (int i = 0; i < 12; i++) {
		const bool fin = sender == WS_FROM_SERVER || random_below(random, 3) > 0;
		const size_t length = random_below(random, 4) ? random_below(random, 9) : random_below(random, 200);

		if (random_below(random, 4) == 0)
			add(sender, random_below(random, 2) ? WS_PING : WS_PONG, true, random_below(random, 5));
		add(sender, inside ? WS_CONTINUATION : random_below(random, 2) ? WS_TEXT : WS_BINARY, fin, length);
		inside = !fin;
	}
}

/* What came out of the framer. */
struct got {
	size_t data, controls, read;
};

static void on_control(struct got *got, const struct ws_control *c)
{
	for (size_t i = 0; i < c->length; i++)
		CHECK_INT(c->payload[i], (uint8_t)got->controls, "control frame %zu", got->controls);
	got->controls++;
}

/* Gives the framer up to n more bytes. Returns false at the end of the stream. */
static bool feed(struct got *got, size_t n)
{
	size_t size;
	uint8_t *space = framer_space(&framer, &size);

	n = n < n_stream - got->read ? n : n_stream - got->read;
	CHECK(size >= n, "room");
	memcpy(space, stream + got->read, n);
	framer_filled(&framer, n);
	got->read += n;
	return n > 0;
}

/* Decodes what is ready: whole frames or parts of them. *head is the current frame's header, and
 * *left what it still needs. */
static void write_ready(struct got *got, struct ws_header *head, size_t *left, enum ws_sender sender)
{
	size_t size, at = 0;
	const uint8_t *ready = framer_ready(&framer, &size);
	static size_t offset;

	while (at < size) {
		if (*left == 0) {
			const char *why;
			int n = ws_parse_header(ready + at, size - at, sender, head, &why);

			CHECK(n > 0 && head->opcode < WS_CLOSE, "a frame's header");
			CHECK(head->fin && head->opcode != WS_CONTINUATION, "a complete frame");
			at += (size_t)n;
			*left = (size_t)head->length;
			offset = 0;
			continue;
		}
		CHECK_INT(ready[at] ^ (head->masked ? head->mask[offset % 4] : 0), (uint8_t)got->data, "byte %zu",
			  got->data);
		at++;
		offset++;
		got->data++;
		--*left;
	}
	framer_written(&framer, size);
}

static void run(enum ws_sender sender, size_t cut, size_t pace)
{
	struct got got = { 0, 0, 0 };
	struct ws_control control;
	struct ws_header head;
	size_t n, left = 0;
	const char *why;
	uint8_t taken[TAKEN_MAX];
	int rc;

	framer_init(&framer, sender);
	while (got.data < cut) {
		rc = framer_take(&framer, taken, cut - got.data, &n, &control, &why);
		CHECK(rc >= 0 && rc != FRAMER_CLOSE, "%d", rc);
		if (rc == FRAMER_CONTROL)
			on_control(&got, &control);
		for (size_t i = 0; rc == FRAMER_TAKEN && i < n; i++)
			CHECK_INT(taken[i], (uint8_t)(got.data + i), "taken byte");
		got.data += rc == FRAMER_TAKEN ? n : 0;
		if (rc == FRAMER_BLOCKED && !feed(&got, pace))
			break;
	}
	CHECK_INT(got.data, cut, "taken");
	CHECK_INT(framer.payload, 0, "bytes that the relay counts");
	do {
		while ((rc = framer_scan(&framer, &control, &why)) == FRAMER_CONTROL ||
		       framer_ready_size(&framer) > 0) {
			CHECK(rc >= 0, "%d", rc);
			if (rc == FRAMER_CONTROL)
				on_control(&got, &control);
			write_ready(&got, &head, &left, sender);
		}
		CHECK(rc >= 0, "%d", rc);
	} while (feed(&got, pace));
	CHECK_INT(got.data, n_data, "all data");
	CHECK_INT(got.controls, n_controls, "all control frames");
	CHECK_INT(framer.payload, n_data - cut, "bytes that the relay counts");
	CHECK(framer_at_boundary(&framer) && !framer_inside_frame(&framer) && left == 0, "it ends with a frame");
}

static void every_cut(void **state)
{
	static const size_t paces[] = { 1, 2, 3, 7, 50, STREAM_MAX };
	uint64_t random = 20261126;

	(void)state;
	for (int i = 0; i < 40; i++)
		for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++) {
			make_stream(sender, &random);
			for (size_t cut = 0; cut <= n_data && cut < TAKEN_MAX; cut++)
				for (size_t p = 0; p < COUNT(paces); p++)
					run(sender, cut, paces[p]);
		}
}

/* Takes from the stream as it is. Returns framer_take()'s last result. */
static int take_all(enum ws_sender sender, const char **ret_why)
{
	struct got got = { 0, 0, 0 };
	struct ws_control control;
	uint8_t byte;
	size_t n;
	int rc;

	framer_init(&framer, sender);
	feed(&got, n_stream);
	while ((rc = framer_take(&framer, &byte, 1, &n, &control, ret_why)) == FRAMER_TAKEN)
		;
	return rc;
}

static void what_is_not_taken(void **state)
{
	const char *why = NULL;

	(void)state;
	for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++) {
		struct ws_control control;

		/* A Close stays for the relay, which answers with its code: so it must be
		 * complete. */
		n_stream = n_data = n_controls = 0;
		add(sender, WS_BINARY, true, 3);
		add(sender, WS_CLOSE, true, 2);
		n_stream--;
		assert_int_equal(take_all(sender, &why), FRAMER_BLOCKED);
		n_stream++;
		assert_int_equal(take_all(sender, &why), FRAMER_CLOSE);
		assert_int_equal(take_all(sender, &why), FRAMER_CLOSE);
		assert_int_equal(framer_scan(&framer, &control, &why), FRAMER_CONTROL);
		assert_int_equal(control.opcode, WS_CLOSE);

		/* A continuation without a message. */
		n_stream = n_data = n_controls = 0;
		add(sender, WS_CONTINUATION, true, 3);
		assert_int_equal(take_all(sender, &why),
				 sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL);
		assert_string_equal(why, "continuation frame without a message");

		/* A header that no sender may send: reported once. */
		memset(stream, 0x7F, n_stream = 20);
		assert_true(take_all(sender, &why) < 0);
		assert_int_equal(framer_scan(&framer, &control, &why), FRAMER_BLOCKED);
	}
	n_stream = n_data = n_controls = 0;
	add(WS_FROM_SERVER, WS_BINARY, false, 3);
	assert_int_equal(take_all(WS_FROM_SERVER, &why), ERR_UPSTREAM_PROTOCOL);
	assert_string_equal(why, "a fragmented message during the login");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut),
		cmocka_unit_test(what_is_not_taken),
	};

	return RUN(tests);
}
