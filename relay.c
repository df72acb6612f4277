/* SPDX-License-Identifier: Apache-2.0
 *
 * The pump, see relay.h.
 */
#include "relay.h"

#include <linux/sockios.h>
#include <malloc.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "error.h"

void relay_init(struct relay *r, const struct config *config, struct endpoint *client, struct endpoint *upstream,
		int64_t session_began)
{
	/* Not with one memset: the buffers' pages cost nothing until they are used. */
	framer_init(&r->up.framer, WS_FROM_CLIENT);
	framer_init(&r->down.framer, WS_FROM_SERVER);
	r->client = r->up.from = r->down.to = client;
	r->upstream = r->down.from = r->up.to = upstream;
	r->up.ended = r->up.broke = r->up.lost = r->up.moved = false;
	r->down.ended = r->down.broke = r->down.lost = r->down.moved = false;
	r->up.sent = r->up.queued = r->down.sent = r->down.queued = 0;
	r->up.begun = r->down.begun = 0;
	r->config = config;
	r->closing = r->client_closed = r->client_heard = r->client_told = r->pinged = false;
	r->heard = r->told = r->active = io_now();
	r->session_began = session_began;
	r->session_end = INT64_MAX;
	r->close_deadline = r->gone_at = INT64_MAX;
	r->outcome = OK;
	r->close_code = 0;
	r->why = NULL;
	r->reason[0] = '\0';
}

/* --- our own frames ----------------------------------------------------------------------- */

/* True when a Ping or Pong may be queued: the last place is kept for the Close. */
static bool has_room(const struct direction *d)
{
	return sizeof(d->queue) - d->queued >= 2 * WS_CONTROL_FRAME_MAX;
}

/* Queues a control frame for the next boundary. */
static void queue_control(struct direction *d, enum ws_opcode opcode, const void *payload, size_t length)
{
	uint8_t mask[4];
	const bool to_server = d->framer.sender == WS_FROM_CLIENT;

	if (to_server && RAND_bytes(mask, sizeof(mask)) != 1)
		return;
	d->queued += ws_write_control(d->queue + d->queued, opcode, payload, length, to_server ? mask : NULL);
}

static void queue_close(struct direction *d, int code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];

	queue_control(d, WS_CLOSE, payload, ws_write_close(payload, code, reason));
}

/* --- closing ------------------------------------------------------------------------------ */

/* Begins the goodbye, once: the first reason counts. code is what the client is told. */
static void begin_close(struct relay *r, int outcome, int code, const char *reason)
{
	if (r->closing)
		return;
	r->closing = true;
	r->close_deadline = io_now() + RELAY_CLOSE_TIMEOUT_MS;
	r->outcome = outcome;
	r->close_code = code;
	snprintf(r->reason, sizeof(r->reason), "%s", reason);

	/* Downstream, the frame that has begun goes on to its end, then comes the Close. */
	framer_stop(&r->down.framer);
	queue_close(&r->down, code, reason);

	/* Upstream, what was read is written if Proxmox takes it now; inside a frame there is no honest Close, and
	 * the end of TCP has to say it. From the client only its Close is awaited. */
	if (framer_at_boundary(&r->up.framer) && !r->up.lost)
		queue_close(&r->up, code == 1000 ? 1000 : 1001, "");
	framer_discard(&r->up.framer);
}

static void end_with(struct relay *r, int outcome)
{
	const struct error_info *info = error_info(outcome);
	char reason[WS_REASON_MAX + 1];

	snprintf(reason, sizeof(reason), "%s%s%s", info->words, r->why ? ": " : "", r->why ? r->why : "");
	begin_close(r, outcome, info->close_code, reason);
}

/* The client said Close: it gets its code back (RFC 6455 section 5.5.1), or 1000 if it sent none. */
static void on_client_close(struct relay *r, const struct ws_control *close)
{
	char reason[WS_REASON_MAX + 1];
	int code, rc = ws_parse_close(close, WS_FROM_CLIENT, &code, reason);

	r->client_closed = true;
	if (rc < 0)
		end_with(r, rc);
	else
		begin_close(r, END_CLIENT_CLOSED, code ? code : 1000, "");
}

/* Proxmox itself never sends a Close; something between may. */
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
		begin_close(r, END_UPSTREAM_CLOSED, code, *reason ? reason : "Upstream websocket closed");
}

/* --- one direction ------------------------------------------------------------------------ */

static struct direction *opposite(struct relay *r, const struct direction *d)
{
	return d == &r->up ? &r->down : &r->up;
}

static void fill(struct relay *r, struct direction *d)
{
	size_t size;
	uint8_t *space;

	/* As much as there is, up to the buffer: several TLS records make one large write. */
	while (!d->ended && d->from->readable && (space = framer_space(&d->framer, &size), size > 0)) {
		ssize_t n = io_read(d->from, space, size);

		if (n > 0) {
			framer_filled(&d->framer, (size_t)n);
			if (d == &r->up)
				r->client_heard = true;
		} else if (n != IO_AGAIN) {
			d->ended = true;
			d->broke = n == IO_BROKEN;
		}
	}
}

/* Writes bytes[0..size). Returns false when the other side takes no more now; one that is lost takes everything. */
static bool drain(struct relay *r, struct direction *d, const uint8_t *bytes, size_t size, size_t *ret_written)
{
	*ret_written = d->lost ? size : 0;
	while (*ret_written < size) {
		ssize_t n = d->to->writable ? io_write(d->to, bytes + *ret_written, size - *ret_written) : IO_AGAIN;

		if (n == IO_BROKEN) {
			/* Reading goes on: what the peer said before it went, and how it went, is still to come. */
			d->lost = true;
			*ret_written = size;
			break;
		}
		if (n == IO_AGAIN)
			break;
		*ret_written += (size_t)n;
		if (d == &r->down)
			r->client_told = true;
	}
	return *ret_written == size;
}

/* Writes what is cleared, and at a boundary what is queued. Returns true when nothing is left. */
static bool flush(struct relay *r, struct direction *d)
{
	size_t size, written;
	const uint8_t *bytes;
	bool all;

	if (d->sent < d->begun) {
		all = drain(r, d, d->queue + d->sent, d->begun - d->sent, &written);
		d->sent += written;
		if (!all)
			return false;
	}
	bytes = framer_cleared(&d->framer, &size);
	if (size > 0) {
		all = drain(r, d, bytes, size, &written);
		framer_written(&d->framer, written);
		d->moved |= written > 0;
		if (!all)
			return false;
	}
	if (!framer_at_boundary(&d->framer))
		return true;
	if (d->sent < d->queued) {
		d->begun = d->queued;
		all = drain(r, d, d->queue + d->sent, d->queued - d->sent, &written);
		d->sent += written;
		if (!all)
			return false;
	}
	d->sent = d->queued = d->begun = 0;
	return true;
}

static void on_control(struct relay *r, struct direction *d, const struct ws_control *control)
{
	struct direction *back = opposite(r, d);

	switch (control->opcode) {
	case WS_PING: /* each side's Pings are answered here: section 5.5.2 */
		if (!r->closing)
			queue_control(back, WS_PONG, control->payload, control->length);
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
	flush(r, back);
}

/* True when d may be scanned: a Ping's answer must find room, and until it does the side that sends so many
 * waits; behind a client's Close nothing counts (section 5.5.1). */
static bool may_scan(struct relay *r, const struct direction *d)
{
	return has_room(opposite(r, d)) && !(d == &r->up && r->client_closed);
}

/* Scans what was read and writes it. Returns true when all that will ever come from there is through. */
static bool pass(struct relay *r, struct direction *d)
{
	struct ws_control control;
	const char *why = NULL;

	for (;;) {
		size_t before, after;
		int rc = FRAMER_BLOCKED;
		bool scanned = may_scan(r, d);

		framer_cleared(&d->framer, &before);
		if (scanned)
			rc = framer_scan(&d->framer, &control, &why);
		framer_cleared(&d->framer, &after);
		if (rc == FRAMER_CONTROL) {
			on_control(r, d, &control);
		} else if (rc < 0) {
			d->ended = true;
			flush(r, d); /* what came before the offence counts */
			if (!r->closing)
				r->why = why;
			end_with(r, rc);
			flush(r, d);
			return true;
		} else if (!flush(r, d)) {
			return false;
		} else if (before == 0 && after == 0) {
			return d->ended && scanned;
		}
	}
}

/* How a console ended that Proxmox closed in order. It does not say why, but what went through does: of a guest that is off
 * nothing comes, and a terminal, whose client speaks first, answers nothing to a ticket that it does not take. */
static int console_end(struct relay *r)
{
	const uint64_t up = r->up.framer.payload, down = r->down.framer.payload;

	if (down == 0) {
		r->why = up == 0 ? "the guest is off, or went off" : "the guest is off, or its terminal refused user and ticket";
		return END_UPSTREAM_EMPTY;
	}
	if (up == RELAY_RFB_REFUSED_UP && down >= RELAY_RFB_REFUSED_DOWN && down <= RELAY_RFB_REFUSED_DOWN + RELAY_RFB_REASON_MAX)
		return END_PASSWORD_REFUSED;
	return END_UPSTREAM_CLOSED;
}

/* Proxmox's side ended, and all that it sent is written: how did it end? */
static void on_upstream_end(struct relay *r)
{
	const bool inside = framer_inside_frame(&r->down.framer);

	if (r->closing)
		return;
	if (inside || r->down.broke)
		r->why = inside ? "inside a frame" : "without close_notify";
	end_with(r, r->why ? ERR_UPSTREAM_BROKE : console_end(r));
}

/* One round of both directions. */
static void pump(struct relay *r)
{
	flush(r, &r->up); /* it may be what the other direction waits for */
	fill(r, &r->down);
	if (pass(r, &r->down))
		on_upstream_end(r);
	fill(r, &r->up);
	if (pass(r, &r->up))
		end_with(r, ERR_CLIENT_GONE);
}

/* --- time --------------------------------------------------------------------------------- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t after(int64_t from, int seconds)
{
	return seconds ? from + seconds * INT64_C(1000) : INT64_MAX;
}

/* True when the client may have answered a Ping without our knowing, or never got it: bytes from it wait
 * unread (back-pressure), or ours are not acknowledged yet. TCP_USER_TIMEOUT ends that, should it last. */
static bool ping_is_on_its_way(const struct relay *r)
{
	int unread = 0, unacknowledged = 0;

	if (r->client->hung_up)
		return false;
	ioctl(r->client->fd, FIONREAD, &unread);
	ioctl(r->client->fd, SIOCOUTQ, &unacknowledged);
	return unread > 0 || unacknowledged > 0 || r->down.queued > 0;
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

/* Looks at the clock and does what is due. Returns when to look again. */
static int64_t keep_time(struct relay *r)
{
	const struct config *c = r->config;
	int64_t now = io_now(), quiet_end;

	if (io_terminated())
		end_with(r, END_TERMINATED);
	if (r->closing)
		return r->close_deadline;

	if (r->client_heard) {
		r->heard = now;
		r->pinged = false;
	}
	if (r->client_told)
		r->told = now;
	if (r->up.moved || r->down.moved)
		r->active = now;
	if (!r->client->hung_up || r->up.moved)
		r->gone_at = now + RELAY_CLOSE_TIMEOUT_MS;
	r->client_heard = r->client_told = r->up.moved = r->down.moved = false;

	if (r->pinged && now >= after(r->ping_at, c->ping_interval)) {
		if (!ping_is_on_its_way(r)) {
			end_with(r, ERR_CLIENT_SILENT);
			return r->close_deadline;
		}
		r->ping_at = now;
	}
	/* Quiet is either way: a proxy in front may count only one of them. */
	quiet_end = after(earlier(r->heard, r->told), c->ping_interval);
	if (!r->pinged && now >= quiet_end) {
		rest(r);
		if (r->down.queued == 0) /* else something of ours is waiting for the client already */
			queue_control(&r->down, WS_PING, "", 0);
		flush(r, &r->down);
		r->pinged = true;
		r->ping_at = now;
	}
	if (now >= r->gone_at)
		end_with(r, ERR_CLIENT_GONE);
	else if (now >= after(r->active, c->idle_timeout))
		end_with(r, END_IDLE);
	else if (now >= r->session_end)
		end_with(r, END_SESSION_MAX);
	if (r->closing)
		return r->close_deadline;
	return earlier(earlier(r->pinged ? after(r->ping_at, c->ping_interval) : quiet_end, r->session_end),
		       earlier(after(r->active, c->idle_timeout), r->client->hung_up ? r->gone_at : INT64_MAX));
}

/* --- the loop ----------------------------------------------------------------------------- */

/* True while a direction has bytes that its other side must take. */
static bool wants_write(const struct direction *d)
{
	size_t left;

	framer_cleared(&d->framer, &left);
	return !d->lost && (left > 0 || (d->sent < d->queued && framer_at_boundary(&d->framer)));
}

static bool wants_read(struct direction *d)
{
	size_t space;

	framer_space(&d->framer, &space);
	return !d->ended && space > 0;
}

/* True when reading and writing can go on without waiting. */
static bool busy(struct relay *r)
{
	return (wants_read(&r->down) && r->down.from->readable) || (wants_read(&r->up) && r->up.from->readable) ||
	       (wants_write(&r->down) && r->down.to->writable) || (wants_write(&r->up) && r->up.to->writable);
}

/* True when the goodbye is over: the client has its Close and has answered it, or will get none, and Proxmox
 * has its own. */
static bool goodbye_is_said(struct relay *r)
{
	const bool told = r->down.queued == 0 || r->down.lost;

	if (!told && r->down.ended && !wants_write(&r->down)) {
		/* The frame that the Close waits behind will never be whole. */
		r->close_code = 0;
		r->down.queued = r->down.sent = 0;
		return true;
	}
	return told && (r->client_closed || r->up.ended) && !wants_write(&r->up);
}

static void run_until_closed(struct relay *r)
{
	while (!(r->closing && goodbye_is_said(r))) {
		int64_t deadline;

		for (int round = 0; round < RELAY_ROUNDS; round++) {
			pump(r);
			if (!busy(r))
				break;
		}
		deadline = keep_time(r);
		if (r->closing && (goodbye_is_said(r) || io_now() >= r->close_deadline))
			break;
		io_poll((struct io_want[2]){
				{ r->client, wants_read(&r->up), wants_write(&r->down) },
				{ r->upstream, wants_read(&r->down), wants_write(&r->up) },
			},
			busy(r) ? 0 : deadline);
	}
	if (r->down.queued > 0 || r->down.lost)
		r->close_code = 0; /* it never got out */
}

void relay_run(struct relay *r)
{
	/* The time that the request and the connection took was no silence. */
	r->heard = r->told = r->active = io_now();
	r->session_end = after(r->session_began, r->config->session_max);
	run_until_closed(r);
}

void relay_refuse(struct relay *r, int outcome, const char *reason)
{
	r->down.ended = true;
	r->up.lost = true;
	r->client->readable = true;
	fill(r, &r->up);
	pass(r, &r->up); /* the client's own Close may have come before: then it is answered */
	begin_close(r, outcome, error_info(outcome)->close_code, *reason ? reason : error_info(outcome)->words);
	run_until_closed(r);
}
