/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends Pings to a quiet client, ends the session at its limits, and gives up peers that vanished.
 * relay.c calls it before each poll().
 */
#include "session/relay_time.h"

#include <malloc.h>
#include <sys/ioctl.h>

#include "lib/error.h"
#include "lib/pages.h"
#include "session/counters.h"
#include "session/relay_close.h"

/* Returns the time so many seconds after from; 0 seconds means never. */
static int64_t after(int64_t from, int seconds)
{
	return seconds ? from + seconds * INT64_C(1000) : INT64_MAX;
}

void relay_start_time(struct relay *r)
{
	/* Do not count the time of the request and of connecting as silence. */
	r->last_received = r->last_sent = r->last_data = io_now();
	r->up.did_write = r->down.did_write = true; /* the request and the 101 may be unacknowledged */
	r->session_end = after(r->session_began, r->config->session_max);
}

/* --- bookkeeping -------------------------------------------------------------------------- */

/* Notes what the directions did since the last call. */
static void note_activity(struct relay *r, int64_t now)
{
	if (r->up.did_read) {
		r->last_received = now;
		/* Data that arrived before the Ping, and is read only now, does not answer it. */
		r->ping_pending = r->ping_pending && !silence_received_since(r->client, r->ping_sent);
	}
	if (r->down.did_write)
		r->last_sent = now;
	if (r->up.did_relay || r->down.did_relay)
		r->last_data = now;
	if (!r->client->hung_up || r->up.did_relay)
		r->hangup_deadline = now + RELAY_CLOSE_TIMEOUT_MS;
}

static void clear_activity(struct direction *d)
{
	d->did_read = d->did_write = d->did_relay = false;
}

/* --- Pings -------------------------------------------------------------------------------- */

/* True if the Ping is not written yet or not acknowledged, or if input is unread that may be its
 * answer (back-pressure). If that lasts, check_vanished() ends the session. */
static bool answer_may_be_on_its_way(const struct relay *r)
{
	int unread = 0;

	if (r->client->hung_up)
		return false;
	ioctl(r->client->fd, FIONREAD, &unread);
	return unread > 0 || io_unacknowledged(r->client) > 0 || r->down.queued > 0;
}

/* Returns unused pages of buffers and of the heap to the kernel. */
static void release_memory(struct relay *r)
{
	struct framer *framers[] = { &r->up.framer, &r->down.framer };

	for (size_t i = 0; i < 2; i++)
		if (framer_is_empty(framers[i]))
			pages_release(framers[i]->buf, sizeof(framers[i]->buf));
	io_release_buffers(r->upstream);
	malloc_trim(0);
}

/* Sends a Ping, or lets it wait for room, and begins to wait for its answer. */
static void send_ping(struct relay *r, int64_t now)
{
	release_memory(r); /* the session is quiet */
	/* If a frame of our own waits for the client already, a Ping behind it would only pile up.
	 * That frame may be a Pong, which the client does not answer: check_ping() tries again. */
	r->ping_queued = r->down.queued == 0;
	if (r->ping_queued)
		direction_queue(&r->down, WS_PING, "", 0);
	direction_flush(&r->down);
	r->ping_pending = true;
	r->last_sent = r->ping_sent = r->ping_wait_began = now;
}

/* Returns when to send a Ping or, after one was sent, when its answer is due. Silence in one
 * direction is enough for a Ping, because a reverse proxy may watch only one of them. */
static int64_t next_ping(const struct relay *r)
{
	const int64_t since = r->ping_pending ? r->ping_wait_began : io_earlier(r->last_received, r->last_sent);

	return after(since, r->config->ping_interval);
}

/* Sends a Ping if it is due, or ends the session if the answer is overdue. */
static void check_ping(struct relay *r, int64_t now)
{
	if (now < next_ping(r))
		return;
	if (r->ping_pending && answer_may_be_on_its_way(r))
		r->ping_wait_began = now;
	else if (r->ping_pending && r->ping_queued)
		relay_end(r, ERR_CLIENT_SILENT, NULL);
	else
		send_ping(r, now);
}

/* --- vanished peers ----------------------------------------------------------------------- */

/* Ends the session if a peer vanished without FIN or RST, or accepts no data for too long. */
static void check_vanished(struct relay *r, int64_t now)
{
	const int64_t interval = r->config->ping_interval * INT64_C(1000);
	const int64_t step = interval ? io_earlier(interval / 4, SILENCE_STEP_MS) : SILENCE_STEP_MS;
	/* The check that comes one Ping interval after a Ping must already find the peer gone. So
	 * this is an interval, less one step (the check before it), less a quarter of a step (a
	 * check can be late). */
	const int64_t gone = interval ? io_earlier(interval - step - step / 4, SILENCE_GONE_MS) : SILENCE_GONE_MS;
	/* If gone is only some seconds, the session also waits until a Ping stayed unanswered for
	 * so long: a short outage must not end it. With the full 45 s no Ping is needed. */
	const bool asked = gone == SILENCE_GONE_MS || (r->ping_pending && now >= r->ping_sent + gone);
	const char *client_why = silence_judge(&r->client_silence, &r->down, now, step, gone, asked);
	const char *upstream_why =
		silence_judge(&r->upstream_silence, &r->up, now, SILENCE_STEP_MS, SILENCE_GONE_MS, true);

	if (client_why) {
		direction_lose(&r->down);
		r->up.ended = true;
		relay_end(r, ERR_CLIENT_SILENT, client_why);
	} else if (upstream_why) {
		direction_lose(&r->up);
		r->down.ended = true;
		relay_end(r, ERR_UPSTREAM_BROKE, upstream_why);
	}
}

/* --- limits ------------------------------------------------------------------------------- */

/* Ends the session at the first limit that is reached. */
static void check_limits(struct relay *r, int64_t now)
{
	if (now >= r->hangup_deadline) {
		relay_end(r, ERR_CLIENT_GONE, NULL);
		/* Proxmox already had RELAY_CLOSE_TIMEOUT_MS to accept the data. */
		relay_limit_close(r, now + RELAY_CLOSE_CHECK_MS);
	} else if (now >= after(r->last_data, r->config->idle_timeout)) {
		relay_end(r, END_IDLE, NULL);
	} else if (now >= r->session_end) {
		relay_end(r, END_SESSION_MAX, NULL);
	}
}

/* Returns when the first of the checks above is due again. */
static int64_t next_check(const struct relay *r)
{
	int64_t next = io_earlier(r->client_silence.next_check, r->upstream_silence.next_check);

	next = io_earlier(next, next_ping(r));
	next = io_earlier(next, io_earlier(r->session_end, after(r->last_data, r->config->idle_timeout)));
	return io_earlier(next, r->client->hung_up ? r->hangup_deadline : INT64_MAX);
}

int64_t relay_keep_time(struct relay *r)
{
	const int64_t now = io_now();
	int64_t next;

	if (io_terminated())
		relay_end(r, END_TERMINATED, NULL);
	counters_relayed(r->up.framer.passed, r->down.framer.passed, now);
	if (!r->closing)
		note_activity(r, now);
	if (!r->closing)
		check_ping(r, now);
	if (!r->closing)
		check_vanished(r, now);
	if (!r->closing)
		check_limits(r, now);
	next = r->closing ? relay_extend_close(r, now) : next_check(r);
	if (r->renew && !r->closing)
		next = io_earlier(next, r->renew(now));
	clear_activity(&r->up);
	clear_activity(&r->down);
	return next;
}
