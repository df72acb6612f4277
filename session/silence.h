/* SPDX-License-Identifier: Apache-2.0
 *
 * Distinguishes a peer that vanished without FIN or RST (a cable, a VPN, a host) from a peer that does
 * not read. If a peer does not read, its kernel still acknowledges data while it has room, and then
 * answers zero-window probes. If it vanished, nothing is acknowledged. TCP_INFO shows both.
 */
#ifndef PROXXY_SILENCE_H
#define PROXXY_SILENCE_H

#include "lib/io.h"

enum {
	SILENCE_STEP_MS = 5000,   /* between two looks, while data is unacknowledged */
	SILENCE_GONE_MS = 45000,  /* without acknowledgement: the peer is gone; plus a step, under a minute */
	SILENCE_KEEPALIVE_MS = (IO_KEEPALIVE_IDLE_S + IO_KEEPALIVE_PROBES * IO_KEEPALIVE_INTERVAL_S) * 1000,
	SILENCE_PAUSE_MS = 15 * 60 * 1000, /* a peer that acknowledges but accepts no data is given up */
};

struct silence {
	int64_t look_at; /* when to look again; INT64_MAX while nothing is unacknowledged */
	int64_t since;   /* the first look that found nothing acknowledged since, or -1 */
	size_t left;     /* unacknowledged bytes at the last look */
	int64_t moved;   /* when left last changed */
};

void silence_init(struct silence *s);

/* True if data from e's peer arrived after since (io_now()'s clock). Data that arrived before it, and
 * was read only now, does not show that the peer is still there. Always true for a socket that is not
 * TCP. */
bool silence_received_since(const struct endpoint *e, int64_t since);

/* Call this whenever the session looks at the clock. told: something was written to e since then,
 * or is waiting. step: milliseconds between two looks at the socket. Returns NULL, or a static
 * phrase if e's peer is given up: it acknowledged nothing for gone milliseconds and a step, sent
 * nothing for SILENCE_KEEPALIVE_MS although an answer is due, or accepted no data for
 * SILENCE_PAUSE_MS. Always NULL for a socket that is not TCP. */
const char *silence_judge(struct silence *s, const struct endpoint *e, int64_t now, bool told, int64_t step,
			  int64_t gone);

#endif
