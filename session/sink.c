/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends log records, see sink.h.
 */
#include "session/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"

enum { TAKEN = 0, NOT_NOW = -1, REFUSED = -2 };

static struct {
	int fd;
	bool is_socket;
	bool waits;     /* writing to fd may block: poll() it first */
	unsigned lost;
	size_t kept; /* bytes of backlog */
} sink = { .fd = -1 };

/* The waiting records, each as its length and its bytes. It is no member of sink, whose initial value would put it into the
 * program's file: untouched pages of zeroes are never allocated. */
static uint8_t backlog[SINK_BACKLOG_MAX];

int sink_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	int fd;

	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path))
		return ERR_SYSTEM;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		size++; /* its NUL */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_SYSTEM;
	if (connect(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	close(fd);
	return ERR_SYSTEM;
}

int sink_open_socket(const char *path)
{
	int fd = sink_connect(path);

	if (fd < 0)
		return fd;
	sink.fd = fd;
	sink.is_socket = true;
	return OK;
}

void sink_open_stderr(void)
{
	struct stat st;
	int fd;

	sink.fd = STDERR_FILENO;
	sink.is_socket = sink.waits = false;
	if (fstat(STDERR_FILENO, &st) < 0 || S_ISREG(st.st_mode))
		return; /* writing to a file never blocks for long, and keeps its position */
	sink.is_socket = S_ISSOCK(st.st_mode);
	sink.waits = !sink.is_socket;
	if (!sink.waits)
		return;
	/* Fails for another user's pipe, and without /proc. */
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		sink.waits = dup2(fd, STDERR_FILENO) < 0;
		close(fd);
	}
}

/* Sends one record. Returns TAKEN, NOT_NOW or REFUSED. */
static int try_put(const uint8_t *record, size_t len)
{
	struct pollfd fd = { .fd = sink.fd, .events = POLLOUT };
	ssize_t n;

	if (sink.waits && poll(&fd, 1, 0) == 0)
		return NOT_NOW;
	do {
		n = sink.is_socket ? send(sink.fd, record, len, MSG_NOSIGNAL | MSG_DONTWAIT) :
				     write(sink.fd, record, len);
	} while (n < 0 && errno == EINTR);
	return n >= 0 ? TAKEN : errno == EAGAIN || errno == EWOULDBLOCK ? NOT_NOW : REFUSED;
}

/* Sends the kept records, as many as the log accepts. Returns true if none is left. */
static bool send_kept(void)
{
	size_t at = 0;
	uint32_t len;

	while (at < sink.kept) {
		int rc;

		memcpy(&len, backlog + at, sizeof(len));
		rc = try_put(backlog + at + sizeof(len), len);
		if (rc == NOT_NOW)
			break;
		sink.lost += rc == REFUSED;
		at += sizeof(len) + len;
	}
	if (at > 0)
		memmove(backlog, backlog + at, sink.kept - at);
	sink.kept -= at;
	return sink.kept == 0;
}

void sink_put(const void *record, size_t len)
{
	const uint32_t size = (uint32_t)len;
	int rc = NOT_NOW;

	if (sink.fd < 0)
		return;
	if (send_kept())
		rc = try_put(record, len);
	if (rc == NOT_NOW && sizeof(backlog) - sink.kept >= sizeof(size) + len) {
		memcpy(backlog + sink.kept, &size, sizeof(size));
		memcpy(backlog + sink.kept + sizeof(size), record, len);
		sink.kept += sizeof(size) + len;
	} else if (rc != TAKEN) {
		sink.lost++;
	}
}

void sink_drain(int64_t deadline)
{
	int64_t left;

	while (!send_kept() && (left = deadline - io_now()) > 0) {
		struct pollfd fd = { .fd = sink.fd, .events = POLLOUT };

		poll(&fd, 1, (int)left);
	}
	while (sink.kept > 0) {
		uint32_t len;

		memcpy(&len, backlog, sizeof(len));
		sink.kept -= sizeof(len) + len;
		memmove(backlog, backlog + sizeof(len) + len, sink.kept);
		sink.lost++;
	}
}

unsigned sink_take_lost(void)
{
	const unsigned lost = sink.lost;

	sink.lost = 0;
	return lost;
}
