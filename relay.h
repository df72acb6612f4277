/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump: frames from the client to Proxmox and back until either side closes, with
 * back-pressure, Pings of our own, the session's limits, and an honest goodbye.
 */
#ifndef PROXXY_RELAY_H
#define PROXXY_RELAY_H

#include "config.h"
#include "framer.h"
#include "io.h"

enum {
	RELAY_CLOSE_TIMEOUT_MS = 3000, /* for both sides to hear and answer a Close */
	RELAY_ROUNDS = 32,             /* rounds of reading and writing between two looks at the clock and at signals */
	RELAY_CONTROL_QUEUE = 1024,    /* bytes of our own frames that wait for a boundary: seven full Pongs */
};

/* What goes through a VNC console whose password is refused, in bytes (RFC 6143 sections 7.1.1 to 7.1.3, with the one
 * security type that Proxmox offers): the client's version, choice and response, behind which it would say ClientInit; and
 * the server's version, list, challenge and result, with a reason of at most so many bytes. */
enum {
	RELAY_RFB_REFUSED_UP = 12 + 1 + 16,
	RELAY_RFB_REFUSED_DOWN = 12 + 2 + 16 + 4,
	RELAY_RFB_REASON_MAX = 4 + 128,
};

/* One direction: what it reads from, what it writes to, and the frames between. */
struct direction {
	struct endpoint *from, *to;
	struct framer framer;
	bool ended;     /* from will give nothing more, */
	bool broke;     /* and that not in order */
	bool lost;      /* to takes nothing more */
	bool moved;     /* data went through since the clock was last looked at */
	/* Whole frames of our own, [sent..queued), that go out at the next boundary. A write of those before begun was
	 * tried: they come before anything else, as TLS wants the same bytes again. Those behind wait for data as ever:
	 * a Close must not overtake it. */
	uint8_t queue[RELAY_CONTROL_QUEUE];
	size_t sent, begun, queued;
};

struct relay {
	struct endpoint *client, *upstream;
	struct direction up, down; /* up: client to Proxmox */
	const struct config *config;

	bool closing;          /* a Close is due, or was sent, to both sides */
	bool client_closed;    /* the client's Close came */
	int64_t close_deadline;

	int64_t heard, told;   /* when the client last sent, and was sent, something */
	bool client_heard, client_told; /* the same, since the clock was last looked at */
	bool pinged;           /* a Ping is out that nothing was heard after */
	int64_t ping_at;       /* when it was sent */
	int64_t active;        /* when data last went through, either way */
	int64_t gone_at;       /* when a client that hung up, behind bytes that Proxmox does not take, is given up */
	int64_t session_began, session_end; /* and when its length is reached */

	/* How it ended. */
	int outcome;           /* a code of error.h */
	int close_code;        /* that the client was sent, 0 when none could be */
	const char *why;       /* static phrase with more about the outcome, or NULL */
	char reason[WS_REASON_MAX + 1]; /* of the Close that was sent or received */
};

/* Begins; config may still change until relay_run(). upstream may be an endpoint that is not connected yet; what came early from either side is put into
 * relay->up.framer or down.framer by the caller. */
void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began);

/* Relays until the session is over, and says goodbye. r->outcome tells how it ended. */
void relay_run(struct relay *r);

/* The goodbye alone, to a client whose upstream could not be had: Close with outcome's code and reason, and
 * its answer waited for. */
void relay_refuse(struct relay *r, int outcome, const char *reason);

#endif
