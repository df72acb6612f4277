/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads from one peer into a framer, and writes the framer's bytes and queued control frames to the
 * other. relay.c drives one of these for each direction.
 */
#include "session/direction.h"

#include <openssl/rand.h>

void direction_init(struct direction *d, enum ws_sender sender, struct endpoint *from, struct endpoint *to)
{
	/* No memset of the whole struct: the buffers' pages are allocated when they are first
	 * used. */
	framer_init(&d->framer, sender);
	d->from = from;
	d->to = to;
	d->ended = d->broke = d->lost = d->did_read = d->did_write = d->did_relay = false;
	d->sent = d->retry_end = d->queued = d->offered = d->own_at_end = 0;
}

bool direction_has_room(const struct direction *d)
{
	return sizeof(d->queue) - d->queued >= 2 * WS_CONTROL_FRAME_MAX;
}

void direction_queue(struct direction *d, enum ws_opcode opcode, const void *payload, size_t length)
{
	uint8_t mask[4];
	const bool to_server = d->framer.sender == WS_FROM_CLIENT;

	if (d->lost || (to_server && RAND_bytes(mask, sizeof(mask)) != 1))
		return;
	d->queued += ws_write_control(d->queue + d->queued, opcode, payload, length, to_server ? mask : NULL);
}

void direction_lose(struct direction *d)
{
	d->lost = true;
	d->sent = d->retry_end = d->queued = d->offered = 0;
	framer_drop_ready(&d->framer);
}

void direction_fill(struct direction *d)
{
	size_t size;
	uint8_t *space;

	/* Read several TLS records before one large write. */
	for (int i = 0; i < DIRECTION_READS; i++) {
		ssize_t n;

		space = framer_space(&d->framer, &size);
		if (d->ended || !d->from->readable || size == 0)
			return;
		n = io_read(d->from, space, size);
		if (n > 0) {
			framer_filled(&d->framer, (size_t)n);
			d->did_read = true;
		} else if (n != IO_AGAIN) {
			d->ended = true;
			d->broke = n == IO_BROKEN;
		}
	}
}

/* Writes bytes[0..size). Returns how many; fewer if "to" has no room or is lost. */
static size_t write_some(struct direction *d, const uint8_t *bytes, size_t size)
{
	size_t written = 0;

	while (written < size && d->to->writable && !d->lost) {
		ssize_t n = io_write(d->to, bytes + written, size - written);

		if (n == IO_BROKEN) /* the peer's last data, and how it ended, may still be read */
			d->lost = true;
		else if (n == IO_AGAIN)
			break;
		else
			written += (size_t)n;
	}
	d->did_write |= written > 0;
	return written;
}

/* Writes the queue up to end. Returns true if all of it is written. */
static bool flush_queue(struct direction *d, size_t end)
{
	size_t written;

	if (d->sent >= end)
		return true;
	d->retry_end = end;
	written = write_some(d, d->queue + d->sent, end - d->sent);
	d->sent += written;
	d->own_at_end += written;
	if (d->sent < end)
		return false;
	if (d->sent == d->queued)
		d->sent = d->retry_end = d->queued = 0;
	return true;
}

/* Writes size of the ready bytes. Returns true if all of them are written. */
static bool flush_data(struct direction *d, size_t size)
{
	const bool offer = d->to->writable;
	size_t written, ready;

	if (size == 0)
		return true;
	written = write_some(d, framer_ready(&d->framer, &ready), size);
	framer_written(&d->framer, written);
	if (written > 0) {
		d->did_relay = true;
		d->own_at_end = 0;
		d->offered -= written < d->offered ? written : d->offered;
	}
	if (offer && written < size)
		d->offered = size - written;
	return written == size;
}

bool direction_flush(struct direction *d)
{
	const size_t complete = framer_complete(&d->framer);
	bool done = flush_queue(d, d->retry_end);

	/* In a flood the ready bytes may never end with a frame. Then frames of our own follow the
	 * last complete one. */
	if (done && d->sent < d->queued && complete > 0 && complete >= d->offered)
		done = flush_data(d, complete) && flush_queue(d, d->queued);
	done = done && flush_data(d, framer_ready_size(&d->framer));
	if (done && framer_at_boundary(&d->framer))
		done = flush_queue(d, d->queued);
	if (d->lost)
		direction_lose(d);
	return done || d->lost;
}

bool direction_wants_write(const struct direction *d)
{
	return !d->lost && (framer_ready_size(&d->framer) > 0 || d->sent < d->retry_end ||
			    (d->sent < d->queued && framer_at_boundary(&d->framer)));
}

bool direction_wants_read(struct direction *d)
{
	size_t space;

	framer_space(&d->framer, &space);
	return !d->ended && space > 0;
}
