/* SPDX-License-Identifier: Apache-2.0
 *
 * Detects a peer that vanished without FIN or RST (a cable, a VPN, a host), and does not mistake a
 * peer that only does not read for one. The kernel of a peer that does not read acknowledges data
 * while it has room, and then answers zero-window probes. A peer that vanished acknowledges
 * nothing. TCP_INFO shows both.
 */
#ifndef PROXXY_SILENCE_H
#define PROXXY_SILENCE_H

#include "lib/io.h"
#include "session/direction.h"

enum {
	SILENCE_STEP_MS = 5000,  /* between two checks, while data is unacknowledged */
	SILENCE_GONE_MS = 45000, /* without an acknowledgement: the peer vanished; with a step, under a minute */
	SILENCE_KEEPALIVE_MS = (IO_KEEPALIVE_IDLE_S + IO_KEEPALIVE_PROBES * IO_KEEPALIVE_INTERVAL_S) * 1000,
	SILENCE_PAUSE_MS = 15 * 60 * 1000, /* for which a peer may acknowledge but accept no data */
};

/* What is known of one peer. Times are io_now(). */
struct silence {
	int64_t next_check;    /* INT64_MAX while nothing is unacknowledged */
	int64_t silent_since;  /* the first check since which nothing was acknowledged; -1 while the peer answers */
	size_t unacknowledged; /* bytes at the last check */
	int64_t progress_at;   /* when unacknowledged last changed, or data was written */
	bool wrote;            /* bytes were written to it since the last check */
};

/* Starts with a peer that has acknowledged everything. */
void silence_init(struct silence *s);

/* True if data from e's peer arrived after since, an io_now(). Data that arrived before, and is
 * read only now, does not show that the peer is still there. Always true for a socket that is not
 * TCP. */
bool silence_received_since(const struct endpoint *e, int64_t since);

/* Checks d->to, if s->next_check has come. Call this whenever the session checks the time, before
 * d's did_write is cleared. now is io_now(); step is the milliseconds between two checks. Returns
 * NULL, or a static phrase if the peer must be given up, for one of two reasons:
 *   asked is true, and the peer acknowledged nothing for gone milliseconds and a step, or sent
 *   nothing for SILENCE_KEEPALIVE_MS although an answer is due;
 *   it accepted no data for SILENCE_PAUSE_MS (the only one for a socket that is not TCP). */
const char *silence_judge(struct silence *s, const struct direction *d, int64_t now, int64_t step, int64_t gone,
			  bool asked);

#endif
