/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves bytes in one direction of a session: reads frames from one peer, and writes what the framer
 * made ready, and frames of our own at frame boundaries, to the other. relay.c handles the frames.
 *
 *     fill   read from "from" into the framer's buffer
 *     flush  write the framer's ready bytes, and the queued frames, to "to"
 */
#ifndef PROXXY_DIRECTION_H
#define PROXXY_DIRECTION_H

#include "lib/io.h"
#include "session/framer.h"

enum {
	DIRECTION_QUEUE = 1024, /* bytes of frames of our own that wait: at least six full Pongs and a Close */
	DIRECTION_READS = 256,  /* reads in one fill: each returns at most one TLS record */
};

struct direction {
	struct endpoint *from, *to;
	bool ended; /* "from" will send nothing more */
	bool broke; /* its connection broke: it ended without FIN or close_notify */
	bool lost;  /* "to" accepts nothing more */
	/* Since relay_time.c last cleared them: */
	bool did_read;  /* "from" sent something */
	bool did_write; /* "to" accepted something */
	bool did_relay; /* "to" accepted bytes of the framer's, not only frames of our own */
	/* Complete frames of our own, [sent..queued). A write of [sent..retry_end) has begun: it
	 * must be retried first and with the same bytes (SSL_write(3)). [retry_end..queued) waits
	 * for a frame boundary, and for all data before it: a Close must not overtake data. */
	uint8_t queue[DIRECTION_QUEUE];
	size_t sent, retry_end, queued;
	/* A write of so many ready bytes has begun: a frame of our own goes behind them. */
	size_t offered;
	size_t own_at_end;    /* bytes of frames of our own that were written after the last data */
	struct framer framer; /* last: what is used in a session without data is on the same page */
};

/* Makes d empty, for frames that sender sends. Neither endpoint is owned; they may be connected
 * later. */
void direction_init(struct direction *d, enum ws_sender sender, struct endpoint *from, struct endpoint *to);

/* True if a Ping or Pong fits into the queue, with room left for a Close. */
bool direction_has_room(const struct direction *d);

/* Queues a control frame with payload[0..length), at most WS_CONTROL_MAX bytes, masked if it goes
 * to Proxmox. The queue must have room. Drops the frame if d is lost or there is no randomness for
 * the mask. */
void direction_queue(struct direction *d, enum ws_opcode opcode, const void *payload, size_t length);

/* Reads what "from" sent, until the buffer is full or DIRECTION_READS is reached. */
void direction_fill(struct direction *d);

/* Writes the ready bytes, and the queued frames at the next frame boundary. Returns true if nothing
 * is left that could be written: then frames may still wait for a boundary. */
bool direction_flush(struct direction *d);

/* True if there are bytes that could be written as soon as "to" has room. */
bool direction_wants_write(const struct direction *d);

/* True if "from" may send more and the buffer has room. */
bool direction_wants_read(struct direction *d);

/* Marks d as lost, and drops everything that waits to be written. */
void direction_lose(struct direction *d);

#endif
