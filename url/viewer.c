/* SPDX-License-Identifier: Apache-2.0
 *
 * A native VNC viewer in the browser's place, see viewer.h. The frames, and the viewer.
 */
#include "url/viewer.h"

#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
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
#include "ws.h"

extern char **environ;

enum {
	PIECE = 32 * 1024, /* bytes of data that one frame or one write takes */
	READS_AT_ONCE = 16, /* of proxxy, before the viewer's turn comes */
	SLICE_MS = 100,    /* how soon a viewer that ended is noticed while nothing else happens */
};

struct session {
	struct client proxxy;
	int fd; /* the viewer's end, non-blocking */
	pid_t viewer;
	uint64_t frame_left; /* of a data frame that began, bytes that are the viewer's */
	bool has_data;       /* the console sent data */
	/* Frames on their way to proxxy. Anything new waits until it is empty. */
	uint8_t out[WS_HEADER_MAX + PIECE];
	size_t out_at, n_out;
	struct ws_control pong; /* its opcode is WS_PONG while it waits */
	bool viewer_left;
	bool console_ended; /* proxxy sent a Close */
	int close_code;
	char close_reason[WS_REASON_MAX + 1];
};

static int __attribute__((format(printf, 3, 4))) fail(struct session *s, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->proxxy.why, s->proxxy.why_size, format, args);
	va_end(args);
	return code;
}

/* --- viewer ------------------------------------------------------------------------------- */

/* Starts argv with path for its last argument. */
static int start_viewer(struct session *s, char **argv, char *path, const char *password)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t ignored;
	char **end = argv;
	int rc;

	while (*end)
		end++;
	*end = path;
	end[1] = NULL;
	if (setenv("VNC_PASSWORD", password, 1) < 0)
		return fail(s, ERR_SYSTEM, "%s", strerror(errno));
	/* It has no part in our connection, nor in what libcurl keeps open. */
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	posix_spawnattr_init(&attributes);
	sigemptyset(&ignored);
	sigaddset(&ignored, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &ignored);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(&s->viewer, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	unsetenv("VNC_PASSWORD");
	if (rc != 0) {
		s->viewer = -1;
		return fail(s, ERR_SYSTEM, "%.100s: %s; VNCVIEWER names another one", argv[0], strerror(rc));
	}
	return OK;
}

static bool viewer_ended(struct session *s, bool wait)
{
	if (s->viewer > 0 && waitpid(s->viewer, NULL, wait ? 0 : WNOHANG) != 0)
		s->viewer = -1;
	return s->viewer < 0;
}

/* Where the viewer is awaited, for a signal in the meantime to clean up. */
static struct sockaddr_un meeting_place = { .sun_family = AF_UNIX };
static char meeting_directory[sizeof(meeting_place.sun_path) - sizeof("/console")];

static void leave_meeting_place(int signal_number)
{
	unlink(meeting_place.sun_path);
	rmdir(meeting_directory);
	if (signal_number)
		_exit(128 + signal_number); /* as a shell says it; the viewer hears the end of its connection */
}

static void on_signals(void (*handler)(int))
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (signal(numbers[i], handler) == SIG_IGN)
			signal(numbers[i], SIG_IGN); /* as nohup left it */
}

/* A socket in a directory of this user's own, which is there until the viewer came. */
static int meet_viewer(struct session *s, char **argv, const char *password)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const int64_t deadline = io_now() + VIEWER_START_TIMEOUT_S * INT64_C(1000);
	int listener, rc = OK;

	if (snprintf(meeting_directory, sizeof(meeting_directory), "%s/proxxy-XXXXXX", runtime && *runtime ? runtime : "/tmp") >=
	    (int)sizeof(meeting_directory))
		return fail(s, ERR_SYSTEM, "XDG_RUNTIME_DIR is too long for a socket's name");
	if (!mkdtemp(meeting_directory))
		return fail(s, ERR_SYSTEM, "cannot make a directory for the viewer's socket: %s", strerror(errno));
	snprintf(meeting_place.sun_path, sizeof(meeting_place.sun_path), "%s/console", meeting_directory);
	on_signals(leave_meeting_place);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&meeting_place, sizeof(meeting_place)) < 0 || listen(listener, 1) < 0)
		rc = fail(s, ERR_SYSTEM, "cannot make the viewer's socket: %s", strerror(errno));
	if (rc == OK)
		rc = start_viewer(s, argv, meeting_place.sun_path, password);
	while (rc == OK && s->fd < 0) {
		s->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (s->fd >= 0)
			break;
		if (viewer_ended(s, false))
			rc = fail(s, ERR_SYSTEM, "the viewer ended before it opened the console");
		else if (io_now() >= deadline)
			rc = fail(s, ERR_SYSTEM, "the viewer did not open the console in %d s", VIEWER_START_TIMEOUT_S);
		else
			client_wait(listener, POLLIN, io_now() + SLICE_MS);
	}
	if (listener >= 0)
		close(listener);
	leave_meeting_place(0);
	on_signals(SIG_DFL);
	return rc;
}

/* --- relay -------------------------------------------------------------------------------- */

/* Puts a whole frame into s->out, which is empty; data may be s->out's own room behind the header's largest size. */
static int queue_frame(struct session *s, enum ws_opcode opcode, const uint8_t *data, size_t len)
{
	struct ws_header header = { .fin = true, .opcode = opcode, .length = len, .masked = true };
	size_t size;

	if (RAND_bytes(header.mask, sizeof(header.mask)) != 1)
		return fail(s, ERR_SYSTEM, "no randomness");
	size = ws_header_size(&header);
	memmove(s->out + size, data, len);
	ws_write_header(s->out, &header);
	ws_mask(s->out + size, len, header.mask);
	s->out_at = 0;
	s->n_out = size + len;
	return OK;
}

/* Sends what is queued. Returns 0, also when some of it has to wait. */
static int flush(struct session *s)
{
	while (s->n_out > 0) {
		ssize_t got = client_transmit(&s->proxxy, s->out + s->out_at, s->n_out);

		if (got < 0)
			return fail(s, ERR_UPSTREAM_BROKE, "the connection to proxxy broke off");
		if (got == 0)
			return OK;
		s->out_at += (size_t)got;
		s->n_out -= (size_t)got;
	}
	return OK;
}

/* Viewer to proxxy. */
static int relay_up(struct session *s)
{
	int rc = flush(s);

	if (rc == OK && s->n_out == 0 && s->pong.opcode == WS_PONG) {
		s->pong.opcode = WS_CONTINUATION;
		rc = queue_frame(s, WS_PONG, s->pong.payload, s->pong.length);
	}
	if (rc == OK && s->n_out == 0) {
		ssize_t n = read(s->fd, s->out + WS_HEADER_MAX, PIECE);

		s->viewer_left |= n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
		if (n > 0)
			rc = queue_frame(s, WS_BINARY, s->out + WS_HEADER_MAX, (size_t)n);
	}
	return rc == OK ? flush(s) : rc;
}

static void consume(struct session *s, size_t n)
{
	s->proxxy.n_in -= n;
	memmove(s->proxxy.in, s->proxxy.in + n, s->proxxy.n_in);
}

/* The frame that s->proxxy.in begins with: a control frame is dealt with, a data frame's payload becomes frame_left.
 * Returns 1 when there was one, 0 when more bytes are needed, or an error. */
static int take_frame(struct session *s)
{
	struct ws_header header;
	const char *why;
	int size = ws_parse_header(s->proxxy.in, s->proxxy.n_in, WS_FROM_SERVER, &header, &why);

	if (size < 0)
		return fail(s, ERR_UPSTREAM_PROTOCOL, "proxxy broke the WebSocket protocol: %s", why);
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
				return fail(s, ERR_UPSTREAM_PROTOCOL, "proxxy sent a Close that is none");
		}
	}
	consume(s, (size_t)size + (size_t)header.length);
	return 1;
}

/* What s->proxxy.in holds to the viewer, as far as it takes it. *ret_blocked when it does not. */
static int deliver(struct session *s, bool *ret_blocked)
{
	*ret_blocked = false;
	for (;;) {
		size_t n = s->frame_left < s->proxxy.n_in ? (size_t)s->frame_left : s->proxxy.n_in;
		ssize_t written;
		int rc;

		if (s->frame_left == 0) {
			rc = s->console_ended ? 0 : take_frame(s);
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

/* Proxxy to viewer. *ret_blocked when the viewer takes no more, *ret_more when there may be more to read. */
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
			return fail(s, ERR_UPSTREAM_BROKE, "the connection to proxxy broke off");
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
			fds[0].fd = -1; /* never polled for no events: its end would come up at once, again and again */
		/* What TLS holds already, poll() does not see. */
		if (poll(fds, 2, more && !blocked ? 0 : -1) < 0 && errno != EINTR)
			return fail(s, ERR_SYSTEM, "%s", strerror(errno));
		/* While nothing is read of it, its end is not seen otherwise. */
		if (s->n_out > 0 && fds[1].revents & (POLLHUP | POLLERR))
			return OK;
	}
}

/* A Close: the echo of proxxy's, or that the viewer is gone. */
static void say_goodbye(struct session *s)
{
	uint8_t payload[WS_CONTROL_MAX];

	if (s->proxxy.curl && s->n_out == 0 &&
	    queue_frame(s, WS_CLOSE, payload, ws_write_close(payload, s->close_code ? s->close_code : 1000, "")) == OK)
		flush(s);
}

int viewer_run(const char *url, const char *password, char **argv, char *why, size_t size)
{
	static struct session s;
	int rc;

	s = (struct session){ .proxxy = { .fd = -1, .why = why, .why_size = size }, .fd = -1, .viewer = -1 };
	fail(&s, ERR_SYSTEM, "no randomness"); /* what may fail without a word of its own */
	rc = client_open(&s.proxxy, url);
	if (rc == OK) {
		rc = meet_viewer(&s, argv, password);
		if (rc == OK)
			rc = relay(&s);
		say_goodbye(&s);
	}
	if (rc == OK && s.console_ended && s.close_code != 0 && s.close_code != 1000)
		rc = fail(&s, ERR_UPSTREAM_REFUSED, "proxxy closed the console: %d%s%s", s.close_code, *s.close_reason ? " " : "", s.close_reason);
	else if (rc == OK && s.console_ended && !s.has_data)
		rc = fail(&s, ERR_UPSTREAM_REFUSED, "%s",
			  *s.close_reason ? s.close_reason : error_info(END_UPSTREAM_EMPTY)->words);
	if (s.fd >= 0)
		close(s.fd);
	curl_easy_cleanup(s.proxxy.curl);
	if (s.viewer > 0 && s.fd < 0)
		kill(s.viewer, SIGTERM); /* it never came */
	viewer_ended(&s, true);
	return rc;
}
