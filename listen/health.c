/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends one HTTP request and compares the answer's status.
 */
#include "listen/health.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { HEALTHY = 0, UNHEALTHY = 1 };

static const char REQUEST[] = "GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
static const char ANSWER[] = "HTTP/1.1 200 ";

/* The PROXY protocol's header, version 2, of a proxy's own health check: the command LOCAL, no
 * address (proxy-protocol.txt, section 2.2). */
static const unsigned char LOCAL_HEADER[] = {
	0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x20, 0x00, 0x00, 0x00,
};

static int unhealthy(const char *name, const char *what)
{
	fprintf(stderr, "proxxy-listen: %s: %s\n", name, what);
	return UNHEALTHY;
}

static int system_error(const char *name)
{
	return unhealthy(name, errno == EAGAIN || errno == EINPROGRESS ? "no answer in time" : strerror(errno));
}

/* True if proxxy expects a PROXY header from this machine's clients. */
static bool needs_header(void)
{
	const char *value = getenv("PROXXY_CLIENT_ADDRESS");

	return value && strcmp(value, "proxy-protocol") == 0;
}

static bool send_all(int fd, const void *data, size_t size)
{
	const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

	if (sent >= 0 && (size_t)sent < size)
		errno = EAGAIN; /* the timeout passed; a new socket has room for all of it */
	return sent == (ssize_t)size;
}

/* Reads until the answer's status is known. */
static int read_answer(int fd, const char *name)
{
	char answer[sizeof(ANSWER)] = "", words[sizeof(answer) + 40];
	size_t n = 0;
	ssize_t got;

	while (n < strlen(ANSWER)) {
		got = recv(fd, answer + n, strlen(ANSWER) - n, 0);
		if (got < 0)
			return system_error(name);
		if (got == 0)
			return unhealthy(name, "it closed the connection without an answer");
		n += (size_t)got;
	}
	if (strcmp(answer, ANSWER) == 0)
		return HEALTHY;
	for (size_t i = 0; i < n; i++)
		if (answer[i] < ' ' || answer[i] > '~')
			answer[i] = '?';
	while (n > 0 && answer[n - 1] == ' ')
		answer[--n] = '\0';
	snprintf(words, sizeof(words), "its answer begins with \"%s\"", answer);
	return unhealthy(name, words);
}

int health_check(const struct address *address, const char *name)
{
	const struct address to = address_to_connect(address);
	const struct timeval timeout = { .tv_sec = HEALTH_TIMEOUT_S };
	int fd = socket(to.at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return system_error(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)); /* limits connect() too */
	if (connect(fd, &to.at.any, to.size) < 0 ||
	    (needs_header() && !send_all(fd, LOCAL_HEADER, sizeof(LOCAL_HEADER))) ||
	    !send_all(fd, REQUEST, strlen(REQUEST)))
		rc = system_error(name);
	else
		rc = read_answer(fd, name);
	close(fd);
	return rc;
}
