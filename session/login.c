/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs the login: reads and writes the frames that carry it, and maps its ends to outcomes. rfb.c
 * has the VNC part of it.
 */
#include "session/login.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/error.h"
#include "session/api_answer.h"
#include "session/rfb.h"

enum {
	LINE_MAX_SIZE = CONSOLE_USER_MAX + 1 + CONSOLE_VNCTICKET_MAX + 2, /* "USER:TICKET\n" and a NUL */
	ENDED = 0,                                                        /* a result of take(): the peer ended */
};

/* Sets the words of a failure: the client gets code's words and the text, the log gets the text.
 * Returns code. */
static int __attribute__((format(printf, 3, 4))) fail(struct login *l, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->detail, sizeof(l->detail), format, args);
	va_end(args);
	snprintf(l->reason, sizeof(l->reason), "%.60s%s%.60s", error_info(code)->words, *l->detail ? ": " : "",
		 l->detail);
	return code;
}

/* Turns a result of io_wait() or io_write_all() on d's peer into a code. late is the outcome if the
 * deadline passed, with words. */
static int map_wait(struct login *l, const struct relay *r, const struct endpoint *peer, int rc)
{
	const bool client = peer == r->client;

	switch (rc) {
	case IO_TIMEOUT:
		return client ? fail(l, ERR_CLIENT_VNC, "it did not answer in %d s", r->config->request_timeout) :
				fail(l, ERR_UPSTREAM_TIMEOUT, "its console does not answer");
	case IO_HANGUP: /* the other side is watched */
		return client ? fail(l, ERR_UPSTREAM_BROKE, "during the login") : ERR_CLIENT_GONE;
	case IO_BROKEN:
		return client ? ERR_CLIENT_GONE : fail(l, ERR_UPSTREAM_BROKE, "during the login");
	case IO_TERMINATED:
		return END_TERMINATED;
	default:
		return rc;
	}
}

static struct direction *opposite(struct relay *r, const struct direction *d)
{
	return d == &r->up ? &r->down : &r->up;
}

/* Writes what d has queued. Returns 0 or an error. */
static int flush(struct login *l, struct relay *r, struct direction *d, int64_t deadline)
{
	while (!direction_flush(d)) {
		int rc = io_wait(d->to, POLLOUT, d->from, deadline);

		if (rc < 0)
			return map_wait(l, r, d->to, rc);
	}
	return OK;
}

/* Sends data[0..size) to d's receiver in a frame of its own. Returns 0 or an error. */
static int send_data(struct login *l, struct relay *r, struct direction *d, const void *data, size_t size,
		     int64_t deadline)
{
	struct ws_header h = { .fin = true, .opcode = WS_BINARY, .length = size, .masked = d == &r->up };
	uint8_t frame[WS_HEADER_MAX + LINE_MAX_SIZE];
	int rc = flush(l, r, d, deadline);
	size_t head;

	if (rc < 0)
		return rc;
	if (size > LINE_MAX_SIZE || (h.masked && RAND_bytes(h.mask, sizeof(h.mask)) != 1))
		return ERR_SYSTEM;
	head = ws_write_header(frame, &h);
	memcpy(frame + head, data, size);
	if (h.masked)
		ws_mask(frame + head, size, h.mask);
	rc = io_write_all(d->to, frame, head + size, deadline);
	d->own_at_end += head + size;
	OPENSSL_cleanse(frame, sizeof(frame));
	return map_wait(l, r, d->to, rc);
}

/* Answers a Ping, if the queue has room: at a flood of them, not every one needs an answer (RFC
 * 6455 section 5.5.3). */
static void on_control(struct relay *r, struct direction *d, const struct ws_control *control)
{
	struct direction *back = opposite(r, d);

	if (control->opcode == WS_PING && direction_has_room(back))
		direction_queue(back, WS_PONG, control->payload, control->length);
	direction_flush(back);
}

/* Waits for more input of d's sender. Returns 0 or an error. */
static int wait_for_input(struct login *l, struct relay *r, struct direction *d, int64_t deadline)
{
	int rc = OK;

	direction_fill(d);
	if (!d->did_read && !d->ended) {
		rc = io_wait(d->from, POLLIN, d->to, deadline);
	} else if (io_terminated()) {
		/* Check SIGTERM and the clock here too: a flood of Pings must not hold the
		 * session. */
		rc = IO_TERMINATED;
	} else if (io_now() > deadline) {
		rc = IO_TIMEOUT;
	}
	d->did_read = false;
	return map_wait(l, r, d->from, rc);
}

/* Takes 1 to size bytes that d's sender sent. Returns their count, ENDED if it sends no more, or an
 * error. */
static int take(struct login *l, struct relay *r, struct direction *d, uint8_t *bytes, size_t size, int64_t deadline)
{
	for (;;) {
		struct ws_control control;
		const char *why;
		size_t n;
		int rc = framer_take(&d->framer, bytes, size, &n, &control, &why);

		switch (rc) {
		case FRAMER_TAKEN:
			return (int)n;
		case FRAMER_CONTROL:
			on_control(r, d, &control);
			continue;
		case FRAMER_CLOSE:
			return d == &r->up ? END_CLIENT_CLOSED : ENDED;
		case FRAMER_BLOCKED:
			break;
		default:
			return fail(l, rc, "%s", why);
		}
		if (d->ended)
			return d == &r->up ? ERR_CLIENT_GONE : ENDED;
		rc = wait_for_input(l, r, d, deadline);
		if (rc < 0)
			return rc;
	}
}

/* --- VNC ---------------------------------------------------------------------------------- */

/* The console refused. Its own words are for the log alone, where they must not look like
 * fields. */
static int refused(struct login *l, const struct rfb *rfb)
{
	const struct slice reason = { rfb_reason(rfb), strlen(rfb_reason(rfb)) };
	char words[LOGIN_DETAIL_MAX];

	api_answer_quote(reason, l->console, words, sizeof(words));
	fail(l, END_PASSWORD_REFUSED, "%s%s", *words ? "it said: " : "it gave no reason", words);
	snprintf(l->reason, sizeof(l->reason), "%s", error_info(END_PASSWORD_REFUSED)->words);
	return END_PASSWORD_REFUSED;
}

/* Maps the end of the console's connection: Proxmox gives no reason. */
static int console_ended(struct login *l, const struct relay *r, const struct rfb *rfb, bool heard)
{
	if (r->down.broke)
		return fail(l, ERR_UPSTREAM_BROKE, "during the login");
	if (!heard)
		return fail(l, END_UPSTREAM_EMPTY, "%s", *l->note ? l->note : "the guest or its node is off");
	if (rfb_is_refused(rfb))
		return refused(l, rfb);
	return fail(l, ERR_UPSTREAM_LOGIN, "it closed inside the VNC handshake");
}

/* Maps a result of rfb_feed() below 0. */
static int rfb_failed(struct login *l, const struct rfb *rfb, int rc, const char *why)
{
	switch (rc) {
	case RFB_REFUSED:
		return refused(l, rfb);
	case RFB_CLIENT_INVALID:
		return fail(l, ERR_CLIENT_VNC, "%s", why);
	default:
		return fail(l, ERR_UPSTREAM_LOGIN, "%s", why);
	}
}

/* Does both sides' handshakes. Returns 0 or an error. */
static int vnc_login(struct login *l, struct relay *r, struct rfb *rfb, int64_t deadline)
{
	bool heard = false, client_began = false;
	enum rfb_peer from;
	size_t wanted;

	while ((wanted = rfb_wants(rfb, &from)) > 0) {
		struct direction *d = from == RFB_CLIENT ? &r->up : &r->down;
		uint8_t in[RFB_WANTS_MAX], out[RFB_OUT_MAX];
		enum rfb_peer to;
		const char *why;
		size_t n_out;
		int rc, n;

		if (from == RFB_CLIENT && !client_began) {
			client_began = true;
			deadline = io_now() + r->config->request_timeout * INT64_C(1000);
		}
		n = take(l, r, d, in, wanted, deadline);
		if (n == ENDED)
			return console_ended(l, r, rfb, heard);
		if (n < 0)
			return n;
		heard = true;
		rc = rfb_feed(rfb, in, (size_t)n, out, &n_out, &to, &why);
		OPENSSL_cleanse(in, sizeof(in));
		if (rc < 0)
			return rfb_failed(l, rfb, rc, why);
		if (n_out > 0)
			rc = send_data(l, r, to == RFB_CLIENT ? &r->down : &r->up, out, n_out, deadline);
		if (rc < 0)
			return rc;
	}
	return OK;
}

/* --- terminal ------------------------------------------------------------------------------- */

/* Sends the user and ticket, and takes the answer away. Returns 0 or an error. */
static int terminal_login(struct login *l, struct relay *r, const struct console *c, int64_t deadline)
{
	static const uint8_t ok[2] = { 'O', 'K' };
	char line[LINE_MAX_SIZE];
	const int len = snprintf(line, sizeof(line), "%s:%s\n", c->user, c->vncticket);
	int rc = send_data(l, r, &r->up, line, (size_t)len, deadline);

	OPENSSL_cleanse(line, sizeof(line));
	for (size_t i = 0; rc == OK && i < sizeof(ok); i++) {
		uint8_t byte;
		int n = take(l, r, &r->down, &byte, 1, deadline);

		if (n == ENDED)
			rc = r->down.broke ? fail(l, ERR_UPSTREAM_BROKE, "during the login") :
					     fail(l, END_LOGIN_REFUSED, "%s", "");
		else if (n < 0)
			rc = n;
		else if (byte != ok[i])
			rc = fail(l, ERR_UPSTREAM_LOGIN, "its terminal did not answer OK");
	}
	return rc;
}

int login_run(struct login *l, struct relay *r, const struct console *c, const char *note, int64_t deadline)
{
	struct rfb rfb;
	int rc;

	l->note = note;
	l->console = c;
	l->reason[0] = l->detail[0] = '\0';
	if (c->terminal) {
		rc = terminal_login(l, r, c, deadline);
	} else {
		rfb_init(&rfb, c->password);
		rc = vnc_login(l, r, &rfb, deadline);
		rfb_wipe(&rfb);
	}
	r->logged_in = rc == OK;
	return rc;
}
