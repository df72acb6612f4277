/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses WebSocket frame headers in place, takes control frames out, and rewrites the client's
 * headers as Proxmox needs them. direction.c reads into it and writes from it; relay.c scans.
 */
#include "session/framer.h"

#include <string.h>

#include "lib/error.h"

void framer_init(struct framer *f, enum ws_sender sender)
{
	/* Not the buffer: a page of it is allocated when it is first used. */
	memset(f, 0, offsetof(struct framer, buf));
	f->sender = sender;
	f->out = f->scanned = f->in = FRAMER_HEADROOM;
}

uint8_t *framer_space(struct framer *f, size_t *ret_size)
{
	if (f->out == f->scanned && f->out > FRAMER_HEADROOM) {
		/* Everything ready is written. The rest is not scanned yet: a part of a header or
		 * control frame, or frames behind a control frame that had to wait. Move it to the
		 * front. */
		size_t rest = f->in - f->scanned;

		if (rest == 0 || f->in == sizeof(f->buf)) {
			memmove(f->buf + FRAMER_HEADROOM, f->buf + f->scanned, rest);
			f->out = f->scanned = FRAMER_HEADROOM;
			f->in = FRAMER_HEADROOM + rest;
			f->complete = 0;
		}
	}
	*ret_size = sizeof(f->buf) - f->in;
	return f->buf + f->in;
}

void framer_filled(struct framer *f, size_t n)
{
	f->in += n;
}

size_t framer_ready_size(const struct framer *f)
{
	return f->scanned - f->out;
}

const uint8_t *framer_ready(const struct framer *f, size_t *ret_size)
{
	*ret_size = f->scanned - f->out;
	return f->buf + f->out;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void framer_written(struct framer *f, size_t n)
{
	if (f->out + n == f->scanned) { /* the usual case: no header must be parsed */
		f->out = f->scanned;
		f->passed = f->payload;
		f->out_left = f->piece_left;
		f->out_head = 0;
		return;
	}
	while (n > 0) {
		struct ws_header h;
		const char *why;
		size_t part;

		if (f->out_head == 0 && f->out_left == 0) { /* headers that are ready are complete and legal */
			int size = ws_parse_header(f->buf + f->out, f->scanned - f->out, f->sender, &h, &why);

			f->out_head = size > 0 ? (size_t)size : 0;
			f->out_left = size > 0 ? h.length : f->scanned - f->out;
		}
		part = (size_t)smaller(n, f->out_head);
		f->out_head -= part;
		f->out += part;
		n -= part;
		part = (size_t)smaller(n, f->out_left);
		f->out_left -= part;
		f->passed += part;
		f->out += part;
		n -= part;
	}
}

void framer_drop_ready(struct framer *f)
{
	f->out = f->scanned;
	f->out_left = f->piece_left;
	f->out_head = 0;
}

bool framer_at_boundary(const struct framer *f)
{
	return f->dropping || (f->out == f->scanned && f->piece_left == 0);
}

size_t framer_complete(const struct framer *f)
{
	return f->complete > f->out && !f->stopped && !f->discarding ? f->complete - f->out : 0;
}

bool framer_inside_frame(const struct framer *f)
{
	return f->frame_left > 0 || f->in > f->scanned;
}

bool framer_is_empty(const struct framer *f)
{
	return f->out == f->in;
}

void framer_stop(struct framer *f)
{
	f->stopped = true;
}

void framer_discard(struct framer *f)
{
	f->discarding = true;
}

/* Checks that only control frames come between a message's fragments (RFC 6455 section 5.4).
 * Returns NULL, or a static phrase if the frame breaks this rule. */
static const char *follow_message(struct framer *f, const struct ws_header *h)
{
	if (h->opcode == WS_CONTINUATION && !f->in_message)
		return "continuation frame without a message";
	if (h->opcode != WS_CONTINUATION && f->in_message)
		return "new message inside a fragmented one";
	f->in_message = !h->fin;
	return NULL;
}

/* Writes the header of the frame's next piece over the bytes before the piece, which are all
 * written. */
static void begin_piece(struct framer *f, enum ws_opcode opcode)
{
	struct ws_header piece = { .fin = true, .opcode = opcode, .masked = f->sender == WS_FROM_CLIENT };

	f->piece_left = f->frame_left < FRAMER_PIECE ? f->frame_left : FRAMER_PIECE;
	piece.length = f->piece_left;
	memcpy(piece.mask, f->mask, 4);
	f->out -= ws_header_size(&piece);
	f->complete = 0;
	ws_write_header(f->buf + f->out, &piece);
}

/* Makes the payload of the current data frame that was read ready to write, or skips it while
 * dropping. Returns false if it made no progress. */
static bool accept_payload(struct framer *f)
{
	size_t n = f->in - f->scanned;

	if (f->piece_left == 0 && !f->dropping) {
		if (f->out != f->scanned)
			return false;
		if (f->discarding)
			f->dropping = true;
		else
			begin_piece(f, WS_BINARY);
	}
	if (f->dropping) {
		n = smaller(n, f->frame_left);
		f->frame_left -= n;
		f->piece_left = 0;
		f->scanned += n;
		f->out = f->scanned;
		return n > 0;
	}
	n = smaller(n, f->piece_left);
	f->scanned += n;
	f->piece_left -= n;
	f->frame_left -= n;
	f->payload += n;
	if (f->piece_left == 0)
		f->complete = f->scanned;
	return n > 0;
}

/* Makes the data frame header at scanned, which has size bytes, ready to write, in the form that
 * the receiver needs; or skips it while dropping. */
static void accept_header(struct framer *f, const struct ws_header *h, size_t size)
{
	f->frame_left = f->piece_left = h->length;
	if (f->dropping) {
		f->piece_left = 0;
	} else if (f->sender == WS_FROM_CLIENT) {
		struct ws_header complete = *h;

		memcpy(f->mask, h->mask, 4);
		complete.fin = true;
		if (h->opcode == WS_CONTINUATION)
			complete.opcode = WS_BINARY;
		if (h->length > FRAMER_PIECE)
			complete.length = f->piece_left = FRAMER_PIECE;
		/* The size stays: FRAMER_PIECE and any larger length are encoded in 8 bytes. */
		ws_write_header(f->buf + f->scanned, &complete);
	}
	f->scanned += size;
	if (f->dropping)
		f->out = f->scanned;
	else if (f->piece_left == 0)
		f->complete = f->scanned;
}

/* Skips size bytes of input, so that they are not written. Everything before them must be
 * written. */
static void skip(struct framer *f, size_t size)
{
	f->scanned += size;
	f->out = f->scanned;
}

/* Takes the control frame at scanned, whose header has size bytes, out of the stream. Returns
 * FRAMER_CONTROL, or FRAMER_BLOCKED until it is complete and everything before it is written. */
static int take_control(struct framer *f, const struct ws_header *h, size_t size, struct ws_control *ret_control)
{
	if (f->out != f->scanned || f->in - f->scanned < size + h->length)
		return FRAMER_BLOCKED;
	ret_control->opcode = h->opcode;
	ret_control->length = (size_t)h->length;
	memcpy(ret_control->payload, f->buf + f->scanned + size, ret_control->length);
	if (h->masked)
		ws_mask(ret_control->payload, ret_control->length, h->mask);
	skip(f, size + ret_control->length);
	return FRAMER_CONTROL;
}

/* Begins the data frame at scanned, whose header has size bytes. Returns 1, FRAMER_BLOCKED, or the
 * error with *ret_why. */
static int begin_frame(struct framer *f, const struct ws_header *h, size_t size, const char **ret_why)
{
	const bool empty = h->length == 0 && f->sender == WS_FROM_CLIENT; /* means nothing in Proxmox's stream */
	const bool drop = f->discarding && !f->dropping;
	const char *why;

	if (f->stopped || ((drop || empty) && f->out != f->scanned))
		return FRAMER_BLOCKED;
	if (drop)
		f->dropping = true;
	why = follow_message(f, h);
	if (why) {
		f->broken = true;
		*ret_why = why;
		return f->sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL;
	}
	if (empty)
		skip(f, size);
	else
		accept_header(f, h, size);
	return 1;
}

int framer_scan(struct framer *f, struct ws_control *ret_control, const char **ret_why)
{
	if (f->broken)
		return FRAMER_BLOCKED;
	for (;;) {
		struct ws_header h;
		int size, rc;

		if (f->frame_left > 0) {
			if (f->in == f->scanned || !accept_payload(f))
				return FRAMER_BLOCKED;
			continue;
		}
		size = ws_parse_header(f->buf + f->scanned, f->in - f->scanned, f->sender, &h, ret_why);
		f->broken = size < 0;
		if (size <= 0)
			return size; /* 0 is FRAMER_BLOCKED: the header is incomplete */
		if (h.opcode >= WS_CLOSE)
			return take_control(f, &h, (size_t)size, ret_control);
		rc = begin_frame(f, &h, (size_t)size, ret_why);
		if (rc <= 0)
			return rc;
	}
}

/* Takes payload of the frame that framer_take() began, and turns its mask key to the next byte. */
static size_t take_payload(struct framer *f, uint8_t *payload, size_t size)
{
	const size_t n = smaller(smaller(size, f->frame_left), f->in - f->scanned);
	uint8_t mask[4];

	memcpy(payload, f->buf + f->scanned, n);
	if (f->sender == WS_FROM_CLIENT) {
		ws_mask(payload, n, f->mask);
		for (size_t i = 0; i < sizeof(mask); i++)
			mask[i] = f->mask[(i + n) % sizeof(mask)];
		memcpy(f->mask, mask, sizeof(mask));
	}
	f->frame_left -= n;
	skip(f, n);
	return n;
}

int framer_take(struct framer *f, uint8_t *payload, size_t size, size_t *ret_taken, struct ws_control *ret_control,
		const char **ret_why)
{
	const bool from_client = f->sender == WS_FROM_CLIENT;

	while (!f->broken) {
		struct ws_header h;
		int head;

		if (f->frame_left > 0) {
			const size_t n = take_payload(f, payload, size);

			if (n == 0)
				return FRAMER_BLOCKED;
			*ret_taken = n;
			return FRAMER_TAKEN;
		}
		head = ws_parse_header(f->buf + f->scanned, f->in - f->scanned, f->sender, &h, ret_why);
		f->broken = head < 0;
		if (head <= 0)
			return head;
		if (h.opcode == WS_CLOSE)
			return f->in - f->scanned < (size_t)head + h.length ? FRAMER_BLOCKED : FRAMER_CLOSE;
		if (h.opcode > WS_CLOSE)
			return take_control(f, &h, (size_t)head, ret_control);
		*ret_why = !from_client && !h.fin ? "a fragmented message during the login" : follow_message(f, &h);
		if (*ret_why) {
			f->broken = true;
			return from_client ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL;
		}
		if (from_client)
			memcpy(f->mask, h.mask, sizeof(f->mask));
		f->frame_left = h.length;
		skip(f, (size_t)head);
	}
	return FRAMER_BLOCKED;
}

bool framer_can_scan(const struct framer *f)
{
	const bool all_written = f->out == f->scanned;
	struct ws_header h;
	const char *why;
	int size;

	if (f->broken)
		return false;
	if (f->frame_left > 0)
		return f->in > f->scanned && (f->piece_left > 0 || all_written);
	size = ws_parse_header(f->buf + f->scanned, f->in - f->scanned, f->sender, &h, &why);
	if (size <= 0)
		return size < 0;
	if (h.opcode >= WS_CLOSE)
		return all_written && f->in - f->scanned >= (size_t)size + h.length;
	if (f->stopped)
		return false;
	if ((f->discarding && !f->dropping) || (h.length == 0 && f->sender == WS_FROM_CLIENT))
		return all_written;
	return true;
}
