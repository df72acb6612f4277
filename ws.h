/* SPDX-License-Identifier: Apache-2.0
 *
 * The WebSocket protocol, RFC 6455: reads and writes handshake keys, frame headers, control frames
 * and Close payloads. Section numbers below are those of RFC 6455. Pure: does no I/O, never logs.
 */
#ifndef PROXXY_WS_H
#define PROXXY_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WS_KEY_LEN = 24,                           /* Sec-WebSocket-Key: 16 bytes in base64 (section 4.1) */
	WS_ACCEPT_LEN = 28,                        /* Sec-WebSocket-Accept: a SHA-1 in base64 (section 4.2.2) */
	WS_HEADER_MAX = 14,                        /* 2 + 8 bytes of length + 4 of mask key (section 5.2) */
	WS_CONTROL_MAX = 125,                      /* payload of a control frame (section 5.5) */
	WS_REASON_MAX = WS_CONTROL_MAX - 2,        /* a Close's reason, after its code (section 5.5.1) */
	WS_CONTROL_FRAME_MAX = WS_CONTROL_MAX + 6, /* a masked control frame with its header */
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
	size_t length;                   /* bytes of payload, <= WS_CONTROL_MAX */
	uint8_t payload[WS_CONTROL_MAX]; /* unmasked */
};

/* Returns true if key[0..len) is a Sec-WebSocket-Key: the base64 of 16 bytes (section 4.1). */
bool ws_key_valid(const char *key, size_t len);

/* Makes a random Sec-WebSocket-Key, NUL-terminated. Returns 0, or ERR_SYSTEM if OpenSSL has no
 * random bytes. */
int ws_key_make(char ret_key[WS_KEY_LEN + 1]);

/* Computes the Sec-WebSocket-Accept for key (section 4.2.2, item 5.4), NUL-terminated. key must be
 * valid: ws_key_valid(). Returns 0, or ERR_SYSTEM if OpenSSL does not offer SHA-1. */
int ws_accept(const char *key, char ret_accept[WS_ACCEPT_LEN + 1]);

/* Parses the frame header at the start of buf[0..len), which sender sent. Checks every rule of
 * section 5.2 that concerns one header: reserved bits, opcode, masking, shortest encoding of the
 * length, at most 63 bits of length, and that a control frame is not fragmented and has at most 125
 * bytes.
 * Returns the header's size in bytes (2 to 14), or 0 if it needs more bytes. If sender broke a
 * rule, returns ERR_CLIENT_PROTOCOL or ERR_UPSTREAM_PROTOCOL and sets *ret_why to a static
 * phrase. */
int ws_parse_header(const uint8_t *buf, size_t len, enum ws_sender sender, struct ws_header *ret_header,
		    const char **ret_why);

/* Writes header to buf, which has room for WS_HEADER_MAX bytes. Uses the shortest encoding of the
 * length. Returns the size in bytes. */
size_t ws_write_header(uint8_t *buf, const struct ws_header *header);

/* Returns how many bytes ws_write_header() will write. */
size_t ws_header_size(const struct ws_header *header);

/* Writes a control frame to buf, which has room for WS_CONTROL_FRAME_MAX bytes. length is at most
 * WS_CONTROL_MAX. The frame is masked with mask (4 bytes) unless mask is NULL. Returns its size. */
size_t ws_write_control(uint8_t *buf, enum ws_opcode opcode, const void *payload, size_t length, const uint8_t *mask);

/* Masks or unmasks data in place (section 5.3). data[0] must be the first byte of a payload, or a
 * multiple of 4 bytes after it. */
void ws_mask(uint8_t *data, size_t len, const uint8_t mask[4]);

/* Writes the payload of a Close frame (section 5.5.1) to buf, which has room for WS_CONTROL_MAX
 * bytes: code, then reason, a UTF-8 string. If reason is too long, it is cut off between two
 * characters.
 * Returns the size in bytes. */
size_t ws_write_close(uint8_t *buf, int code, const char *reason);

/* Parses the payload of a Close frame that sender sent (section 5.5.1). Sets *ret_code to the close
 * code, or 0 if the payload is empty. Copies the reason to ret_reason, NUL-terminated, with '?' in
 * place of each control character.
 * Returns 0. If the payload has one byte, or a code that must not be sent (section 7.4), returns
 * ERR_CLIENT_PROTOCOL or ERR_UPSTREAM_PROTOCOL. If the reason is not UTF-8, returns ERR_CLIENT_UTF8
 * or ERR_UPSTREAM_PROTOCOL. */
int ws_parse_close(const struct ws_control *close, enum ws_sender sender, int *ret_code,
		   char ret_reason[WS_REASON_MAX + 1]);

/* Returns true if data[0..len) is well-formed UTF-8 (RFC 3629). */
bool ws_utf8_valid(const uint8_t *data, size_t len);

#endif
