/* SPDX-License-Identifier: Apache-2.0
 *
 * One direction's bytes between being read and being written. A framer holds one bounded buffer
 * that is read into and written from; it looks at frame headers only, takes control frames out,
 * and makes the client's frames fit for Proxmox, all in place. It is pure: memory in, memory out.
 *
 * What Proxmox needs (pve-http-server's AnyEvent.pm): every frame complete (FIN=1, never a
 * continuation), at most 131,072 bytes of payload; message boundaries mean nothing to it. So a
 * client's fragment goes on as a frame of its own, and a larger frame in pieces, cut at multiples
 * of 4 bytes so that the client's mask key stays right and no payload byte is touched.
 *
 *     buf   [ headroom | written | cleared for writing | not looked at yet | free ]
 *                                 ^out                  ^clear              ^in
 */
#ifndef PROXXY_FRAMER_H
#define PROXXY_FRAMER_H

#include "ws.h"

enum {
	FRAMER_BUFFER = 128 * 1024, /* bytes; eight full TLS records are gathered into one write, see bench/README.md */
	FRAMER_PIECE = 131072,     /* Proxmox's largest frame; a multiple of 4 */
	FRAMER_HEADROOM = 16,      /* room for a piece's header before the first byte read */
};

struct framer {
	enum ws_sender sender;
	bool in_message;     /* a fragment came, its message is not finished */
	bool stopped;        /* no further data frame begins: framer_stop() */
	bool discarding;     /* further data frames are dropped: framer_discard() */
	bool dropping;       /* one was dropped: the output stays at a boundary */
	bool broken;         /* a violation was found; bytes after it are ignored */
	uint64_t frame_left; /* payload bytes of the current data frame still to come */
	uint64_t piece_left; /* of those, how many belong to the current piece (client's frames) */
	uint8_t mask[4];     /* the current data frame's, for the headers of further pieces */
	uint64_t payload;    /* bytes of data payload cleared so far */
	uint64_t passed;     /* those of them that were written */
	uint64_t out_left;   /* payload bytes still to write of the frame at out */
	size_t out_head;     /* header bytes still to write before them */
	size_t out, clear, in;
	size_t whole; /* the end of the last cleared frame that is complete; of no use before out */
	uint8_t buf[FRAMER_HEADROOM + FRAMER_BUFFER];
};

enum { FRAMER_BLOCKED = 0, FRAMER_CONTROL = 1 };

/* Begins with an empty buffer, for frames that sender sends. */
void framer_init(struct framer *f, enum ws_sender sender);

/* Where to read into. *ret_size is 0 when the buffer is full until something is written. */
uint8_t *framer_space(struct framer *f, size_t *ret_size);

/* n bytes were put at framer_space(). */
void framer_filled(struct framer *f, size_t n);

/* Looks at what was read, and clears for writing what may go on.
 * Returns FRAMER_CONTROL when the next frame is a whole control frame: it is taken out and copied,
 * unmasked, to *ret_control; call again. That happens only when everything before it is written.
 * Returns FRAMER_BLOCKED when it needs more input, or needs the cleared bytes to be written first.
 * Returns ERR_CLIENT_PROTOCOL / ERR_UPSTREAM_PROTOCOL, once, with a static phrase in *ret_why. The
 * cleared bytes may still be written. */
int framer_scan(struct framer *f, struct ws_control *ret_control, const char **ret_why);

/* True if framer_scan() can make progress now, without more input and before any write. */
bool framer_can_scan(const struct framer *f);

/* The bytes that are cleared for writing; *ret_size may be 0. */
const uint8_t *framer_cleared(const struct framer *f, size_t *ret_size);

/* n of the cleared bytes were written. */
void framer_written(struct framer *f, size_t n);

/* Drops the cleared bytes: they stay counted in payload, but not in passed. */
void framer_forget(struct framer *f);

/* True when what was written ends with a whole frame: a frame of our own may go between. */
bool framer_at_boundary(const struct framer *f);

/* Returns how many of the cleared bytes to write up to the end of the last complete frame: a frame of
 * our own may follow. 0 if no frame ends in them, and after framer_stop() and framer_discard(): then a
 * Close is waiting, which must not overtake data. */
size_t framer_whole(const struct framer *f);

/* True when the sender's bytes so far end inside a frame or its header. */
bool framer_inside_frame(const struct framer *f);

/* True when the buffer holds nothing: all that was read is written. */
bool framer_is_empty(const struct framer *f);

/* From now on a frame that has begun may finish, and none begins. */
void framer_stop(struct framer *f);

/* From now on drops data, except the cleared bytes and the rest of the last frame (of a large
 * frame: of its piece). So the output to Proxmox ends at a boundary. Control frames are still taken
 * out. */
void framer_discard(struct framer *f);

#endif
