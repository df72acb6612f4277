/* SPDX-License-Identifier: Apache-2.0
 *
 * A second decoder of RFC 6455 frames, to check the framer against. It is simple: it takes one byte
 * at a time, and shares no code with the framer. It reports a violation at the byte that causes it.
 */
#ifndef PROXXY_TESTS_FUZZ_REFERENCE_H
#define PROXXY_TESTS_FUZZ_REFERENCE_H

#include "tests/fuzz/fuzz.h"

enum reference_event {
	REFERENCE_MORE,    /* nothing is complete */
	REFERENCE_HEAD,    /* a data frame's head is complete: head[0..head_size) */
	REFERENCE_DATA,    /* a byte of data: plain */
	REFERENCE_CONTROL, /* a control frame is complete: opcode, control[0..n_control) */
	REFERENCE_ERROR,   /* a violation; from then on always */
};

struct reference {
	bool masked; /* every frame must be masked; otherwise none may be */
	uint8_t head[14];
	size_t have, head_size; /* bytes of the head; have is 0 between frames */
	bool fin, in_message, error;
	unsigned opcode;
	uint64_t length, left;
	uint8_t mask[4], plain, control[125];
	size_t n_control;
};

/* Returns the head's length, as far as the bytes so far determine it. */
PER_BYTE static inline size_t reference_head_size(const struct reference *r)
{
	const unsigned length = r->have < 2 ? 0 : r->head[1] & 0x7F;

	return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (r->masked ? 4 : 0);
}

/* True if no legal head begins with the bytes so far. */
PER_BYTE static inline bool reference_head_wrong(struct reference *r)
{
	const unsigned opcode = r->head[0] & 15, length7 = r->have < 2 ? 0 : r->head[1] & 0x7F;
	const size_t without_mask = reference_head_size(r) - (r->masked ? 4 : 0);

	if (r->head[0] & 0x70 || (opcode > 2 && opcode < 8) || opcode > 10 || (opcode >= 8 && !(r->head[0] & 0x80)))
		return true;
	if (r->have < 2)
		return false;
	if (!!(r->head[1] & 0x80) != r->masked || (opcode >= 8 && length7 > 125))
		return true;
	if (r->have < without_mask)
		return false;
	r->length = length7;
	if (length7 >= 126) {
		r->length = 0;
		for (size_t i = 2; i < without_mask; i++)
			r->length = r->length * 256 + r->head[i];
		if (r->length < (length7 == 126 ? 126 : 65536) || r->length >> 63)
			return true;
	}
	if (r->have < reference_head_size(r) || opcode >= 8)
		return false;
	return (opcode == 0) != r->in_message;
}

PER_BYTE static inline enum reference_event reference_byte(struct reference *r, uint8_t byte)
{
	if (r->error)
		return REFERENCE_ERROR;
	if (r->have > 0 && r->have == reference_head_size(r)) { /* payload */
		const bool data = r->opcode < 8;

		r->plain = r->masked ? byte ^ r->mask[(r->length - r->left) % 4] : byte;
		if (!data)
			r->control[r->n_control++] = r->plain;
		if (--r->left > 0)
			return data ? REFERENCE_DATA : REFERENCE_MORE;
		r->have = 0;
		return data ? REFERENCE_DATA : REFERENCE_CONTROL;
	}
	r->head[r->have++] = byte;
	r->error = reference_head_wrong(r);
	if (r->error)
		return REFERENCE_ERROR;
	if (r->have < 2 || r->have < reference_head_size(r))
		return REFERENCE_MORE;
	r->fin = r->head[0] & 0x80;
	r->opcode = r->head[0] & 15;
	r->left = r->length;
	r->n_control = 0;
	for (size_t i = 0; i < 4; i++)
		r->mask[i] = r->masked ? r->head[r->have - 4 + i] : 0;
	r->head_size = r->have;
	if (r->left == 0)
		r->have = 0;
	if (r->opcode >= 8)
		return r->left > 0 ? REFERENCE_MORE : REFERENCE_CONTROL;
	r->in_message = !r->fin;
	return REFERENCE_HEAD;
}

/* True when the bytes so far end inside a frame or its head. */
static inline bool reference_inside(const struct reference *r)
{
	return r->have > 0;
}

#endif
