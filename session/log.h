/* SPDX-License-Identifier: Apache-2.0
 *
 * The log records of a session: one when it begins and one when it ends, or one that says why it was
 * refused. The journal gets a field for each fact, other logs get one line. If the log is blocked, a
 * record is kept and sent later: a session waits for its log only at its very end.
 * Nothing here is ever given a key, a ticket, a payload or a query string.
 */
#ifndef PROXXY_LOG_H
#define PROXXY_LOG_H

#include <stdint.h>

#include "lib/config.h"
#include "lib/payload.h"
#include "ws.h"

enum { LOG_DETAIL_MAX = 256 }; /* bytes of a detail, with its NUL */

struct session {
	char peer[64];                 /* the client's address and port, or "unknown" */
	const struct console *console; /* NULL until the payload is open */
	const char *format, *kid;      /* of the payload, and of the key that opened it; NULL or "" when not known */
	int64_t began;                 /* io_now() */
	int outcome;                   /* a code of error.h */
	char detail[LOG_DETAIL_MAX];   /* more than the outcome's words say, or "" */
	int close_code;                /* that the client was sent, 0 when none */
	uint64_t bytes_up, bytes_down; /* payload to and from Proxmox */
};

/* Chooses where records go. With LOG_TO_AUTO: the journal when fd 2 is connected to it; when fd 2
 * is the client's own socket (inetd) the journal's socket if there is one, else syslog; else fd 2.
 * Should fd 2 be the client's socket it is replaced with /dev/null, so that nothing - not a
 * library's message either - can reach the client. Returns 0, or ERR_SYSTEM when it cannot be replaced. */
int log_open(enum log_target target);

/* The payload was opened, the console is being connected. */
void log_begin(const struct session *session);

/* The session is over. */
void log_end(const struct session *session, int64_t now);

/* The request was answered with an HTTP error. */
void log_refused(const struct session *session);

/* A sentence for the operator that is about the installation, not about a session. */
void log_warning(const char *message);

/* Call this at the end, when the client has left. Waits at most SINK_DRAIN_MS for the log to accept
 * the kept records. Then logs how many records were dropped, if any. */
void log_close(void);

#endif
