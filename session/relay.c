/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump, see relay.h.
 */
#include "session/relay.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/error.h"

void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began)
{
	direction_init(&r->up, WS_FROM_CLIENT, client, upstream);
	direction_init(&r->down, WS_FROM_SERVER, upstream, client);
	r->client = client;
	r->upstream = upstream;
	r->config = config;
	r->closing = r->pinged = false;
	r->heard = r->told = r->active = io_now();
	r->session_began = session_began;
	r->session_end = INT64_MAX;
	r->close_deadline = r->goodbye_end = r->gone_at = INT64_MAX;
	r->left = 0;
	silence_init(&r->client_silence);
	silence_init(&r->upstream_silence);
	r->outcome = OK;
	r->close_code = 0;
	r->why = NULL;
	r->reason[0] = '\0';
	r->bytes_up = r->bytes_down = 0;
}

/* --- closing ------------------------------------------------------------------------------ */

static void queue_close(struct direction *d, int code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];

	direction_queue(d, WS_CLOSE, payload, ws_write_close(payload, code, reason));
}

/* Begins the closing handshakes; only the first call counts. The client gets code and reason, Proxmox gets
 * upstream_code. A frame that has begun is finished first; if it never ends, no Close can be sent, and only
 * the end of TCP tells the peer. From the client only its Close is still processed. */
static void begin_close(struct relay *r, int outcome, int code, const char *reason, int upstream_code)
{
	const int64_t now = io_now();

	if (r->closing)
		return;
	r->closing = true;
	r->close_deadline = now + RELAY_CLOSE_TIMEOUT_MS;
	r->goodbye_end = now + RELAY_TAIL_MS;
	r->outcome = outcome;
	r->close_code = code;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	framer_stop(&r->down.framer);
	framer_discard(&r->up.framer);
	queue_close(&r->down, code, reason);
	queue_close(&r->up, upstream_code, "");
}

/* Proxmox gets 1002 if it broke the protocol (RFC 6455 section 7.4.1), 1000 after a normal end, else 1001. */
static void end_with(struct relay *r, int outcome)
{
	const struct error_info *info = error_info(outcome);
	const int upstream_code = outcome == ERR_UPSTREAM_PROTOCOL ? 1002 : info->close_code == 1000 ? 1000 : 1001;
	char reason[WS_REASON_MAX + 1];

	snprintf(reason, sizeof(reason), "%s%s%s", info->words, r->why ? ": " : "", r->why ? r->why : "");
	begin_close(r, outcome, info->close_code, reason, upstream_code);
}

/* The client said Close: it gets its code back (RFC 6455 section 5.5.1), or 1000 if it sent none. */
static void on_client_close(struct relay *r, const struct ws_control *close)
{
	char reason[WS_REASON_MAX + 1];
	int code, rc = ws_parse_close(close, WS_FROM_CLIENT, &code, reason);

	r->client->said_all = true;
	if (rc < 0)
		end_with(r, rc);
	else
		begin_close(r, END_CLIENT_CLOSED, code ? code : 1000, "", code == 0 || code == 1000 ? 1000 : 1001);
}

/* Proxmox itself never sends a Close, but a proxy before it may. The sender gets its code back. */
static void on_upstream_close(struct relay *r, const struct ws_control *close)
{
	char reason[WS_REASON_MAX + 1];
	int code, rc = ws_parse_close(close, WS_FROM_SERVER, &code, reason);

	r->down.ended = true;
	if (rc < 0)
		end_with(r, rc);
	else if (code == 0)
		end_with(r, END_UPSTREAM_CLOSED);
	else
		begin_close(r, END_UPSTREAM_CLOSED, code, *reason ? reason : "Upstream websocket closed", code);
}

/* --- one direction ------------------------------------------------------------------------ */

static struct direction *opposite(struct relay *r, const struct direction *d)
{
	return d == &r->up ? &r->down : &r->up;
}

static void on_control(struct relay *r, struct direction *d, const struct ws_control *control)
{
	struct direction *back = opposite(r, d);

	switch (control->opcode) {
	case WS_PING: /* each side's Pings are answered here: section 5.5.2 */
		if (!r->closing && direction_has_room(back))
			direction_queue(back, WS_PONG, control->payload, control->length);
		break;
	case WS_CLOSE:
		if (d == &r->up)
			on_client_close(r, control);
		else
			on_upstream_close(r, control);
		break;
	default: /* a Pong: it was heard, that is all it is for */
		break;
	}
	direction_flush(back);
}

/* True if d may be scanned. The answer to a Ping must find room; its sender waits until there is. If the
 * sender has left, and room needs the rest of a frame that the other side has begun, nobody waits: answers
 * without room are dropped. Data after the client's Close is ignored (section 5.5.1). */
static bool may_scan(struct relay *r, const struct direction *d)
{
	const struct direction *back = opposite(r, d);
	const bool left = (d->ended || d->from->hung_up) && !direction_wants_write(back);

	return (left || direction_has_room(back)) && !(d == &r->up && r->client->said_all);
}

/* Scans and writes what was read, up to RELAY_STEPS steps. */
static void pass(struct relay *r, struct direction *d)
{
	struct ws_control control;
	const char *why = NULL;

	for (int step = 0; step < RELAY_STEPS; step++) {
		size_t before, after;
		int rc = FRAMER_BLOCKED;

		framer_cleared(&d->framer, &before);
		if (may_scan(r, d))
			rc = framer_scan(&d->framer, &control, &why);
		framer_cleared(&d->framer, &after);
		if (rc == FRAMER_CONTROL) {
			on_control(r, d, &control);
		} else if (rc < 0) {
			d->ended = true;
			if (!r->closing)
				r->why = why;
			end_with(r, rc); /* data before the violation is still sent */
		} else if (!direction_flush(d) || (before == 0 && after == 0)) {
			return;
		}
	}
}

/* True if d->from has ended and everything from it is written, which ends the session. */
static bool is_over(struct relay *r, const struct direction *d)
{
	size_t left;

	framer_cleared(&d->framer, &left);
	return !r->closing && d->ended && left == 0 && may_scan(r, d) && !framer_can_scan(&d->framer);
}

/* Returns how a console ended that Proxmox closed in order. Proxmox gives no reason: the byte counts decide.
 * A guest that is off sends nothing, nor does a terminal that refuses its client's first message. */
static int console_end(struct relay *r)
{
	const uint64_t up = r->up.framer.passed, down = r->down.framer.passed;

	if (down == 0) {
		r->why = up == 0 ? "the guest is off or has stopped" :
				   "the guest is off, or its terminal refused the user and ticket";
		return END_UPSTREAM_EMPTY;
	}
	if (up == RELAY_RFB_REFUSED_UP && down >= RELAY_RFB_REFUSED_DOWN &&
	    down <= RELAY_RFB_REFUSED_DOWN + RELAY_RFB_REASON_MAX)
		return END_PASSWORD_REFUSED;
	return END_UPSTREAM_CLOSED;
}

/* Proxmox's side ended, and all that it sent is written: how did it end? */
static void on_upstream_end(struct relay *r)
{
	const bool inside = framer_inside_frame(&r->down.framer);

	if (r->upstream->timed_out)
		r->why = "it vanished";
	else if (inside || r->down.broke)
		r->why = inside ? "inside a frame" : "without close_notify";
	end_with(r, r->why ? ERR_UPSTREAM_BROKE : console_end(r));
}

/* One turn of both directions. */
static void pump(struct relay *r)
{
	direction_flush(&r->up); /* the other direction may be waiting for this */
	direction_fill(&r->down);
	pass(r, &r->down);
	if (is_over(r, &r->down))
		on_upstream_end(r);
	direction_fill(&r->up);
	pass(r, &r->up);
	if (is_over(r, &r->up))
		end_with(r, ERR_CLIENT_GONE);
}

/* True if d can make progress without waiting for a peer. It may have waited for the other direction, for
 * example for room for a Pong, which is there now. */
static bool can_go_on(struct relay *r, struct direction *d)
{
	return (direction_wants_read(d) && d->from->readable) || (direction_wants_write(d) && d->to->writable) ||
	       (may_scan(r, d) && framer_can_scan(&d->framer)) || is_over(r, d);
}

static bool busy(struct relay *r)
{
	return can_go_on(r, &r->down) || can_go_on(r, &r->up);
}

#ifdef PROXXY_SANITIZE
/* True if io_poll() is about to wait for what d needs: room, more bytes, or room in the other direction. */
static bool is_waited_for(struct relay *r, struct direction *d)
{
	struct direction *back = opposite(r, d);
	size_t left;

	framer_cleared(&d->framer, &left);
	if (left > 0 && !d->lost)
		return direction_wants_write(d) && !d->to->writable;
	if (framer_can_scan(&d->framer))
		return (direction_wants_write(back) && !back->to->writable) || (direction_wants_read(back) && !back->from->readable);
	return d->ended || (direction_wants_read(d) && !d->from->readable);
}

/* Before each poll() that waits: everything that could make progress must be waited for. */
static void require_settled(struct relay *r)
{
	if (busy(r) || (!r->closing && !(is_waited_for(r, &r->up) && is_waited_for(r, &r->down))))
		__builtin_trap();
}
#else
static void require_settled(struct relay *r)
{
	(void)r;
}
#endif

/* --- time --------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t after(int64_t from, int seconds)
{
	return seconds ? from + seconds * INT64_C(1000) : INT64_MAX;
}

/* True if the client's answer to a Ping may be unread (back-pressure), or the Ping is unacknowledged.
 * If that lasts, silence.h ends the session. */
static bool ping_is_on_its_way(const struct relay *r)
{
	int unread = 0;

	if (r->client->hung_up)
		return false;
	ioctl(r->client->fd, FIONREAD, &unread);
	return unread > 0 || io_unacknowledged(r->client) > 0 || r->down.queued > 0;
}

/* It is quiet: what a burst has filled is given back, until the next one. */
static void rest(struct relay *r)
{
	struct framer *framers[] = { &r->up.framer, &r->down.framer };

	for (size_t i = 0; i < 2; i++)
		if (framer_is_empty(framers[i]))
			io_give_back(framers[i]->buf, sizeof(framers[i]->buf));
	io_rest(r->upstream);
	malloc_trim(0);
}

/* Returns how many bytes d->to has not accepted yet. */
static size_t left_of(const struct direction *d)
{
	size_t cleared;

	if (d->lost)
		return 0;
	framer_cleared(&d->framer, &cleared);
	return cleared + d->queued - d->sent + io_unacknowledged(d->to);
}

/* Extends the closing handshakes while either side accepts data. Returns when to look again. */
static int64_t keep_goodbye(struct relay *r, int64_t now)
{
	const size_t left = left_of(&r->down) + left_of(&r->up);

	if (io_terminated())
		r->goodbye_end = earlier(r->goodbye_end, now + RELAY_STOP_MS);
	/* What goes through in small pieces leaves the same behind at each look. */
	if (left != r->left || r->up.told || r->down.told)
		r->close_deadline = now + RELAY_CLOSE_TIMEOUT_MS;
	r->left = left;
	r->up.told = r->down.told = false;
	r->close_deadline = earlier(r->close_deadline, r->goodbye_end);
	return left > 0 ? earlier(r->close_deadline, now + RELAY_LOOK_MS) : r->close_deadline;
}

/* Notes the activity since the last look at the clock. */
static void note_activity(struct relay *r, int64_t now)
{
	if (r->up.heard) {
		r->heard = now;
		r->pinged = r->pinged && !silence_received_since(r->client, r->asked_at);
	}
	if (r->down.told)
		r->told = now;
	if (r->up.moved || r->down.moved)
		r->active = now;
	if (!r->client->hung_up || r->up.moved)
		r->gone_at = now + RELAY_CLOSE_TIMEOUT_MS;
}

/* Ends the session if a peer vanished without FIN or RST. */
static void look_for_vanished(struct relay *r, int64_t now)
{
	const int64_t interval = r->config->ping_interval * INT64_C(1000);
	const int64_t step = interval ? earlier(interval / 4, SILENCE_STEP_MS) : SILENCE_STEP_MS;
	/* A Ping interval after a Ping, the first look must already decide; a look may be a bit late. */
	const int64_t gone = interval ? earlier(interval - step - step / 4, SILENCE_GONE_MS) : SILENCE_GONE_MS;
	const bool told_client = r->down.told || direction_wants_write(&r->down);
	const bool told_upstream = r->up.told || direction_wants_write(&r->up);
	const char *client = silence_judge(&r->client_silence, r->client, now, told_client, step, gone);
	const char *upstream =
		silence_judge(&r->upstream_silence, r->upstream, now, told_upstream, SILENCE_STEP_MS, SILENCE_GONE_MS);

	if (client && gone < SILENCE_GONE_MS && !(r->pinged && now >= r->asked_at + gone))
		client = NULL; /* a short outage must not end a session before a Ping was tried */
	if (client) {
		r->why = client;
		direction_lose(&r->down);
		r->up.ended = true;
		end_with(r, ERR_CLIENT_SILENT);
	} else if (upstream) {
		r->why = upstream;
		direction_lose(&r->up);
		r->down.ended = true;
		end_with(r, ERR_UPSTREAM_BROKE);
	}
}

/* Sends a Ping to a quiet client, and ends the session if no answer comes. Returns when to look again. */
static int64_t keep_pinging(struct relay *r, int64_t now)
{
	const int interval = r->config->ping_interval;
	/* Silence in one direction is enough: a reverse proxy may watch only one of them. */
	const int64_t quiet_end = after(earlier(r->heard, r->told), interval);

	if (r->pinged && now >= after(r->ping_at, interval)) {
		if (!ping_is_on_its_way(r))
			end_with(r, ERR_CLIENT_SILENT);
		r->ping_at = now;
	}
	if (r->pinged)
		return after(r->ping_at, interval);
	if (now < quiet_end)
		return quiet_end;
	rest(r);
	if (r->down.queued == 0) /* else a frame of ours is already waiting for the client */
		direction_queue(&r->down, WS_PING, "", 0);
	direction_flush(&r->down);
	r->pinged = true;
	r->told = r->asked_at = r->ping_at = now;
	return after(now, interval);
}

/* Looks at the clock and does everything that is due. Returns when to look again. */
static int64_t keep_time(struct relay *r)
{
	const struct config *c = r->config;
	const int64_t now = io_now();
	int64_t look;

	if (io_terminated())
		end_with(r, END_TERMINATED);
	if (r->closing)
		return keep_goodbye(r, now);

	note_activity(r, now);
	look = keep_pinging(r, now);
	look_for_vanished(r, now);
	r->up.heard = r->down.heard = r->up.told = r->down.told = r->up.moved = r->down.moved = false;
	if (now >= r->gone_at) {
		end_with(r, ERR_CLIENT_GONE);
		r->goodbye_end = now + RELAY_LOOK_MS; /* Proxmox already had its time */
	} else if (now >= after(r->active, c->idle_timeout)) {
		end_with(r, END_IDLE);
	} else if (now >= r->session_end) {
		end_with(r, END_SESSION_MAX);
	}
	if (r->closing)
		return keep_goodbye(r, now);
	look = earlier(look, earlier(r->client_silence.look_at, r->upstream_silence.look_at));
	look = earlier(look, earlier(r->session_end, after(r->active, c->idle_timeout)));
	return earlier(look, r->client->hung_up ? r->gone_at : INT64_MAX);
}

/* --- the loop ----------------------------------------------------------------------------- */

/* True when the goodbye is over: the client has its Close and has answered it, or will get none, and Proxmox
 * has its own. */
static bool goodbye_is_said(struct relay *r)
{
	const bool told = r->down.queued == 0 || r->down.lost;

	if (!told && r->down.ended && !direction_wants_write(&r->down)) {
		/* The frame that the Close waits behind will never be whole. */
		r->down.queued = r->down.sent = 0;
		r->close_code = 0;
		return true;
	}
	return told && (r->client->said_all || r->up.ended) && !direction_wants_write(&r->up);
}

static void run_until_closed(struct relay *r)
{
	while (!(r->closing && goodbye_is_said(r))) {
		const int64_t slice_end = io_now() + RELAY_SLICE_MS;
		int64_t look;

		do
			pump(r);
		while (busy(r) && io_now() < slice_end);
		look = keep_time(r);
		if (r->closing && (goodbye_is_said(r) || io_now() >= r->close_deadline))
			break;
		if (busy(r))
			look = 0;
		else
			require_settled(r);
		io_poll((struct io_want[2]){
				{ r->client, direction_wants_read(&r->up), direction_wants_write(&r->down) },
				{ r->upstream, direction_wants_read(&r->down), direction_wants_write(&r->up) },
			},
			look);
	}
	if (r->down.queued > 0 || r->down.lost)
		r->close_code = 0; /* it never got out */
}

/* Returns how much of d's payload the other kernel has: all minus unacknowledged bytes. The last of these are our own
 * frames; of the others, headers count as payload. */
static uint64_t acknowledged(const struct direction *d)
{
	const size_t own = d->own + (d->to->tls ? RELAY_TLS_END : 0), left = io_unacknowledged(d->to);
	const size_t lost = left > own ? left - own : 0;

	return d->framer.passed > lost ? d->framer.passed - lost : 0;
}

/* Ends the connections and counts what has arrived. A lost connection needs no ending. */
static void part(struct relay *r, struct endpoint *client, struct endpoint *upstream)
{
	const int64_t end = earlier(r->goodbye_end, INT64_MAX - IO_LINGER_MS) + IO_LINGER_MS;

	io_linger(r->down.lost ? NULL : client, r->up.lost ? NULL : upstream, end);
	r->bytes_up = acknowledged(&r->up);
	r->bytes_down = acknowledged(&r->down);
	if (io_unacknowledged(r->client) > 0) /* the Close is the last part of it */
		r->close_code = 0;
}

void relay_run(struct relay *r)
{
	/* The time that the request and the connection took was no silence. */
	r->heard = r->told = r->active = io_now();
	r->up.told = r->down.told = true; /* the request and the 101 may be unacknowledged */
	r->session_end = after(r->session_began, r->config->session_max);
	run_until_closed(r);
	part(r, r->client, r->upstream);
}

void relay_refuse(struct relay *r, int outcome, const char *reason)
{
	r->down.ended = true;
	r->up.lost = true;
	r->client->readable = true;
	direction_fill(&r->up);
	pass(r, &r->up); /* the client's own Close may have come before: then it is answered */
	begin_close(r, outcome, error_info(outcome)->close_code, *reason ? reason : error_info(outcome)->words, 1001);
	run_until_closed(r);
	part(r, r->client, NULL);
}
