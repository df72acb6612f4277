/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzzes a whole session, from the client's first byte to the summary in the log, in a world that
 * the input controls (world.h). Whatever the client, Proxmox, the kernel and the clock do, the
 * session ends. The client gets an HTTP answer, or a 101 and valid frames. Proxmox gets valid
 * frames of kinds that it accepts. Each side gets the data that the other sent. A Close is sent
 * whenever that is possible. No secret is in the log.
 */
#include "lib/io.c" /* for its static variable `terminated` */

int session_main(int argc, char **argv);
#define main session_main
#include "proxxy-conn.c"
#undef main

#include <setjmp.h>

#include "tests/fuzz/session/header_model.h"
#include "tests/fuzz/session/login_model.h"
#include "tests/fuzz/session/payloads.h"
#include "tests/fuzz/session/reference.h"
#include "tests/fuzz/session/world.h"

enum { PROXMOX_MAX = 131072, CONTROLS_MAX = 8192, ANSWER_MAX = 2048, VANISHED_MAX_MS = 60000 + 6000 };
enum { BLOCKED_MAX_MS = 15 * 60000 + VANISHED_MAX_MS };

/* --- what the session reads and writes ------------------------------------------------------ */

/* What the session read from one side, and what it passed to the other. */
struct witness {
	struct reference from, to;
	uint8_t data[WORLD_BYTES_MAX]; /* payload of its data frames, unmasked */
	size_t n_data, n_passed;
	size_t n_due;      /* bytes of data before its Close */
	size_t n_unbroken; /* and before the first fragment */
	bool closed, fragmented;
	int close_code; /* of its Close: 1000 if that has none */
	struct {
		size_t n;
		uint8_t payload[125];
	} pings[CONTROLS_MAX]; /* Pings; the first n_pongs are answered or skipped */
	size_t n_pings, n_pongs;
	size_t n_excused; /* Pings that the login need not answer */
};

static struct {
	struct witness up, down; /* up: from the client */
	struct header_model header;
	uint32_t head_end; /* the last four bytes of the client's request head */
	bool head_only;    /* the request is a HEAD */
	size_t n_read;     /* bytes of the request head that were read */
	char answer[ANSWER_MAX];
	size_t n_answer;
	bool upgraded;
	int client_close, upstream_close; /* code of the Close that was sent: 1005 for none in it, 0 for no Close */
	bool relaying;
	int64_t relaying_since; /* 0 if it never relayed */
	int64_t own_pings;      /* our Pings to the client */
	size_t ends;            /* records of a session's end or of a refusal */
	bool pong_due;          /* the client has not answered the last Ping */
	struct login_model login;
	bool logging_in;
	int64_t login_end; /* when the part of the login that runs must be over */
	bool cut;          /* Proxmox had not finished its last frame when the connections ended */
} witness;
static jmp_buf exited;

static void begin_witness(void)
{
	struct witness *both[] = { &witness.up, &witness.down };

	for (size_t i = 0; i < 2; i++)
		both[i]->n_data = both[i]->n_passed = both[i]->n_due = both[i]->n_unbroken = both[i]->n_pings =
			both[i]->n_pongs = both[i]->n_excused = 0;
	witness.up.closed = witness.down.closed = witness.up.fragmented = witness.down.fragmented = false;
	memset(&witness.login, 0, sizeof(witness.login));
	witness.logging_in = false;
	witness.up.from = witness.up.to = (struct reference){ .masked = true };
	witness.down.from = witness.down.to = (struct reference){ .masked = false };
	witness.head_end = 0;
	witness.head_only = witness.upgraded = witness.cut = witness.pong_due = false;
	witness.n_read = witness.n_answer = witness.ends = 0;
	witness.header = (struct header_model){ .n = 0 };
	witness.client_close = witness.upstream_close = 0;
	witness.relaying = false;
	witness.relaying_since = witness.own_pings = 0;
}

void __real_relay_run(struct relay *r);
void __wrap_relay_run(struct relay *r);
void __wrap_relay_run(struct relay *r)
{
	REQUIRE(witness.login.began == payloads_log_in(payloads_find(world.client.bytes, world.client.read)),
		"a login that is not the payload's");
	witness.relaying = true;
	witness.relaying_since = world.now;
	__real_relay_run(r);
	witness.relaying = false;
}

/* Looks at what was read. A server must not send fragments during a login. */
static void update_login(void)
{
	login_model_update(&witness.login, witness.down.data, witness.down.n_unbroken, witness.up.data,
			   witness.up.n_due);
}

int __real_login_run(struct login *l, struct relay *r, const struct console *c, const char *note, int64_t deadline);
int __wrap_login_run(struct login *l, struct relay *r, const struct console *c, const char *note, int64_t deadline);
int __wrap_login_run(struct login *l, struct relay *r, const struct console *c, const char *note, int64_t deadline)
{
	const struct witness *up = &witness.up, *down = &witness.down;
	struct login_end end;
	int rc;

	login_model_begin(&witness.login, c);
	update_login();
	witness.logging_in = true;
	witness.login_end = deadline;
	rc = __real_login_run(l, r, c, note, deadline);
	witness.logging_in = false;
	update_login();
	REQUIRE(world.now <= witness.login_end, "%lld ms late", (long long)(world.now - witness.login_end));
	end = (struct login_end){
		.console_ended = world.upstream.fin || down->closed,
		.console_broke = world.upstream.reset || world.upstream.deaf,
		.console_violates = down->from.error || down->fragmented,
		.client_closed = up->closed,
		.client_broke = world.client.fin || world.client.reset || world.client.deaf,
		.client_violates = up->from.error,
		.late = world.now >= witness.login_end,
		.terminated = terminated,
		.without_random = world.settings.rest & 0x80,
	};
	login_model_end(&witness.login, rc, &end);
	/* The queue may have been full. */
	witness.up.n_excused = world.client.refused ? witness.up.n_pings : 0;
	witness.down.n_excused = world.upstream.refused ? witness.down.n_pings : 0;
	return rc;
}

void __real_linger(struct endpoint *a, struct endpoint *b, int64_t deadline);
void __wrap_linger(struct endpoint *a, struct endpoint *b, int64_t deadline);
/* What arrives from here on is read and dropped. It may be the rest of a frame. */
void __wrap_linger(struct endpoint *a, struct endpoint *b, int64_t deadline)
{
	witness.cut = reference_inside(&witness.down.from) || witness.down.from.error;
	__real_linger(a, b, deadline);
}

PER_BYTE void witness_read(bool from_client, const uint8_t *bytes, size_t n)
{
	struct witness *w = from_client ? &witness.up : &witness.down;

	for (size_t i = 0; i < n; i++) {
		if (from_client && header_model_byte(&witness.header, &config, &who, n - i - 1))
			continue;
		if (from_client && witness.head_end != 0x0D0A0D0A) {
			witness.head_end = witness.head_end << 8 | bytes[i];
			if (witness.n_read++ < 5)
				witness.head_only = memcmp(world.client.bytes + witness.header.n, "HEAD ", 5) == 0;
			continue;
		}
		switch (reference_byte(&w->from, bytes[i])) {
		case REFERENCE_HEAD:
			w->fragmented |= !w->from.fin;
			break;
		case REFERENCE_DATA:
			w->data[w->n_data++] = w->from.plain;
			w->n_due += !w->closed;
			w->n_unbroken += !w->closed && !w->fragmented;
			break;
		case REFERENCE_CONTROL:
			if (w->from.opcode == WS_CLOSE && !w->closed)
				w->close_code = w->from.n_control < 2 ? 1000 :
									w->from.control[0] << 8 | w->from.control[1];
			w->closed |= w->from.opcode == WS_CLOSE;
			if (w->from.opcode == WS_PING && w->n_pings < CONTROLS_MAX) {
				w->pings[w->n_pings].n = w->from.n_control;
				memcpy(w->pings[w->n_pings++].payload, w->from.control, w->from.n_control);
			}
			break;
		default:
			break;
		}
	}
}

#define require_no_secret(text, n) payloads_require_no_secret(text, n, world.upstream.bytes, world.upstream.sent)

/* Checks a control frame that the session sent. back is the direction whose Pings it may answer. */
static void own_control(const struct reference *r, struct witness *back, bool to_client, int *ret_close)
{
	size_t i = back->n_pongs;

	switch (r->opcode) {
	case WS_CLOSE:
		*ret_close = r->n_control ? r->control[0] << 8 | r->control[1] : 1005;
		REQUIRE(r->n_control != 1 && (r->n_control == 0 || (*ret_close >= 1000 && *ret_close <= 4999 &&
								    *ret_close != 1005 && *ret_close != 1006)),
			"close code %d", *ret_close);
		break;
	case WS_PONG: /* not every Ping needs a Pong, but the Pongs keep the Pings' order */
		while (i < back->n_pings && (back->pings[i].n != r->n_control ||
					     memcmp(back->pings[i].payload, r->control, r->n_control) != 0))
			i++;
		REQUIRE(i < back->n_pings, "a Pong to no Ping");
		back->n_pongs = i + 1;
		break;
	default:
		REQUIRE(to_client && r->opcode == WS_PING && r->n_control == 0, "opcode %u", r->opcode);
		/* At most one Ping per interval, although each may wait for the end of a frame. The
		 * next one may be early by a tick of the kernel's clock (silence.h). */
		witness.own_pings++;
		witness.pong_due = true;
		REQUIRE(config.ping_interval, "a Ping although there shall be none");
		REQUIRE(witness.own_pings * (config.ping_interval * INT64_C(1000) - 20) <=
				world.now - witness.relaying_since,
			"%lld Pings in %lld ms", (long long)witness.own_pings,
			(long long)(world.now - witness.relaying_since));
		break;
	}
}

/* Takes a byte of data that the session sent, if it belongs to the login. */
static bool login_byte(uint8_t byte, enum rfb_peer to)
{
	update_login();
	if (!login_model_sends(&witness.login, to))
		return false;
	login_model_byte(&witness.login, to, byte);
	if (to == RFB_CLIENT && witness.logging_in && witness.login.sent[to] == LOGIN_MODEL_GREETING)
		witness.login_end = world.now + config.request_timeout * INT64_C(1000);
	return true;
}

/* Takes a byte of data that the session sent: of its login, or what w's sender sent behind it. */
PER_BYTE static void data_byte(struct witness *w, enum rfb_peer to)
{
	size_t at;

	if (login_model_sends(&witness.login, to) && login_byte(w->to.plain, to))
		return;
	at = witness.login.taken[to == RFB_CLIENT ? RFB_SERVER : RFB_CLIENT] + w->n_passed;
	REQUIRE(at < w->n_data && w->data[at] == w->to.plain, "byte %zu of the data", at);
	w->n_passed++;
}

PER_BYTE static void frame_byte(struct witness *w, struct witness *back, bool to_client, uint8_t byte, int *ret_close)
{
	enum reference_event event;

	REQUIRE(*ret_close == 0, "something behind a Close");
	event = reference_byte(&w->to, byte);
	REQUIRE(event != REFERENCE_ERROR, "no legal frame");
	if (event == REFERENCE_HEAD && !to_client)
		REQUIRE(w->to.fin && w->to.opcode != WS_CONTINUATION && w->to.length <= PROXMOX_MAX,
			"not for Proxmox: opcode %u, %llu bytes", w->to.opcode, (unsigned long long)w->to.length);
	if (event == REFERENCE_DATA)
		data_byte(w, to_client ? RFB_CLIENT : RFB_SERVER);
	if (event == REFERENCE_CONTROL)
		own_control(&w->to, back, to_client, ret_close);
}

/* Takes a byte of the HTTP answer to the client. The head of a 101 is checked when it is complete,
 * everything else at the end of the session. */
static void answer_byte(uint8_t byte)
{
	REQUIRE(witness.n_answer < ANSWER_MAX - 1, "an answer without an end");
	witness.answer[witness.n_answer++] = (char)byte;
	witness.answer[witness.n_answer] = '\0';
	if (witness.n_answer < 4 || memcmp(witness.answer + witness.n_answer - 4, "\r\n\r\n", 4) != 0 ||
	    witness.upgraded)
		return;
	witness.upgraded = strncmp(witness.answer, "HTTP/1.1 101 ", 13) == 0;
	REQUIRE(!witness.upgraded || strstr(witness.answer, "\r\nSec-WebSocket-Accept: "), "%s", witness.answer);
}

PER_BYTE void witness_written(bool to_client, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (to_client && !witness.upgraded)
			answer_byte(bytes[i]);
		else if (to_client)
			frame_byte(&witness.down, &witness.up, true, bytes[i], &witness.client_close);
		else
			frame_byte(&witness.up, &witness.down, false, bytes[i], &witness.upstream_close);
	}
	REQUIRE(to_client || witness.upgraded, "Proxmox hears of it before the client was answered");
}

/* Requires that everything that w's sender sent, and the session has read or could read, was passed
 * on. Two things may delay it: the receiver accepts nothing, or Pongs for the sender cannot be
 * written, because the other direction is inside a frame or accepts nothing. */
static void require_no_delay(const struct witness *w, const struct peer *from, const struct peer *to,
			     const struct witness *back)
{
	const size_t n_pongs = w->n_pongs > w->n_excused ? w->n_pongs : w->n_excused;
	const size_t n_taken = witness.login.taken[w == &witness.up ? RFB_CLIENT : RFB_SERVER];
	const bool pongs_wait = w->n_pings > n_pongs && (reference_inside(&back->to) || from->room == 0 || from->deaf);

	if (pongs_wait || to->room == 0 || to->deaf || w->from.error)
		return;
	REQUIRE(n_pongs == w->n_pings, "%zu Pongs to %zu Pings", n_pongs, w->n_pings);
	REQUIRE(n_taken + w->n_passed == w->n_data, "%zu bytes of %zu, and nobody waits for the rest",
		n_taken + w->n_passed, w->n_data);
	REQUIRE(!w->closed, "a Close that nobody has heard");
	REQUIRE(from->read == from->sent, "%zu bytes read of %zu, and nobody waits for the rest", from->read,
		from->sent);
}

/* The session gives up a peer that accepts no data for 15 minutes. */
static void require_not_blocked(const struct peer *p)
{
	REQUIRE(!p->blocked || world.now - p->blocked <= BLOCKED_MAX_MS, "%lld ms without room",
		(long long)(world.now - p->blocked));
}

bool witness_pong_due(void)
{
	const struct peer *p = &world.client;
	const bool between = !reference_inside(&witness.up.from) && !witness.up.from.error && !witness.up.closed;

	if (!witness.pong_due || p->read != p->sent || !between)
		return false;
	witness.pong_due = false;
	return true;
}

/* Requires that a login that waits, waits for the side whose turn it is. */
static void require_login_waits(void)
{
	const struct login_model *m = &witness.login;
	const struct witness *w = m->greeted ? &witness.up : &witness.down;
	const struct peer *c = &world.client, *u = &world.upstream, *from = m->greeted ? c : u;

	if (c->room == 0 || c->deaf || u->room == 0 || u->deaf)
		return;
	update_login();
	REQUIRE(m->rfb.result == RFB_MORE, "%d, and the login waits", m->rfb.result);
	REQUIRE(m->sent[RFB_SERVER] == m->due[RFB_SERVER] && m->sent[RFB_CLIENT] == m->due[RFB_CLIENT],
		"%zu bytes to Proxmox, %zu to the client", m->sent[RFB_SERVER], m->sent[RFB_CLIENT]);
	REQUIRE(from->read == from->sent && !w->closed && !w->from.error, "it waits for nothing");
	REQUIRE(from->refused || w->n_pongs == w->n_pings, "%zu Pongs to %zu Pings", w->n_pongs, w->n_pings);
}

void witness_wait(void)
{
	const bool without_random = world.settings.rest & 0x80;

	if (witness.logging_in && !without_random)
		require_login_waits();
	if (!witness.relaying || relay.closing || without_random)
		return;
	require_not_blocked(&world.client);
	require_not_blocked(&world.upstream);
	require_no_delay(&witness.up, &world.client, &world.upstream, &witness.down);
	require_no_delay(&witness.down, &world.upstream, &world.client, &witness.up);
}

void witness_log(const char *text, size_t n)
{
	const char *outcome = memmem(text, n, " outcome=", 9);

	require_no_secret(text, n);
	for (size_t i = 0; i < n; i++)
		REQUIRE((uint8_t)text[i] >= 0x20 || (text[i] == '\n' && i == n - 1), "a control in the log: %.*s",
			(int)n, text);
	/* What a peer said does not look like a field of a line. */
	REQUIRE(!outcome || !memmem(outcome + 1, (size_t)(text + n - outcome) - 1, " outcome=", 9), "%.*s", (int)n,
		text);
	witness.ends += memmem(text, n, "Session ended", 13) || memmem(text, n, "Request refused", 15);
}

void witness_exit(int status)
{
	longjmp(exited, status + 1);
}

/* --- what must hold at the end -------------------------------------------------------------- */

/* False for outcomes that are possible before the request's method is known. */
static bool was_read(int outcome)
{
	return outcome != ERR_REQUEST_MALFORMED && outcome != ERR_REQUEST_TOO_LARGE && outcome != ERR_REQUEST_TIMEOUT &&
	       outcome != ERR_REQUEST_VERSION && outcome != END_TERMINATED;
}

/* Requires a complete answer, unless the client did not accept it. */
static void require_answer(void)
{
	const char *end = strstr(witness.answer, "\r\n\r\n"), *length = strstr(witness.answer, "\r\nContent-Length: ");
	size_t body;

	REQUIRE(strncmp("HTTP/1.1 ", witness.answer, witness.n_answer < 9 ? witness.n_answer : 9) == 0, "%s",
		witness.answer);
	require_no_secret(witness.answer, witness.n_answer);
	if (world.client.refused)
		return;
	if (strncmp(witness.answer, "HTTP/1.1 204 ", 13) == 0) {
		REQUIRE(end && !end[4] && !length, "%s", witness.answer);
		return;
	}
	REQUIRE(end && length && length < end, "%s", witness.answer);
	REQUIRE(strstr(witness.answer, "\r\nConnection: ") < end, "%s", witness.answer);
	body = witness.n_answer - (size_t)(end + 4 - witness.answer);
	/* The answer to a HEAD has no body, unless the request failed before its method was
	 * known. */
	REQUIRE(body == (size_t)atoi(length + 18) ? !witness.head_only || !was_read(session.outcome) :
						    witness.head_only && body == 0,
		"%s", witness.answer);
	REQUIRE(body == 0 || (end[4] == '{' && witness.answer[witness.n_answer - 1] == '}'), "%s", witness.answer);
}

/* A peer that vanished is detected within two Ping intervals (of 30 s at most), or a minute, plus
 * the time for the closing handshake; its last data may be read only after it vanished. */
static void require_noticed(const struct peer *p)
{
	int64_t since = p->vanished > witness.relaying_since ? p->vanished : witness.relaying_since;

	since = p->taken > since ? p->taken : since;
	REQUIRE(!p->vanished || !witness.relaying_since || world.now - since <= VANISHED_MAX_MS,
		"%lld ms without a peer", (long long)(world.now - since));
}

/* status is -1 if there was no client to serve. */
static void require_end(int status)
{
	const bool inside = reference_inside(&witness.down.to);

	if (witness.n_answer > 0 && !witness.upgraded)
		require_answer();
	if (status < 0) {
		REQUIRE(witness.n_answer == 0 && witness.ends == 0, "an end without words");
		return;
	}
	REQUIRE(session.outcome != ERR_SYSTEM || *session.detail, "a system error without a detail");
	REQUIRE(witness.ends == (witness.upgraded || session.outcome != OK), "%zu records of the end", witness.ends);
	REQUIRE(!witness.upgraded || session.outcome != OK, "no outcome");
	if (!witness.upgraded)
		return;
	REQUIRE(session.close_code == 0 || witness.client_close == session.close_code, "close code %d said, %d sent",
		session.close_code, witness.client_close);
	REQUIRE(session.bytes_up <= witness.up.n_passed && session.bytes_down <= witness.down.n_passed,
		"bytes that nobody got");
	require_noticed(&world.client);
	if (session.outcome == ERR_CLIENT_SILENT && !relay.why)
		REQUIRE(witness.pong_due || world.client.vanished || world.client.fin || world.client.deaf,
			"a client that answers is called silent, %lld Pings", (long long)witness.own_pings);
	if (session.outcome == ERR_CLIENT_SILENT && relay.why)
		REQUIRE(world.client.vanished || strstr(relay.why, "15 minutes"), "a client that acknowledges: %s",
			relay.why);
	if (session.outcome == ERR_UPSTREAM_BROKE && relay.why && strstr(relay.why, "acknowledges"))
		REQUIRE(world.upstream.vanished, "a Proxmox that acknowledges: %s", relay.why);
	if (!world.client.refused) /* otherwise Proxmox's last data waits, and its end is seen only after that */
		require_noticed(&world.upstream);
	if (world.client.refused || world_owes(&world.client))
		return;
	REQUIRE(session.bytes_down == witness.down.n_passed, "%zu bytes passed, %llu logged", witness.down.n_passed,
		(unsigned long long)session.bytes_down);
	if (session.outcome == END_CLIENT_CLOSED && session.close_code)
		REQUIRE(session.close_code == witness.up.close_code, "%d answers a Close with %d", session.close_code,
			witness.up.close_code);
	/* The client read everything. So either Proxmox ended inside a frame, or a Close was
	 * sent. */
	REQUIRE(!inside || witness.cut, "a frame that is cut");
	REQUIRE(inside || (witness.client_close && session.close_code == witness.client_close),
		"no goodbye: %d, logged %d", witness.client_close, session.close_code);
	if (session.outcome == END_UPSTREAM_CLOSED)
		REQUIRE(witness.login.taken[RFB_SERVER] + witness.down.n_passed >= witness.down.n_due,
			"%zu bytes of %zu", witness.down.n_passed, witness.down.n_due);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "proxxy-conn", *argv[] = { name, NULL };
	volatile int status = -1;

	memset(&config, 0, sizeof(config));
	memset(&payload, 0, sizeof(payload));
	memset(&session, 0, sizeof(session));
	memset(&who, 0, sizeof(who));
	limits = (struct limits){ .warn = log_warning };
	terminated = 0;
	begin_witness();
	world_begin(data, size, payloads_sealed(), PAYLOADS);
	if (setjmp(exited) == 0)
		status = session_main(1, argv);
	world.on = false;
	require_end(status);
	if (status >= 0)
		payloads_require_wiped(&payload, &config);
	return 0;
}
