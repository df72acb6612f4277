/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends log records to a datagram socket or to standard error, and keeps those that would block.
 * log.c and systemd.c call it.
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
#include "lib/pages.h"

/* Results of try_put(). */
enum { SENT = 0, WOULD_BLOCK = -1, FAILED = -2 };

static struct {
	int fd;
	bool is_socket;
	bool may_block; /* writing to fd may block: poll() it first */
	unsigned lost;  /* records that were dropped */
	size_t kept;    /* bytes of backlog that are in use */
} sink = { .fd = -1 };

/* The records that wait, each as its length and its bytes. Not a member of sink: its initial value
 * would put the array into the program's file. */
static uint8_t backlog[SINK_BACKLOG_MAX] PAGED;

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
	sink.is_socket = sink.may_block = false;
	if (fstat(STDERR_FILENO, &st) < 0 || S_ISREG(st.st_mode))
		return; /* writing to a file does not block; a reopened file would have another position */
	sink.is_socket = S_ISSOCK(st.st_mode);
	sink.may_block = !sink.is_socket;
	if (!sink.may_block)
		return;
	/* This fails for another user's pipe, and without /proc: then fd stays -1. */
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0) {
		sink.may_block = dup2(fd, STDERR_FILENO) < 0;
		close(fd);
	}
}

/* Sends one record without blocking. Returns SENT, WOULD_BLOCK or FAILED. */
static int try_put(const uint8_t *record, size_t len)
{
	struct pollfd fd = { .fd = sink.fd, .events = POLLOUT };
	ssize_t n;

	if (sink.may_block && poll(&fd, 1, 0) == 0)
		return WOULD_BLOCK;
	do {
		n = sink.is_socket ? send(sink.fd, record, len, MSG_NOSIGNAL | MSG_DONTWAIT) :
				     write(sink.fd, record, len);
	} while (n < 0 && errno == EINTR);
	return n >= 0 ? SENT : errno == EAGAIN || errno == EWOULDBLOCK ? WOULD_BLOCK : FAILED;
}

/* Sends the kept records until the log would block. Returns true if none is left. */
static bool send_kept(void)
{
	size_t at = 0;
	uint32_t len;

	while (at < sink.kept) {
		int rc;

		memcpy(&len, backlog + at, sizeof(len));
		rc = try_put(backlog + at + sizeof(len), len);
		if (rc == WOULD_BLOCK)
			break;
		sink.lost += rc == FAILED;
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
	int rc = WOULD_BLOCK;

	if (sink.fd < 0)
		return;
	if (send_kept())
		rc = try_put(record, len);
	if (rc == WOULD_BLOCK && sizeof(backlog) - sink.kept >= sizeof(size) + len) {
		memcpy(backlog + sink.kept, &size, sizeof(size));
		memcpy(backlog + sink.kept + sizeof(size), record, len);
		sink.kept += sizeof(size) + len;
	} else if (rc != SENT) {
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
