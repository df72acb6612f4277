/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes framer.h. A stream of frames, valid or not, goes through a framer in reads and writes of
 * every size. The first bytes of the input choose the direction and the sizes. The rest describes
 * the stream. Large payloads are generated. The framer's output is compared with what the reference
 * decoder (reference.h) reads from the same stream.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session/reference.h"

#include "lib/error.h"
#include "session/framer.h"

enum {
	STREAM_MAX = 320 * 1024, /* bytes of an input's stream: several pieces of FRAMER_PIECE */
	READS_MAX = 4096,        /* reads or writes of a stream */
	CONTROLS_MAX = 4096,
	PROXMOX_MAX = 131072, /* bytes of a frame's payload */
};

/* What the reference decoder reads from the stream. */
struct meaning {
	uint8_t data[STREAM_MAX];   /* payload of its data frames, unmasked */
	uint8_t passed[STREAM_MAX]; /* its data frames as they are */
	size_t n_data, n_passed;
	struct {
		unsigned opcode;
		size_t n, position; /* bytes of data before it */
		uint8_t payload[125];
	} controls[CONTROLS_MAX];
	size_t n_controls;
	struct reference end;
};

static uint8_t stream[STREAM_MAX];
static size_t n_stream, stream_end; /* the stream's length, and its limit: low for small reads or writes */
static struct meaning meaning;

/* --- the stream ----------------------------------------------------------------------------- */

PER_BYTE static void put(uint8_t byte)
{
	if (n_stream < stream_end)
		stream[n_stream++] = byte;
}

PER_BYTE static void put_frame(bool masked, uint8_t first, uint32_t length)
{
	struct ws_header h = { .fin = first & 0x10,
			       .opcode = first & 15,
			       .length = length,
			       .masked = masked,
			       .mask = { 0xA1, (uint8_t)length, 0xC3, first } };
	uint8_t head[WS_HEADER_MAX];
	size_t n = ws_write_header(head, &h);

	for (size_t i = 0; i < n; i++)
		put(head[i]);
	for (uint32_t i = 0; i < length && n_stream < stream_end; i++)
		put(filler(n_stream));
}

/* A step's first byte. Below 0x80: the number of literal bytes that follow. Below 0xC0: generated
 * bytes; their number follows. Otherwise a complete frame; its length follows. */
static void make_stream(struct input *in, bool masked)
{
	n_stream = 0;
	while (in->left > 0 && n_stream < stream_end) {
		const uint8_t step = take_byte(in);
		const uint8_t *bytes;
		size_t n;

		if (step < 0x80) {
			bytes = take_bytes(in, step + 1U, &n);
			for (size_t i = 0; i < n; i++)
				put(bytes[i]);
		} else if (step < 0xC0) {
			for (n = take_length(in); n > 0 && n_stream < stream_end; n--)
				put(filler(n_stream));
		} else {
			put_frame(masked, step, step & 0x20 ? take_length(in) : take_byte(in));
		}
	}
}

PER_BYTE static void read_meaning(bool masked)
{
	struct meaning *m = &meaning;

	m->n_data = m->n_passed = m->n_controls = 0;
	m->end = (struct reference){ .masked = masked };
	for (size_t i = 0; i < n_stream; i++) {
		enum reference_event event = reference_byte(&m->end, stream[i]);

		if (event == REFERENCE_ERROR)
			return;
		if (event == REFERENCE_DATA) {
			m->data[m->n_data++] = m->end.plain;
			m->passed[m->n_passed++] = stream[i];
		} else if (event == REFERENCE_HEAD) {
			memcpy(m->passed + m->n_passed, m->end.head, m->end.head_size);
			m->n_passed += m->end.head_size;
		} else if (event == REFERENCE_CONTROL && m->n_controls < CONTROLS_MAX) {
			m->controls[m->n_controls].opcode = m->end.opcode;
			m->controls[m->n_controls].n = m->end.n_control;
			m->controls[m->n_controls].position = m->n_data;
			memcpy(m->controls[m->n_controls].payload, m->end.control, m->end.n_control);
			m->n_controls++;
		}
	}
}

/* --- the framer ----------------------------------------------------------------------------- */

struct run {
	struct framer *f;
	bool masked, stopped, discarded;
	size_t read, written, data, controls;
	size_t data_limit;     /* offset after which no data may be written: the framer was stopped, or discards */
	struct reference sink; /* decodes what was written */
	int error;
};

static void on_control(struct run *r, const struct ws_control *c)
{
	size_t size;

	framer_ready(r->f, &size);
	REQUIRE(size == 0, "%zu bytes before a control frame are not written", size);
	REQUIRE(r->controls < meaning.n_controls, "a control frame that nobody sent");
	REQUIRE(c->opcode == meaning.controls[r->controls].opcode && c->length == meaning.controls[r->controls].n &&
			memcmp(c->payload, meaning.controls[r->controls].payload, c->length) == 0,
		"control frame %zu", r->controls);
	REQUIRE(r->discarded || r->data == meaning.controls[r->controls].position, "control frame %zu at %zu",
		r->controls, r->data);
	r->controls++;
}

/* Checks a byte that goes to Proxmox: each frame is final, masked, not empty, and of a kind and
 * size that Proxmox accepts. */
PER_BYTE static void to_proxmox(struct run *r, uint8_t byte)
{
	enum reference_event event = reference_byte(&r->sink, byte);

	REQUIRE(event != REFERENCE_ERROR, "no frame at %zu", r->written);
	REQUIRE(event != REFERENCE_CONTROL, "a control frame at %zu", r->written);
	if (event == REFERENCE_HEAD)
		REQUIRE(r->sink.fin && (r->sink.opcode == 1 || r->sink.opcode == 2) && r->sink.length > 0 &&
				r->sink.length <= PROXMOX_MAX,
			"opcode %u, %llu bytes", r->sink.opcode, (unsigned long long)r->sink.length);
	if (event == REFERENCE_DATA) {
		REQUIRE(r->data < meaning.n_data && r->sink.plain == meaning.data[r->data], "data at %zu", r->data);
		r->data++;
	}
}

/* Checks a byte that goes to the client: it must be the server's, without the control frames. */
PER_BYTE static void to_client(struct run *r, uint8_t byte)
{
	enum reference_event event = reference_byte(&r->sink, byte);

	REQUIRE(event != REFERENCE_ERROR && event != REFERENCE_CONTROL, "no data frame at %zu", r->written);
	REQUIRE(r->written < meaning.n_passed && byte == meaning.passed[r->written], "byte %zu", r->written);
	r->data += event == REFERENCE_DATA;
}

PER_BYTE static void write_some(struct run *r, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(r->masked ? to_proxmox : to_client)(r, bytes[i]);
		r->written++;
	}
}

/* Returns a size from 1 to max, another each time. */
static size_t pace(uint32_t *state, size_t max)
{
	*state = *state * 1664525 + 1013904223;
	return 1 + (*state >> 8) % max;
}

static void relay(struct run *r, struct input *in)
{
	static const size_t paces[] = { 1, 2, 3, 5, 7, 13, 14, 15, 16, 127, 128, 1000, 4096, 16384, 65535, 131072 };
	const uint8_t chosen = take_byte(in), when = take_byte(in), what = take_byte(in);
	const size_t max_read = paces[chosen & 15], max_write = paces[chosen >> 4];
	uint32_t state = when;
	bool moved = true;

	stream_end = (max_read < max_write ? max_read : max_write) * READS_MAX;
	stream_end = stream_end < STREAM_MAX ? stream_end : STREAM_MAX;
	make_stream(in, r->masked);
	read_meaning(r->masked);
	for (size_t turn = 0; moved; turn++) {
		struct ws_control control;
		const char *why = NULL;
		const uint8_t *ready;
		size_t size, n, before, scanned, complete;
		bool can_scan;
		uint8_t *space = framer_space(r->f, &size);
		int rc;

		n = pace(&state, max_read);
		n = n < size ? n : size;
		n = r->error ? 0 : n < n_stream - r->read ? n : n_stream - r->read;
		memcpy(space, stream + r->read, n);
		framer_filled(r->f, n);
		r->read += n;
		moved = n > 0;

		framer_ready(r->f, &before);
		can_scan = framer_can_scan(r->f);
		scanned = r->f->scanned;
		rc = framer_scan(r->f, &control, &why);
		REQUIRE(can_scan == (rc != FRAMER_BLOCKED || r->f->scanned != scanned),
			"framer_can_scan() does not predict the scan");
		REQUIRE(rc == FRAMER_BLOCKED || rc == FRAMER_CONTROL ||
				(why && rc == (r->masked ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL)),
			"%d", rc);
		if (rc == FRAMER_CONTROL)
			on_control(r, &control);
		else if (rc < 0)
			r->error = rc;
		moved |= rc != FRAMER_BLOCKED;

		ready = framer_ready(r->f, &size);
		moved |= size != before;
		n = pace(&state, max_write);
		n = n < size ? n : size;
		complete = framer_complete(r->f);
		REQUIRE(complete <= size && (complete == 0 || (!r->stopped && !r->discarded)),
			"%zu bytes of complete frames", complete);
		if (what & 4 && complete > 0)
			n = complete;
		write_some(r, ready, n);
		REQUIRE(n == 0 || n != complete || !reference_inside(&r->sink), "a frame that is not complete");
		framer_written(r->f, n);
		moved |= n > 0;
		REQUIRE(r->data <= r->data_limit, "a frame began after the stop");

		framer_ready(r->f, &size);
		if (!framer_at_boundary(r->f))
			REQUIRE(size > 0 || reference_inside(&r->sink), "a boundary that is not seen");
		else
			REQUIRE(size == 0 && !reference_inside(&r->sink), "no boundary");
		REQUIRE(r->f->passed == r->data, "%llu bytes passed of %zu", (unsigned long long)r->f->passed, r->data);
		if (turn == when && what & 1 && !r->stopped) {
			r->stopped = true;
			r->data_limit = r->f->payload + r->f->frame_left;
			framer_stop(r->f);
			moved = true;
		}
		if (turn == when && what & 2 && !r->discarded) {
			r->discarded = true;
			r->data_limit = r->f->payload + r->f->piece_left;
			framer_discard(r->f);
			moved = true;
		}
	}
}

static void require_end(const struct run *r)
{
	REQUIRE(r->stopped || !r->error == !meaning.end.error, "%d, and the plain decoder says %d", r->error,
		meaning.end.error);
	if (!r->stopped)
		REQUIRE(r->controls == meaning.n_controls, "%zu control frames of %zu", r->controls,
			meaning.n_controls);
	if (r->stopped)
		return;
	REQUIRE(r->error || r->read == n_stream, "%zu bytes read of %zu", r->read, n_stream);
	if (r->discarded) {
		REQUIRE(r->error || r->data == r->data_limit || reference_inside(&meaning.end),
			"what had begun did not finish");
		return;
	}
	REQUIRE(r->f->payload == meaning.n_data, "%llu bytes seen of %zu", (unsigned long long)r->f->payload,
		meaning.n_data);
	REQUIRE(r->data == meaning.n_data, "%zu bytes written of %zu", r->data, meaning.n_data);
	REQUIRE(r->masked || r->written == meaning.n_passed, "%zu bytes written of %zu", r->written, meaning.n_passed);
	REQUIRE(r->error || framer_inside_frame(r->f) == reference_inside(&meaning.end), "inside a frame");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct framer framer;
	struct input in = { data, size };
	struct run r = { .f = &framer, .masked = !(take_byte(&in) & 1), .data_limit = SIZE_MAX };

	r.sink.masked = r.masked;
	framer_init(&framer, r.masked ? WS_FROM_CLIENT : WS_FROM_SERVER);
	relay(&r, &in);
	require_end(&r);
	return 0;
}
