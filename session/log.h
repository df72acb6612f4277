/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the log records of a session: one when it begins and one when it ends, or one that says
 * which error the request got. The journal gets a field for each fact, other logs get one line. If
 * the log is blocked, a record is kept and sent later: a session waits for its log only at its very
 * end. No caller passes a key, a ticket, a payload or a query string to these functions.
 */
#ifndef PROXXY_LOG_H
#define PROXXY_LOG_H

#include <stdint.h>

#include "lib/config.h"
#include "lib/payload.h"
#include "session/client.h"
#include "ws.h"

enum {
	LOG_DETAIL_MAX = 256,  /* bytes of a detail, with its NUL */
	LOG_STATUS_MAX = 1280, /* bytes of a status text, with its NUL; in JSON a quote has two bytes */
};

/* The facts of one session, for its records. The caller sets the members as it learns them. */
struct session {
	const struct client *client;
	const struct console *console; /* NULL until the payload is opened */
	const char *cluster;           /* name of the cluster file that is used; NULL or "" if none */
	char sub[CLAIMS_SUB_MAX + 1];  /* the payload's sub, or "" */
	char jti[CLAIMS_JTI_MAX + 1];  /* the payload's jti, or "" */
	const char *format, *kid;      /* of the payload, and of the key that opened it; NULL or "" if unknown */
	int64_t began;                 /* io_now() */
	int outcome;                   /* a code of error.h */
	char detail[LOG_DETAIL_MAX];   /* what to add to the outcome's words, or "" */
	bool upgrade_sent;             /* the 101 was sent, or a part of it: no HTTP status was */
	int close_code;                /* of the Close that the client was sent, 0 if none */
	uint64_t bytes_up, bytes_down; /* payload bytes to and from Proxmox */
};

/* Chooses where records go. LOG_TO_AUTO is the journal if fd 2 is connected to it; if fd 2 is the
 * client's own socket (inetd), the journal's socket, or syslog if there is none; else fd 2. If fd 2
 * is the client's socket, replaces it with /dev/null, so that no text (of a library, for example)
 * can reach the client. Returns 0, or ERR_SYSTEM if fd 2 cannot be replaced. */
int log_open(enum log_target target);

/* Returns where the session's guest is, as exactly as it is known: its node, else the cluster
 * file's name, else the host. */
const char *log_place(const struct session *session);

/* Writes the line that the list of sessions and systemctl status show:
 *   qemu 100 on pve01 for 203.0.113.7; sub "alice", jti "a1", kid "main"
 * Strings are as in JSON. What is not known is left out. Returns text. */
const char *log_status(const struct session *session, char text[LOG_STATUS_MAX]);

/* Logs that the payload was opened and the console is being connected. */
void log_begin(const struct session *session);

/* Logs that the session is over; now is io_now(). */
void log_end(const struct session *session, int64_t now);

/* Logs that the request was answered with an error. The record says "Request refused". */
void log_refused(const struct session *session);

/* Logs a sentence for the operator about the installation, not about a session. */
void log_warning(const char *message);

/* Call this at the end, when the client has left. Waits at most SINK_DRAIN_MS for the log to accept
 * the kept records. Then logs how many records were dropped, if any. */
void log_close(void);

#endif
