/* SPDX-License-Identifier: Apache-2.0
 *
 * Where records go: a datagram socket (the journal's or syslog's), or standard error. Nothing here waits for whoever
 * reads them, except sink_drain(), which is for the end: a log that takes nothing must not delay a console.
 */
#ifndef PROXXY_SINK_H
#define PROXXY_SINK_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SINK_LINE_MAX = PIPE_BUF,     /* bytes of a line for standard error: a pipe takes so many whole, or none */
	SINK_BACKLOG_MAX = 32 * 1024, /* bytes of records that wait for a reader; a session's take some 4 KiB */
	SINK_DRAIN_MS = 1000,         /* for a reader that is slow, once the client has left */
};

/* Connects a non-blocking datagram socket, so that nothing else can be reached with it. path is absolute, or begins with
 * '@' for an abstract address. Returns the descriptor, which is the caller's, or ERR_SYSTEM. */
int sink_connect(const char *path);

/* Has records go to the datagram socket at path. Returns 0, or ERR_SYSTEM: then they go where they went before. */
int sink_open_socket(const char *path);

/* Has records go to fd 2, lines of at most SINK_LINE_MAX bytes. A pipe or terminal is opened anew: not waiting is a property
 * of what was opened, which others share. */
void sink_open_stderr(void);

/* Sends a record of at most SINK_BACKLOG_MAX - 4 bytes. One that is not taken now is kept, and tried again before the next.
 * What finds no room there, or is refused, is lost, and counted. */
void sink_put(const void *record, size_t len);

/* Waits for the kept records to be taken until the deadline, an io_now(). What is left then is lost. */
void sink_drain(int64_t deadline);

/* How many records were lost since this was last asked. */
unsigned sink_take_lost(void);

#endif
