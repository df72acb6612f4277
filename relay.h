/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump: frames from the client to Proxmox and back until either side closes, with
 * back-pressure, Pings of our own, the session's limits, and an honest goodbye.
 */
#ifndef PROXXY_RELAY_H
#define PROXXY_RELAY_H

#include "config.h"
#include "direction.h"
#include "io.h"
#include "silence.h"

enum {
	RELAY_SLICE_MS = 4,            /* of reading and writing between two looks at the clock, at signals and at both sockets */
	RELAY_STEPS = 64,              /* frames of a direction that may take a write each, before the other has its turn */
	RELAY_CLOSE_TIMEOUT_MS = 3000, /* for both sides to hear and answer a Close, while neither takes a byte; */
	RELAY_TAIL_MS = 30 * 1000,     /* in all, for a slow client to get what the console said last; */
	RELAY_STOP_MS = 3500,          /* in all, once SIGTERM came: with IO_LINGER_MS it fits TimeoutStopSec= */
	RELAY_LOOK_MS = 250,           /* how often it is looked whether they take bytes */
};

/* What goes through a VNC console whose password is refused, in bytes (RFC 6143 sections 7.1.1 to 7.1.3, with the one
 * security type that Proxmox offers): the client's version, choice and response, behind which it would say ClientInit; and
 * the server's version, list, challenge and result, with a reason of at most so many bytes. */
enum {
	RELAY_RFB_REFUSED_UP = 12 + 1 + 16,
	RELAY_RFB_REFUSED_DOWN = 12 + 2 + 16 + 4,
	RELAY_RFB_REASON_MAX = 4 + 128,
};

struct relay {
	struct endpoint *client, *upstream;
	struct direction up, down; /* up: client to Proxmox */
	const struct config *config;

	bool closing;          /* a Close is due, or was sent, to both sides */
	bool client_closed;    /* the client's Close came */
	int64_t close_deadline; /* of the goodbye, as it goes, */
	int64_t goodbye_end;   /* and at the latest */
	size_t left;           /* bytes that one side or the other had not taken when it was last looked at */

	int64_t heard, told;   /* when the client last sent, and was sent, something */
	bool pinged;           /* a Ping is out that nothing was heard after */
	int64_t asked_at;      /* when it was sent, */
	int64_t ping_at;       /* and since when its answer is waited for, which begins anew while it is on its way */
	int64_t active;        /* when data last went through, either way */
	int64_t gone_at;       /* when a client that hung up, behind bytes that Proxmox does not take, is given up */
	int64_t session_began, session_end; /* and when its length is reached */
	struct silence client_silence, upstream_silence;

	/* How it ended. */
	int outcome;           /* a code of error.h */
	int close_code;        /* of the Close that the client's kernel got, 0 when it got none */
	const char *why;       /* static phrase with more about the outcome, or NULL */
	char reason[WS_REASON_MAX + 1]; /* of the Close that was sent or received */
	uint64_t bytes_up, bytes_down; /* payload that Proxmox's kernel and the client's have acknowledged, at the least */
};

/* Begins; config may still change until relay_run(). upstream may be an endpoint that is not connected yet; what came early from either side is put into
 * relay->up.framer or down.framer by the caller. */
void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began);

/* Relays until the session is over, says goodbye, and ends both connections so that what was sent last arrives.
 * r->outcome and what follows it tell how it ended. */
void relay_run(struct relay *r);

/* The goodbye alone, to a client whose upstream could not be had: Close with outcome's code and reason, and
 * its answer waited for; the client's connection is ended, Proxmox's, if there is one, not. */
void relay_refuse(struct relay *r, int outcome, const char *reason);

#endif
