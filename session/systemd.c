/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats records for the journal, and status lines for the service manager. log.c and
 * proxxy-conn.c call it.
 */
#include "session/systemd.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session/sink.h"

int systemd_open_journal(void)
{
	return sink_open_socket(SYSTEMD_JOURNAL);
}

/* Adds a field at record[at..]: "NAME\n", the value's length as 64 bits in little-endian order, the
 * value and "\n". In this form a value may contain line feeds. Returns the record's new length;
 * leaves a field out that does not fit. */
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
	sink_put(record, at);
}

void systemd_status(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char message[SYSTEMD_STATUS_MAX] = "STATUS=";
	size_t len = strlen(message);
	int fd = path ? sink_connect(path) : -1;

	if (fd < 0)
		return;
	/* systemd splits the message into lines with extract_first_word(), for which a backslash
	 * quotes the next character. */
	for (; *text && len < sizeof(message) - 1; text++) {
		if (*text == '\\')
			message[len++] = '\\';
		message[len++] = *text;
	}
	send(fd, message, len, MSG_NOSIGNAL);
	close(fd);
}
