/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests the relay's loop while one peer floods it: data from the other peer, SIGTERM and the
 * session's limits take effect within 100 ms. The peers and the clock are a model, which answers
 * recv(), send(), ppoll() and clock_gettime() (the linker's --wrap). Each call and each byte takes
 * the time that a slow processor needs for it. So the 100 ms do not depend on the load of the
 * machine, and each run is the same.
 */
#include "tests/unit/guard.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "session/relay.h"

#define MS INT64_C(1000000) /* in nanoseconds */

enum {
	CALL_NS = 20 * 1000, /* a system call */
	BYTE_NS = 4,         /* a byte read or written */
	CLOCK_NS = 1000,     /* reading the clock, so that a loop that does nothing else also ends */
	EVENT_MS = 200,      /* the event's time after the session's begin */
	ROOM = 64 * 1024,    /* bytes that a slow peer accepts every ROOM_MS */
	ROOM_MS = 10,
	SOON_MS = 100,     /* from the event to its effect */
	GIVE_UP_MS = 1500, /* then both peers close */
	FLOOD_MAX = 2 * (131072 + WS_HEADER_MAX),
	FLOWED_MIN = 32 * 1024, /* bytes of the flood that the relay reads before the event */
};

enum side { CLIENT, UPSTREAM };

struct peer {
	bool floods;
	bool closed;     /* sends only the rest of the frame that it has begun */
	size_t at;       /* offset of its next byte in the flood */
	bool slow;       /* accepts ROOM bytes every ROOM_MS; otherwise all at once */
	size_t room;     /* bytes that it accepts before room_at */
	int64_t room_at; /* when it accepts the next ROOM bytes */
	uint8_t head[WS_HEADER_MAX];
	size_t n_head;
	uint64_t left;   /* payload of the frame that the peer is receiving */
	int64_t got[16]; /* when the first frame of each opcode was complete, 0 if none was */
};

/* Shared with the process that runs the session. */
struct model {
	int64_t now; /* nanoseconds */
	int fds[2];
	struct peer peers[2];
	uint8_t flood[FLOOD_MAX];
	size_t n_flood, n_frame; /* bytes of the flood, and of each frame in it */
	enum side from;          /* sender of the event */
	uint8_t event[64];
	size_t n_event, event_at;
	enum side awaiting; /* both peers close when this one has received a frame with the opcode */
	enum ws_opcode awaited;
	bool terminates;
	uint64_t flowed; /* bytes of the flood that were read before the event */
	int outcome;
};

static struct model *model;

static const int64_t began = 1000000 * MS, due = (1000000 + EVENT_MS) * MS;

/* --- the kernel ----------------------------------------------------------------------------- */

static enum side side_of(int fd)
{
	if (fd != model->fds[CLIENT] && fd != model->fds[UPSTREAM])
		abort();
	return fd == model->fds[CLIENT] ? CLIENT : UPSTREAM;
}

static void pass_time(int64_t ns)
{
	model->now += ns;
	if (model->now >= due && model->terminates) {
		model->terminates = false;
		raise(SIGTERM); /* it stays pending: io.c has blocked it */
	}
	if (model->now >= began + GIVE_UP_MS * MS || model->peers[model->awaiting].got[model->awaited] != 0)
		model->peers[CLIENT].closed = model->peers[UPSTREAM].closed = true;
}

/* How many of size bytes the peer accepts now. */
static size_t accepted(struct peer *p, size_t size)
{
	if (!p->slow)
		return size;
	if (model->now >= p->room_at) {
		p->room = ROOM;
		p->room_at = model->now + ROOM_MS * MS;
	}
	return p->room < size ? p->room : size;
}

/* Returns how many bytes of the flood a read of size bytes gets. */
static size_t flood_size(const struct peer *p, size_t size)
{
	const size_t rest = (model->n_frame - p->at % model->n_frame) % model->n_frame;

	if (!p->floods)
		return 0;
	return p->closed && rest < size ? rest : size;
}

static bool has_event(enum side side)
{
	return side == model->from && model->now >= due && model->event_at < model->n_event;
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	const enum side side = side_of(fd);
	struct peer *p = &model->peers[side];

	(void)flags;
	pass_time(CALL_NS);
	if (has_event(side)) {
		size = size < model->n_event - model->event_at ? size : model->n_event - model->event_at;
		memcpy(buf, model->event + model->event_at, size);
		model->event_at += size;
	} else if (flood_size(p, size) > 0) {
		size = flood_size(p, size);
		for (size_t n = 0, part; n < size; n += part) {
			part = size - n < model->n_flood - p->at ? size - n : model->n_flood - p->at;
			memcpy((uint8_t *)buf + n, model->flood + p->at, part);
			p->at = (p->at + part) % model->n_flood;
		}
		model->flowed += model->now < due ? size : 0;
	} else if (p->closed) {
		return 0;
	} else {
		errno = EAGAIN;
		return -1;
	}
	pass_time((int64_t)size * BYTE_NS);
	return (ssize_t)size;
}

/* The peer receives a byte. It closes when a Close is complete. */
static void receive(struct peer *p, uint8_t byte)
{
	static const size_t extended[] = { [126] = 2, [127] = 8 };
	size_t lengths, n;

	if (p->left == 0) {
		p->head[p->n_head++] = byte;
		n = p->head[1] & 0x7F;
		if (p->n_head < 2)
			return;
		lengths = n < 126 ? 0 : extended[n];
		if (p->n_head < 2 + lengths + (p->head[1] & 0x80 ? 4 : 0))
			return;
		p->left = lengths ? 0 : n;
		for (size_t i = 0; i < lengths; i++)
			p->left = p->left << 8 | p->head[2 + i];
	} else {
		p->left--;
	}
	if (p->left > 0)
		return;
	if (p->got[p->head[0] & 0x0F] == 0)
		p->got[p->head[0] & 0x0F] = model->now;
	p->closed |= (p->head[0] & 0x0F) == WS_CLOSE;
	p->n_head = 0;
}

ssize_t __wrap_send(int fd, const void *buf, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t size, int flags)
{
	struct peer *p = &model->peers[side_of(fd)];
	const uint8_t *bytes = buf;

	(void)flags;
	pass_time(CALL_NS);
	size = accepted(p, size);
	if (size == 0) {
		errno = EAGAIN;
		return -1;
	}
	p->room -= p->slow ? size : 0;
	pass_time((int64_t)size * BYTE_NS);
	for (size_t i = 0; i < size; i++) {
		if (p->left > 1 && size - i > 1) { /* all payload but the last byte at once */
			const uint64_t skip = p->left - 1 < size - i - 1 ? p->left - 1 : size - i - 1;

			p->left -= skip;
			i += skip;
		}
		receive(p, bytes[i]);
	}
	return (ssize_t)size;
}

int __real_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	const int64_t end = model->now + timeout->tv_sec * 1000 * MS + timeout->tv_nsec;
	int count = 0;

	pass_time(CALL_NS);
	for (;;) {
		for (nfds_t i = 0; i < n; i++) {
			const enum side side = fds[i].fd < 0 ? CLIENT : side_of(fds[i].fd);
			struct peer *p = &model->peers[side];

			fds[i].revents = 0;
			if (fds[i].fd < 0)
				continue;
			if (p->floods || p->closed || has_event(side))
				fds[i].revents = fds[i].events & POLLIN;
			if (accepted(p, 1) > 0)
				fds[i].revents |= fds[i].events & POLLOUT;
			count += fds[i].revents != 0;
		}
		/* Linux delivers no signal if something is ready at once. */
		if (count > 0 || model->now >= end)
			return count;
		if (__real_ppoll(NULL, 0, &(struct timespec){ 0 }, mask) < 0)
			return -1;
		pass_time(MS);
	}
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	pass_time(CLOCK_NS);
	*ret = (struct timespec){ model->now / (1000 * MS), model->now % (1000 * MS) };
	return 0;
}

static int sigpending_calls;

int __real_sigpending(sigset_t *set);
int __wrap_sigpending(sigset_t *set);
int __wrap_sigpending(sigset_t *set)
{
	sigpending_calls++;
	return __real_sigpending(set);
}

/* --- sessions ------------------------------------------------------------------------------- */

struct flood {
	const char *name;
	enum ws_opcode opcode;
	size_t length;
};

static const struct flood floods[] = {
	{ "tiny frames", WS_BINARY, 1 },
	{ "empty frames", WS_BINARY, 0 },
	{ "frames of 30,000 bytes", WS_BINARY, 30000 },
	{ "large frames", WS_BINARY, 131072 },
	{ "Pings", WS_PING, 0 },
	{ "large Pings", WS_PING, 125 },
};

enum event { KEYSTROKE, PING, TERMINATION, SESSION_MAX, IDLE_TIMEOUT };

static size_t write_frame(uint8_t *ret, enum side from, enum ws_opcode opcode, size_t length)
{
	struct ws_header h = { .fin = true, .opcode = opcode, .length = length, .mask = { 1, 2, 3, 4 } };
	size_t n;

	h.masked = from == CLIENT;
	n = ws_write_header(ret, &h);

	memset(ret + n, 'x', length);
	return n + length;
}

static void run_session(enum event event)
{
	static struct relay relay;
	struct config config = { 0 };
	struct endpoint client, upstream;

	/* Limits are full seconds. The session began early enough that they are reached during the
	 * test. */
	config.session_max = event == SESSION_MAX ? 2 : 0;
	io_catch_sigterm();
	client = io_endpoint(model->fds[CLIENT], NULL);
	upstream = io_endpoint(model->fds[UPSTREAM], NULL);
	relay_init(&relay, &config, &client, &upstream, due / MS - 2000);
	if (event == IDLE_TIMEOUT) {
		config.idle_timeout = 1;
		model->now = due - 1000 * MS;
	}
	relay_run(&relay);
	model->outcome = relay.outcome;
}

/* A flood that one side sends, and the other may read slowly. */
struct scene {
	const struct flood *flood;
	enum side flooder;
	bool slow;
};

/* Runs a session in a process of its own, because a SIGTERM is for the whole process. */
static void simulate(const struct scene *s, enum event event)
{
	const enum side other = s->flooder == CLIENT ? UPSTREAM : CLIENT;
	int pairs[2][2]; /* real sockets, for calls that the model does not answer */
	int status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[0]), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[1]), 0);
	memset(model, 0, sizeof(*model));
	model->now = began;
	model->fds[CLIENT] = pairs[0][0];
	model->fds[UPSTREAM] = pairs[1][0];
	model->peers[s->flooder].floods = true;
	model->peers[other].slow = s->slow;
	while (model->n_flood + WS_HEADER_MAX + s->flood->length <= FLOOD_MAX) {
		model->n_frame =
			write_frame(model->flood + model->n_flood, s->flooder, s->flood->opcode, s->flood->length);
		model->n_flood += model->n_frame;
	}
	model->from = other;
	if (event == KEYSTROKE || event == PING)
		model->n_event = write_frame(model->event, other, event == PING ? WS_PING : WS_BINARY, 8);
	model->awaiting = event == KEYSTROKE ? s->flooder : other;
	model->awaited = event == KEYSTROKE ? WS_BINARY : event == PING ? WS_PONG : WS_CONTINUATION;
	model->terminates = event == TERMINATION;

	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		run_session(event);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < 2; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	CHECK(model->flowed >= FLOWED_MIN, "%llu bytes of %s", (unsigned long long)model->flowed, s->flood->name);
}

static void check_soon(const struct scene *s, int64_t when, const char *effect)
{
	const char *from = s->flooder == CLIENT ? "the client" : "Proxmox";
	const char *slow = s->slow ? ", which are read slowly" : "";

	CHECK(when != 0, "%s, while %s sends %s%s", effect, from, s->flood->name, slow);
	CHECK(when >= due && when - due <= SOON_MS * MS, "%s after %lld ms, while %s sends %s%s", effect,
	      (long long)((when - due) / MS), from, s->flood->name, slow);
}

static void check_end(const struct scene *s, enum event event, int outcome)
{
	simulate(s, event);
	CHECK_INT(model->outcome, outcome, "%s", s->flood->name);
	check_soon(s, model->peers[CLIENT].got[WS_CLOSE], "the client's Close arrives");
	check_soon(s, model->peers[UPSTREAM].got[WS_CLOSE], "Proxmox's Close arrives");
}

static void check_keystroke(const struct scene *s)
{
	simulate(s, KEYSTROKE);
	check_soon(s, model->peers[s->flooder].got[WS_BINARY], "the data arrives");
}

static void check_pong(const struct scene *s)
{
	simulate(s, PING);
	check_soon(s, model->peers[!s->flooder].got[WS_PONG], "the Pong arrives");
}

static void check_sigterm(const struct scene *s)
{
	check_end(s, TERMINATION, END_TERMINATED);
}

static void check_limits(const struct scene *s)
{
	check_end(s, SESSION_MAX, END_SESSION_MAX);
	if (s->flood->opcode == WS_PING) /* a Ping is not a user's activity */
		check_end(s, IDLE_TIMEOUT, END_IDLE);
}

static void in_each_flood(void (*check)(const struct scene *))
{
	for (size_t i = 0; i < COUNT(floods); i++) {
		check(&(struct scene){ &floods[i], CLIENT, false });
		check(&(struct scene){ &floods[i], UPSTREAM, false });
		check(&(struct scene){ &floods[i], CLIENT, true });
		check(&(struct scene){ &floods[i], UPSTREAM, true });
	}
}

static void test_flood_delays_no_keystroke(void **state)
{
	(void)state;
	in_each_flood(check_keystroke);
}

static void test_flood_delays_no_pong(void **state)
{
	(void)state;
	in_each_flood(check_pong);
}

static void test_flood_delays_no_sigterm(void **state)
{
	(void)state;
	in_each_flood(check_sigterm);
}

/* A session that waits needs no call to find a SIGTERM: the wait ends with it. */
static void test_only_busy_session_checks_for_sigterm(void **state)
{
	struct pollfd none = { .fd = -1 };

	(void)state;
	memset(model, 0, sizeof(*model));
	model->now = began;
	io_poll_until(&none, 1, io_now());
	sigpending_calls = 0;
	for (int keystroke = 0; keystroke < 10; keystroke++) {
		io_poll_until(&none, 1, io_now() + 50); /* for the key */
		io_poll_until(&none, 1, io_now());      /* for its echo, which comes at once */
	}
	assert_int_equal(sigpending_calls, 0);
	for (int64_t end = io_now() + 1000; io_now() < end;)
		io_poll_until(&none, 1, io_now());
	assert_true(sigpending_calls > 40 && sigpending_calls <= 50);
}

static void test_flood_delays_no_limit(void **state)
{
	(void)state;
	in_each_flood(check_limits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flood_delays_no_keystroke),
		cmocka_unit_test(test_flood_delays_no_pong),
		cmocka_unit_test(test_flood_delays_no_sigterm),
		cmocka_unit_test(test_only_busy_session_checks_for_sigterm),
		cmocka_unit_test(test_flood_delays_no_limit),
	};

	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (model == MAP_FAILED)
		abort();
	return RUN(tests);
}
