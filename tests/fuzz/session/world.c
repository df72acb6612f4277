/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements world.h: the modelled world of a fuzzed session.
 */
#include "tests/fuzz/session/world.h"

#include "ws.h"

enum {
	TIME_UNIT_MS = 50,
	SILENCE_MAX_MS = 2 * 60 * 60 * 1000, /* then TCP's own timeouts end both connections */
};

struct world world;

void world_begin(const uint8_t *data, size_t size, const char *const *payloads, size_t n_payloads)
{
	struct peer *peers[] = { &world.client, &world.upstream };

	/* One memset would also clear the large byte arrays. */
	for (size_t i = 0; i < 2; i++) {
		struct peer *p = peers[i];

		p->sent = p->read = p->n_offered = 0;
		p->fin = p->reset = p->deaf = p->refused = p->owes = false;
		p->vanished = p->blocked = 0;
		p->arrived = p->taken = WORLD_BEGAN;
		p->room = SIZE_MAX;
	}
	world.events = (struct input){ data, size };
	world.settings.config = take_byte(&world.events);
	world.settings.timers = take_byte(&world.events);
	world.settings.upstream = take_byte(&world.events);
	world.settings.rest = take_byte(&world.events);
	world.now = WORLD_BEGAN;
	world.over_since = 0;
	world.terminating = world.over = world.head_sent = false;
	world.on_sigterm = NULL;
	world.chop = world.chops = world.interruptions = world.unacked = world.randoms = 0;
	world.pending_time = 0;
	world.idle = 0;
	world.payloads = payloads;
	world.n_payloads = n_payloads;
	world.on = true;
}

/* --- events --------------------------------------------------------------------------------- */

PER_BYTE static void arrive(struct peer *p, const void *bytes, size_t n)
{
	if (p->fin || p->reset || p->vanished)
		return;
	n = n < WORLD_BYTES_MAX - p->sent ? n : WORLD_BYTES_MAX - p->sent;
	if (n > 0)
		memcpy(p->bytes + p->sent, bytes, n);
	p->sent += n;
	if (n > 0)
		p->arrived = world.now;
}

void world_pong(void)
{
	static const uint8_t pong[] = { 0x8A, 0x80, 1, 2, 3, 4 };

	arrive(&world.client, pong, sizeof(pong));
}

/* The client sends bytes. Until its request head is complete, a payload replaces each "$N". */
PER_BYTE static void client_sends(const uint8_t *bytes, size_t n)
{
	struct peer *p = &world.client;

	for (size_t i = 0; i < n; i++) {
		const size_t number = i + 1 < n && bytes[i] == '$' ? bytes[i + 1] - (size_t)'0' : SIZE_MAX;

		if (!world.head_sent && number < world.n_payloads) {
			arrive(p, world.payloads[number], strlen(world.payloads[number]));
			i++;
		} else {
			arrive(p, bytes + i, 1);
		}
		/* PROXY protocol's version 2 begins with these bytes too. */
		world.head_sent |= p->sent > 4 && memcmp(p->bytes + p->sent - 4, "\r\n\r\n", 4) == 0;
	}
}

static void request(size_t number)
{
	static const char head[] =
		" HTTP/1.1\r\nHost: panel.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Origin: https://panel.example.com\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n\r\n";
	char target[] = "GET /?payload=$0";

	if (world.head_sent)
		return;
	target[sizeof(target) - 2] = (char)('0' + number % world.n_payloads);
	client_sends((const uint8_t *)target, sizeof(target) - 1);
	client_sends((const uint8_t *)head, sizeof(head) - 1);
}

PER_BYTE static void send_frame(struct peer *p, bool masked, uint8_t first, uint32_t length)
{
	struct ws_header h = { .fin = first & 0x80,
			       .opcode = first & 15,
			       .length = length,
			       .masked = masked,
			       .mask = { 0x1A, first, 0x3C, (uint8_t)length } };
	uint8_t head[WS_HEADER_MAX], some[256];

	if (h.opcode >= WS_CLOSE)
		h.length = length %= WS_CONTROL_MAX + 1;
	arrive(p, head, ws_write_header(head, &h));
	for (uint32_t at = 0, n; at < length; at += n) {
		n = length - at < sizeof(some) ? length - at : sizeof(some);
		for (uint32_t i = 0; i < n; i++) {
			some[i] = filler(p->sent + i);
			if (h.opcode == WS_CLOSE && at + i < 2) /* 1000, a valid code */
				some[i] = at + i == 0 ? 0x03 : 0xE8;
			if (masked)
				some[i] ^= h.mask[(at + i) % 4];
		}
		arrive(p, some, n);
	}
}

static void end(struct peer *p, uint8_t how)
{
	if (p->vanished)
		return;
	p->fin |= how % 3 == 0;
	p->reset |= how % 3 == 1;
	p->deaf |= how % 3 != 0;
}

static struct peer *whose(uint8_t number)
{
	return number & 1 ? &world.upstream : &world.client;
}

static void vanish(struct peer *p)
{
	if (p->fin || p->reset || p->deaf || p->vanished)
		return;
	p->vanished = world.now;
	p->owes = false;
}

/* No events are left: both peers read everything, and then close or stay silent. */
static void finish(void)
{
	world.over = true;
	world.over_since = world.now;
	world.unacked = 0;
	world.client.room = world.client.vanished ? world.client.room : SIZE_MAX;
	world.upstream.room = world.upstream.vanished ? world.upstream.room : SIZE_MAX;
	switch (world.settings.rest >> 3 & 3) {
	case 0:
		end(&world.client, 0);
		end(&world.upstream, 0);
		break;
	case 1:
		end(&world.client, 0);
		break;
	case 2:
		end(&world.upstream, 0);
		break;
	default:
		break;
	}
}

void world_happen(void)
{
	if (world.events.left == 0) {
		finish();
		return;
	}
	do {
		const uint8_t code = take_byte(&world.events);
		const uint8_t *bytes;
		size_t n;
		uint8_t a;

		switch ((code & 0x7F) % EVENTS) {
		case EVENT_CLIENT_SENDS:
			bytes = take_bytes(&world.events, take_byte(&world.events), &n);
			client_sends(bytes, n);
			break;
		case EVENT_UPSTREAM_SENDS:
			bytes = take_bytes(&world.events, take_byte(&world.events), &n);
			arrive(&world.upstream, bytes, n);
			break;
		case EVENT_CLIENT_FRAME:
			a = take_byte(&world.events);
			send_frame(&world.client, true, a, take_length(&world.events));
			break;
		case EVENT_UPSTREAM_FRAME:
			a = take_byte(&world.events);
			send_frame(&world.upstream, false, a, take_length(&world.events));
			break;
		case EVENT_REQUEST:
			request(take_byte(&world.events));
			break;
		case EVENT_ROOM:
			a = take_byte(&world.events);
			n = take_number(&world.events, 2);
			if (!whose(a)->vanished)
				whose(a)->room = n == 0xFFFF ? SIZE_MAX : n;
			break;
		case EVENT_END:
			a = take_byte(&world.events);
			end(whose(a), take_byte(&world.events));
			break;
		case EVENT_TIME:
			world.pending_time += TIME_UNIT_MS * (uint64_t)take_number(&world.events, 2);
			break;
		case EVENT_SIGTERM:
			world.terminating = true;
			break;
		case EVENT_CHOP:
			world.chop = take_byte(&world.events) + 1U;
			world.chops = take_byte(&world.events);
			break;
		case EVENT_EINTR:
			world.interruptions = take_byte(&world.events) & 15;
			break;
		default:
			a = take_byte(&world.events) & 3;
			world.unacked = a & 1;
			if (a >= 2)
				vanish(whose(a));
			break;
		}
	} while (world.events.left > 0 && *world.events.at & EVENT_AT_ONCE);
}

/* --- time ----------------------------------------------------------------------------------- */

bool world_owes(const struct peer *p)
{
	const bool full = p->room == 0 && p->n_offered > 0;

	return full || (p->vanished ? p->owes : p == &world.client && world.unacked);
}

/* TCP keepalive ends a connection whose peer vanished, unless data is in flight. Returns how many
 * of the next n milliseconds may pass in one step, so that the clock stops at that time. */
static int64_t keep_alive(struct peer *p, int64_t n)
{
	const int64_t left = p->vanished + WORLD_KEEPALIVE_MS - world.now;

	if (!p->vanished || p->reset || world_owes(p))
		return n;
	p->reset = p->deaf = left <= 0;
	return left > 0 && left < n ? left : n;
}

bool world_pass_time(int64_t most)
{
	int64_t n = most;

	world.idle = 0;
	if (!world.over && world.pending_time < (uint64_t)most)
		n = (int64_t)world.pending_time;
	if (world.over && (most > SILENCE_MAX_MS || world.now - world.over_since > SILENCE_MAX_MS)) {
		REQUIRE(!world.client.reset, "the session outlives its connections");
		world.client.reset = world.upstream.reset = true;
		return false;
	}
	n = keep_alive(&world.upstream, keep_alive(&world.client, n));
	world.now += n;
	world.pending_time -= world.over ? 0 : (uint64_t)n;
	keep_alive(&world.client, 0);
	keep_alive(&world.upstream, 0);
	return n == most;
}
