/* SPDX-License-Identifier: Apache-2.0
 *
 * What the benchmark's programs share: the pattern that every byte is compared with, a connection
 * with or without TLS that buffers its writes, and the order that a client gives its upstream. The
 * functions exit at the first error, because a benchmark with errors measures nothing.
 */
#ifndef PROXXY_BENCH_PEER_H
#define PROXXY_BENCH_PEER_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PATTERN_PERIOD = 1048573,  /* bytes; a prime, so that no buffer or frame is a multiple of it */
	PEER_IN = 256 * 1024,      /* bytes read and not processed yet */
	PEER_OUT = 320 * 1024,     /* bytes ready to be written */
	PEER_GATHERED = 64 * 1024, /* generate no more while so many bytes wait to be written */
	ORDER_LEN = 32,            /* bytes of an order, padded with spaces */
	BANNER_LEN = 12,           /* bytes that an upstream sends first: "RFB 003.008\n" */
	ACK_LEN = 4,               /* bytes that it sends when it has received everything: "done" */
	CHALLENGE_LEN = 16,        /* bytes of VNC Authentication's challenge, and of the response */
	SERVER_INIT_LEN = 30,      /* bytes of a ServerInit with a name of 6 */
	VNC_PORT = 5901,           /* the console on this port has a VNC handshake, that on 5900 a banner only */
};

extern const char peer_banner[BANNER_LEN + 1], peer_ack[ACK_LEN + 1];
extern const char peer_challenge[CHALLENGE_LEN + 1], peer_server_init[SERVER_INIT_LEN + 1];

/* Prints to standard error and exits with 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Nanoseconds on CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* The pattern is PATTERN_PERIOD bytes that repeat without end. Returns a pointer to the pattern at
 * offset, from which at least PEER_IN bytes may be read. */
const uint8_t *pattern_at(uint64_t offset);

/* Exits with an error unless bytes[0..n) are the pattern's from offset on. */
void pattern_check(const uint8_t *bytes, size_t n, uint64_t offset);

struct peer {
	int fd;
	SSL *tls;         /* NULL without TLS */
	BIO *records;     /* TLS's records that are to be written */
	bool established; /* with TLS: the handshake is complete */
	bool ended;       /* the peer sends nothing more */
	uint8_t *in;      /* PEER_IN bytes, in_len of them filled */
	size_t in_len;
	uint8_t *out; /* PEER_OUT bytes, of which out_at to out_len are to be written */
	size_t out_at, out_len;
};

/* Takes over a non-blocking socket. tls is NULL for a connection without TLS. Exits if memory is
 * exhausted. */
void peer_begin(struct peer *p, int fd, SSL_CTX *tls, bool server);
void peer_end(struct peer *p);

/* Reads what has arrived, up to the buffer's size. Sets ended at the end. Returns false if nothing
 * was read. */
bool peer_read(struct peer *p);

/* True if TLS holds decrypted data, which epoll does not report. */
bool peer_has_more(const struct peer *p);

/* Removes the first n bytes of what was read. */
void peer_taken(struct peer *p, size_t n);

/* Adds bytes to be written. */
void peer_say(struct peer *p, const void *bytes, size_t n);

/* Bytes that are to be written. */
size_t peer_pending(const struct peer *p);

/* Writes what the socket accepts. Returns true when everything is written. */
bool peer_flush(struct peer *p);

/* XORs with a frame's mask key, as ws_mask(), but eight bytes at a time. */
void peer_mask(uint8_t *bytes, size_t n, const uint8_t key[4]);

/* Adds a frame's header, and n bytes of the pattern from offset on as its payload. Masks them for a
 * server. */
void peer_say_pattern(struct peer *p, bool to_server, size_t n, uint64_t offset);

/* Adds a binary frame. */
void peer_say_frame(struct peer *p, bool to_server, const void *bytes, size_t n);

/* Connects (non-blocking) to an address "127.0.0.1:PORT" (IPv4 only), or listens on it. Exits on
 * errors. */
int peer_connect(const char *address);
int peer_listen(const char *address);

#endif
