/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends log records to a datagram socket (the journal's or syslog's) or to standard error, without
 * blocking: a blocked log must not delay a console. Only sink_drain(), called at the end, waits.
 */
#ifndef PROXXY_SINK_H
#define PROXXY_SINK_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SINK_LINE_MAX = PIPE_BUF,     /* bytes of a line for standard error: a pipe writes these atomically */
	SINK_BACKLOG_MAX = 32 * 1024, /* bytes of waiting records; a session makes about 4 KiB */
	SINK_DRAIN_MS = 1000,         /* to wait for a slow reader, after the client has left */
};

/* Creates a non-blocking datagram socket and connects it, so that it can reach nothing else. path
 * is absolute, or begins with '@' for an abstract address. Returns the descriptor, which the caller
 * owns, or ERR_SYSTEM. */
int sink_connect(const char *path);

/* Sends records to the datagram socket at path from now on. Returns 0, or ERR_SYSTEM: then the
 * destination stays as it was. */
int sink_open_socket(const char *path);

/* Sends records to fd 2 from now on, as lines of at most SINK_LINE_MAX bytes. Reopens a pipe or
 * terminal: O_NONBLOCK belongs to the open file, which other processes share. */
void sink_open_stderr(void);

/* Sends a record of at most SINK_BACKLOG_MAX - 4 bytes. Keeps it if the log would block, and
 * retries before the next record. Drops and counts it if there is no room or the log refuses it. */
void sink_put(const void *record, size_t len);

/* Sends the kept records; waits for the log until the deadline, an io_now(). Drops the rest. */
void sink_drain(int64_t deadline);

/* Returns how many records were dropped since the last call. */
unsigned sink_take_lost(void);

#endif
