/* SPDX-License-Identifier: Apache-2.0
 *
 * A native VNC viewer in the browser's place, see viewer.h. libcurl makes the connection; the WebSocket on it is ours.
 */
#include "viewer.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
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

#include "error.h"
#include "http.h"
#include "io.h"
#include "strict_json.h"
#include "ws.h"

extern char **environ;

enum {
	VIEWER_ORIGIN_MAX = 600, /* bytes of a URL up to its path, with its NUL */
	BODY_MS = 1000,          /* for the rest of a refusal, whose connection may stay open */
	PIECE = 32 * 1024, /* bytes of data that one frame or one write takes */
	READS_AT_ONCE = 16, /* of proxxy, before the viewer's turn comes */
	SLICE_MS = 100,    /* how soon a viewer that ended is noticed while nothing else happens */
};

struct session {
	CURL *curl;
	int ws_fd; /* libcurl's, for poll() */
	int fd;    /* the viewer's end, non-blocking */
	pid_t viewer;
	char *why;
	size_t why_size;

	/* What came from proxxy and is not looked at yet; of a data frame that began, frame_left bytes are the viewer's. */
	uint8_t in[WS_HEADER_MAX + PIECE];
	size_t n_in;
	uint64_t frame_left;
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
	vsnprintf(s->why, s->why_size, format, args);
	va_end(args);
	return code;
}

/* --- connection --------------------------------------------------------------------------- */

/* Each returns how many bytes went or came, 0 when it would block, or -1 when the connection ended. */
static ssize_t transmit(struct session *s, const void *data, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(s->curl, data, len, &n);

	return code == CURLE_AGAIN ? 0 : code == CURLE_OK ? (ssize_t)n : -1;
}

static ssize_t receive(struct session *s, void *data, size_t size)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(s->curl, data, size, &n);

	return code == CURLE_AGAIN ? 0 : code == CURLE_OK && n > 0 ? (ssize_t)n : -1;
}

/* Waits until fd can do it, or the deadline; which of the two is what it returns. */
static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n = 0;

	do {
		left = deadline - io_now();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static int connect_url(struct session *s, const char *url)
{
	const char *ca_file = getenv("SSL_CERT_FILE"), *rest = strstr(url, "://");
	char origin[VIEWER_ORIGIN_MAX], error[CURL_ERROR_SIZE] = "";
	CURLcode code;
	curl_socket_t fd;

	/* The rest of it, payload and all, is ours to send. */
	if ((size_t)snprintf(origin, sizeof(origin), "%s%.*s", strncmp(url, "wss:", 4) == 0 ? "https" : "http",
			     (int)(3 + strcspn(rest + 3, "/?")), rest) >= sizeof(origin))
		return fail(s, ERR_SYSTEM, "the URL's host is too long");
	s->curl = curl_easy_init();
	if (!s->curl)
		return fail(s, ERR_SYSTEM, "libcurl does not start");
	curl_easy_setopt(s->curl, CURLOPT_URL, origin);
	curl_easy_setopt(s->curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(s->curl, CURLOPT_HTTPPROXYTUNNEL, 1L); /* should there be one between */
	curl_easy_setopt(s->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* in ALPN: a WebSocket needs it */
	curl_easy_setopt(s->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(s->curl, CURLOPT_CONNECTTIMEOUT, (long)VIEWER_CONNECT_TIMEOUT_S);
	curl_easy_setopt(s->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, error);
	if (ca_file)
		curl_easy_setopt(s->curl, CURLOPT_CAINFO, ca_file);
	code = curl_easy_perform(s->curl);
	curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, NULL);
	if (code != CURLE_OK)
		return fail(s, ERR_UPSTREAM_CONNECT, "proxxy at %.100s: %s", origin, *error ? error : curl_easy_strerror(code));
	if (curl_easy_getinfo(s->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
		return fail(s, ERR_SYSTEM, "libcurl has no connection");
	s->ws_fd = fd;
	return OK;
}

static int send_request(struct session *s, const char *url, const char *key, int64_t deadline)
{
	static char request[VIEWER_TARGET_MAX + 1024];
	const char *host = strstr(url, "://") + 3, *target = host + strcspn(host, "/?");
	const int n = snprintf(request, sizeof(request),
			       "GET %s%s HTTP/1.1\r\n"
			       "Host: %.*s\r\n"
			       "Upgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Version: 13\r\n"
			       "Sec-WebSocket-Key: %s\r\n"
			       "Sec-WebSocket-Protocol: binary\r\n"
			       "User-Agent: proxxy-url/" PROXXY_VERSION "\r\n"
			       "\r\n",
			       *target == '/' ? "" : "/", target, (int)(target - host), host, key);
	int rc = n > 0 && (size_t)n < sizeof(request) ? OK : fail(s, ERR_SYSTEM, "the URL is too long");

	for (size_t at = 0; rc == OK && at < (size_t)n;) {
		ssize_t got = transmit(s, request + at, (size_t)n - at);

		at += got > 0 ? (size_t)got : 0;
		if (got < 0)
			rc = fail(s, ERR_UPSTREAM_CONNECT, "proxxy closed the connection");
		else if (got == 0 && !wait_for(s->ws_fd, POLLOUT, deadline))
			rc = fail(s, ERR_UPSTREAM_TIMEOUT, "proxxy does not take the request");
	}
	OPENSSL_cleanse(request, sizeof(request));
	return rc;
}

/* The sentence in proxxy's JSON, when it refuses. */
static int refused(struct session *s, int status, const char *body, size_t len)
{
	struct json_object *answer = strict_json_parse(body, len);
	const char *error = strict_json_string(answer, "error", &len);

	fail(s, ERR_UPSTREAM_REFUSED, "proxxy: %d%s%.200s", status, error ? " " : "", error ? error : "");
	strict_json_wipe(answer);
	return ERR_UPSTREAM_REFUSED;
}

/* Reads until there is a whole head, or of a refusal the end. What is behind a 101 stays in s->in. */
static int read_answer(struct session *s, const char *key, int64_t deadline)
{
	char accept[WS_ACCEPT_LEN + 1];
	struct http_response r;
	int head = 0;
	bool ended = false;

	for (;;) {
		int64_t until = deadline;
		ssize_t got;

		head = http_parse_response((char *)s->in, s->n_in, &r);
		if (head < 0 || (head == 0 && (ended || s->n_in == sizeof(s->in))))
			return fail(s, ERR_UPSTREAM_ANSWER, "what answers there is not proxxy");
		if (head > 0 && (r.status == 101 || ended || s->n_in == sizeof(s->in)))
			break;
		got = receive(s, s->in + s->n_in, sizeof(s->in) - s->n_in);
		ended = got < 0;
		s->n_in += got > 0 ? (size_t)got : 0;
		if (head > 0 && until > io_now() + BODY_MS)
			until = io_now() + BODY_MS;
		if (got == 0 && !wait_for(s->ws_fd, POLLIN, until))
			ended = true;
	}
	if (r.status != 101)
		return refused(s, r.status, (char *)s->in + head, s->n_in - (size_t)head);
	if (ws_accept(key, accept) < 0 || !r.upgrade || !slice_is(r.ws_accept, accept))
		return fail(s, ERR_UPSTREAM_ANSWER, "what answers there does not accept the upgrade");
	s->n_in -= (size_t)head;
	memmove(s->in, s->in + head, s->n_in);
	return OK;
}

static int open_websocket(struct session *s, const char *url)
{
	const int64_t deadline = io_now() + VIEWER_CONNECT_TIMEOUT_S * INT64_C(1000);
	char key[WS_KEY_LEN + 1];
	int rc = connect_url(s, url);

	if (rc == OK)
		rc = ws_key_make(key);
	if (rc == OK)
		rc = send_request(s, url, key, deadline);
	return rc == OK ? read_answer(s, key, deadline) : rc;
}

/* --- viewer ------------------------------------------------------------------------------- */

/* Starts argv with path for its last argument. */
static int start_viewer(struct session *s, char **argv, char *path, const char *password)
{
	char **end = argv;
	int rc;

	while (*end)
		end++;
	*end = path;
	end[1] = NULL;
	if (setenv("VNC_PASSWORD", password, 1) < 0)
		return fail(s, ERR_SYSTEM, "%s", strerror(errno));
	rc = posix_spawnp(&s->viewer, argv[0], NULL, NULL, argv, environ);
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

/* A socket in a directory of this user's own, which is there until the viewer came. */
static int meet_viewer(struct session *s, char **argv, const char *password)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const int64_t deadline = io_now() + VIEWER_START_TIMEOUT_S * INT64_C(1000);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char directory[sizeof(address.sun_path) - sizeof("/console")];
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = OK;

	if (snprintf(directory, sizeof(directory), "%s/proxxy-XXXXXX", runtime && *runtime ? runtime : "/tmp") >= (int)sizeof(directory) ||
	    !mkdtemp(directory)) {
		rc = fail(s, ERR_SYSTEM, "cannot make a directory for the viewer's socket: %s", strerror(errno));
		close(listener);
		return rc;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/console", directory);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1) < 0)
		rc = fail(s, ERR_SYSTEM, "cannot make the viewer's socket: %s", strerror(errno));
	if (rc == OK)
		rc = start_viewer(s, argv, address.sun_path, password);
	while (rc == OK && s->fd < 0) {
		s->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (s->fd >= 0)
			break;
		if (viewer_ended(s, false))
			rc = fail(s, ERR_SYSTEM, "the viewer ended before it opened the console");
		else if (io_now() >= deadline)
			rc = fail(s, ERR_SYSTEM, "the viewer did not open the console in %d s", VIEWER_START_TIMEOUT_S);
		else
			wait_for(listener, POLLIN, io_now() + SLICE_MS);
	}
	close(listener);
	unlink(address.sun_path);
	rmdir(directory);
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
		ssize_t got = transmit(s, s->out + s->out_at, s->n_out);

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
	s->n_in -= n;
	memmove(s->in, s->in + n, s->n_in);
}

/* The frame that s->in begins with: a control frame is dealt with, a data frame's payload becomes frame_left.
 * Returns 1 when there was one, 0 when more bytes are needed, or an error. */
static int take_frame(struct session *s)
{
	struct ws_header header;
	const char *why;
	int size = ws_parse_header(s->in, s->n_in, WS_FROM_SERVER, &header, &why);

	if (size < 0)
		return fail(s, ERR_UPSTREAM_PROTOCOL, "proxxy broke the WebSocket protocol: %s", why);
	if (size == 0)
		return 0;
	if (header.opcode < WS_CLOSE) {
		s->frame_left = header.length;
		consume(s, (size_t)size);
		return 1;
	}
	if (s->n_in < (size_t)size + header.length)
		return 0;
	if (header.opcode != WS_PONG) {
		struct ws_control control = { .opcode = header.opcode, .length = (size_t)header.length };

		memcpy(control.payload, s->in + size, control.length);
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

/* What s->in holds to the viewer, as far as it takes it. *ret_blocked when it does not. */
static int deliver(struct session *s, bool *ret_blocked)
{
	*ret_blocked = false;
	for (;;) {
		size_t n = s->frame_left < s->n_in ? (size_t)s->frame_left : s->n_in;
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
		written = send(s->fd, s->in, n, MSG_NOSIGNAL);
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
		got = receive(s, s->in + s->n_in, sizeof(s->in) - s->n_in);
		if (got < 0)
			return fail(s, ERR_UPSTREAM_BROKE, "the connection to proxxy broke off");
		if (got == 0) {
			*ret_more = false;
			return OK;
		}
		s->n_in += (size_t)got;
	}
	return OK;
}

static int relay(struct session *s)
{
	for (;;) {
		struct pollfd fds[2] = { { .fd = s->ws_fd }, { .fd = s->fd } };
		bool blocked, more;
		int rc = relay_down(s, &blocked, &more);

		if (rc == OK && !s->console_ended)
			rc = relay_up(s);
		if (rc < 0 || s->console_ended || s->viewer_left)
			return rc;
		fds[0].events = (short)((blocked ? 0 : POLLIN) | (s->n_out ? POLLOUT : 0));
		fds[1].events = (short)((blocked ? POLLOUT : 0) | (s->n_out ? 0 : POLLIN));
		/* What TLS holds already, poll() does not see. */
		if (poll(fds, 2, more && !blocked ? 0 : -1) < 0 && errno != EINTR)
			return fail(s, ERR_SYSTEM, "%s", strerror(errno));
	}
}

/* A Close: the echo of proxxy's, or that the viewer is gone. */
static void say_goodbye(struct session *s)
{
	uint8_t payload[WS_CONTROL_MAX];

	if (s->curl && s->n_out == 0 &&
	    queue_frame(s, WS_CLOSE, payload, ws_write_close(payload, s->close_code ? s->close_code : 1000, "")) == OK)
		flush(s);
}

int viewer_run(const char *url, const char *password, char **argv, char *why, size_t size)
{
	static struct session s;
	int rc;

	s = (struct session){ .ws_fd = -1, .fd = -1, .viewer = -1, .why = why, .why_size = size };
	signal(SIGPIPE, SIG_IGN);
	rc = open_websocket(&s, url);
	if (rc == OK) {
		rc = meet_viewer(&s, argv, password);
		if (rc == OK)
			rc = relay(&s);
		say_goodbye(&s);
	}
	if (rc == OK && s.console_ended && s.close_code != 1000)
		rc = fail(&s, ERR_UPSTREAM_REFUSED, "proxxy closed the console: %d%s%s", s.close_code, *s.close_reason ? " " : "", s.close_reason);
	if (s.fd >= 0)
		close(s.fd);
	curl_easy_cleanup(s.curl);
	if (s.viewer > 0 && s.fd < 0)
		kill(s.viewer, SIGTERM); /* it never came */
	viewer_ended(&s, true);
	return rc;
}
