/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction of a session: its source, its destination, the frames between them, and frames of
 * our own that wait for a frame boundary. It only moves bytes; relay.c decides what they mean.
 */
#ifndef PROXXY_DIRECTION_H
#define PROXXY_DIRECTION_H

#include "lib/io.h"
#include "session/framer.h"

enum {
	DIRECTION_QUEUE = 1024, /* bytes of our own waiting frames: at least six full Pongs and a Close */
	DIRECTION_READS = 256,  /* reads (TLS records) before frames are scanned; saves time if small */
};

struct direction {
	struct endpoint *from, *to;
	struct framer framer;
	bool ended;     /* from will send nothing more */
	bool broke;     /* and it did not end in order */
	bool lost;      /* to accepts nothing more */
	/* Since the last look at the clock: from sent something, to accepted something, data was
	 * relayed. */
	bool heard, told, moved;
	/* Whole frames of our own, [sent..queued), for the next boundary. [sent..begun) was already
	 * offered to the socket: these bytes must be retried first and unchanged (SSL_write's
	 * rule). [begun..queued) waits behind the data before it: a Close must not overtake
	 * data. */
	uint8_t queue[DIRECTION_QUEUE];
	size_t sent, begun, queued;
	/* So many bytes of data were offered to the socket: no frame of ours goes before their end. */
	size_t offered;
	size_t own; /* bytes of our own frames that were written after the last data */
};

/* Starts empty, for frames that sender sends. */
void direction_init(struct direction *d, enum ws_sender sender, struct endpoint *from, struct endpoint *to);

/* True if a Ping or Pong fits into the queue. Room for a Close is always kept. */
bool direction_has_room(const struct direction *d);

/* Queues a control frame for the next boundary. Drops it if nothing can be sent any more. */
void direction_queue(struct direction *d, enum ws_opcode opcode, const void *payload, size_t length);

/* Reads what is there, as far as the buffer has room. */
void direction_fill(struct direction *d);

/* Writes the cleared bytes, and the queued frames at the next boundary: in a flood, the cleared bytes
 * may never end with one. Returns true if nothing is left. */
bool direction_flush(struct direction *d);

/* True while there are bytes to write to "to". */
bool direction_wants_write(const struct direction *d);

/* True while "from" may still send, and the buffer has room. */
bool direction_wants_read(struct direction *d);

/* Nothing can be written any more: drops everything that waits. */
void direction_lose(struct direction *d);

#endif
