/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests framer.h with valid streams: random and edge-case sequences of frames go through a framer
 * in pieces of every size, into a decoder that is as strict as Proxmox. The output must be exactly
 * the bytes sent, in frames that Proxmox accepts, with each control frame in its place.
 */
#include "tests/unit/session/run.h"

static void run_to_end(struct run *r)
{
	const struct step *last = &r->source.steps[r->source.n - 1];
	uint64_t total = last->position + (is_control(last) ? 0 : last->length), frames = 0;
	uint8_t byte;

	while (turn(r))
		;
	CHECK_INT(r->error, 0, "no violation");
	CHECK(!next_byte(&r->source, &byte), "all was read");
	CHECK_INT(r->framer->payload, total, "bytes counted");
	CHECK_INT(r->sink.data, total, "bytes that came");
	CHECK(framer_at_boundary(r->framer) && !framer_inside_frame(r->framer), "it ends with a frame");
	while (r->controls < r->source.n && !is_control(&r->source.steps[r->controls]))
		r->controls++;
	CHECK_INT(r->controls, r->source.n, "every control frame came");
	if (r->sender == WS_FROM_SERVER) {
		CHECK(!next_byte(&r->sink.expected, &byte), "every byte came");
		return;
	}
	for (size_t i = 0; i < r->source.n; i++)
		frames += is_control(&r->source.steps[i]) ?
				  0 :
				  (r->source.steps[i].length + FRAMER_PIECE - 1) / FRAMER_PIECE;
	CHECK_INT(r->sink.frames, frames, "no empty frame, no piece more than needed");
}

static void run_all(struct step *steps, size_t n)
{
	number(steps, n);
	for (size_t i = 0; i < COUNT(paces); i++)
		for (unsigned sender = WS_FROM_CLIENT; sender <= WS_FROM_SERVER; sender++) {
			const bool slow = paces[i].read < 4096 || paces[i].write < 4096;
			struct run r;

			if (slow && steps[n - 1].position + steps[n - 1].length > FRAMER_PIECE + 100)
				continue;
			start(&r, steps, n, sender, paces[i].read, paces[i].write);
			run_to_end(&r);
		}
}

static void one_frame(void **state)
{
	static const uint64_t sizes[] = { 0,
					  1,
					  2,
					  3,
					  4,
					  5,
					  125,
					  126,
					  127,
					  65503,
					  65535,
					  65536,
					  65537,
					  131071,
					  131072,
					  131073,
					  131076,
					  196608,
					  262143,
					  262144,
					  262145,
					  400000,
					  2 * 1024 * 1024 + 3 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (int text = 0; text < (sizes[i] < 65536 ? 2 : 1); text++) {
			struct step steps[] = {
				{ text ? WS_TEXT : WS_BINARY, true, sizes[i], 0, { 0xA1, 0xB2, 0xC3, 0xD4 } },
				{ WS_PING, true, 4, 0, { 9, 8, 7, 6 } },
				{ WS_BINARY, true, 5, 0, { 0, 0, 0, 0 } }
			};

			run_all(steps, COUNT(steps));
		}
}

static void fragments(void **state)
{
	struct step small[] = {
		/* clang-format off */
		{ WS_TEXT, false, 5, 0, { 1, 2, 3, 4 } }, { WS_PING, true, 0, 0, { 5, 6, 7, 8 } },
		{ WS_CONTINUATION, false, 0, 0, { 0 } },
		{ WS_PONG, true, 125, 0, { 0 } }, { WS_CONTINUATION, false, 1, 0, { 9, 9, 9, 9 } },
		{ WS_PING, true, 7, 0, { 4, 3, 2, 1 } },
		{ WS_PING, true, 8, 0, { 4, 3, 2, 1 } }, { WS_CONTINUATION, true, 130, 0, { 255, 0, 255, 0 } },
		{ WS_BINARY, true, 3, 0, { 7 } },
		{ WS_BINARY, false, 0, 0, { 7 } }, { WS_CONTINUATION, true, 0, 0, { 7 } },
		{ WS_CLOSE, true, 2, 0, { 1, 1, 1, 1 } },
		/* clang-format on */
	};
	struct step large[] = {
		{ WS_BINARY, false, 131073, 0, { 1, 2, 3, 4 } },
		{ WS_PING, true, 125, 0, { 5, 6, 7, 8 } },
		{ WS_CONTINUATION, false, 262149, 0, { 0xF0, 1, 2, 3 } },
		{ WS_CONTINUATION, false, 131072, 0, { 0, 0, 0, 0 } },
		{ WS_PING, true, 1, 0, { 4, 3, 2, 1 } },
		{ WS_CONTINUATION, true, 1, 0, { 3 } },
	};

	(void)state;
	run_all(small, COUNT(small));
	run_all(large, COUNT(large));
}

static void random_sequences(void **state)
{
	uint64_t random = 20240229;
	struct step steps[STEPS_MAX];

	(void)state;
	for (int i = 0; i < 24; i++)
		run_all(steps, random_steps(steps, &random, i % 8 == 0));
}

/* If the bytes that are ready to write end inside a frame, a frame of our own can follow the
 * complete frames before it. */
static void complete_frames(void **state)
{
	static const struct {
		const char *name;
		enum ws_sender sender;
		size_t n, lengths[4];
		size_t cut;  /* bytes of the last frame that are missing */
		size_t want; /* bytes of whole frames */
	} rows[] = {
		/* clang-format off */
		{ "nothing", WS_FROM_CLIENT, 0, { 0 }, 0, 0 },
		{ "half a frame", WS_FROM_CLIENT, 1, { 10 }, 5, 0 },
		{ "one", WS_FROM_CLIENT, 1, { 10 }, 0, 16 },
		{ "two", WS_FROM_CLIENT, 2, { 10, 200 }, 0, 16 + 208 },
		{ "one and half of the next", WS_FROM_CLIENT, 2, { 10, 200 }, 100, 16 },
		{ "one and half of the next header", WS_FROM_CLIENT, 2, { 10, 200 }, 203, 16 },
		{ "a server's three and a half", WS_FROM_SERVER, 4, { 10, 0, 200, 30 }, 1, 12 + 2 + 204 },
		{ "a server's, an empty one last", WS_FROM_SERVER, 3, { 10, 200, 0 }, 0, 12 + 204 + 2 },
		/* clang-format on */
	};
	uint8_t bytes[1024];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct framer *f = guard_room(&room, sizeof(struct framer));
		struct ws_control control;
		const char *why;
		size_t n = 0, size;

		framer_init(f, rows[i].sender);
		for (size_t k = 0; k < rows[i].n; k++) {
			const bool masked = rows[i].sender == WS_FROM_CLIENT;
			struct ws_header h = {
				.fin = true, .opcode = WS_BINARY, .length = rows[i].lengths[k], .masked = masked
			};

			n += ws_write_header(bytes + n, &h);
			memset(bytes + n, 'x', rows[i].lengths[k]);
			n += rows[i].lengths[k];
		}
		n -= rows[i].cut;
		memcpy(framer_space(f, &size), bytes, n);
		framer_filled(f, n);
		CHECK_INT(framer_scan(f, &control, &why), FRAMER_BLOCKED, "%s", rows[i].name);
		CHECK_INT(framer_complete(f), rows[i].want, "%s", rows[i].name);
		framer_written(f, rows[i].want);
		CHECK_INT(framer_complete(f), 0, "%s: they are written", rows[i].name);
		framer_ready(f, &size);
		framer_written(f, size);
		CHECK_INT(framer_complete(f), 0, "%s: all is written", rows[i].name);

		/* A Close must not overtake data. */
		framer_init(f, rows[i].sender);
		memcpy(framer_space(f, &size), bytes, n);
		framer_filled(f, n);
		framer_scan(f, &control, &why);
		(i % 2 ? framer_stop : framer_discard)(f);
		CHECK_INT(framer_complete(f), 0, "%s: at the end", rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_frame),
		cmocka_unit_test(fragments),
		cmocka_unit_test(random_sequences),
		cmocka_unit_test(complete_frames),
	};

	return RUN(tests);
}
