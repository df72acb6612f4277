/* SPDX-License-Identifier: Apache-2.0
 *
 * Relays WebSocket frames between the client and Proxmox until the session ends, with
 * back-pressure, and then does the closing handshake with both. It has three parts:
 *
 *     relay.c        moves frames, handles control frames, polls
 *     relay_time.c   Pings, limits, and peers that vanish
 *     relay_close.c  decides the outcome, and closes both sides
 */
#ifndef PROXXY_RELAY_H
#define PROXXY_RELAY_H

#include "lib/config.h"
#include "lib/io.h"
#include "session/direction.h"
#include "session/silence.h"

struct relay {
	struct endpoint *client, *upstream; /* the caller's */
	const struct config *config;
	/* The caller's; NULL for none. Called with an io_now() while relaying; returns when to call
	 * it again, or INT64_MAX. It must not wait. */
	int64_t (*renew)(int64_t now);
	bool logged_in; /* login.c did the console's login: the relayed bytes begin behind it */

	/* Owned by relay_time.c. Times are io_now(). */
	int64_t last_received, last_sent;   /* from the client, and to it */
	bool ping_pending;                  /* a Ping was sent, and nothing arrived since */
	bool ping_queued;                   /* false: another frame of our own was waiting in its place */
	int64_t ping_sent;                  /* when the Ping was sent */
	int64_t ping_wait_began;            /* the wait for its answer; set again while that is on its way */
	int64_t last_data;                  /* when data was last relayed, in either direction */
	int64_t hangup_deadline;            /* after the client hung up: for Proxmox to accept more of its data */
	int64_t session_began, session_end; /* session_end: PROXXY_SESSION_MAX after session_began */
	struct silence client_silence, upstream_silence;

	/* Owned by relay_close.c. */
	bool closing;           /* the outcome is decided, and a Close is queued for both sides */
	int64_t close_deadline; /* of the closing handshake; moves while either side accepts data */
	int64_t close_limit;    /* close_deadline does not move beyond it */
	size_t unaccepted;      /* bytes that the sides had not accepted at the last check */

	/* How the session ended: written by relay_close.c, for the caller. */
	int outcome;                   /* a code of error.h */
	const char *why;               /* static phrase with more about the outcome, or NULL */
	int close_code;                /* of the Close that the client's kernel received, 0 if none */
	uint64_t bytes_up, bytes_down; /* payload bytes that Proxmox's and the client's kernel acknowledged, at least */

	/* Last, for their buffers. */
	struct direction up, down; /* up: from the client to Proxmox */
};

/* Makes r ready. client must be connected; upstream may be connected later; both stay the caller's.
 * The members of config may change until relay_run(). session_began is an io_now(). The caller puts
 * bytes that either side sent early into relay->up.framer or down.framer. */
void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began);

/* Relays until the session ends, does the closing handshake with both sides, and ends both
 * connections so that the last data arrives. Then r->outcome and the members after it are set. */
void relay_run(struct relay *r);

/* Does only the closing handshake with a client that does not get its console: sends a Close with
 * outcome's code and with reason (UTF-8; "" for outcome's words), waits for the answer, and ends
 * the client's connection. Does not touch Proxmox's. Then r->outcome and the members after it are
 * set; the outcome is another one if the client itself closed first. */
void relay_close_only(struct relay *r, int outcome, const char *reason);

#endif
