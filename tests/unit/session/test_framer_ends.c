/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests framer.h with streams that end early or are not valid. The framer is stopped or told to
 * discard, the sender ends inside a frame, breaks the protocol, or sends noise. Proxmox still gets
 * only complete frames that it accepts.
 */
#include "tests/unit/session/run.h"

/* Stops at any point. The frame that has begun is completed, no other begins, and then there is a
 * boundary. */
static void stop_anywhere(void **state)
{
	uint64_t random = 7;
	struct step steps[STEPS_MAX];

	(void)state;
	for (int i = 0; i < 200; i++) {
		size_t n = random_steps(steps, &random, i % 20 == 0), pace = random_below(&random, COUNT(paces));
		size_t turns = random_below(&random, 200);
		uint64_t begun, left;
		bool at_end = false;
		struct run r;

		start(&r, steps, n, WS_FROM_CLIENT, paces[pace].read, paces[pace].write);
		while (turns-- > 0 && turn(&r))
			;
		begun = r.framer->payload;
		left = r.framer->frame_left;
		framer_stop(r.framer);
		while (turn(&r))
			;
		CHECK_INT(r.error, 0, "run %d", i);
		CHECK_INT(r.sink.data, begun + left, "run %d: the frame that had begun, and no more", i);
		for (size_t s = 0; s < n; s++)
			at_end |= !is_control(&steps[s]) && steps[s].position + steps[s].length == r.sink.data;
		CHECK(at_end || r.sink.data == 0, "run %d: at a frame's end", i);
		CHECK(framer_at_boundary(r.framer) && sink_between(&r.sink), "run %d", i);
	}
}

/* Discards at any point. The frame that has begun is finished (of a large frame, its piece), and
 * nothing after it is written. All control frames still come. From then on there is a boundary. */
static void discard(void **state)
{
	uint64_t random = 11;
	struct step steps[STEPS_MAX];

	(void)state;
	for (int i = 0; i < 200; i++) {
		size_t n = random_steps(steps, &random, i % 20 == 0), pace = random_below(&random, COUNT(paces));
		size_t turns = random_below(&random, 200);
		unsigned sender = i % 4 == 3 ? WS_FROM_SERVER : WS_FROM_CLIENT;
		uint64_t begun;
		struct run r;
		uint8_t byte;

		start(&r, steps, n, sender, paces[pace].read, paces[pace].write);
		while (turns-- > 0 && turn(&r))
			;
		begun = r.framer->payload + r.framer->piece_left;
		framer_discard(r.framer);
		r.ordered = false;
		while (turn(&r))
			;
		CHECK_INT(r.error, 0, "run %d", i);
		CHECK(!next_byte(&r.source, &byte), "run %d: all was read", i);
		CHECK_INT(r.framer->passed, begun, "run %d: what had begun, and no more", i);
		CHECK(sender == WS_FROM_SERVER || r.sink.data == begun, "run %d: the same", i);
		CHECK(sender == WS_FROM_SERVER || sink_between(&r.sink), "run %d: a frame is cut", i);
		while (r.controls < n && !is_control(&steps[r.controls]))
			r.controls++;
		CHECK_INT(r.controls, n, "run %d: every control frame came", i);
		CHECK(!framer_inside_frame(r.framer) && framer_at_boundary(r.framer), "run %d", i);
	}
}

/* Ends the stream at any byte. The framer knows whether that is inside a frame or between two. */
static void cut_off(void **state)
{
	struct step steps[] = {
		{ WS_BINARY, false, 130, 0, { 1, 2, 3, 4 } },
		{ WS_PING, true, 9, 0, { 5, 6, 7, 8 } },
		{ WS_CONTINUATION, true, 0, 0, { 1 } },
		{ WS_TEXT, true, 3, 0, { 1, 2, 3, 4 } },
		{ WS_PONG, true, 0, 0, { 2 } },
	};

	(void)state;
	number(steps, COUNT(steps));
	for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++)
		for (size_t length = 0;; length++) {
			struct run r;

			start(&r, steps, COUNT(steps), sender, ANY, ANY);
			size_t size, n = source_read(&r.source, framer_space(r.framer, &size), length);

			if (n < length)
				break;
			framer_filled(r.framer, n);
			r.max_read = 0;
			r.error = -1; /* reads no more */
			while (turn(&r))
				r.error = -1;
			CHECK_INT(framer_inside_frame(r.framer), !source_between(&r.source), "%zu bytes", length);
		}
}

static void violations(void **state)
{
	/* F is a final frame, f is not; the digit is the opcode. All frames but the last are
	 * allowed. */
	static const char *const sequences[] = {
		"F0",     "f0",     "F1F0", "F2f0", "f1F1", "f1F2", "f2f1", "f1f0F2", "f1f0F0F0", "F9F0",
		"f2F9F1", "f1F0f0", "F3",   "F7",   "F1FB", "FF",   "f9",   "f8",     "fA",       "f1f9",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sequences); i++)
		for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++)
			for (uint64_t length = 0; length <= 5; length += 5)
				for (size_t pace = 0; pace < COUNT(paces); pace++) {
					struct step steps[STEPS_MAX] = { { 0 } };
					size_t n = strlen(sequences[i]) / 2;
					struct run r;

					for (size_t s = 0; s < n; s++) {
						char digit[2] = { sequences[i][2 * s + 1] };

						steps[s] = (struct step){ .fin = sequences[i][2 * s] == 'F',
									  .length = length,
									  .mask = { 1, 2, 3, 4 } };
						steps[s].opcode = (enum ws_opcode)strtol(digit, NULL, 16);
					}
					number(steps, n);
					start(&r, steps, n, sender, paces[pace].read, paces[pace].write);
					for (int t = 0; t < 200; t++)
						turn(&r);
					CHECK(r.error < 0, "%s", sequences[i]);
					CHECK_INT(r.framer->payload, steps[n - 1].position, "%s: all before it passed",
						  sequences[i]);
					CHECK(sender == WS_FROM_SERVER || r.sink.data == steps[n - 1].position,
					      "%s: and was written", sequences[i]);
				}

	/* Violations in the header alone: the other side's masking, reserved bits, lengths. */
	static const struct {
		const char *bytes;
		size_t len;
		enum ws_sender sender;
	} headers[] = {
		{ "\x82\x01", 2, WS_FROM_CLIENT },
		{ "\x82\x81", 2, WS_FROM_SERVER },
		{ "\xC2", 1, WS_FROM_CLIENT },
		{ "\xC2", 1, WS_FROM_SERVER },
		{ "\x82\xFE\x00\x05", 4, WS_FROM_CLIENT },
		{ "\x82\x7F\x80\0\0\0\0\0\0\0", 10, WS_FROM_SERVER },
		{ "\x89\xFE", 2, WS_FROM_CLIENT },
	};

	for (size_t i = 0; i < COUNT(headers); i++) {
		struct step none = { 0 };
		struct run r;
		size_t size;

		start(&r, &none, 0, headers[i].sender, ANY, ANY);
		memcpy(framer_space(r.framer, &size), headers[i].bytes, headers[i].len);
		framer_filled(r.framer, headers[i].len);
		turn(&r);
		CHECK(r.error < 0, "header %zu", i);
	}
}

/* Noise, and streams with flipped bits: whatever the framer reads, it writes only frames that
 * Proxmox accepts. */
static void noise(void **state)
{
	uint64_t random = 13;
	struct step steps[STEPS_MAX];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		size_t n = random_steps(steps, &random, false), flip = 1 + random_below(&random, 600);
		struct sink sink = { 0 };
		struct source source = { .steps = steps, .n = n, .masked = true };
		struct framer *f = guard_room(&room, sizeof(*f));
		int rc = 0;

		framer_init(f, WS_FROM_CLIENT);
		for (int t = 0; t < 300 && rc >= 0; t++) {
			struct ws_control control = { 0 };
			const char *why;
			size_t size, want = 1 + random_below(&random, 400);
			uint8_t *space = framer_space(f, &size);
			const uint8_t *ready;

			want = want < size ? want : size;
			want = source_read(&source, space, want);
			for (size_t b = 0; b < want; b++)
				if (i % 2 || random_below(&random, flip) == 0)
					space[b] ^= (uint8_t)(i % 2 ? random_next(&random) & 0x8F :
								      1U << random_below(&random, 8));
			framer_filled(f, want);
			rc = framer_scan(f, &control, &why);
			CHECK(rc != FRAMER_CONTROL || control.length <= WS_CONTROL_MAX, "a control frame");
			ready = framer_ready(f, &size);
			want = random_below(&random, size + 1);
			sink_write(&sink, ready, want);
			framer_written(f, want);
			CHECK(!framer_at_boundary(f) || sink_between(&sink), "a boundary is one");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_anywhere), cmocka_unit_test(discard), cmocka_unit_test(cut_off),
		cmocka_unit_test(violations),    cmocka_unit_test(noise),
	};

	return RUN(tests);
}
