/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames on their way through, see framer.h.
 */
#include "session/framer.h"

#include <string.h>

#include "lib/error.h"

void framer_init(struct framer *f, enum ws_sender sender)
{
	/* Not the buffer: its pages cost nothing until they are used. */
	memset(f, 0, offsetof(struct framer, buf));
	f->sender = sender;
	f->out = f->clear = f->in = FRAMER_HEADROOM;
}

uint8_t *framer_space(struct framer *f, size_t *ret_size)
{
	if (f->out == f->clear && f->out > FRAMER_HEADROOM) {
		/* All is written. What is left is nothing, or a header or control frame in parts; or,
		 * after a flush that a control frame waited for, frames that are still to be looked at. */
		size_t rest = f->in - f->clear;

		if (rest == 0 || f->in == sizeof(f->buf)) {
			memmove(f->buf + FRAMER_HEADROOM, f->buf + f->clear, rest);
			f->out = f->clear = FRAMER_HEADROOM;
			f->in = FRAMER_HEADROOM + rest;
			f->whole = 0;
		}
	}
	*ret_size = sizeof(f->buf) - f->in;
	return f->buf + f->in;
}

void framer_filled(struct framer *f, size_t n)
{
	f->in += n;
}

const uint8_t *framer_cleared(const struct framer *f, size_t *ret_size)
{
	*ret_size = f->clear - f->out;
	return f->buf + f->out;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void framer_written(struct framer *f, size_t n)
{
	if (f->out + n == f->clear) { /* the usual case: no need to look at headers */
		f->out = f->clear;
		f->passed = f->payload;
		f->out_left = f->piece_left;
		f->out_head = 0;
		return;
	}
	while (n > 0) {
		struct ws_header h;
		const char *why;
		size_t part;

		if (f->out_head == 0 && f->out_left == 0) { /* only whole, legal headers are cleared */
			int size = ws_parse_header(f->buf + f->out, f->clear - f->out, f->sender, &h, &why);

			f->out_head = size > 0 ? (size_t)size : 0;
			f->out_left = size > 0 ? h.length : f->clear - f->out;
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

void framer_forget(struct framer *f)
{
	f->out = f->clear;
	f->out_left = f->piece_left;
	f->out_head = 0;
}

bool framer_at_boundary(const struct framer *f)
{
	return f->dropping || (f->out == f->clear && f->piece_left == 0);
}

size_t framer_whole(const struct framer *f)
{
	return f->whole > f->out && !f->stopped && !f->discarding ? f->whole - f->out : 0;
}

bool framer_inside_frame(const struct framer *f)
{
	return f->frame_left > 0 || f->in > f->clear;
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

/* A message's fragments follow each other, with nothing but control frames between (section 5.4). */
static const char *follow_message(struct framer *f, const struct ws_header *h)
{
	if (h->opcode == WS_CONTINUATION && !f->in_message)
		return "continuation of nothing";
	if (h->opcode != WS_CONTINUATION && f->in_message)
		return "new message inside a fragmented one";
	f->in_message = !h->fin;
	return NULL;
}

/* Puts the header of the frame's next piece right before its first byte, where everything has been
 * written already. */
static void begin_piece(struct framer *f, enum ws_opcode opcode)
{
	struct ws_header piece = { .fin = true, .opcode = opcode, .masked = true };

	f->piece_left = f->frame_left < FRAMER_PIECE ? f->frame_left : FRAMER_PIECE;
	piece.length = f->piece_left;
	memcpy(piece.mask, f->mask, 4);
	f->out -= ws_header_size(&piece);
	f->whole = 0;
	ws_write_header(f->buf + f->out, &piece);
}

/* Clears as much of the current data frame's payload as is there. Returns false when it cannot go on. */
static bool clear_payload(struct framer *f)
{
	size_t n = f->in - f->clear;

	if (f->piece_left == 0 && !f->dropping) {
		if (f->out != f->clear)
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
		f->clear += n;
		f->out = f->clear;
		return n > 0;
	}
	n = smaller(n, f->piece_left);
	f->clear += n;
	f->piece_left -= n;
	f->frame_left -= n;
	f->payload += n;
	if (f->piece_left == 0)
		f->whole = f->clear;
	return n > 0;
}

/* Takes the header at clear, whose size is given, and lets the data frame that it opens pass. */
static void clear_header(struct framer *f, const struct ws_header *h, size_t size)
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
		/* Same size as before: a length over FRAMER_PIECE and FRAMER_PIECE itself both take 8 bytes. */
		ws_write_header(f->buf + f->clear, &complete);
	}
	f->clear += size;
	if (f->dropping)
		f->out = f->clear;
	else if (f->piece_left == 0)
		f->whole = f->clear;
}

/* Passes over size bytes at clear, everything before them being written. */
static void drop(struct framer *f, size_t size)
{
	f->clear += size;
	f->out = f->clear;
}

int framer_scan(struct framer *f, struct ws_control *ret_control, const char **ret_why)
{
	if (f->broken)
		return FRAMER_BLOCKED;
	for (;;) {
		struct ws_header h;
		const char *why;
		int size;

		if (f->frame_left > 0) {
			if (f->in == f->clear || !clear_payload(f))
				return FRAMER_BLOCKED;
			continue;
		}

		size = ws_parse_header(f->buf + f->clear, f->in - f->clear, f->sender, &h, ret_why);
		f->broken = size < 0;
		if (size <= 0)
			return size; /* FRAMER_BLOCKED is 0: more bytes are needed */

		if (h.opcode >= WS_CLOSE) {
			if (f->out != f->clear || f->in - f->clear < (size_t)size + h.length)
				return FRAMER_BLOCKED;
			ret_control->opcode = h.opcode;
			ret_control->length = (size_t)h.length;
			memcpy(ret_control->payload, f->buf + f->clear + size, ret_control->length);
			if (h.masked)
				ws_mask(ret_control->payload, ret_control->length, h.mask);
			drop(f, (size_t)size + ret_control->length);
			return FRAMER_CONTROL;
		}

		if (f->stopped)
			return FRAMER_BLOCKED;
		if (f->discarding && !f->dropping) {
			if (f->out != f->clear)
				return FRAMER_BLOCKED;
			f->dropping = true;
		}
		/* An empty frame says nothing to Proxmox, whose stream has no messages. */
		if (h.length == 0 && f->sender == WS_FROM_CLIENT) {
			if (f->out != f->clear)
				return FRAMER_BLOCKED;
			why = follow_message(f, &h);
			if (!why)
				drop(f, (size_t)size);
		} else {
			why = follow_message(f, &h);
			if (!why)
				clear_header(f, &h, (size_t)size);
		}
		if (why) {
			f->broken = true;
			*ret_why = why;
			return f->sender == WS_FROM_CLIENT ? ERR_CLIENT_PROTOCOL : ERR_UPSTREAM_PROTOCOL;
		}
	}
}

bool framer_can_scan(const struct framer *f)
{
	const bool all_written = f->out == f->clear;
	struct ws_header h;
	const char *why;
	int size;

	if (f->broken)
		return false;
	if (f->frame_left > 0)
		return f->in > f->clear && (f->piece_left > 0 || all_written);
	size = ws_parse_header(f->buf + f->clear, f->in - f->clear, f->sender, &h, &why);
	if (size <= 0)
		return size < 0;
	if (h.opcode >= WS_CLOSE)
		return all_written && f->in - f->clear >= (size_t)size + h.length;
	if (f->stopped)
		return false;
	if ((f->discarding && !f->dropping) || (h.length == 0 && f->sender == WS_FROM_CLIENT))
		return all_written;
	return true;
}
