/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves frames between the client and Proxmox, answers Pings, hands Closes to relay_close.c, and
 * polls. proxxy-conn.c calls it once the console is open, or to send a client that gets no console
 * a Close.
 */
#include "session/relay.h"

#include "lib/error.h"
#include "session/relay_close.h"
#include "session/relay_time.h"

enum {
	SLICE_MS = 4,       /* how long to relay before looking at clock, signals and both sockets again */
	STEPS_AT_ONCE = 64, /* how often to scan one direction before it is the other's turn */
};

void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began)
{
	/* No memset of the whole struct: the buffers' pages are allocated when they are first
	 * used. */
	direction_init(&r->up, WS_FROM_CLIENT, client, upstream);
	direction_init(&r->down, WS_FROM_SERVER, upstream, client);
	r->client = client;
	r->upstream = upstream;
	r->config = config;
	r->renew = NULL;
	r->logged_in = false;
	r->last_received = r->last_sent = r->last_data = io_now();
	r->ping_pending = false;
	r->hangup_deadline = INT64_MAX;
	r->session_began = session_began;
	r->session_end = INT64_MAX;
	silence_init(&r->client_silence);
	silence_init(&r->upstream_silence);
	r->closing = false;
	r->close_deadline = r->close_limit = INT64_MAX;
	r->unaccepted = 0;
	r->outcome = OK;
	r->why = NULL;
	r->close_code = 0;
	r->bytes_up = r->bytes_down = 0;
}

/* --- one direction ------------------------------------------------------------------------ */

static struct direction *opposite(struct relay *r, const struct direction *d)
{
	return d == &r->up ? &r->down : &r->up;
}

/* Handles a control frame that d's sender sent. Pings are answered here, and not passed on (RFC
 * 6455 section 5.5.2). A Pong needs nothing: direction_fill() noted that the sender is alive. */
static void on_control(struct relay *r, struct direction *d, const struct ws_control *control)
{
	struct direction *back = opposite(r, d);

	if (control->opcode == WS_CLOSE)
		relay_on_close(r, d, control);
	else if (control->opcode == WS_PING && !r->closing && direction_has_room(back))
		direction_queue(back, WS_PONG, control->payload, control->length);
	direction_flush(back);
}

/* True if d may be scanned. The next frame may be a Ping, so the opposite queue needs room for a
 * Pong: a side that floods us with Pings must read its Pongs. Exception: the sender has left, and
 * the opposite direction waits for the end of a frame. Then Pongs without room are dropped, or the
 * session would not end. Data after the client's Close is ignored (section 5.5.1). */
static bool may_scan(struct relay *r, const struct direction *d)
{
	const struct direction *back = opposite(r, d);
	const bool sender_left = (d->ended || d->from->hung_up) && !direction_wants_write(back);

	return (sender_left || direction_has_room(back)) && !(d == &r->up && r->client->close_received);
}

/* Scans and writes what was read, in at most STEPS_AT_ONCE steps. */
static void forward(struct relay *r, struct direction *d)
{
	for (int step = 0; step < STEPS_AT_ONCE; step++) {
		struct ws_control control;
		const char *why = NULL;
		int rc = may_scan(r, d) ? framer_scan(&d->framer, &control, &why) : FRAMER_BLOCKED;
		bool has_ready;

		if (rc == FRAMER_CONTROL) {
			on_control(r, d, &control);
			continue;
		}
		if (rc < 0) { /* the bytes before the violation are still written */
			d->ended = true;
			relay_end(r, rc, why);
		}
		/* If nothing is ready, this step moved nothing. If not all is written, "to" has no
		 * room. */
		has_ready = framer_ready_size(&d->framer) > 0;
		if (!direction_flush(d) || !has_ready)
			return;
	}
}

/* True if d->from has ended and everything that it sent is handled and written. */
static bool is_finished(struct relay *r, const struct direction *d)
{
	return d->ended && framer_ready_size(&d->framer) == 0 && may_scan(r, d) && !framer_can_scan(&d->framer);
}

/* True if d can make progress without waiting for a peer; also if it had to wait for the other
 * direction (for example for room for a Pong) and need not wait any more. */
static bool can_progress(struct relay *r, struct direction *d)
{
	return (direction_wants_read(d) && d->from->readable) || (direction_wants_write(d) && d->to->writable) ||
	       (may_scan(r, d) && framer_can_scan(&d->framer)) || (!r->closing && is_finished(r, d));
}

/* --- both directions ---------------------------------------------------------------------- */

/* Serves both directions once, Proxmox's first. A direction that is finished ends the session. */
static void relay_both(struct relay *r)
{
	direction_flush(&r->up); /* first: "down" may wait for room in this queue */
	direction_fill(&r->down);
	forward(r, &r->down);
	if (!r->closing && is_finished(r, &r->down))
		relay_on_upstream_end(r);
	direction_fill(&r->up);
	forward(r, &r->up);
	if (!r->closing && is_finished(r, &r->up))
		relay_end(r, ERR_CLIENT_GONE, NULL);
}

/* True if the session can make progress without waiting. */
static bool is_busy(struct relay *r)
{
	return can_progress(r, &r->down) || can_progress(r, &r->up);
}

#ifdef PROXXY_SANITIZE
/* True if io_poll() is about to wait for what d needs: room, more bytes, or room in the other
 * direction. */
static bool is_waited_for(struct relay *r, struct direction *d)
{
	struct direction *back = opposite(r, d);

	if (framer_ready_size(&d->framer) > 0 && !d->lost)
		return direction_wants_write(d) && !d->to->writable;
	if (framer_can_scan(&d->framer))
		return (direction_wants_write(back) && !back->to->writable) ||
		       (direction_wants_read(back) && !back->from->readable);
	return d->ended || (direction_wants_read(d) && !d->from->readable);
}

/* Aborts if io_poll() is about to wait although the session could make progress, or to wait for
 * nothing. */
static void require_idle(struct relay *r)
{
	if (is_busy(r) || (!r->closing && !(is_waited_for(r, &r->up) && is_waited_for(r, &r->down))))
		__builtin_trap();
}
#else
static void require_idle(struct relay *r)
{
	(void)r;
}
#endif

/* Waits for the peers until the time next. */
static void wait_for_peers(struct relay *r, int64_t next)
{
	const struct io_want want[2] = {
		{ r->client, direction_wants_read(&r->up), direction_wants_write(&r->down) },
		{ r->upstream, direction_wants_read(&r->down), direction_wants_write(&r->up) },
	};

	io_poll(want, next);
}

/* Relays until the closing handshake is done or its time is over. */
static void run_until_closed(struct relay *r)
{
	for (;;) {
		const int64_t slice_end = io_now() + SLICE_MS;
		int64_t next;

		do
			relay_both(r);
		while (is_busy(r) && io_now() < slice_end);
		next = relay_keep_time(r);
		if (r->closing && (relay_close_is_done(r) || io_now() >= r->close_deadline))
			return;
		if (is_busy(r))
			next = 0;
		else
			require_idle(r);
		wait_for_peers(r, next);
	}
}

void relay_run(struct relay *r)
{
	relay_start_time(r);
	run_until_closed(r);
	relay_end_connections(r, true);
}

void relay_close_only(struct relay *r, int outcome, const char *reason)
{
	/* There is no Proxmox: nothing comes from it, and nothing goes to it. A login that failed
	 * may have left the rest of a frame, and what the console said. */
	r->down.ended = true;
	framer_discard(&r->down.framer);
	r->up.lost = true;
	/* If the client sent a Close already, that decides the outcome. */
	r->client->readable = true;
	direction_fill(&r->up);
	forward(r, &r->up);
	relay_end_with_reason(r, outcome, *reason ? reason : error_info(outcome)->words);
	run_until_closed(r);
	relay_end_connections(r, false);
}
