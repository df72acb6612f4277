/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves bytes in one direction, see direction.h.
 */
#include "session/direction.h"

#include <openssl/rand.h>

void direction_init(struct direction *d, enum ws_sender sender, struct endpoint *from, struct endpoint *to)
{
	/* No memset of the whole struct: untouched pages of the buffers are never allocated. */
	framer_init(&d->framer, sender);
	d->from = from;
	d->to = to;
	d->ended = d->broke = d->lost = d->heard = d->told = d->moved = false;
	d->sent = d->begun = d->queued = d->offered = d->own = 0;
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
	d->sent = d->begun = d->queued = d->offered = 0;
	framer_forget(&d->framer);
}

void direction_fill(struct direction *d)
{
	size_t size;
	uint8_t *space;

	/* Read until the buffer is full: several TLS records make one large write. */
	for (int i = 0; i < DIRECTION_READS; i++) {
		ssize_t n;

		space = framer_space(&d->framer, &size);
		if (d->ended || !d->from->readable || size == 0)
			return;
		n = io_read(d->from, space, size);
		if (n > 0) {
			framer_filled(&d->framer, (size_t)n);
			d->heard = true;
		} else if (n != IO_AGAIN) {
			d->ended = true;
			d->broke = n == IO_BROKEN;
		}
	}
}

/* Writes bytes[0..size). Returns how many; fewer if the other side blocks or is lost. */
static size_t drain(struct direction *d, const uint8_t *bytes, size_t size)
{
	size_t written = 0;

	while (written < size && d->to->writable && !d->lost) {
		ssize_t n = io_write(d->to, bytes + written, size - written);

		if (n == IO_BROKEN) /* keep reading: the peer's last data, and how it ended, may follow */
			d->lost = true;
		else if (n == IO_AGAIN)
			break;
		else
			written += (size_t)n;
	}
	d->told |= written > 0;
	return written;
}

/* Writes the queue up to end. Returns true if all of it is written. */
static bool drain_queue(struct direction *d, size_t end)
{
	size_t written;

	d->begun = end;
	written = drain(d, d->queue + d->sent, end - d->sent);
	d->sent += written;
	d->own += written;
	if (d->sent < end)
		return false;
	if (d->sent == d->queued)
		d->sent = d->begun = d->queued = 0;
	return true;
}

/* Writes size of the cleared bytes. Returns true if all of them are written. */
static bool drain_data(struct direction *d, size_t size)
{
	const bool offer = d->to->writable;
	size_t written, cleared;

	written = drain(d, framer_cleared(&d->framer, &cleared), size);
	framer_written(&d->framer, written);
	if (written > 0) {
		d->moved = true;
		d->own = 0;
		d->offered -= written < d->offered ? written : d->offered;
	}
	if (offer && written < size)
		d->offered = size - written;
	return written == size;
}

bool direction_flush(struct direction *d)
{
	size_t size = framer_whole(&d->framer);

	if (d->sent < d->begun && !d->lost && !drain_queue(d, d->begun) && !d->lost)
		return false;
	/* In a flood, all that is cleared may never end with a frame: the last one that ends is enough. */
	if (d->sent < d->queued && size > 0 && size >= d->offered && !d->lost &&
	    !(drain_data(d, size) && drain_queue(d, d->queued)) && !d->lost)
		return false;
	framer_cleared(&d->framer, &size);
	if (size > 0 && !d->lost && !drain_data(d, size) && !d->lost)
		return false;
	if (!d->lost && !framer_at_boundary(&d->framer))
		return true;
	if (d->sent < d->queued && !d->lost && !drain_queue(d, d->queued) && !d->lost)
		return false;
	if (d->lost)
		direction_lose(d);
	d->sent = d->queued = d->begun = 0;
	return true;
}

bool direction_wants_write(const struct direction *d)
{
	size_t left;

	framer_cleared(&d->framer, &left);
	return !d->lost && (left > 0 || d->sent < d->begun || (d->sent < d->queued && framer_at_boundary(&d->framer)));
}

bool direction_wants_read(struct direction *d)
{
	size_t space;

	framer_space(&d->framer, &space);
	return !d->ended && space > 0;
}
