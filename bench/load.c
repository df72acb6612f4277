/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's load generator, in place of a browser:
 * bench/load [tls] [none|vnc] [staged] ADDRESS:PORT PATH WHAT…
 *
 *   connect COUNT AT_ONCE     opens COUNT sessions, AT_ONCE at a time, each until it gets data
 *   echo SESSIONS RATE COUNT  each sends 8 bytes and gets them back, COUNT times, RATE a second
 *                             (0: without a pause), once all are open
 *   down SESSIONS FRAME TOTAL each session gets TOTAL bytes in frames of FRAME
 *   up SESSIONS FRAME TOTAL   each session sends TOTAL bytes in frames of FRAME
 *   idle SESSIONS             opens them, prints "ready", and holds them until standard input ends
 *
 * It has one thread and uses epoll. It compares every byte with the pattern. It prints one JSON
 * object: seconds, its own CPU seconds, and, where they apply, the quantiles of the times that it
 * measured, in microseconds. With "tls" it connects directly to the upstream. The console's first
 * data is a banner. With "none" or "vnc" it is a whole VNC handshake, up to ServerInit, with this
 * security type: that of a link, or that of a console whose client has the VNC password. With
 * "staged", echoes wait: it prints "open" when all sessions are, and begins when it reads a line.
 * It prints its object when they are done, and holds the sessions until standard input ends. So a
 * caller can measure the echoes alone.
 */
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/peer.h"
#include "ws.h"

enum {
	SESSIONS_MAX = 4096,
	ECHO_LEN = 8,
	UNSENT = 128 * 1024, /* generate no more data while so many bytes wait to be written */
	NS = 1000000000,
	PATIENCE_S = 1800 /* SIGALRM ends a run that hangs */
};
enum what { CONNECT, ECHOES, DOWN, UP, IDLE };

/* What a console sends before a session works, and what the client answers. */
struct greeting {
	const char *heard;
	size_t heard_len;
	const char *answer;
	size_t answer_len;
};

static const struct greeting banner[] = { { peer_banner, BANNER_LEN, NULL, 0 } };
static const struct greeting none[] = {
	{ peer_banner, BANNER_LEN, peer_banner, BANNER_LEN },
	{ "\1\1", 2, "\1", 1 },
	{ "\0\0\0\0", 4, "\1", 1 }, /* SecurityResult; ClientInit: others may share the console */
	{ peer_server_init, SERVER_INIT_LEN, NULL, 0 },
};
static const struct greeting vnc[] = {
	{ peer_banner, BANNER_LEN, peer_banner, BANNER_LEN },
	{ "\1\2", 2, "\2", 1 },
	{ peer_challenge, CHALLENGE_LEN, peer_challenge, CHALLENGE_LEN },
	{ "\0\0\0\0", 4, "\1", 1 },
	{ peer_server_init, SERVER_INIT_LEN, NULL, 0 },
};

struct session {
	struct peer peer;
	enum { FREE, CONNECTING, UPGRADING, GREETING, WORKING, DONE } state;
	uint64_t began, due; /* ns */
	uint64_t frame_left; /* payload bytes of the frame that is being read */
	uint64_t done, left; /* bytes of the pattern or greeting that came; bytes or echoes still to send */
	size_t greeting;     /* an index of greetings */
	bool asked;          /* an echo was sent and has not come back */
	bool waits_for_room; /* epoll is asked for EPOLLOUT */
};

static struct session sessions[SESSIONS_MAX];
static int epoll;
static const char *address, *path;
static SSL_CTX *tls;
static bool staged;
static uint64_t began; /* ns */
static const struct greeting *greetings = banner;
static enum what what;
static uint64_t frame_size, total, rate;
static uint64_t n_sessions, unopened, n_greeted, n_finished;
static uint64_t *times;
static size_t n_times, times_size;

static void record(uint64_t ns)
{
	if (n_times == times_size) {
		times_size = times_size ? 2 * times_size : 1024;
		uint64_t *larger = realloc(times, times_size * sizeof(*times));

		if (!larger)
			die("out of memory");
		times = larger;
	}
	times[n_times++] = ns;
}

/* --- one session -------------------------------------------------------------------------- */

static void watch(struct session *s, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = s };

	if (epoll_ctl(epoll, operation, s->peer.fd, &event) < 0)
		die("epoll_ctl failed");
}

static void begin(struct session *s)
{
	*s = (struct session){ .state = CONNECTING, .began = now_ns(), .waits_for_room = true };
	peer_begin(&s->peer, peer_connect(address), tls, false);
	watch(s, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
	unopened--;
}

static void ask_upgrade(struct session *s)
{
	char request[8192];
	int n = snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
			 "Sec-WebSocket-Protocol: binary\r\n\r\n",
			 path);

	if (n < 0 || (size_t)n >= sizeof(request))
		die("the path is too long");
	peer_say(&s->peer, request, (size_t)n);
	s->state = UPGRADING;
}

static void read_answer(struct session *s)
{
	struct peer *p = &s->peer;
	const uint8_t *end = memmem(p->in, p->in_len, "\r\n\r\n", 4);

	if (!end)
		return;
	if (memcmp(p->in, "HTTP/1.1 101", 12) != 0)
		die("refused: %.*s", (int)(p->in_len < 200 ? p->in_len : 200), (char *)p->in);
	peer_taken(p, (size_t)(end + 4 - p->in));
	s->state = GREETING;
}

/* The session has done all its work. */
static void finish(struct session *s)
{
	s->state = DONE;
	n_finished++;
}

static void send_echo(struct session *s, uint64_t now)
{
	if (rate == 0)
		s->due = now;
	s->done = 0;
	s->asked = true;
	peer_say_pattern(&s->peer, true, ECHO_LEN, s->due);
}

/* The console is ready: sends the order to the upstream. */
static void greeted(struct session *s)
{
	char order[64];

	s->done = 0;
	s->left = total;
	s->state = WORKING;
	switch (what) {
	case CONNECT:
		record(now_ns() - s->began);
		finish(s);
		return;
	case IDLE:
		finish(s);
		return;
	case ECHOES:
		snprintf(order, sizeof(order), "%-*s", ORDER_LEN, "echo");
		s->due = UINT64_MAX; /* start_echoes() sets it */
		n_greeted++;
		break;
	case DOWN:
		snprintf(order, sizeof(order), "source %-8llu %-16llu", (unsigned long long)frame_size,
			 (unsigned long long)total);
		break;
	case UP:
		snprintf(order, sizeof(order), "sink %-27llu", (unsigned long long)total);
		break;
	}
	peer_say_frame(&s->peer, true, order, ORDER_LEN);
}

static void echoed(struct session *s)
{
	s->asked = false;
	record(now_ns() - s->due);
	if (rate)
		s->due += NS / rate;
	if (--s->left == 0)
		finish(s);
	else if (rate == 0)
		send_echo(s, now_ns());
}

/* Checks a part of a text that the console sends once. Returns true when the text is complete. */
static bool hear(struct session *s, const char *words, size_t len, const uint8_t *bytes, size_t n)
{
	if (s->done + n > len || memcmp(bytes, words + s->done, n) != 0)
		die("data that was not awaited");
	s->done += n;
	return s->done == len;
}

/* Data before the console is ready. */
static void greet(struct session *s, const uint8_t *bytes, size_t n)
{
	const struct greeting *g = &greetings[s->greeting];

	if (!hear(s, g->heard, g->heard_len, bytes, n))
		return;
	s->done = 0;
	s->greeting++;
	if (g->answer)
		peer_say_frame(&s->peer, true, g->answer, g->answer_len);
	else
		greeted(s);
}

/* Data from the console. */
static void take(struct session *s, const uint8_t *bytes, size_t n)
{
	if (s->state == GREETING) {
		greet(s, bytes, n);
	} else if (s->state == WORKING && what == UP) {
		if (hear(s, peer_ack, ACK_LEN, bytes, n))
			finish(s);
	} else if (s->state == WORKING && what == ECHOES) {
		if (hear(s, (const char *)pattern_at(s->due), ECHO_LEN, bytes, n))
			echoed(s);
	} else if (s->state == WORKING && what == DOWN) {
		pattern_check(bytes, n, s->done);
		s->done += n;
		if (s->done == total)
			finish(s);
	} else {
		die("data that nobody asked for");
	}
}

static void read_frames(struct session *s)
{
	struct peer *p = &s->peer;
	size_t at = 0;

	while (at < p->in_len) {
		struct ws_header header;
		const char *why;
		size_t n = p->in_len - at;

		if (s->frame_left > 0) {
			if (n > s->frame_left)
				n = (size_t)s->frame_left;
			take(s, p->in + at, n);
			at += n;
			s->frame_left -= n;
			continue;
		}
		int size = ws_parse_header(p->in + at, n, WS_FROM_SERVER, &header, &why);

		if (size < 0)
			die("a frame that is none: %s", why);
		if (size == 0 || (header.opcode >= WS_CLOSE && n < (size_t)size + header.length))
			break;
		at += (size_t)size;
		if (header.opcode == WS_CLOSE)
			die("a Close: %.*s", (int)(header.length > 2 ? header.length - 2 : 0), (char *)p->in + at + 2);
		if (header.opcode == WS_PING) { /* proxxy sends one after 30 s without data from us */
			uint8_t pong[WS_CONTROL_FRAME_MAX];

			peer_say(p, pong,
				 ws_write_control(pong, WS_PONG, p->in + at, (size_t)header.length,
						  (uint8_t[4]){ 1, 2, 3, 4 }));
		}
		if (header.opcode > WS_CLOSE)
			at += (size_t)header.length;
		else
			s->frame_left = header.length;
	}
	peer_taken(p, at);
}

/* Generates data to send until enough waits to be written. */
static void fill(struct session *s)
{
	while (what == UP && s->state == WORKING && s->left > 0 && peer_pending(&s->peer) < UNSENT) {
		const size_t n = (size_t)(s->left < frame_size ? s->left : frame_size);

		peer_say_pattern(&s->peer, true, n, total - s->left);
		s->left -= n;
	}
}

static void serve(struct session *s)
{
	bool all;

	do {
		peer_read(&s->peer);
		if (s->state == CONNECTING && s->peer.established)
			ask_upgrade(s);
		else if (s->state == UPGRADING)
			read_answer(s);
		if (s->state >= GREETING)
			read_frames(s);
	} while (peer_has_more(&s->peer));
	if (s->peer.ended && s->state != DONE)
		die("the connection ended early");
	do {
		fill(s);
		all = peer_flush(&s->peer);
	} while (all && what == UP && s->state == WORKING && s->left > 0);
	if (s->state == DONE && what != IDLE && !staged) {
		peer_end(&s->peer);
		s->state = FREE;
	} else if (s->waits_for_room == all) {
		s->waits_for_room = !all;
		watch(s, EPOLL_CTL_MOD, EPOLLIN | (all ? 0u : EPOLLOUT));
	}
}

/* --- the loop ----------------------------------------------------------------------------- */

/* All sessions are open: their echoes begin, spread over the time between two echoes. Returns the
 * time. */
static uint64_t start_echoes(void)
{
	if (staged) {
		puts("open");
		fflush(stdout);
		if (getchar() != '\n')
			die("no line to begin at");
	}
	began = now_ns();
	for (size_t i = 0; i < n_sessions; i++)
		sessions[i].due = began + (rate ? i * (NS / rate) / n_sessions : 0);
	return began;
}

/* Sends the echoes that are due. Returns the time when the next one is due. Sets *now, the time, if
 * it had to wait. */
static uint64_t keep_time(uint64_t *now)
{
	static bool started;
	uint64_t next = *now + NS;

	if (what != ECHOES || n_greeted < n_sessions)
		return next;
	if (!started) {
		*now = start_echoes();
		next = *now + NS;
	}
	started = true;
	for (size_t i = 0; i < n_sessions; i++) {
		struct session *s = &sessions[i];

		if (s->state != WORKING || s->asked)
			continue;
		if (s->due <= *now) {
			send_echo(s, *now);
			peer_flush(&s->peer);
		} else if (s->due < next) {
			next = s->due;
		}
	}
	return next;
}

static void run(uint64_t count)
{
	struct epoll_event events[256];

	unopened = count;
	while (n_finished < count) {
		uint64_t now = now_ns(), next;
		struct timespec wait;
		int n;

		for (size_t i = 0; i < n_sessions && unopened > 0; i++)
			if (sessions[i].state == FREE)
				begin(&sessions[i]);
		next = keep_time(&now);
		wait = (struct timespec){ (time_t)((next - now) / NS), (long)((next - now) % NS) };
		n = epoll_pwait2(epoll, events, 256, &wait, NULL);
		for (int i = 0; i < n; i++)
			serve(events[i].data.ptr);
	}
}

static int ascending(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double quantile(double q)
{
	return n_times ? (double)times[(size_t)(q * (double)(n_times - 1))] / 1000 : 0;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static uint64_t number(char **argv, int i)
{
	char *end;
	uint64_t value = argv[i] ? strtoull(argv[i], &end, 10) : 0;

	if (!argv[i] || *end || !argv[i][0])
		die("a number is missing; load.c says what is wanted");
	return value;
}

static void print_result(void)
{
	if (n_times)
		qsort(times, n_times, sizeof(*times), ascending);
	printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
	       "\"max\": %.1f, \"n\": %zu}\n",
	       (double)(now_ns() - began) / 1e9, cpu_seconds(), quantile(0.5), quantile(0.9), quantile(0.99),
	       quantile(1), n_times);
	fflush(stdout);
}

static void wait_for_end(void)
{
	while (getchar() != EOF)
		;
}

/* True if word is the next argument: it is taken. */
static bool take_word(int *argc, char ***argv, const char *word)
{
	if (*argc < 2 || strcmp((*argv)[1], word) != 0)
		return false;
	(*argv)++;
	(*argc)--;
	return true;
}

int main(int argc, char **argv)
{
	uint64_t count;

	signal(SIGPIPE, SIG_IGN);
	if (take_word(&argc, &argv, "tls") && !(tls = SSL_CTX_new(TLS_client_method())))
		die("no TLS");
	if (take_word(&argc, &argv, "none"))
		greetings = none;
	else if (take_word(&argc, &argv, "vnc"))
		greetings = vnc;
	staged = take_word(&argc, &argv, "staged");
	if (argc < 5)
		die("Usage: load [tls] [none|vnc] [staged] ADDRESS:PORT PATH connect|echo|down|up|idle NUMBERS; load.c "
		    "says more");
	address = argv[1];
	path = argv[2];
	n_sessions = number(argv, 4);
	count = n_sessions;
	if (strcmp(argv[3], "connect") == 0) {
		what = CONNECT;
		n_sessions = number(argv, 5);
	} else if (strcmp(argv[3], "echo") == 0) {
		what = ECHOES;
		rate = number(argv, 5);
		total = number(argv, 6);
	} else if (strcmp(argv[3], "down") == 0 || strcmp(argv[3], "up") == 0) {
		what = argv[3][0] == 'd' ? DOWN : UP;
		frame_size = number(argv, 5);
		total = number(argv, 6);
	} else if (strcmp(argv[3], "idle") == 0) {
		what = IDLE;
	} else {
		die("%s: no such load", argv[3]);
	}
	if (n_sessions == 0 || n_sessions > SESSIONS_MAX || frame_size > UNSENT)
		die("too many sessions, or too large frames");
	epoll = epoll_create1(EPOLL_CLOEXEC);
	began = now_ns();
	alarm(PATIENCE_S);
	run(count);
	alarm(0);
	if (what == IDLE) {
		puts("ready");
		fflush(stdout);
		wait_for_end();
	}
	print_result();
	if (staged)
		wait_for_end();
	return 0;
}
