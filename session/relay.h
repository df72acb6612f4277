/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump: frames from the client to Proxmox and back until either side closes, with
 * back-pressure, Pings of our own, the session's limits, and an honest goodbye.
 */
#ifndef PROXXY_RELAY_H
#define PROXXY_RELAY_H

#include "lib/config.h"
#include "lib/io.h"
#include "session/direction.h"
#include "session/silence.h"

enum {
	RELAY_SLICE_MS = 4,            /* of relaying before the next look at clock, signals and both sockets */
	RELAY_STEPS = 64,              /* steps of one direction before it is the other's turn */
	/* The closing handshake ends after RELAY_CLOSE_TIMEOUT_MS in which neither side accepted
	 * data, after RELAY_TAIL_MS in total, and RELAY_STOP_MS after SIGTERM. */
	RELAY_CLOSE_TIMEOUT_MS = 3000,
	RELAY_TAIL_MS = 30 * 1000,     /* a slow client still gets the console's last data */
	RELAY_STOP_MS = 3500,          /* together with IO_LINGER_MS within TimeoutStopSec= */
	RELAY_TLS_END = 96,            /* bytes that TLS adds at the end: the records of the last frames, and close_notify */
	RELAY_LOOK_MS = 250,           /* between two looks whether the sides accept data */
};

/* Bytes that a VNC console relays when it refuses the password (RFC 6143 sections 7.1.1 to 7.1.3,
 * with the only security type that Proxmox offers). The client sends version, choice and response;
 * after success it would continue with ClientInit. The server sends version, list, challenge and
 * result, and may add a reason of at most RELAY_RFB_REASON_MAX bytes. */
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
	int64_t close_deadline; /* of the closing handshake; moves while data is accepted */
	int64_t goodbye_end;   /* its final limit */
	size_t left;           /* bytes not yet accepted by either side at the last look */

	int64_t heard, told;   /* when the client last sent, and was sent, something */
	bool pinged;           /* a Ping is out that nothing was heard after */
	int64_t asked_at;      /* when the Ping was sent */
	int64_t ping_at;       /* when the wait for its answer began; restarts while the Ping is unacknowledged */
	int64_t active;        /* when data last went through, either way */
	int64_t gone_at;       /* when a client that hung up, behind bytes that Proxmox does not take, is given up */
	int64_t session_began, session_end; /* and when its length is reached */
	struct silence client_silence, upstream_silence;

	/* How it ended. */
	int outcome;           /* a code of error.h */
	int close_code;        /* of the Close that the client's kernel received, 0 if none */
	const char *why;       /* static phrase with more about the outcome, or NULL */
	char reason[WS_REASON_MAX + 1]; /* of the Close that was sent or received */
	uint64_t bytes_up, bytes_down; /* payload acknowledged by Proxmox's and the client's kernel, at least */
};

/* Begins; config may still change until relay_run(). upstream need not be connected yet. The caller
 * puts bytes that came early from either side into relay->up.framer or down.framer. */
void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began);

/* Relays until the session is over, does the closing handshakes, and ends both connections so that
 * the last data arrives. r->outcome and the members after it say how it ended. */
void relay_run(struct relay *r);

/* Does only the closing handshake, for a client that cannot get its console: sends a Close with
 * outcome's code and reason, waits for the answer, and ends the client's connection. Does not end
 * Proxmox's. */
void relay_refuse(struct relay *r, int outcome, const char *reason);

#endif
