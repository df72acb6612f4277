/* SPDX-License-Identifier: Apache-2.0
 *
 * Decides the outcome of a session, sends a Close to both sides, waits for the client's answer, and
 * ends the connections. relay.c and relay_time.c call it.
 */
#include "session/relay_close.h"

#include <stdio.h>

#include "lib/error.h"
#include "lib/linger.h"

/* The closing handshake ends after RELAY_CLOSE_TIMEOUT_MS in which neither side accepted data,
 * after RELAY_CLOSE_MAX_MS in total, and RELAY_STOP_MS after SIGTERM. */
enum {
	RELAY_CLOSE_MAX_MS = 30 * 1000, /* so that a slow client still gets the console's last data */
	RELAY_STOP_MS = 3500,           /* with LINGER_MS after it, less than the units' TimeoutStopSec= */
	TLS_END = 96,                   /* bytes that TLS adds to the last frames of our own, and close_notify */
};

/* Bytes that a VNC console relays when it refuses the password (RFC 6143 sections 7.1.1 to 7.1.3,
 * with the only security type that Proxmox offers). The client sends version, choice and response;
 * after success it would continue with ClientInit. The server sends version, list, challenge and
 * result, and may add a reason of at most RFB_REASON_MAX bytes. */
enum {
	RFB_REFUSED_UP = 12 + 1 + 16,
	RFB_REFUSED_DOWN = 12 + 2 + 16 + 4,
	RFB_REASON_MAX = 4 + 128,
};

/* --- the decision ------------------------------------------------------------------------- */

static void queue_close(struct direction *d, int code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];

	direction_queue(d, WS_CLOSE, payload, ws_write_close(payload, code, reason));
}

/* Every decision ends up here; the first one counts. Sends the client a Close with code and reason,
 * and Proxmox one with upstream_code. A frame that has begun is finished first; if it never ends,
 * no Close can be sent, and the peer only sees the end of TCP. Of the client's further frames only
 * a Close is still handled. */
static void decide(struct relay *r, int outcome, const char *why, int code, const char *reason, int upstream_code)
{
	const int64_t now = io_now();

	if (r->closing)
		return;
	r->closing = true;
	r->close_deadline = now + RELAY_CLOSE_TIMEOUT_MS;
	r->close_limit = now + RELAY_CLOSE_MAX_MS;
	r->outcome = outcome;
	r->why = why;
	r->close_code = code;
	framer_stop(&r->down.framer);
	framer_discard(&r->up.framer);
	queue_close(&r->down, code, reason);
	queue_close(&r->up, upstream_code, "");
}

void relay_end(struct relay *r, int outcome, const char *why)
{
	const struct error_info *info = error_info(outcome);
	int upstream_code = 1001; /* going away (RFC 6455 section 7.4.1) */
	char reason[WS_REASON_MAX + 1];

	if (outcome == ERR_UPSTREAM_PROTOCOL)
		upstream_code = 1002;
	else if (info->close_code == 1000)
		upstream_code = 1000;
	snprintf(reason, sizeof(reason), "%s%s%s", info->words, why ? ": " : "", why ? why : "");
	decide(r, outcome, why, info->close_code, reason, upstream_code);
}

void relay_end_with_reason(struct relay *r, int outcome, const char *reason)
{
	decide(r, outcome, NULL, error_info(outcome)->close_code, reason, 1001);
}

/* Answers the client's Close with its own code (RFC 6455 section 5.5.1), or with 1000 if it sent
 * none. */
static void on_client_close(struct relay *r, const struct ws_control *close)
{
	char reason[WS_REASON_MAX + 1];
	int code, rc = ws_parse_close(close, WS_FROM_CLIENT, &code, reason);

	r->client->close_received = true;
	if (rc < 0)
		relay_end(r, rc, NULL);
	else
		decide(r, END_CLIENT_CLOSED, NULL, code ? code : 1000, "", code == 0 || code == 1000 ? 1000 : 1001);
}

/* Answers the server's Close with its own code. Proxmox itself sends none, but a proxy before it
 * may. */
static void on_upstream_close(struct relay *r, const struct ws_control *close)
{
	char reason[WS_REASON_MAX + 1];
	int code, rc = ws_parse_close(close, WS_FROM_SERVER, &code, reason);

	r->down.ended = true;
	if (rc < 0)
		relay_end(r, rc, NULL);
	else if (code == 0)
		relay_end(r, END_UPSTREAM_CLOSED, NULL);
	else
		decide(r, END_UPSTREAM_CLOSED, NULL, code, *reason ? reason : "Upstream websocket closed", code);
}

void relay_on_close(struct relay *r, struct direction *d, const struct ws_control *close)
{
	if (d == &r->up)
		on_client_close(r, close);
	else
		on_upstream_close(r, close);
}

/* Ends a session whose console Proxmox closed in order. Proxmox gives no reason: the byte counts
 * tell. A guest that is off sends nothing; nor does a terminal that rejects its client's first
 * message. */
static void on_console_end(struct relay *r)
{
	const uint64_t up = r->up.framer.passed, down = r->down.framer.passed;

	if (down == 0)
		relay_end(r, END_UPSTREAM_EMPTY,
			  up == 0 || r->logged_in ?
				  "the guest or its node is off" :
				  "the guest or its node is off, or its terminal refused the user and ticket");
	else if (!r->logged_in && up == RFB_REFUSED_UP && down >= RFB_REFUSED_DOWN &&
		 down <= RFB_REFUSED_DOWN + RFB_REASON_MAX)
		relay_end(r, END_PASSWORD_REFUSED, NULL);
	else
		relay_end(r, END_UPSTREAM_CLOSED, NULL);
}

void relay_on_upstream_end(struct relay *r)
{
	if (r->upstream->timed_out)
		relay_end(r, ERR_UPSTREAM_BROKE, "it vanished");
	else if (framer_inside_frame(&r->down.framer))
		relay_end(r, ERR_UPSTREAM_BROKE, "inside a frame");
	else if (r->down.broke)
		relay_end(r, ERR_UPSTREAM_BROKE, "without close_notify");
	else
		on_console_end(r);
}

/* --- the closing handshake ---------------------------------------------------------------- */

/* Returns how many bytes d->to has not accepted yet. */
static size_t unaccepted(const struct direction *d)
{
	return d->lost ? 0 : framer_ready_size(&d->framer) + d->queued - d->sent + io_unacknowledged(d->to);
}

void relay_limit_close(struct relay *r, int64_t limit)
{
	r->close_limit = io_earlier(r->close_limit, limit);
}

int64_t relay_extend_close(struct relay *r, int64_t now)
{
	const size_t left = unaccepted(&r->down) + unaccepted(&r->up);

	if (io_terminated())
		relay_limit_close(r, now + RELAY_STOP_MS);
	/* Data that goes through in small pieces leaves the same number of bytes each time. */
	if (left != r->unaccepted || r->up.did_write || r->down.did_write)
		r->close_deadline = now + RELAY_CLOSE_TIMEOUT_MS;
	r->unaccepted = left;
	r->close_deadline = io_earlier(r->close_deadline, r->close_limit);
	return left > 0 ? io_earlier(r->close_deadline, now + RELAY_CLOSE_CHECK_MS) : r->close_deadline;
}

bool relay_close_is_done(const struct relay *r)
{
	const bool close_waits = r->down.queued > 0 && !r->down.lost;

	/* Proxmox broke off inside a frame: the client's Close cannot follow it. */
	if (close_waits && r->down.ended && !direction_wants_write(&r->down))
		return true;
	return !close_waits && (r->client->close_received || r->up.ended) && !direction_wants_write(&r->up);
}

/* Returns how many of d's payload bytes the receiver's kernel acknowledged. The last unacknowledged
 * bytes are frames of our own and TLS's end. The others count as payload, although some are
 * headers. */
static uint64_t acknowledged(const struct direction *d)
{
	const size_t own = d->own_at_end + (d->to->tls ? TLS_END : 0), left = io_unacknowledged(d->to);
	const size_t missing = left > own ? left - own : 0;

	return d->framer.passed > missing ? d->framer.passed - missing : 0;
}

void relay_end_connections(struct relay *r, bool upstream_too)
{
	const int64_t end = io_earlier(r->close_limit, INT64_MAX - LINGER_MS) + LINGER_MS;

	if (r->down.queued > 0 || r->down.lost)
		r->close_code = 0; /* the Close was not sent */
	linger(r->down.lost ? NULL : r->client, r->up.lost || !upstream_too ? NULL : r->upstream, end);
	r->bytes_up = acknowledged(&r->up);
	r->bytes_down = acknowledged(&r->down);
	if (io_unacknowledged(r->client) > 0) /* the Close is the last part of these bytes */
		r->close_code = 0;
}
