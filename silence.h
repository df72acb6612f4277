/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells a peer that is gone without a word (a cable, a VPN, a host: no FIN, no RST) from one that only does not read.
 * The kernel of the second acknowledges what it has room for, and answers the probes of its closed window; that of the
 * first acknowledges nothing. Linux counts both in TCP_INFO.
 */
#ifndef PROXXY_SILENCE_H
#define PROXXY_SILENCE_H

#include "io.h"

enum {
	SILENCE_STEP_MS = 5000,   /* between two looks, while something is not acknowledged */
	SILENCE_GONE_MS = 45000,  /* a peer that acknowledges nothing for so long is gone; with SILENCE_STEP_MS under a minute */
	SILENCE_PAUSE_MS = 15 * 60 * 1000, /* a peer that acknowledges, and takes nothing for so long, is not waited for */
};

struct silence {
	int64_t look_at; /* when to look again; INT64_MAX while nothing is on its way */
	int64_t since;   /* the first look since when nothing was acknowledged, or -1 */
	size_t left;     /* bytes that were not acknowledged when it was last looked at, */
	int64_t moved;   /* and when that last changed */
};

void silence_init(struct silence *s);

/* To be called whenever the clock is looked at. told: something was written to e since, or would be. It looks every step
 * milliseconds. Returns NULL, or why e's peer is not waited for any more, a static phrase: it acknowledged nothing for gone
 * milliseconds and a step, or took nothing for SILENCE_PAUSE_MS. Of what is no TCP socket nothing is known. */
const char *silence_judge(struct silence *s, const struct endpoint *e, int64_t now, bool told, int64_t step,
			  int64_t gone);

#endif
