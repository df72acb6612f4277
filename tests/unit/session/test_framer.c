/* SPDX-License-Identifier: Apache-2.0
 *
 * framer.h: random and edge-case sequences of frames go through a framer in pieces of every size,
 * into a decoder that is as strict as Proxmox. What comes out must be exactly the bytes sent, each
 * frame fit for Proxmox, each control frame in its place.
 */
#include "tests/unit/session/frames.h"

#include "lib/error.h"

enum { STEPS_MAX = 64, ANY = 1 << 30 };

static struct guard room;

/* A sender and a receiver with a framer between. */
struct run {
	struct framer *framer;
	struct source source;
	struct sink sink;
	enum ws_sender sender;
	size_t max_read, max_write;
	uint64_t random;
	size_t controls; /* the next step that may be a control frame */
	bool ordered;    /* a control frame comes when all data before it is written */
	int error;
};

static void start(struct run *r, const struct step *steps, size_t n, enum ws_sender sender, size_t max_read,
		  size_t max_write)
{
	/* The framer's buffer is its last member: the unreadable page is right behind it. */
	struct framer *framer = guard_room(&room, sizeof(struct framer));

	memset(framer, 0xEE, sizeof(*framer));
	framer_init(framer, sender);
	*r = (struct run){
		.framer = framer,
		.sender = sender,
		.max_read = max_read,
		.max_write = max_write,
		.ordered = true,
		.random = 0x9E3779B97F4A7C15ULL ^ max_read ^ max_write << 20,
	};
	r->source = (struct source){ .steps = steps, .n = n, .masked = sender == WS_FROM_CLIENT };
	r->sink = (struct sink){ .steps = steps, .n = n, .expected = { .steps = steps, .n = n, .data_only = true } };
}

static void on_control(struct run *r, const struct ws_control *control)
{
	while (r->controls < r->source.n && !is_control(&r->source.steps[r->controls]))
		r->controls++;
	CHECK(r->controls < r->source.n, "a control frame that nobody sent");
	const struct step *step = &r->source.steps[r->controls];
	size_t size;

	CHECK_INT(control->opcode, step->opcode, "step %zu", r->controls);
	CHECK_INT(control->length, step->length, "step %zu", r->controls);
	for (size_t i = 0; i < control->length; i++)
		CHECK_INT(control->payload[i], control_byte(r->controls, i), "step %zu at %zu", r->controls, i);
	framer_ready(r->framer, &size);
	CHECK_INT(size, 0, "all before it is written");
	if (r->ordered)
		CHECK_INT(r->sink.data, step->position, "step %zu comes in its place", r->controls);
	r->controls++;
}

static void write_some(struct run *r, const uint8_t *bytes, size_t n)
{
	if (r->sender == WS_FROM_CLIENT) {
		sink_write(&r->sink, bytes, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		uint8_t want = 0;

		if (!next_byte(&r->sink.expected, &want) || want != bytes[i])
			CHECK(false, "from a server every byte passes as it is");
	}
	r->sink.data = r->framer->payload; /* at least what the framer itself says */
}

/* Reads, scans and writes a little, in turn. Returns false when nothing moved any more. */
static bool turn(struct run *r)
{
	static const uint8_t own_mask[4] = { 1, 2, 3, 4 };
	struct ws_control control;
	const char *why = NULL;
	bool moved = false, can_scan;
	size_t size, n, scanned, complete;
	uint8_t *space = framer_space(r->framer, &size);
	const uint8_t *ready;
	int rc;

	if (size > 0 && r->error == 0) {
		n = r->max_read == ANY ? size : 1 + random_below(&r->random, r->max_read);
		n = source_read(&r->source, space, n < size ? n : size);
		framer_filled(r->framer, n);
		moved |= n > 0;
	}
	framer_ready(r->framer, &n);
	can_scan = framer_can_scan(r->framer);
	scanned = r->framer->scanned;
	rc = framer_scan(r->framer, &control, &why);
	CHECK_INT(can_scan, rc != FRAMER_BLOCKED || r->framer->scanned != scanned,
		  "whether a scan gets on is known before");
	if (rc == FRAMER_CONTROL)
		on_control(r, &control);
	else if (rc < 0)
		CHECK(why && rc == (r->sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL),
		      "an error");
	r->error = rc < 0 ? rc : r->error;
	moved |= rc == FRAMER_CONTROL;

	ready = framer_ready(r->framer, &size);
	moved |= size != n;
	n = r->max_write == ANY ? size : 1 + random_below(&r->random, r->max_write);
	n = n < size ? n : size;
	complete = framer_complete(r->framer);
	CHECK(complete <= size && (complete == 0 || (!r->framer->stopped && !r->framer->discarding)),
	      "complete frames");
	if (complete > 0 && random_below(&r->random, 4) == 0)
		n = complete;
	write_some(r, ready, n);
	framer_written(r->framer, n);
	moved |= n > 0;
	if (r->sender == WS_FROM_CLIENT)
		CHECK_INT(r->framer->passed, r->sink.data, "payload that is written is counted");

	framer_ready(r->framer, &size);
	if (r->sender == WS_FROM_CLIENT) {
		CHECK(!framer_at_boundary(r->framer) || sink_between(&r->sink), "a boundary is one");
		CHECK(r->framer->discarding || size > 0 || !sink_between(&r->sink) || framer_at_boundary(r->framer),
		      "a boundary is seen");
		CHECK(complete == 0 || n != complete || sink_between(&r->sink), "complete frames are");
		if ((complete > 0 && n == complete) ||
		    (framer_at_boundary(r->framer) && random_below(&r->random, 4) == 0)) {
			uint8_t own[WS_CONTROL_FRAME_MAX];

			sink_write(&r->sink, own,
				   ws_write_control(own, WS_PING, "own", random_below(&r->random, 4), own_mask));
		}
	}
	return moved;
}

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

/* Sizes of a read and of a write, at most. */
static const struct {
	size_t read, write;
} paces[] = { { ANY, ANY }, { 1, 1 },   { 1, ANY },     { ANY, 1 },       { 3, 5 },
	      { 100, 7 },   { 7, 100 }, { 16384, ANY }, { 70000, 70000 }, { ANY, 4096 } };

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

static size_t random_steps(struct step *steps, uint64_t *random, bool large)
{
	static const size_t bounds[] = { 1, 3, 126, 300, 5000, 70000, 140000, 400000 };
	const size_t n = 1 + random_below(random, STEPS_MAX);
	bool in_message = false;

	for (size_t i = 0; i < n; i++) {
		uint32_t mask = (uint32_t)random_next(random);

		steps[i] = (struct step){ .fin = true };
		if (random_below(random, 8) > 0)
			memcpy(steps[i].mask, &mask, 4);
		if (random_below(random, 3) == 0) {
			steps[i].opcode = random_below(random, 2) ? WS_PING : WS_PONG;
			steps[i].length = random_below(random, WS_CONTROL_MAX + 1);
			continue;
		}
		steps[i].opcode = in_message ? WS_CONTINUATION : random_below(random, 2) ? WS_TEXT : WS_BINARY;
		steps[i].fin = random_below(random, 2);
		steps[i].length = random_below(random, bounds[random_below(random, large ? COUNT(bounds) : 4)]);
		in_message = !steps[i].fin;
	}
	number(steps, n);
	return n;
}

static void random_sequences(void **state)
{
	uint64_t random = 20240229;
	struct step steps[STEPS_MAX];

	(void)state;
	for (int i = 0; i < 24; i++)
		run_all(steps, random_steps(steps, &random, i % 8 == 0));
}

/* Cleared bytes that end inside a frame: a frame of our own has its place behind the whole ones. */
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

		/* A Close must not go before data. */
		framer_init(f, rows[i].sender);
		memcpy(framer_space(f, &size), bytes, n);
		framer_filled(f, n);
		framer_scan(f, &control, &why);
		(i % 2 ? framer_stop : framer_discard)(f);
		CHECK_INT(framer_complete(f), 0, "%s: at the end", rows[i].name);
	}
}

/* Stopped anywhere: the frame that has begun finishes, none begins, and there is a boundary. */
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

/* Discarded anywhere: what has begun finishes (of a large frame its piece), nothing behind it is written, control frames
 * still come, all of them; and there is a boundary for ever. */
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

/* An end of the stream at any byte is inside a frame, or between two. */
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
	/* F is a final frame, f is not; the digit is the opcode. All that is before the last is allowed. */
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

	/* What the header alone shows: the other side's masking, reserved bits, lengths. */
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

/* Noise, and streams with bits flipped: whatever is made of them, only frames that Proxmox takes come out. */
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
		cmocka_unit_test(one_frame),       cmocka_unit_test(fragments),     cmocka_unit_test(random_sequences),
		cmocka_unit_test(complete_frames), cmocka_unit_test(stop_anywhere), cmocka_unit_test(discard),
		cmocka_unit_test(cut_off),         cmocka_unit_test(violations),    cmocka_unit_test(noise),
	};

	return RUN(tests);
}
