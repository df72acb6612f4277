/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts a VNC viewer on a UNIX socket, and relays between that socket and proxxy's WebSocket.
 */
#include "url/viewer.h"

#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"
#include "url/client.h"
#include "url/directory.h"
#include "url/program.h"
#include "ws.h"

enum {
	PIECE_MAX = 32 * 1024, /* bytes that are read from the viewer at once, and sent as one frame */
	READS_AT_ONCE = 16,    /* from proxxy, until the viewer's data is read */
	START_POLL_MS = 100,   /* how often we check whether a viewer ended before it connected */
};

struct session {
	struct client proxxy;
	int fd;              /* connection to the viewer, non-blocking; -1 until it connects */
	pid_t viewer;        /* -1 if it is not running */
	uint64_t frame_left; /* bytes of a data frame from proxxy that the viewer has not got yet */
	bool has_data;       /* the console sent at least a byte of data */
	/* A frame to proxxy that is partly sent: out[out_at..out_at + n_out) is left. */
	uint8_t out[WS_HEADER_MAX + PIECE_MAX];
	size_t out_at, n_out;
	struct ws_control pong; /* to be sent next if its opcode is WS_PONG */
	bool viewer_left;       /* the viewer closed the connection */
	bool console_ended;     /* proxxy sent a Close, with these: */
	int close_code;
	char close_reason[WS_REASON_MAX + 1];
};

/* Writes a sentence to why. Returns code. */
#define fail(s, code, ...) error_why((s)->proxxy.why, (s)->proxxy.why_size, code, __VA_ARGS__)

/* --- viewer ------------------------------------------------------------------------------- */

/* Starts argv with path as its last argument. */
static int start_viewer(struct session *s, char **argv, char *path, const char *password)
{
	char **end = argv;
	int rc;

	while (*end)
		end++;
	*end = path;
	end[1] = NULL;
	if (password && setenv("VNC_PASSWORD", password, 1) < 0)
		return fail(s, ERR_SYSTEM, "%s", strerror(errno));
	rc = program_start(argv, false, &s->viewer);
	if (password)
		unsetenv("VNC_PASSWORD");
	if (rc != 0) {
		s->viewer = -1;
		return fail(s, ERR_SYSTEM, "%.100s: %s; VNCVIEWER can name another viewer", argv[0], strerror(rc));
	}
	return OK;
}

/* Returns true if the viewer has ended. If wait is true, waits for that. */
static bool viewer_ended(struct session *s, bool wait)
{
	if (s->viewer > 0 && waitpid(s->viewer, NULL, wait ? 0 : WNOHANG) != 0)
		s->viewer = -1;
	return s->viewer < 0;
}

/* The socket on which the viewer connects, and its directory. Static for the signal handler. */
static struct sockaddr_un viewer_socket = { .sun_family = AF_UNIX };
static char viewer_directory[sizeof(viewer_socket.sun_path) - sizeof("/console")];

/* Removes the socket and its directory. As a signal handler, also exits, with a shell's status for
 * that signal; the viewer then sees its connection end. */
static void remove_viewer_socket(int signal_number)
{
	unlink(viewer_socket.sun_path);
	rmdir(viewer_directory);
	if (signal_number)
		_exit(128 + signal_number);
}

static void on_signals(void (*handler)(int))
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (signal(numbers[i], handler) == SIG_IGN)
			signal(numbers[i], SIG_IGN); /* keep it ignored, as under nohup */
}

/* Creates a socket in a directory that only this user can enter, starts the viewer, and waits until
 * it connects. Then removes both. */
static int accept_viewer(struct session *s, char **argv, const char *password)
{
	const int64_t deadline = io_now() + VIEWER_START_TIMEOUT_S * INT64_C(1000);
	int listener, rc;

	rc = directory_make(viewer_directory, sizeof(viewer_directory), s->proxxy.why, s->proxxy.why_size);
	if (rc < 0)
		return rc;
	snprintf(viewer_socket.sun_path, sizeof(viewer_socket.sun_path), "%s/console", viewer_directory);
	on_signals(remove_viewer_socket);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&viewer_socket, sizeof(viewer_socket)) < 0 ||
	    listen(listener, 1) < 0)
		rc = fail(s, ERR_SYSTEM, "cannot make the viewer's socket: %s", strerror(errno));
	if (rc == OK)
		rc = start_viewer(s, argv, viewer_socket.sun_path, password);
	while (rc == OK && s->fd < 0) {
		s->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (s->fd >= 0)
			break;
		if (viewer_ended(s, false))
			rc = fail(s, ERR_SYSTEM, "the viewer ended before it opened the console");
		else if (io_now() >= deadline)
			rc = fail(s, ERR_SYSTEM, "the viewer did not open the console in %d s", VIEWER_START_TIMEOUT_S);
		else
			client_wait(listener, POLLIN, io_now() + START_POLL_MS);
	}
	if (listener >= 0)
		close(listener);
	remove_viewer_socket(0);
	on_signals(SIG_DFL);
	return rc;
}

/* --- relay -------------------------------------------------------------------------------- */

/* Puts a frame into s->out, which must be empty. data may be s->out + WS_HEADER_MAX. */
static int queue_frame(struct session *s, enum ws_opcode opcode, const uint8_t *data, size_t len)
{
	struct ws_header header = { .fin = true, .opcode = opcode, .length = len, .masked = true };
	size_t size;

	if (RAND_bytes(header.mask, sizeof(header.mask)) != 1)
		return fail(s, ERR_SYSTEM, "OpenSSL has no random bytes");
	size = ws_header_size(&header);
	memmove(s->out + size, data, len);
	ws_write_header(s->out, &header);
	ws_mask(s->out + size, len, header.mask);
	s->out_at = 0;
	s->n_out = size + len;
	return OK;
}

/* Sends what is in s->out, as far as it does not block. Returns 0, or ERR_UPSTREAM_BROKE. */
static int flush(struct session *s)
{
	while (s->n_out > 0) {
		ssize_t got = client_transmit(&s->proxxy, s->out + s->out_at, s->n_out);

		if (got < 0)
			return fail(s, ERR_UPSTREAM_BROKE, "the connection to proxxy was lost");
		if (got == 0)
			return OK;
		s->out_at += (size_t)got;
		s->n_out -= (size_t)got;
	}
	return OK;
}

/* Relays from the viewer to proxxy: sends the frame in s->out, then a Pong, then new data. */
static int relay_up(struct session *s)
{
	int rc = flush(s);

	if (rc == OK && s->n_out == 0 && s->pong.opcode == WS_PONG) {
		s->pong.opcode = WS_CONTINUATION;
		rc = queue_frame(s, WS_PONG, s->pong.payload, s->pong.length);
	}
	if (rc == OK && s->n_out == 0) {
		ssize_t n = read(s->fd, s->out + WS_HEADER_MAX, PIECE_MAX);

		s->viewer_left |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
		if (n > 0)
			rc = queue_frame(s, WS_BINARY, s->out + WS_HEADER_MAX, (size_t)n);
	}
	return rc == OK ? flush(s) : rc;
}

/* Removes the first n bytes of s->proxxy.in. */
static void consume(struct session *s, size_t n)
{
	s->proxxy.n_in -= n;
	memmove(s->proxxy.in, s->proxxy.in + n, s->proxxy.n_in);
}

/* Removes the frame header at the start of s->proxxy.in and sets frame_left, or handles a whole
 * control frame. Returns 1, 0 if it needs more bytes, or an error. */
static int parse_frame(struct session *s)
{
	struct ws_header header;
	const char *why;
	int size = ws_parse_header(s->proxxy.in, s->proxxy.n_in, WS_FROM_SERVER, &header, &why);

	if (size < 0)
		return fail(s, ERR_UPSTREAM_PROTOCOL, "proxxy violated the WebSocket protocol: %s", why);
	if (size == 0)
		return 0;
	if (header.opcode < WS_CLOSE) {
		s->frame_left = header.length;
		s->has_data |= header.length > 0;
		consume(s, (size_t)size);
		return 1;
	}
	if (s->proxxy.n_in < (size_t)size + header.length)
		return 0;
	if (header.opcode != WS_PONG) {
		struct ws_control control = { .opcode = header.opcode, .length = (size_t)header.length };

		memcpy(control.payload, s->proxxy.in + size, control.length);
		if (header.opcode == WS_PING) {
			s->pong = control;
			s->pong.opcode = WS_PONG;
		} else {
			s->console_ended = true;
			if (ws_parse_close(&control, WS_FROM_SERVER, &s->close_code, s->close_reason) < 0)
				return fail(s, ERR_UPSTREAM_PROTOCOL, "proxxy sent an invalid Close");
		}
	}
	consume(s, (size_t)size + (size_t)header.length);
	return 1;
}

/* Writes the data in s->proxxy.in to the viewer. Sets *ret_blocked to true if the viewer's socket
 * has no room for the rest. Returns 0 or an error. */
static int deliver(struct session *s, bool *ret_blocked)
{
	*ret_blocked = false;
	for (;;) {
		size_t n = s->frame_left < s->proxxy.n_in ? (size_t)s->frame_left : s->proxxy.n_in;
		ssize_t written;
		int rc;

		if (s->frame_left == 0) {
			rc = s->console_ended ? 0 : parse_frame(s);
			if (rc <= 0)
				return rc;
			continue;
		}
		if (n == 0)
			return OK;
		written = send(s->fd, s->proxxy.in, n, MSG_NOSIGNAL);
		if (written < 0) {
			*ret_blocked = true;
			s->viewer_left |= errno != EAGAIN && errno != EINTR;
			return OK;
		}
		s->frame_left -= (uint64_t)written;
		consume(s, (size_t)written);
	}
}

/* Relays from proxxy to the viewer. Sets *ret_blocked as deliver() does, and *ret_more to true if
 * there may be more to read from proxxy. */
static int relay_down(struct session *s, bool *ret_blocked, bool *ret_more)
{
	*ret_more = true;
	for (int i = 0; i < READS_AT_ONCE; i++) {
		ssize_t got;
		int rc = deliver(s, ret_blocked);

		if (rc < 0 || *ret_blocked || s->console_ended)
			return rc;
		got = client_receive(&s->proxxy, s->proxxy.in + s->proxxy.n_in, sizeof(s->proxxy.in) - s->proxxy.n_in);
		if (got < 0)
			return fail(s, ERR_UPSTREAM_BROKE, "the connection to proxxy was lost");
		if (got == 0) {
			*ret_more = false;
			return OK;
		}
		s->proxxy.n_in += (size_t)got;
	}
	return OK;
}

static int relay(struct session *s)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = s->proxxy.fd }, { .fd = s->fd } };
		bool blocked, more;
		int rc = relay_down(s, &blocked, &more);

		if (rc == OK && !s->console_ended)
			rc = relay_up(s);
		if (rc < 0 || s->console_ended || s->viewer_left)
			return rc;
		fds[0].events = (short)((blocked ? 0 : POLLIN) | (s->n_out ? POLLOUT : 0));
		fds[1].events = (short)((blocked ? POLLOUT : 0) | (s->n_out ? 0 : POLLIN));
		if (fds[0].events == 0)
			fds[0].fd = -1; /* otherwise poll() would report its end again and again */
		/* poll() does not see the data that TLS has already read. */
		if (poll(fds, 2, more && !blocked ? 0 : -1) < 0 && errno != EINTR)
			return fail(s, ERR_SYSTEM, "%s", strerror(errno));
		/* relay_up() does not read from the viewer now. So only this shows that it left. */
		if (s->n_out > 0 && fds[1].revents & (POLLHUP | POLLERR))
			return OK;
	}
}

/* Sends a Close: the answer to proxxy's, or 1000 if the viewer left. */
static void send_close(struct session *s)
{
	uint8_t payload[WS_CONTROL_MAX];

	if (s->proxxy.curl && s->n_out == 0 &&
	    queue_frame(s, WS_CLOSE, payload, ws_write_close(payload, s->close_code ? s->close_code : 1000, "")) == OK)
		flush(s);
}

int viewer_run(const char *url, const char *payload, const char *password, char **argv, char *why, size_t size)
{
	static struct session s;
	int rc;

	s = (struct session){ .proxxy = { .fd = -1, .why = why, .why_size = size }, .fd = -1, .viewer = -1 };
	snprintf(why, size, "OpenSSL has no random bytes"); /* the only failure that does not set why */
	rc = client_open(&s.proxxy, url, payload);
	if (rc == OK) {
		rc = accept_viewer(&s, argv, password);
		if (rc == OK)
			rc = relay(&s);
		send_close(&s);
	}
	if (rc == OK && s.console_ended && s.close_code != 0 && s.close_code != 1000)
		rc = fail(&s, ERR_UPSTREAM_REFUSED, "proxxy closed the console: %d%s%s", s.close_code,
			  *s.close_reason ? " " : "", s.close_reason);
	else if (rc == OK && s.console_ended && !s.has_data)
		rc = fail(&s, ERR_UPSTREAM_REFUSED, "%s",
			  *s.close_reason ? s.close_reason : error_info(END_UPSTREAM_EMPTY)->words);
	if (s.fd >= 0)
		close(s.fd);
	curl_easy_cleanup(s.proxxy.curl);
	if (s.viewer > 0 && s.fd < 0)
		kill(s.viewer, SIGTERM); /* it never connected */
	viewer_ended(&s, true);
	return rc;
}
