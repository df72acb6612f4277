/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's stand-in for Proxmox: bench/upstream ADDRESS:PORT CERTIFICATE KEY [raw|delay MS]
 *
 * It accepts TLS and the upgrade, and sends the banner. For a console on VNC_PORT the rest of the
 * VNC handshake follows, with VNC Authentication, of which any response is right. Before the
 * upgrade it answers what proxxy requests for a link: version, list of guests, vncproxy (pve.c).
 * The first data of each connection, behind the handshake, orders what it does then:
 *   echo                      sends back what it gets
 *   source FRAME TOTAL        sends TOTAL bytes of the pattern, one TLS record per frame of FRAME
 *   sink TOTAL                takes TOTAL bytes of the pattern, and sends "done"
 * It has one thread and uses epoll. It buffers writes, so that it needs less CPU than the measured
 * program. With "raw", for websockify, it uses neither HTTP nor WebSocket. With "delay" it reads
 * what arrives only MS ms later: so each round trip, but that of TCP, takes this time longer.
 */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/peer.h"
#include "bench/pve.h"
#include "ws.h"

enum { NS = 1000000000 };
enum role { HTTP, VNC, ORDER, ECHO, SOURCE, SINK };

struct connection {
	struct peer peer;
	enum role role;
	struct ws_header frame; /* the frame that is being read */
	uint64_t frame_left;    /* its payload bytes that have not come yet */
	uint64_t frame_size;    /* of the frames that it sends */
	uint64_t total, done;   /* bytes of the pattern; in the VNC handshake, of the client's message */
	size_t step;            /* of the VNC handshake */
	bool waits_for_room;    /* epoll is asked for EPOLLOUT */
	uint64_t due;           /* with a delay: when to read what has arrived, in ns, or 0 */
	struct connection *next_due;
};

static bool raw;
static int epoll;
static uint64_t delay_ns;
static struct connection *first_due, *last_due; /* those with a due time, which is in the order of arrival */

/* --- what was ordered --------------------------------------------------------------------- */

static void say(struct connection *c, const void *bytes, size_t n)
{
	if (raw)
		peer_say(&c->peer, bytes, n);
	else
		peer_say_frame(&c->peer, false, bytes, n);
}

static void take_order(struct connection *c, const uint8_t *bytes, size_t n)
{
	char order[ORDER_LEN + 1];
	unsigned long long frame = 0, total = 0;

	if (n < ORDER_LEN)
		die("an order of %zu bytes", n);
	memcpy(order, bytes, ORDER_LEN);
	order[ORDER_LEN] = '\0';
	if (strncmp(order, "echo ", 5) == 0)
		c->role = ECHO;
	else if (sscanf(order, "source %llu %llu", &frame, &total) == 2 && frame > 0 && frame <= PEER_IN)
		c->role = SOURCE;
	else if (sscanf(order, "sink %llu", &total) == 1)
		c->role = SINK;
	else
		die("no such order: %s", order);
	c->frame_size = frame;
	c->total = total;
}

/* The client's part of the VNC handshake (RFC 6143 section 7.1). The banner, which is the version,
 * was sent with the 101. */
static void shake_hands(struct connection *c, size_t n)
{
	static const struct {
		size_t len; /* of the client's message */
		const char *answer;
		size_t answer_len;
	} steps[] = {
		{ BANNER_LEN, "\1\2", 2 },                /* version; VNC Authentication alone */
		{ 1, peer_challenge, CHALLENGE_LEN },     /* its choice */
		{ CHALLENGE_LEN, "\0\0\0\0", 4 },         /* its response; SecurityResult: OK */
		{ 1, peer_server_init, SERVER_INIT_LEN }, /* ClientInit */
	};

	c->done += n;
	if (c->done > steps[c->step].len)
		die("more than a message of the VNC handshake");
	if (c->done < steps[c->step].len)
		return;
	say(c, steps[c->step].answer, steps[c->step].answer_len);
	c->done = 0;
	if (++c->step == sizeof(steps) / sizeof(steps[0]))
		c->role = ORDER;
}

/* The client's data, unmasked. */
static void take(struct connection *c, const uint8_t *bytes, size_t n)
{
	switch (c->role) {
	case HTTP:
		break;
	case VNC:
		shake_hands(c, n);
		break;
	case ORDER:
		take_order(c, bytes, n);
		break;
	case ECHO:
		say(c, bytes, n);
		break;
	case SOURCE:
		die("data after an order to send");
	case SINK:
		pattern_check(bytes, n, c->done);
		c->done += n;
		if (c->done == c->total)
			say(c, peer_ack, ACK_LEN);
		break;
	}
}

/* Sends until enough data waits to be written. */
static void source(struct connection *c)
{
	while (c->role == SOURCE && c->done < c->total && peer_pending(&c->peer) < PEER_GATHERED) {
		const uint64_t left = c->total - c->done;
		const size_t n = (size_t)(left < c->frame_size ? left : c->frame_size);

		if (raw)
			peer_say(&c->peer, pattern_at(c->done), n);
		else
			peer_say_pattern(&c->peer, false, n, c->done);
		c->done += n;
		if (c->peer.tls == NULL)
			break;
	}
}

/* --- what was read ------------------------------------------------------------------------ */

/* Accepts the upgrade that the first size bytes of the input request. */
static void upgrade(struct connection *c, size_t size)
{
	static const char name[] = "Sec-WebSocket-Key: ";
	struct peer *p = &c->peer;
	const bool vnc = pve_is_vnc(p->in, size);
	char text[256], accept[WS_ACCEPT_LEN + 1];
	const char *key;
	int n;

	/* proxxy, browsers and proxies write the name like this. Only HAProxy writes it in lower
	 * case. */
	key = memmem(p->in, p->in_len, name, strlen(name));
	if (!key)
		key = memmem(p->in, p->in_len, "sec-websocket-key: ", strlen(name));
	if (!key || ws_accept(key + strlen(name), accept) < 0)
		die("a request without a key");
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		     "Sec-WebSocket-Accept: %s\r\n\r\n",
		     accept);
	peer_taken(p, size);
	peer_say(p, text, (size_t)n);
	peer_say_frame(p, false, peer_banner, BANNER_LEN);
	c->role = vnc ? VNC : ORDER;
}

/* Answers complete requests. Returns true when one was the upgrade. */
static bool answer(struct connection *c)
{
	struct peer *p = &c->peer;
	size_t size;

	while ((size = pve_request_size(p->in, p->in_len)) > 0) {
		size_t answer_size;
		const char *text = pve_answer(p->in, size, &answer_size);

		if (!text) {
			upgrade(c, size);
			return true;
		}
		peer_taken(p, size);
		peer_say(p, text, answer_size);
	}
	return false;
}

/* Processes complete frames, and of a large frame the part that has arrived. */
static void read_frames(struct connection *c)
{
	struct peer *p = &c->peer;
	size_t at = 0;

	for (;;) {
		const char *why;
		size_t n = p->in_len - at;

		if (c->frame_left == 0) {
			int size = ws_parse_header(p->in + at, n, WS_FROM_CLIENT, &c->frame, &why);

			if (size < 0)
				die("a frame that is none: %s", why);
			if (size == 0 || (c->frame.opcode >= WS_CLOSE && n < (size_t)size + c->frame.length))
				break;
			at += (size_t)size;
			c->frame_left = c->frame.length;
			if (c->frame.opcode == WS_CLOSE)
				p->ended = true;
			if (c->frame.opcode >= WS_CLOSE) {
				at += (size_t)c->frame_left;
				c->frame_left = 0;
			}
			continue;
		}
		if (n > c->frame_left)
			n = (size_t)c->frame_left;
		/* peer_mask() needs groups of 4 bytes, except at the frame's end: keep an
		 * incomplete group. */
		if (n < c->frame_left)
			n -= n % 4;
		if (n == 0)
			break;
		peer_mask(p->in + at, n, c->frame.mask);
		take(c, p->in + at, n);
		at += n;
		c->frame_left -= n;
	}
	peer_taken(p, at);
}

static void read_raw(struct connection *c)
{
	struct peer *p = &c->peer;

	if (c->role == HTTP) {
		peer_say(p, peer_banner, BANNER_LEN);
		c->role = ORDER;
	}
	if (c->role == ORDER && p->in_len >= ORDER_LEN) { /* data may follow it in the same read */
		take(c, p->in, ORDER_LEN);
		peer_taken(p, ORDER_LEN);
	}
	if (c->role == ORDER || p->in_len == 0)
		return;
	take(c, p->in, p->in_len);
	p->in_len = 0;
}

/* --- the loop ----------------------------------------------------------------------------- */

static void watch(struct connection *c, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = c };

	if (epoll_ctl(epoll, operation, c->peer.fd, &event) < 0)
		die("epoll_ctl failed");
}

static void serve(struct connection *c)
{
	bool all;

	do {
		peer_read(&c->peer);
		if (c->peer.established && (raw || c->role != HTTP || answer(c))) {
			if (raw)
				read_raw(c);
			else
				read_frames(c);
		}
	} while (peer_has_more(&c->peer));
	do {
		source(c);
		all = peer_flush(&c->peer);
	} while (all && !c->peer.ended && c->role == SOURCE && c->done < c->total);
	if (c->peer.ended) {
		peer_end(&c->peer);
		free(c);
	} else if (c->waits_for_room == all || delay_ns > 0) {
		c->waits_for_room = !all;
		watch(c, EPOLL_CTL_MOD, EPOLLIN | (all ? 0u : EPOLLOUT));
	}
}

/* Serves c, or with a delay, later: epoll reports nothing of c until then. */
static void serve_in_time(struct connection *c)
{
	if (delay_ns == 0) {
		serve(c);
		return;
	}
	watch(c, EPOLL_CTL_MOD, 0);
	if (c->due > 0) /* its end is reported even so */
		return;
	c->due = now_ns() + delay_ns;
	c->next_due = NULL;
	if (first_due)
		last_due->next_due = c;
	else
		first_due = c;
	last_due = c;
}

/* Serves what is due. Returns NULL if nothing waits; else *wait, set to the time until the next is
 * due. */
static struct timespec *serve_due(struct timespec *wait)
{
	const uint64_t now = now_ns();
	struct connection *c;

	while ((c = first_due) && c->due <= now) {
		first_due = c->next_due;
		c->due = 0;
		serve(c);
	}
	if (!c)
		return NULL;
	*wait = (struct timespec){ .tv_sec = (time_t)((c->due - now) / NS), .tv_nsec = (long)((c->due - now) % NS) };
	return wait;
}

static void welcome(int listener, SSL_CTX *tls)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = calloc(1, sizeof(*c));

		if (!c)
			die("out of memory");
		peer_begin(&c->peer, fd, tls, true);
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	struct epoll_event events[64];
	int listener;

	raw = argc == 5 && strcmp(argv[4], "raw") == 0;
	if (argc == 6 && strcmp(argv[4], "delay") == 0)
		delay_ns = strtoull(argv[5], NULL, 10) * (NS / 1000);
	if (argc < 4 || (argc > 4 && !raw && delay_ns == 0))
		die("Usage: upstream ADDRESS:PORT CERTIFICATE KEY [raw|delay MS]");
	signal(SIGPIPE, SIG_IGN);
	if (!tls || SSL_CTX_use_certificate_chain_file(tls, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, argv[3], SSL_FILETYPE_PEM) != 1)
		die("%s, %s: no certificate and key", argv[2], argv[3]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = peer_listen(argv[1]);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){ .events = EPOLLIN }) < 0)
		die("no epoll");
	for (;;) {
		struct timespec wait;
		int n = epoll_pwait2(epoll, events, 64, serve_due(&wait), NULL);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve_in_time(events[i].data.ptr);
			else
				welcome(listener, tls);
		}
	}
}
