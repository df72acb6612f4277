/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 6455: the accept key, frame headers, control frames and close codes. Everything here is
 * pure: it works on (buffer, length), does no I/O and never logs.
 */
#ifndef PROXXY_WS_H
#define PROXXY_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WS_KEY_LEN = 24,     /* Sec-WebSocket-Key: 16 bytes in base64 (section 4.1) */
	WS_ACCEPT_LEN = 28,  /* Sec-WebSocket-Accept: a SHA-1 in base64 (section 4.2.2) */
	WS_HEADER_MAX = 14,  /* 2 + 8 bytes of length + 4 of mask key (section 5.2) */
	WS_CONTROL_MAX = 125, /* payload of a control frame (section 5.5) */
	WS_REASON_MAX = WS_CONTROL_MAX - 2, /* a Close's reason, after its code (section 5.5.1) */
	WS_CONTROL_FRAME_MAX = WS_CONTROL_MAX + 6, /* a whole control frame, masked */
};

/* Section 11.8. */
enum ws_opcode {
	WS_CONTINUATION = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xA,
};

/* Who sent a frame: a client masks, a server must not (section 5.1). */
enum ws_sender { WS_FROM_CLIENT, WS_FROM_SERVER };

struct ws_header {
	bool fin;
	enum ws_opcode opcode;
	uint64_t length; /* of the payload, bytes */
	bool masked;
	uint8_t mask[4]; /* when masked */
};

struct ws_control {
	enum ws_opcode opcode;
	size_t length; /* bytes of payload, <= WS_CONTROL_MAX */
	uint8_t payload[WS_CONTROL_MAX]; /* unmasked */
};

/* True when key[0..len) is a Sec-WebSocket-Key: the base64 of 16 bytes. */
bool ws_key_valid(const char *key, size_t len);

/* Makes a fresh Sec-WebSocket-Key with its terminating NUL. Returns 0, or ERR_SYSTEM when there
 * is no randomness. */
int ws_key_make(char ret_key[WS_KEY_LEN + 1]);

/* The Sec-WebSocket-Accept that answers key (section 4.2.2, item 5.4), with its terminating NUL.
 * key must be valid. Returns 0, or ERR_SYSTEM when SHA-1 is not to be had. */
int ws_accept(const char *key, char ret_accept[WS_ACCEPT_LEN + 1]);

/* Reads one frame header from buf[0..len), as sent by sender, and checks all of section 5.2 that
 * one header shows: reserved bits, opcode, masking, shortest length encoding, 63-bit length, and
 * that a control frame is whole and small.
 * Returns the header's size in bytes (2 to 14), 0 when more bytes are needed, or
 * ERR_CLIENT_PROTOCOL / ERR_UPSTREAM_PROTOCOL by sender, *ret_why then being a static phrase. */
int ws_parse_header(const uint8_t *buf, size_t len, enum ws_sender sender, struct ws_header *ret_header,
		    const char **ret_why);

/* Writes header's shortest encoding to buf (WS_HEADER_MAX bytes of room). Returns its size. */
size_t ws_write_header(uint8_t *buf, const struct ws_header *header);

/* How many bytes ws_write_header() will write. */
size_t ws_header_size(const struct ws_header *header);

/* Writes a whole control frame to buf (WS_CONTROL_FRAME_MAX bytes of room), masked with mask when
 * that is not NULL. length <= WS_CONTROL_MAX. Returns the frame's size. */
size_t ws_write_control(uint8_t *buf, enum ws_opcode opcode, const void *payload, size_t length,
			const uint8_t *mask);

/* Applies the mask key to data, whose first byte is the payload's first (section 5.3). */
void ws_mask(uint8_t *data, size_t len, const uint8_t mask[4]);

/* Writes a Close's payload: code in network order and as much of the UTF-8 string reason as fits,
 * never half a character. buf has WS_CONTROL_MAX bytes of room. Returns the size. */
size_t ws_write_close(uint8_t *buf, int code, const char *reason);

/* Reads the payload of a Close that sender sent (section 5.5.1). On success *ret_code is the close
 * code, 0 when the payload is empty, and ret_reason the reason, NUL-terminated, with controls
 * replaced by '?'. Returns 0; ERR_CLIENT_PROTOCOL / ERR_UPSTREAM_PROTOCOL for one byte or a code that must not be
 * sent (section 7.4); ERR_CLIENT_UTF8 / ERR_UPSTREAM_PROTOCOL for a reason that is not UTF-8. */
int ws_parse_close(const struct ws_control *close, enum ws_sender sender, int *ret_code,
		   char ret_reason[WS_REASON_MAX + 1]);

/* True when data is well-formed UTF-8 (RFC 3629). */
bool ws_utf8_valid(const uint8_t *data, size_t len);

#endif
