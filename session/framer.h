/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns the frames that one side sent into the frames that the other side gets, in one bounded
 * buffer per direction. Parses frame headers, takes control frames out, and changes the client's
 * frames as Proxmox needs them, in place. Works on memory only: no I/O, no logging.
 *
 * What Proxmox needs (pve-http-server's AnyEvent.pm): each frame complete (FIN set, no continuation
 * frames), with at most 131,072 bytes of payload. It ignores message boundaries. So each fragment
 * of the client's becomes a frame of its own, and a larger frame becomes several pieces. They are
 * cut at multiples of 4 bytes, so that the client's mask key fits each piece and no payload byte
 * changes.
 *
 *     buf   [ headroom | written | ready to write | not scanned yet | free ]
 *                                 ^out             ^scanned          ^in
 */
#ifndef PROXXY_FRAMER_H
#define PROXXY_FRAMER_H

#include "ws.h"

enum {
	FRAMER_BUFFER = 128 * 1024, /* bytes; one write takes eight full TLS records, see bench/README.md */
	FRAMER_PIECE = 131072,      /* bytes of Proxmox's largest frame; a multiple of 4 */
	FRAMER_HEADROOM = 16,       /* bytes for a piece's header before the first byte read */
};

struct framer {
	enum ws_sender sender;
	bool in_message;         /* a fragment came whose message is not finished */
	bool stopped;            /* framer_stop(): no further data frame begins */
	bool discarding;         /* framer_discard(): further data frames are dropped */
	bool dropping;           /* a data frame was dropped: the output stays at a frame boundary */
	bool broken;             /* the sender broke the protocol: bytes after that are ignored */
	uint64_t frame_left;     /* payload bytes of the current data frame that are still to be scanned */
	uint64_t piece_left;     /* of these, the bytes that belong to the current piece */
	uint8_t mask[4];         /* the current data frame's mask key, for the headers of further pieces */
	uint64_t payload;        /* payload bytes of data frames that were made ready to write */
	uint64_t passed;         /* of these, the bytes that were written */
	uint64_t out_left;       /* payload bytes, not yet written, of the frame at out */
	size_t out_head;         /* header bytes, not yet written, of the frame at out */
	size_t out, scanned, in; /* offsets in buf, see above */
	size_t complete;         /* the end of the last ready frame that is complete; unused if it is before out */
	uint8_t buf[FRAMER_HEADROOM + FRAMER_BUFFER];
};

/* Results of framer_scan() and framer_take() that are not errors. */
enum { FRAMER_BLOCKED = 0, FRAMER_CONTROL = 1, FRAMER_TAKEN = 2, FRAMER_CLOSE = 3 };

/* Starts with an empty buffer, for frames that sender sends. */
void framer_init(struct framer *f, enum ws_sender sender);

/* Returns where to read input to. *ret_size is how many bytes have room: 0 until something is
 * written. */
uint8_t *framer_space(struct framer *f, size_t *ret_size);

/* Reports that n bytes of input were read to framer_space(). */
void framer_filled(struct framer *f, size_t n);

/* Scans the input, and makes what the other side should get ready to write.
 * Returns FRAMER_CONTROL if it took a control frame out, unmasked, to *ret_control: handle it, then
 * call again. It takes one out only when everything before it is written.
 * Returns FRAMER_BLOCKED if it needs more input, or needs the ready bytes to be written first.
 * Returns ERR_CLIENT_PROTOCOL or ERR_UPSTREAM_PROTOCOL once, with a static phrase in *ret_why, if
 * the sender broke the protocol. The bytes that are ready by then may still be written. */
int framer_scan(struct framer *f, struct ws_control *ret_control, const char **ret_why);

/* Takes 1 to size payload bytes of the next data frame off the input, unmasked, for a login before
 * the relay. Call it only before the first framer_scan(), which then goes on behind these bytes:
 * the rest of the frame becomes a frame of its own.
 * Returns FRAMER_TAKEN with their count in *ret_taken, FRAMER_CONTROL as framer_scan() does,
 * FRAMER_CLOSE if a complete Close is next, which stays in the input, FRAMER_BLOCKED if it needs
 * more input, or an error as framer_scan() does. A server must not send fragments during a login:
 * their continuation frames would reach the client. */
int framer_take(struct framer *f, uint8_t *payload, size_t size, size_t *ret_taken, struct ws_control *ret_control,
		const char **ret_why);

/* True if framer_scan() can make progress now, without more input and before anything is
 * written. */
bool framer_can_scan(const struct framer *f);

/* Returns the bytes that are ready to write; *ret_size is how many, and may be 0. */
const uint8_t *framer_ready(const struct framer *f, size_t *ret_size);

/* Returns how many bytes are ready to write. */
size_t framer_ready_size(const struct framer *f);

/* Reports that n of the ready bytes were written. */
void framer_written(struct framer *f, size_t n);

/* Drops the ready bytes: they stay counted in payload, but not in passed. */
void framer_drop_ready(struct framer *f);

/* True if the written bytes end with a complete frame, so that a frame of our own may follow. */
bool framer_at_boundary(const struct framer *f);

/* Returns how many ready bytes there are up to the end of the last complete frame: a frame of our
 * own may follow them. 0 if no frame ends in the ready bytes, and after framer_stop() and
 * framer_discard(): then a Close is waiting, which must not overtake data. */
size_t framer_complete(const struct framer *f);

/* True if the bytes read so far end inside a frame or its header. */
bool framer_inside_frame(const struct framer *f);

/* True if the buffer is empty: everything read is written. */
bool framer_is_empty(const struct framer *f);

/* From now on lets the current data frame finish, and begins no other. */
void framer_stop(struct framer *f);

/* From now on drops data, except the ready bytes and the rest of the current data frame (of its
 * piece, if it is large), so that the output ends at a frame boundary. Control frames are still
 * taken out. */
void framer_discard(struct framer *f);

#endif
