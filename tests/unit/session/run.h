/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a framer between a sender and a receiver (frames.h) in steps of any size, and checks after
 * each step what must always hold. The tests of the framer use it.
 */
#ifndef PROXXY_TESTS_RUN_H
#define PROXXY_TESTS_RUN_H

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

static inline void start(struct run *r, const struct step *steps, size_t n, enum ws_sender sender, size_t max_read,
			 size_t max_write)
{
	/* The framer's buffer is its last member, so the unreadable page is right after it. */
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

static inline void on_control(struct run *r, const struct ws_control *control)
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

static inline void write_some(struct run *r, const uint8_t *bytes, size_t n)
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
	r->sink.data = r->framer->payload; /* the receiver does not decode these frames: take the framer's count */
}

/* Reads, scans and writes a little, in turn. Returns false if nothing moved. */
static inline bool turn(struct run *r)
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
		CHECK(!framer_at_boundary(r->framer) || sink_between(&r->sink),
		      "framer_at_boundary() is true only between two frames");
		CHECK(r->framer->discarding || size > 0 || !sink_between(&r->sink) || framer_at_boundary(r->framer),
		      "framer_at_boundary() is true between two frames");
		CHECK(complete == 0 || n != complete || sink_between(&r->sink),
		      "framer_complete() ends between two frames");
		if ((complete > 0 && n == complete) ||
		    (framer_at_boundary(r->framer) && random_below(&r->random, 4) == 0)) {
			uint8_t own[WS_CONTROL_FRAME_MAX];

			sink_write(&r->sink, own,
				   ws_write_control(own, WS_PING, "own", random_below(&r->random, 4), own_mask));
		}
	}
	return moved;
}

/* Maximum sizes of a read and of a write. */
static const struct {
	size_t read, write;
} paces[] = { { ANY, ANY }, { 1, 1 },   { 1, ANY },     { ANY, 1 },       { 3, 5 },
	      { 100, 7 },   { 7, 100 }, { 16384, ANY }, { 70000, 70000 }, { ANY, 4096 } };

static inline size_t random_steps(struct step *steps, uint64_t *random, bool large)
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

#endif
