/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts proxxy-conn for one connection, and is its WebSocket client until the console sends data.
 */
#include "setup/session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/http.h"
#include "lib/io.h"
#include "lib/list.h"
#include "lib/strict_json.h"
#include "setup/trial.h"
#include "ws.h"

enum {
	REQUEST_MAX = 4 * 1024, /* bytes of the request, with its NUL */
	LOG_MAX = 4 * 1024,     /* bytes that are kept of its log; a record has a few hundred */
	EXTRA_MS = 5 * 1000,    /* over PROXXY_CONNECT_TIMEOUT, for the start and the login to the console */
	END_MS = 3 * 1000,      /* for the end of the connection, and of the process */
};

struct session {
	pid_t pid;
	int fd, log; /* the connection, and what the process writes to standard error; or -1 */
	int64_t deadline;
	size_t n_in;
	uint8_t in[HTTP_HEAD_MAX];
};

/* --- the process -------------------------------------------------------------------------- */

/* Finds proxxy-conn beside this program. */
static bool find_program(char path[4096])
{
	const ssize_t n = readlink("/proc/self/exe", path, 4096 - sizeof("proxxy-conn"));
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	snprintf(slash + 1, sizeof("proxxy-conn"), "proxxy-conn");
	return access(path, X_OK) == 0;
}

/* In the child: becomes proxxy-conn with the connection and the pipe. Does not return. */
static void become_session(const struct passwd *user, const char *path, int fd, int log)
{
	char *argv[] = { (char *)(uintptr_t)path, NULL };

	/* PROXXY_CLIENT_ADDRESS: no proxy is before this session, so nothing sends a PROXY header. */
	signal(SIGPIPE, SIG_DFL);
	if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 ||
	    initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0 ||
	    chdir("/") < 0 || setenv("PROXXY_LOG", "stderr", 1) < 0 || setenv("PROXXY_CLIENT_ADDRESS", "peer", 1) < 0)
		_exit(127);
	execv(path, argv);
	_exit(127);
}

/* Starts the process. */
static int start(struct session *s, char *why, size_t size)
{
	const struct passwd *user = getpwnam(TRIAL_USER);
	char path[4096];
	int pair[2] = { -1, -1 }, pipe_fds[2] = { -1, -1 };

	if (!user) {
		error_why(why, size, ERR_CONFIG, "there is no user " TRIAL_USER);
		return ERR_CONFIG;
	}
	if (!find_program(path)) {
		error_why(why, size, ERR_CONFIG, "%s is missing. Install proxxy as a whole", path);
		return ERR_CONFIG;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		goto failed;
	s->pid = fork();
	if (s->pid < 0)
		goto failed;
	if (s->pid == 0)
		become_session(user, path, pair[1], pipe_fds[1]);
	close(pair[1]);
	close(pipe_fds[1]);
	s->fd = pair[0];
	s->log = pipe_fds[0];
	return OK;
failed:
	error_why(why, size, ERR_SYSTEM, "cannot start a session: %s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			close(pair[i]);
		if (pipe_fds[i] >= 0)
			close(pipe_fds[i]);
	}
	return ERR_SYSTEM;
}

/* Reads what comes from fd to buf[0..size), until its end or the deadline. Keeps the beginning.
 * Returns the length. */
static size_t read_rest(int fd, char *buf, size_t size, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[512];
	size_t len = 0;

	while (io_poll_until(&p, 1, deadline) > 0) {
		const ssize_t n = read(fd, part, sizeof(part));
		size_t kept;

		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		kept = n < 0 ? 0 : (size_t)n < size - len ? (size_t)n : size - len;
		memcpy(buf + len, part, kept);
		len += kept;
	}
	return len;
}

/* Ends the connection and the process, and reads its log to text, NUL-terminated. */
static void end(struct session *s, char text[LOG_MAX])
{
	const int64_t deadline = io_now() + END_MS;

	shutdown(s->fd, SHUT_WR);
	read_rest(s->fd, text, LOG_MAX - 1, deadline);
	close(s->fd);
	text[read_rest(s->log, text, LOG_MAX - 1, deadline)] = '\0';
	close(s->log);
	while (waitpid(s->pid, NULL, WNOHANG) == 0) {
		if (io_now() >= deadline)
			kill(s->pid, SIGKILL);
		io_sleep_until(io_now() + 10);
	}
}

/* --- the WebSocket ------------------------------------------------------------------------ */

/* Writes an Origin's header line that the list allows, or "" if it allows every one. */
static void write_origin(const char *origins, char *line, size_t size)
{
	size_t len = 0;
	const char *first = list_next(&origins, &len), *star = first ? memchr(first, '*', len) : NULL;

	line[0] = '\0';
	if (star)
		snprintf(line, size, "Origin: %.*sproxxy-setup%.*s\r\n", (int)(star - first), first,
			 (int)(first + len - star - 1), star + 1);
	else if (first)
		snprintf(line, size, "Origin: %.*s\r\n", (int)len, first);
}

static int send_request(const struct session *s, const char *payload, const char *origins, char *why, size_t size)
{
	char request[REQUEST_MAX], origin[512], key[WS_KEY_LEN + 1];
	int n, rc = ws_key_make(key);

	if (rc < 0)
		return error_why(why, size, rc, "OpenSSL has no random bytes");
	write_origin(origins, origin, sizeof(origin));
	n = snprintf(request, sizeof(request),
		     "GET /?payload=%s HTTP/1.1\r\n"
		     "Host: localhost\r\n"
		     "%s"
		     "Upgrade: websocket\r\n"
		     "Connection: Upgrade\r\n"
		     "Sec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: %s\r\n"
		     "Sec-WebSocket-Protocol: binary\r\n"
		     "\r\n",
		     payload, origin, key);
	rc = n > 0 && (size_t)n < sizeof(request) && send(s->fd, request, (size_t)n, MSG_NOSIGNAL) == n ?
		     OK :
		     error_why(why, size, ERR_SYSTEM, "the session did not start");
	OPENSSL_cleanse(request, sizeof(request));
	return rc;
}

/* Reads more from the session. Returns 0, or an error at the end and at the deadline. */
static int receive(struct session *s, char *why, size_t size)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	ssize_t n;

	if (s->n_in == sizeof(s->in))
		return error_why(why, size, ERR_UPSTREAM_ANSWER, "its answer is too long");
	if (io_poll_until(&p, 1, s->deadline) <= 0)
		return error_why(why, size, ERR_UPSTREAM_TIMEOUT, "no answer in time");
	n = read(s->fd, s->in + s->n_in, sizeof(s->in) - s->n_in);
	if (n <= 0)
		return error_why(why, size, ERR_UPSTREAM_BROKE, "the session ended");
	s->n_in += (size_t)n;
	return OK;
}

static void consume(struct session *s, size_t n)
{
	s->n_in -= n;
	memmove(s->in, s->in + n, s->n_in);
}

/* Describes an HTTP error by the "error" in its JSON. */
static int describe_refusal(struct session *s, int status, char *why, size_t size)
{
	char ignored[128];
	struct json_object *answer;
	const char *error;
	size_t len = 0;

	while (receive(s, ignored, sizeof(ignored)) == OK)
		;
	answer = strict_json_parse((char *)s->in, s->n_in);
	error = strict_json_string(answer, "error", &len);
	error_why(why, size, ERR_CONFIG, "proxxy answered %d%s%.300s", status, error ? " " : "", error ? error : "");
	strict_json_wipe(answer);
	return ERR_CONFIG;
}

static int read_answer(struct session *s, char *why, size_t size)
{
	struct http_response response;
	int head = 0, status;

	while ((head = http_parse_response((char *)s->in, s->n_in, &response)) == 0) {
		const int rc = receive(s, why, size);

		if (rc < 0)
			return rc;
	}
	if (head < 0)
		return error_why(why, size, ERR_UPSTREAM_ANSWER, "its answer is not proxxy's");
	status = response.status;
	consume(s, (size_t)head);
	return status == 101 ? OK : describe_refusal(s, status, why, size);
}

/* Describes a Close. */
static int describe_close(const struct session *s, size_t head, const struct ws_header *header, char *why, size_t size)
{
	struct ws_control control = { .opcode = WS_CLOSE, .length = (size_t)header->length };
	char reason[WS_REASON_MAX + 1] = "";
	int code = 0;

	memcpy(control.payload, s->in + head, control.length);
	ws_parse_close(&control, WS_FROM_SERVER, &code, reason);
	return error_why(why, size, ERR_UPSTREAM_REFUSED, "%s", *reason ? reason : "the session was closed");
}

/* Reads frames until one has data of the console. */
static int wait_for_data(struct session *s, char *why, size_t size)
{
	for (;;) {
		struct ws_header header;
		const char *phrase;
		const int head = ws_parse_header(s->in, s->n_in, WS_FROM_SERVER, &header, &phrase);
		int rc;

		if (head < 0)
			return error_why(why, size, head, "its frame is invalid: %s", phrase);
		if (head > 0 && header.opcode < WS_CLOSE && header.length > 0)
			return OK;
		if (head > 0 && header.length <= s->n_in - (size_t)head) {
			if (header.opcode == WS_CLOSE)
				return describe_close(s, (size_t)head, &header, why, size);
			consume(s, (size_t)head + (size_t)header.length);
			continue;
		}
		rc = receive(s, why, size);
		if (rc < 0)
			return rc;
	}
}

static void send_close(const struct session *s)
{
	static const uint8_t mask[4] = { 0x70, 0x72, 0x6F, 0x78 };
	uint8_t payload[WS_CONTROL_MAX], frame[WS_CONTROL_FRAME_MAX];
	const size_t len = ws_write_close(payload, 1000, "");
	const size_t n = ws_write_control(frame, WS_CLOSE, payload, len, mask);

	/* If it is lost, the end of the connection does the same. */
	if (send(s->fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

/* Replaces why by the words of the last record in the log, "proxxy-conn[PID]: Session ended: WORDS
 * peer=…": they have the details that a client is not told. */
static void use_log(char *log, char *why, size_t size)
{
	static const char *const heads[] = { "Session ended: ", "Request refused: ", "Internal server error: " };
	char *record, *end = log + strlen(log);

	while (end > log && end[-1] == '\n')
		*--end = '\0';
	record = strrchr(log, '\n');
	record = record ? record + 1 : log;
	if (strncmp(record, "proxxy-conn", strlen("proxxy-conn")) == 0 && strstr(record, ": "))
		record = strstr(record, ": ") + 2;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (strncmp(record, heads[i], strlen(heads[i])) == 0)
			record += strlen(heads[i]);
	end = strstr(record, " peer=");
	if (end)
		*end = '\0';
	if (!*record)
		return;
	end = record + strlen(record) - 1;
	if (*end == '.' || *end == '?') /* the caller's sentence goes on */
		*end = '\0';
	snprintf(why, size, "%s", record);
}

int session_try(const char *payload, const char *origins, int connect_timeout, char *why, size_t size)
{
	static struct session s; /* too large for the stack */
	char log[LOG_MAX] = "";
	int rc;

	s = (struct session){ .fd = -1, .log = -1 };
	s.deadline = io_now() + connect_timeout * INT64_C(1000) + EXTRA_MS;
	rc = start(&s, why, size);
	if (rc < 0)
		return rc;
	rc = send_request(&s, payload, origins, why, size);
	if (rc == OK)
		rc = read_answer(&s, why, size);
	if (rc == OK)
		rc = wait_for_data(&s, why, size);
	if (rc == OK)
		send_close(&s);
	end(&s, log);
	if (rc < 0)
		use_log(log, why, size);
	OPENSSL_cleanse(&s, sizeof(s));
	return rc;
}
