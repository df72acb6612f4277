/* SPDX-License-Identifier: Apache-2.0
 *
 * Maps each error code to its HTTP status, close code, exit status, priority and sentence.
 */
#include "lib/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>
#include <syslog.h>

static const struct {
	int code;
	struct error_info info;
} table[] = {
	/* clang-format off */
	/* code, name, HTTP status, close code, exit status, priority, words */
	{ OK,                     { "done",               200, 1000, 0,              LOG_INFO,
	  "Done" } },
	{ END_CLIENT_CLOSED,      { "client-closed",      0,   1000, 0,              LOG_INFO,
	  "Client closed the console" } },
	{ END_UPSTREAM_CLOSED,    { "console-closed",     0,   1000, 0,              LOG_INFO,
	  "Console closed" } },
	{ END_IDLE,               { "idle",               0,   1001, 0,              LOG_INFO,
	  "Session was idle too long" } },
	{ END_SESSION_MAX,        { "session-max",        0,   1001, 0,              LOG_INFO,
	  "Session reached its maximum length" } },
	{ END_TERMINATED,         { "terminated",         503, 1001, 0,              LOG_INFO,
	  "Session was ended by the operator" } },
	{ END_UPSTREAM_EMPTY,     { "console-empty",      0,   1000, EX_UNAVAILABLE, LOG_NOTICE,
	  "Console closed before it sent anything" } },
	{ END_PASSWORD_REFUSED,   { "password-refused",   0,   1008, EX_NOPERM,      LOG_NOTICE,
	  "Console refused the VNC password" } },
	{ END_LOGIN_REFUSED,      { "login-refused",      0,   1008, EX_NOPERM,      LOG_NOTICE,
	  "Console refused the terminal's login" } },
	{ ERR_REQUEST_MALFORMED,  { "request-malformed",  400, 1002, EX_DATAERR,     LOG_NOTICE,
	  "Malformed request" } },
	{ ERR_REQUEST_TOO_LARGE,  { "request-too-large",  431, 1009, EX_DATAERR,     LOG_NOTICE,
	  "Request head too large" } },
	{ ERR_REQUEST_TIMEOUT,    { "request-timeout",    408, 1002, EX_TEMPFAIL,    LOG_NOTICE,
	  "Request did not arrive in time" } },
	{ ERR_REQUEST_VERSION,    { "request-version",    505, 1002, EX_DATAERR,     LOG_NOTICE,
	  "HTTP version not supported" } },
	/* The original's sentence. The header Allow lists HEAD and OPTIONS too. */
	{ ERR_METHOD,             { "method",             405, 1002, EX_DATAERR,     LOG_NOTICE,
	  "Method not allowed. Supported methods: GET" } },
	{ ERR_PAYLOAD_MISSING,    { "payload-missing",    400, 1008, EX_DATAERR,     LOG_NOTICE,
	  "Missing payload" } },
	{ ERR_PAYLOAD_INVALID,    { "payload-invalid",    400, 1008, EX_DATAERR,     LOG_NOTICE,
	  "Invalid payload" } },
	{ ERR_PAYLOAD_TWICE,      { "payload-twice",      400, 1008, EX_DATAERR,     LOG_NOTICE,
	  "More than one payload in the URL, Sec-WebSocket-Protocol and Proxxy-Payload" } },
	{ ERR_SUBPROTOCOL,        { "subprotocol",        400, 1002, EX_DATAERR,     LOG_NOTICE,
	  "Sec-WebSocket-Protocol has a payload, but not binary beside it" } },
	{ ERR_UPGRADE_MISSING,    { "upgrade-missing",    426, 1002, EX_DATAERR,     LOG_NOTICE,
	  "This address is for the WebSocket of a console: open it with noVNC or xterm.js, not as a page" } },
	{ ERR_WEBSOCKET_VERSION,  { "websocket-version",  426, 1002, EX_DATAERR,     LOG_NOTICE,
	  "WebSocket version not supported. Supported versions: 13" } },
	{ ERR_WEBSOCKET_KEY,      { "websocket-key",      400, 1002, EX_DATAERR,     LOG_NOTICE,
	  "Sec-WebSocket-Key is missing or not 16 bytes in base64" } },
	{ ERR_ORIGIN,             { "origin",             403, 1008, EX_NOPERM,      LOG_NOTICE,
	  "Origin not allowed" } },
	{ ERR_PAYLOAD_EXPIRED,    { "payload-expired",    403, 1008, EX_NOPERM,      LOG_NOTICE,
	  "Payload has expired" } },
	{ ERR_PAYLOAD_EARLY,      { "payload-early",      403, 1008, EX_NOPERM,      LOG_NOTICE,
	  "Payload is not valid yet" } },
	{ ERR_PAYLOAD_USED,       { "payload-used",       403, 1008, EX_NOPERM,      LOG_NOTICE,
	  "Payload was used already" } },
	{ ERR_CLIENT_ADDRESS,     { "client-address",     403, 1008, EX_NOPERM,      LOG_NOTICE,
	  "Client address not allowed" } },
	{ ERR_HOST_FORBIDDEN,     { "host-forbidden",     403, 1008, EX_NOPERM,      LOG_WARNING,
	  "Proxmox: connecting to its address is not allowed" } },
	{ ERR_PAYLOAD_WITHDRAWN,  { "payload-withdrawn",  403, 1008, EX_NOPERM,      LOG_NOTICE,
	  "Payload was withdrawn" } },
	{ ERR_LIMIT_CLIENT,       { "limit-client",       429, 1013, EX_TEMPFAIL,    LOG_NOTICE,
	  "Too many consoles are open from this address" } },
	{ ERR_LIMIT_RATE,         { "limit-rate",         429, 1013, EX_TEMPFAIL,    LOG_NOTICE,
	  "Too many consoles were opened from this address in a short time" } },
	{ ERR_LIMIT_GUEST,        { "limit-guest",        429, 1013, EX_TEMPFAIL,    LOG_NOTICE,
	  "Too many consoles of this guest are open" } },
	{ ERR_LIMIT_SUB,          { "limit-sub",          429, 1013, EX_TEMPFAIL,    LOG_NOTICE,
	  "Too many consoles of this user are open" } },
	/* Not 429: not the client's fault, and after a 503 a balancer may try another machine. */
	{ ERR_LIMIT_TOTAL,        { "limit-total",        503, 1013, EX_TEMPFAIL,    LOG_WARNING,
	  "All consoles of this server are in use" } },
	{ ERR_STORE,              { "store",              503, 1013, EX_UNAVAILABLE, LOG_WARNING,
	  "The store of used payloads does not answer" } },
	{ ERR_CLIENT_GONE,        { "client-gone",        0,   1001, EX_TEMPFAIL,    LOG_INFO,
	  "Client dropped the connection" } },
	{ ERR_CLIENT_SILENT,      { "client-silent",      0,   1001, EX_TEMPFAIL,    LOG_NOTICE,
	  "Client did not answer a Ping" } },
	{ ERR_CLIENT_PROTOCOL,    { "client-protocol",    0,   1002, EX_PROTOCOL,    LOG_NOTICE,
	  "Client violated the WebSocket protocol" } },
	{ ERR_CLIENT_UTF8,        { "client-utf8",        0,   1007, EX_PROTOCOL,    LOG_NOTICE,
	  "Client sent a Close reason that is not UTF-8" } },
	{ ERR_CLIENT_VNC,         { "client-vnc",         0,   1002, EX_PROTOCOL,    LOG_NOTICE,
	  "Client did not do the VNC handshake" } },
	{ ERR_UPSTREAM_RESOLVE,   { "upstream-resolve",   0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: its name cannot be resolved" } },
	{ ERR_UPSTREAM_CONNECT,   { "upstream-connect",   0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: cannot connect" } },
	{ ERR_UPSTREAM_TIMEOUT,   { "upstream-timeout",   0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: no answer in time" } },
	{ ERR_UPSTREAM_TLS,       { "upstream-tls",       0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: TLS failed" } },
	{ ERR_UPSTREAM_UNTRUSTED, { "upstream-untrusted", 0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: certificate is not trusted" } },
	{ ERR_UPSTREAM_REFUSED,   { "upstream-refused",   0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox" } },
	{ ERR_UPSTREAM_ANSWER,    { "upstream-answer",    0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: no WebSocket answer" } },
	{ ERR_UPSTREAM_BROKE,     { "upstream-broke",     0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: connection lost" } },
	{ ERR_UPSTREAM_PROTOCOL,  { "upstream-protocol",  0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox violated the WebSocket protocol" } },
	{ ERR_UPSTREAM_LOGIN,     { "upstream-login",     0,   1011, EX_UNAVAILABLE, LOG_WARNING,
	  "Proxmox: its console did not do the login" } },
	{ ERR_CONFIG,             { "config",             500, 1011, EX_CONFIG,      LOG_ERR,
	  "Internal server error" } },
	{ ERR_SYSTEM,             { "system",             500, 1011, EX_OSERR,       LOG_ERR,
	  "Internal server error" } },
	/* clang-format on */
};

const struct error_info *error_info(int code)
{
	static const struct error_info unknown = {
		"internal", 500, 1011, EX_SOFTWARE, LOG_ERR, "Internal server error"
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].code == code)
			return &table[i].info;
	return &unknown;
}

int error_why(char *why, size_t size, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return code;
}
