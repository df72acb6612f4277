/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction of a session: what it reads from, what it writes to, the frames between, and frames of our own that wait
 * for a boundary. It moves bytes; what they mean to the session is relay.c's.
 */
#ifndef PROXXY_DIRECTION_H
#define PROXXY_DIRECTION_H

#include "framer.h"
#include "io.h"

enum {
	DIRECTION_QUEUE = 1024, /* bytes of our own frames that wait for a boundary: seven full Pongs */
	DIRECTION_READS = 256,  /* TLS records that are gathered before they are looked at; small ones take most time */
};

struct direction {
	struct endpoint *from, *to;
	struct framer framer;
	bool ended;     /* from will give nothing more, */
	bool broke;     /* and that not in order */
	bool lost;      /* to takes nothing more */
	/* Since the clock was last looked at: from said something, to took something, data went through. */
	bool heard, told, moved;
	/* Whole frames of our own, [sent..queued), that go out at the next boundary. A write of those before begun was
	 * tried: they come before anything else, as TLS wants the same bytes again. Those behind wait for data as ever:
	 * a Close must not overtake it. */
	uint8_t queue[DIRECTION_QUEUE];
	size_t sent, begun, queued;
};

/* Begins with nothing, for frames that sender sends. */
void direction_init(struct direction *d, enum ws_sender sender, struct endpoint *from, struct endpoint *to);

/* True when a Ping or Pong may be queued: the last place is kept for the Close. */
bool direction_has_room(const struct direction *d);

/* Queues a control frame for the next boundary. One that can never leave is forgotten. */
void direction_queue(struct direction *d, enum ws_opcode opcode, const void *payload, size_t length);

/* Reads what there is, as far as there is room. */
void direction_fill(struct direction *d);

/* Writes what is cleared, and at a boundary what is queued. Returns true when nothing is left. */
bool direction_flush(struct direction *d);

/* True while there are bytes that to must take. */
bool direction_wants_write(const struct direction *d);

/* True while there is room for bytes that from may still give. */
bool direction_wants_read(struct direction *d);

/* Nothing can be written any more: forgets all that waits to be. */
void direction_lose(struct direction *d);

#endif
