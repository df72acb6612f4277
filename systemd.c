/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal and the service manager, see systemd.h.
 */
#include "systemd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

static int journal = -1;

/* A connected datagram socket, so that nothing else can be reached with it. '@' begins an abstract address. */
static int connect_to(const char *path)
{
	static const struct timeval timeout = { SYSTEMD_SEND_TIMEOUT_S, 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	int fd;

	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	else
		size++; /* its NUL */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	close(fd);
	return -1;
}

int systemd_open_journal(void)
{
	journal = connect_to(SYSTEMD_JOURNAL);
	return journal < 0 ? ERR_SYSTEM : OK;
}

/* Adds "NAME\n", the value's length in 64 bits, low byte first, the value and "\n": the form in which a line feed in a
 * value does not end it. Returns the record's new length; a field that does not fit is left out. */
static size_t add(uint8_t *record, size_t at, const char *field)
{
	const char *equals = strchr(field, '=');
	const size_t name = (size_t)(equals - field), value = strlen(equals + 1);

	if (at + name + 1 + 8 + value + 1 > SYSTEMD_RECORD_MAX)
		return at;
	memcpy(record + at, field, name);
	at += name;
	record[at++] = '\n';
	for (int shift = 0; shift < 64; shift += 8)
		record[at++] = (uint8_t)((uint64_t)value >> shift);
	memcpy(record + at, equals + 1, value);
	at += value;
	record[at++] = '\n';
	return at;
}

void systemd_record(const char *const fields[], size_t n)
{
	uint8_t record[SYSTEMD_RECORD_MAX];
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at = add(record, at, fields[i]);
	if (journal >= 0)
		send(journal, record, at, MSG_NOSIGNAL);
}

void systemd_status(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char message[256];
	int fd = path ? connect_to(path) : -1;

	if (fd < 0)
		return;
	snprintf(message, sizeof(message), "STATUS=%s", text);
	send(fd, message, strlen(message), MSG_NOSIGNAL);
	close(fd);
}
