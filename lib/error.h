/* SPDX-License-Identifier: Apache-2.0
 *
 * How a session can end, and what each ending means to everyone who hears of it: the HTTP
 * status, the WebSocket close code, the exit status (sysexits.h) and the words for the log.
 * Functions of this project return >= 0 when they are done and one of these codes otherwise.
 */
#ifndef PROXXY_ERROR_H
#define PROXXY_ERROR_H

enum error {
	OK = 0,

	/* The session ended as sessions do. */
	END_CLIENT_CLOSED = -1,   /* the client sent a Close */
	END_UPSTREAM_CLOSED = -2, /* the console ended: a Close, or an end of TLS between frames */
	END_IDLE = -3,            /* PROXXY_IDLE_TIMEOUT */
	END_SESSION_MAX = -4,     /* PROXXY_SESSION_MAX */
	END_TERMINATED = -5,      /* SIGTERM: the operator, a shutdown */
	END_UPSTREAM_EMPTY = -6,  /* the console ended before it sent a byte */
	END_PASSWORD_REFUSED = -7, /* the console ended during VNC authentication */

	/* The request: answered in HTTP. */
	ERR_REQUEST_MALFORMED = -10,
	ERR_REQUEST_TOO_LARGE = -11,
	ERR_REQUEST_TIMEOUT = -12,
	ERR_REQUEST_VERSION = -13,
	ERR_METHOD = -14,
	ERR_PAYLOAD_MISSING = -15,
	ERR_PAYLOAD_INVALID = -16,
	ERR_UPGRADE_MISSING = -17,
	ERR_WEBSOCKET_VERSION = -18,
	ERR_WEBSOCKET_KEY = -19,
	ERR_ORIGIN = -20,          /* PROXXY_ALLOWED_ORIGINS, or the payload's own */
	ERR_PAYLOAD_EXPIRED = -21, /* these are said of authenticated payloads only */
	ERR_PAYLOAD_EARLY = -22,
	ERR_PAYLOAD_USED = -23,
	ERR_CLIENT_ADDRESS = -24,
	ERR_HOST_FORBIDDEN = -25,  /* PROXXY_ALLOWED_HOSTS: the payload's host, or what it resolved to */

	/* The client, once it speaks WebSocket. */
	ERR_CLIENT_GONE = -30,     /* dropped without a Close */
	ERR_CLIENT_SILENT = -31,   /* did not answer a Ping */
	ERR_CLIENT_PROTOCOL = -32, /* broke RFC 6455 */
	ERR_CLIENT_UTF8 = -33,     /* a Close reason that is not UTF-8 */

	/* Proxmox. */
	ERR_UPSTREAM_RESOLVE = -40,
	ERR_UPSTREAM_CONNECT = -41,
	ERR_UPSTREAM_TIMEOUT = -42,
	ERR_UPSTREAM_TLS = -43,
	ERR_UPSTREAM_UNTRUSTED = -44,
	ERR_UPSTREAM_REFUSED = -45,  /* it answered, but not with 101 */
	ERR_UPSTREAM_ANSWER = -46,   /* its answer is not that of a WebSocket server */
	ERR_UPSTREAM_BROKE = -47,    /* ended without a Close or close_notify, or inside a frame */
	ERR_UPSTREAM_PROTOCOL = -48, /* a frame that RFC 6455 does not allow */

	/* This machine. */
	ERR_CONFIG = -60,
	ERR_SYSTEM = -61,
};

struct error_info {
	const char *name; /* one word, for searching the log */
	int http_status; /* answered before the upgrade; 0 when there is nothing to answer */
	int close_code;  /* sent after the upgrade (RFC 6455 section 7.4) */
	int exit_status; /* sysexits.h */
	int priority;    /* syslog's */
	const char *words; /* what happened, as a sentence's beginning; static storage */
};

/* What code means. A code that is not in the table is an internal error (never NULL). */
const struct error_info *error_info(int code);

#endif
