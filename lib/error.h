/* SPDX-License-Identifier: Apache-2.0
 *
 * The error codes of all programs, and one table that maps each code to an HTTP status, a WebSocket
 * close code, an exit status (sysexits.h), a syslog priority and a sentence. Functions of this
 * project return 0 or more on success, otherwise one of these codes.
 */
#ifndef PROXXY_ERROR_H
#define PROXXY_ERROR_H

#include <stddef.h>

enum error {
	OK = 0,

	/* Ends of a session that are no errors. */
	END_CLIENT_CLOSED = -1,    /* the client sent a Close */
	END_UPSTREAM_CLOSED = -2,  /* Proxmox sent a Close, or a close_notify between two frames */
	END_IDLE = -3,             /* PROXXY_IDLE_TIMEOUT passed */
	END_SESSION_MAX = -4,      /* PROXXY_SESSION_MAX or the payload's session_max passed */
	END_TERMINATED = -5,       /* SIGTERM, from the operator or at shutdown */
	END_UPSTREAM_EMPTY = -6,   /* as END_UPSTREAM_CLOSED, before the console sent a byte */
	END_PASSWORD_REFUSED = -7, /* the console refused the VNC password, or closed after it */
	END_LOGIN_REFUSED = -8,    /* as END_UPSTREAM_CLOSED, in answer to a terminal's login */

	/* Faults of the request. The answer is an HTTP error. */
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
	ERR_ORIGIN = -20,        /* not in PROXXY_ALLOWED_ORIGINS, or not the payload's origin */
	ERR_PAYLOAD_TWICE = -27, /* the request has more than one payload */
	ERR_SUBPROTOCOL = -28,   /* a payload is the only subprotocol that is offered */
	/* These apply only to authenticated payloads. */
	ERR_PAYLOAD_EXPIRED = -21,   /* exp */
	ERR_PAYLOAD_EARLY = -22,     /* nbf */
	ERR_PAYLOAD_USED = -23,      /* jti */
	ERR_CLIENT_ADDRESS = -24,    /* not in the payload's client network */
	ERR_HOST_FORBIDDEN = -25,    /* PROXXY_ALLOWED_HOSTS does not allow the host or its addresses */
	ERR_PAYLOAD_WITHDRAWN = -26, /* made before PROXXY_NOT_BEFORE */

	/* Limits (limits.h), and the shared store (store.h). The answer has Retry-After. */
	ERR_LIMIT_CLIENT = -70, /* PROXXY_MAX_PER_CLIENT */
	ERR_LIMIT_RATE = -71,   /* PROXXY_NEW_PER_MINUTE */
	ERR_LIMIT_GUEST = -72,  /* PROXXY_MAX_PER_GUEST */
	ERR_LIMIT_SUB = -73,    /* PROXXY_MAX_PER_SUB */
	ERR_LIMIT_TOTAL = -74,  /* PROXXY_MAX_SESSIONS */
	ERR_STORE = -75,        /* PROXXY_REPLAY_STORE does not answer, or not as it should */

	/* Faults of the client after the upgrade. */
	ERR_CLIENT_GONE = -30,     /* it ended the connection without a Close */
	ERR_CLIENT_SILENT = -31,   /* it did not answer a Ping */
	ERR_CLIENT_PROTOCOL = -32, /* it violated RFC 6455 */
	ERR_CLIENT_UTF8 = -33,     /* its Close reason is not UTF-8 */
	ERR_CLIENT_VNC = -34,      /* it did not do its part of the VNC handshake */

	/* Failures of the connection to Proxmox (in proxxy-url, also of its connection to
	 * proxxy). */
	ERR_UPSTREAM_RESOLVE = -40,
	ERR_UPSTREAM_CONNECT = -41,
	ERR_UPSTREAM_TIMEOUT = -42,
	ERR_UPSTREAM_TLS = -43,
	ERR_UPSTREAM_UNTRUSTED = -44,
	ERR_UPSTREAM_REFUSED = -45,  /* its HTTP status is not 101, or not 200 for an API call */
	ERR_UPSTREAM_ANSWER = -46,   /* its answer is not that of a WebSocket server, or of the API */
	ERR_UPSTREAM_BROKE = -47,    /* ended without a Close or close_notify, or inside a frame */
	ERR_UPSTREAM_PROTOCOL = -48, /* it violated RFC 6455 */
	ERR_UPSTREAM_LOGIN = -49,    /* its console does not do its part of the login */

	/* Failures of this machine. */
	ERR_CONFIG = -60, /* a setting or key is missing or invalid */
	ERR_SYSTEM = -61, /* out of memory, or a system call or OpenSSL failed */
};

struct error_info {
	const char *name;  /* one word, the log's outcome field */
	int http_status;   /* for an answer before the upgrade; 0 if there is no answer */
	int close_code;    /* for a Close after the upgrade (RFC 6455 section 7.4) */
	int exit_status;   /* sysexits.h */
	int priority;      /* syslog's */
	const char *words; /* what happened: a sentence without a full stop, which ": detail" may follow */
};

/* Returns what code means, in static storage. A code that is not in the table means an internal
 * error. Never returns NULL. */
const struct error_info *error_info(int code);

/* Writes a formatted sentence about a failure to why[0..size), cut off if it is too long. It must
 * hold no secret. Returns code, so that a caller can write and return in one statement. */
int error_why(char *why, size_t size, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
