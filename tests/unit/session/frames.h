/* SPDX-License-Identifier: Apache-2.0
 *
 * Test peers for a framer: a sender that sends a list of frames, and a receiver that accepts only
 * what Proxmox accepts. Neither stores the data.
 */
#ifndef PROXXY_TESTS_FRAMES_H
#define PROXXY_TESTS_FRAMES_H

#include "tests/unit/guard.h"

#include "session/framer.h"

/* One frame that the sender sends. */
struct step {
	enum ws_opcode opcode;
	bool fin;
	uint64_t length;
	uint64_t position; /* bytes of data before it, set by number() */
	uint8_t mask[4];
};

static inline bool is_control(const struct step *s)
{
	return s->opcode >= WS_CLOSE;
}

/* A data byte depends only on its position, and a control frame's byte only on the frame's number
 * and the offset. Nothing is stored. */
static inline uint8_t data_byte(uint64_t position)
{
	return (uint8_t)(position * 2654435761U >> 11);
}

static inline uint8_t control_byte(size_t step, uint64_t offset)
{
	return (uint8_t)(step * 31 + offset * 7);
}

static inline void number(struct step *steps, size_t n)
{
	uint64_t position = 0;

	for (size_t i = 0; i < n; i++) {
		steps[i].position = position;
		position += is_control(&steps[i]) ? 0 : steps[i].length;
	}
}

/* --- the sender ----------------------------------------------------------------------------- */

struct source {
	const struct step *steps;
	size_t n, at;
	bool masked, data_only;
	uint8_t head[WS_HEADER_MAX];
	size_t head_size, head_at; /* head_size is 0 between frames */
	uint64_t offset;
};

static inline bool next_byte(struct source *s, uint8_t *ret)
{
	for (;;) {
		const struct step *step = &s->steps[s->at];

		if (s->at == s->n)
			return false;
		if (s->head_size == 0 && !(s->data_only && is_control(step))) {
			struct ws_header h = {
				.fin = step->fin, .opcode = step->opcode, .length = step->length, .masked = s->masked
			};

			memcpy(h.mask, step->mask, 4);
			s->head_size = ws_write_header(s->head, &h);
		}
		if (s->head_at < s->head_size) {
			*ret = s->head[s->head_at++];
			return true;
		}
		if (s->head_size > 0 && s->offset < step->length) {
			uint8_t plain = is_control(step) ? control_byte(s->at, s->offset) :
							   data_byte(step->position + s->offset);

			*ret = s->masked ? plain ^ step->mask[s->offset % 4] : plain;
			s->offset++;
			return true;
		}
		s->at++;
		s->head_size = s->head_at = 0;
		s->offset = 0;
	}
}

static inline size_t source_read(struct source *s, uint8_t *buf, size_t size)
{
	size_t n = 0;

	while (n < size && next_byte(s, buf + n))
		n++;
	return n;
}

/* True if the bytes read so far end with a complete frame. */
static inline bool source_between(const struct source *s)
{
	return s->head_size == 0 || (s->head_at == s->head_size && s->offset == s->steps[s->at].length);
}

/* --- the receiver --------------------------------------------------------------------------- */

struct sink {
	const struct step *steps; /* NULL: any data, in frames that Proxmox accepts */
	size_t n, at;
	uint8_t head[WS_HEADER_MAX];
	size_t have;
	uint64_t left, offset;
	uint64_t data, frames, own;
	struct source expected; /* for a server's stream: the same bytes without control frames */
};

static inline bool sink_between(const struct sink *s)
{
	return s->have == 0;
}

/* A frame's head is complete: checks it for everything that Proxmox does not accept. */
static inline void sink_head(struct sink *s, uint64_t length)
{
	const unsigned opcode = s->head[0] & 0x0F;

	CHECK(s->head[0] & 0x80, "FIN");
	CHECK((s->head[0] & 0x70) == 0, "RSV");
	CHECK(s->head[1] & 0x80, "mask");
	CHECK(opcode == WS_TEXT || opcode == WS_BINARY || opcode >= WS_CLOSE, "opcode %u", opcode);
	CHECK(opcode <= WS_PONG, "opcode %u", opcode);
	CHECK(length <= 131072, "%llu bytes", (unsigned long long)length);
	s->left = length;
	s->offset = 0;
	if (opcode == WS_PING) {
		s->own++;
		return;
	}
	s->frames++;
	if (!s->steps)
		return;
	/* Find the client's frame that this is a piece of. */
	while (s->at < s->n &&
	       (is_control(&s->steps[s->at]) || s->steps[s->at].position + s->steps[s->at].length <= s->data))
		s->at++;
	CHECK(s->at < s->n, "a frame that nobody sent");
	const struct step *step = &s->steps[s->at];
	uint64_t rest = step->position + step->length - s->data;

	CHECK((s->data - step->position) % 4 == 0, "cut at a multiple of 4");
	CHECK_INT(length, rest < FRAMER_PIECE ? rest : FRAMER_PIECE, "a piece");
	CHECK_INT(opcode, s->data == step->position && step->opcode == WS_TEXT ? WS_TEXT : WS_BINARY,
		  "a piece's opcode");
}

static inline void sink_write(struct sink *s, const uint8_t *buf, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (s->left > 0) {
			uint8_t plain = buf[i] ^ s->head[s->have - 4 + s->offset % 4];

			if ((s->head[0] & 0x0F) != WS_PING) {
				if (s->steps && plain != data_byte(s->data))
					CHECK(false, "the byte at %llu", (unsigned long long)s->data);
				s->data++;
			}
			s->offset++;
			if (--s->left == 0)
				s->have = 0;
			continue;
		}
		s->head[s->have++] = buf[i];
		if (s->have < 2)
			continue;
		size_t extended = (s->head[1] & 0x7F) == 126 ? 2 : (s->head[1] & 0x7F) == 127 ? 8 : 0;
		uint64_t length = extended ? 0 : s->head[1] & 0x7F;

		if (s->have < 2 + extended + 4)
			continue;
		for (size_t b = 0; b < extended; b++)
			length = length << 8 | s->head[2 + b];
		sink_head(s, length);
		if (length == 0)
			s->have = 0;
	}
}

#endif
