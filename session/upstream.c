/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects to Proxmox and opens the console's WebSocket. proxxy-conn.c calls it; upstream.h says
 * where in this file to find what.
 */
#include "session/upstream.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/host.h"
#include "lib/http.h"
#include "lib/uri.h"
#include "session/resolve.h"
#include "ws.h"

enum {
	REQUEST_MAX = 8 * 1024, /* bytes; Proxmox accepts no larger request head */
	PHRASE_MAX = 128,       /* bytes of Proxmox's reason phrase that the log gets, with its NUL */
};

void upstream_init(struct upstream *u)
{
	memset(u, 0, offsetof(struct upstream, early));
	u->endpoint = io_endpoint(-1, NULL);
}

/* Sets the reason of a failure: u->reason is code's words and the formatted text, u->detail is the
 * host and that text. Returns code. */
static int __attribute__((format(printf, 3, 4))) fail(struct upstream *u, int code, const char *format, ...)
{
	char text[UPSTREAM_REASON_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(u->reason, sizeof(u->reason), "%s: %.100s", error_info(code)->words, text);
	snprintf(u->detail, sizeof(u->detail), "%.120s: %s", u->console->host, text);
	return code;
}

/* Turns a result of io_wait() into a code of error.h; such codes and OK pass through. late is the
 * reason if the deadline passed. */
static int map_wait(struct upstream *u, int rc, const char *late)
{
	switch (rc) {
	case IO_TIMEOUT:
		return fail(u, ERR_UPSTREAM_TIMEOUT, "%s", late);
	case IO_HANGUP: /* only the client is watched */
		return ERR_CLIENT_GONE;
	case IO_TERMINATED:
		return END_TERMINATED;
	default:
		return rc;
	}
}

/* --- TCP ---------------------------------------------------------------------------------- */

/* Waits until connect(2) on fd is done. Returns 0 with its errno, or ETIMEDOUT, in *ret_errno; or
 * as io_wait(). */
static int finish_connect(const struct upstream *u, int fd, int64_t deadline, int *ret_errno)
{
	struct endpoint connecting = io_endpoint(fd, NULL);
	socklen_t len = sizeof(*ret_errno);
	int rc = io_wait(&connecting, POLLOUT, u->client, deadline);

	if (rc == IO_TIMEOUT)
		*ret_errno = ETIMEDOUT;
	else if (rc == OK)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &len);
	return rc == IO_TIMEOUT ? OK : rc;
}

/* Connects to one address. Returns 0 with u->endpoint, ERR_UPSTREAM_CONNECT with the errno in
 * *ret_errno, or as io_wait(). */
static int connect_address(struct upstream *u, const struct addrinfo *a, int64_t deadline, int *ret_errno)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol), rc = OK;

	*ret_errno = 0;
	if (fd < 0 || io_prepare(fd) < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		*ret_errno = errno;
	if (*ret_errno == EINPROGRESS)
		rc = finish_connect(u, fd, deadline, ret_errno);
	if (rc == OK && *ret_errno == 0) {
		u->endpoint = io_endpoint(fd, NULL);
		return OK;
	}
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : ERR_UPSTREAM_CONNECT;
}

/* Tries the allowed addresses, in the order of RFC 6724, until one accepts the connection. This is
 * the check after DNS: access.c could check only the host as the payload writes it. Each address
 * gets an equal share of the remaining time, so that one that does not answer leaves time for the
 * next. */
static int connect_any(struct upstream *u, const struct addrinfo *addresses)
{
	const char *list = u->config->allowed_hosts;
	const enum host_verdict verdict = host_list_judge(list, u->console->host);
	int left = 0, error = 0, rc;

	for (const struct addrinfo *a = addresses; a && left < UPSTREAM_ADDRESSES_MAX; a = a->ai_next)
		left += host_address_allowed(list, a->ai_addr, verdict);
	if (left == 0)
		return fail(u, ERR_HOST_FORBIDDEN, "not in PROXXY_ALLOWED_HOSTS");
	for (const struct addrinfo *a = addresses; a && left > 0; a = a->ai_next) {
		int64_t now = io_now();

		if (!host_address_allowed(list, a->ai_addr, verdict))
			continue;
		rc = connect_address(u, a, now + (u->deadline - now) / left--, &error);
		if (rc != ERR_UPSTREAM_CONNECT)
			return map_wait(u, rc, "");
	}
	if (error == ETIMEDOUT)
		return fail(u, ERR_UPSTREAM_TIMEOUT, "it does not answer at all");
	return fail(u, ERR_UPSTREAM_CONNECT, "%s", strerror(error));
}

/* --- TLS ---------------------------------------------------------------------------------- */

int upstream_prepare(struct upstream *u, const struct config *config, const struct claims *claims)
{
	u->config = config;
	u->verify = (struct tls_verify){ config, claims };
	return tls_verify_context(&u->verify, &u->tls, u->detail, sizeof(u->detail));
}

/* Returns the error of a failed handshake; u->detail also gets a hint how to fix it. */
static int tls_failed(struct upstream *u)
{
	char words[TLS_VERIFY_WORDS_MAX];
	const char *hint;
	int code = tls_verify_explain_handshake(u->endpoint.tls, words, sizeof(words), &hint);

	fail(u, code, "%s", words);
	snprintf(u->detail, sizeof(u->detail), "%.120s: %s%s", u->console->host, words, hint);
	return code;
}

/* Returns the error if the connection ended before an answer came: of TLS, if that was the
 * reason. */
static int no_answer(struct upstream *u)
{
	char words[TLS_VERIFY_WORDS_MAX];

	if (tls_verify_explain_break(u->endpoint.tls_error, words, sizeof(words)))
		return fail(u, ERR_UPSTREAM_TLS, "%s", words);
	return fail(u, ERR_UPSTREAM_ANSWER, "connection closed");
}

/* Does the TLS handshake, with the certificate check of tls_verify.c. Returns 0 or an error of
 * upstream_open(). */
static int start_tls(struct upstream *u)
{
	SSL *tls = SSL_new(u->tls);

	if (!tls || !tls_verify_set_host(tls, u->console) || io_begin_tls(&u->endpoint, tls) < 0) {
		SSL_free(tls);
		return ERR_SYSTEM;
	}
	SSL_set_connect_state(tls);
	for (;;) {
		ssize_t n = io_handshake(&u->endpoint);
		int rc;

		if (n > 0)
			return OK;
		if (n != IO_AGAIN)
			return tls_failed(u);
		rc = io_wait(&u->endpoint, POLLIN, u->client, u->deadline);
		if (rc < 0)
			return map_wait(u, rc, "it does not answer TLS");
	}
}

/* --- WebSocket ---------------------------------------------------------------------------- */

/* Writes the request for the console, as Proxmox's own pages send it. An API token is sent as
 * Authorization: PVEAPIToken=…. Any other ticket is sent as Authorization: PVEAuthCookie=…, because
 * Proxmox accepts the cookie in this field too. Releases before 7 require the subprotocol "binary".
 * Returns the request's size, or ERR_SYSTEM if it does not fit. */
static int write_request(const struct upstream *u, char *buf, size_t size, const char *key)
{
	const struct console *c = u->console;
	char vncticket[3 * CONSOLE_VNCTICKET_MAX + 1], authority[CONSOLE_AUTHORITY_MAX];
	const bool token = strncmp(c->ticket, "PVEAPIToken=", strlen("PVEAPIToken=")) == 0;
	int n = uri_percent_encode(c->vncticket, vncticket, sizeof(vncticket));

	if (n < 0)
		return n;
	n = snprintf(buf, size,
		     "GET /api2/json/nodes/%s/%s/%u/vncwebsocket?port=%u&vncticket=%s HTTP/1.1\r\n"
		     "Host: %s\r\n"
		     "Upgrade: websocket\r\n"
		     "Connection: Upgrade\r\n"
		     "Sec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: %s\r\n"
		     "Sec-WebSocket-Protocol: binary\r\n"
		     "Authorization: %s%s\r\n"
		     "User-Agent: proxxy/" PROXXY_VERSION "\r\n"
		     "\r\n",
		     c->node, c->type, c->vmid, c->vnc_port, vncticket, console_authority(c, u->port, authority), key,
		     token ? "" : "PVEAuthCookie=", c->ticket);
	OPENSSL_cleanse(vncticket, sizeof(vncticket));
	return n > 0 && (size_t)n < size ? n : ERR_SYSTEM;
}

static bool has(struct slice s, const char *text)
{
	return memmem(s.at, s.len, text, strlen(text));
}

/* True if s holds a secret of c: a ticket as it is or percent-encoded, or the secret part of an API
 * token. A server that is not Proxmox may echo them. */
static bool has_secret(struct slice s, const struct console *c)
{
	char encoded[3 * CONSOLE_VNCTICKET_MAX + 1];
	const char *token = strrchr(c->ticket, '=');
	bool found = has(s, c->ticket) || has(s, c->vncticket) || (token && token[1] && has(s, token + 1)) ||
		     (uri_percent_encode(c->vncticket, encoded, sizeof(encoded)) >= 0 && has(s, encoded));

	OPENSSL_cleanse(encoded, sizeof(encoded));
	return found;
}

/* Returns ERR_UPSTREAM_REFUSED for an answer that is not 101. Proxmox gives the reason in its
 * reason phrase, which can name nodes, hosts and users. The log gets the phrase, without characters
 * that could look like fields of the log. The client gets only phrases of this list, which name
 * nothing. */
static int rejected(struct upstream *u, const struct http_response *r)
{
	static const char *const for_client[] = {
		"permission denied - invalid PVEVNC ticket",
		"permission denied - invalid PVE ticket",
		"Permission check failed",
		"Parameter verification failed",
		"Authentication failed",
		"No ticket",
	};
	const bool tell = !has_secret(r->reason, u->console);
	const char *known = NULL;
	char phrase[PHRASE_MAX];
	size_t n = 0;

	for (; tell && n < r->reason.len && n < sizeof(phrase) - 1; n++) {
		char ch = r->reason.at[n];

		phrase[n] = ch >= 0x20 && ch < 0x7F && ch != '"' && ch != '=' ? ch : '?';
	}
	phrase[n] = '\0';
	for (size_t i = 0; i < sizeof(for_client) / sizeof(for_client[0]) && !known; i++)
		if (tell && has(r->reason, for_client[i]))
			known = for_client[i];
	fail(u, ERR_UPSTREAM_REFUSED, "%d%s%s", r->status, known ? " " : "", known ? known : "");
	snprintf(u->detail, sizeof(u->detail), "%.100s: %d%s%s", u->console->host, r->status, n ? " " : "", phrase);
	return ERR_UPSTREAM_REFUSED;
}

/* Reads more of Proxmox's answer to u->early + *len, and adds to *len. Returns 0 or an error of
 * upstream_open(). */
static int read_more(struct upstream *u, size_t *len)
{
	for (;;) {
		ssize_t n = io_read(&u->endpoint, u->early + *len, sizeof(u->early) - *len);
		int rc;

		if (n > 0) {
			*len += (size_t)n;
			/* Check the clock, the client and SIGTERM here too, or a server that sends
			 * without end would never time out. The endpoint is writable, so this does
			 * not wait. */
			rc = io_wait(&u->endpoint, POLLOUT, u->client, u->deadline);
			return map_wait(u, rc, "its answer does not end");
		}
		if (n != IO_AGAIN)
			return no_answer(u);
		rc = io_wait(&u->endpoint, POLLIN, u->client, u->deadline);
		if (rc < 0)
			return map_wait(u, rc, "the console's ticket may be used or expired");
	}
}

/* Reads Proxmox's answer and checks it (RFC 6455 section 4.1). Skips interim answers, which a proxy
 * in between may send (RFC 9110 section 15.2). Leaves the bytes after the answer in u->early,
 * u->n_early of them; until then the response's slices point into this buffer. Returns 0 or an
 * error of upstream_open(). */
static int read_answer(struct upstream *u, const char *key)
{
	char accept[WS_ACCEPT_LEN + 1];
	struct http_response r;
	size_t len = 0;
	int rc, head;

	for (;;) {
		head = http_parse_response((char *)u->early, len, &r);
		if (head < 0 || (head == 0 && len == sizeof(u->early)))
			return fail(u, ERR_UPSTREAM_ANSWER, "it is not HTTP");
		if (head > 0 && (r.status == 101 || r.status >= 200))
			break;
		if (head > 0) {
			len -= (size_t)head;
			memmove(u->early, u->early + head, len);
			continue;
		}
		rc = read_more(u, &len);
		if (rc < 0)
			return rc;
	}
	if (r.status != 101)
		return rejected(u, &r);
	if (ws_accept(key, accept) < 0)
		return ERR_SYSTEM;
	/* The server may select only what was offered: no extension, and "binary", which Proxmox
	 * echoes. */
	if (!r.upgrade || !slice_is(r.ws_accept, accept) || r.ws_extensions ||
	    (r.ws_protocol.at && !slice_is(r.ws_protocol, "binary")))
		return fail(u, ERR_UPSTREAM_ANSWER, "it does not accept the upgrade");
	u->n_early = len - (size_t)head;
	memmove(u->early, u->early + head, u->n_early);
	return OK;
}

/* Sends the request and reads the answer. Returns 0 or an error of upstream_open(). */
static int open_websocket(struct upstream *u)
{
	char request[REQUEST_MAX], key[WS_KEY_LEN + 1];
	int rc = ws_key_make(key), n;

	if (rc < 0)
		return rc;
	n = write_request(u, request, sizeof(request), key);
	if (n < 0)
		return n;
	rc = io_write_all(&u->endpoint, request, (size_t)n, u->deadline);
	OPENSSL_cleanse(request, sizeof(request));
	/* If Proxmox closed the connection, it may have sent its reason before. */
	if (rc < 0 && rc != IO_BROKEN)
		return map_wait(u, rc, "it does not accept the request");
	return read_answer(u, key);
}

/* --- upstream.h --------------------------------------------------------------------------- */

int upstream_dial(struct upstream *u, const struct console *c, const struct endpoint *client)
{
	struct addrinfo *addresses = NULL;
	const char *why = "";
	int rc;

	u->console = c;
	u->client = client;
	u->deadline = io_now() + u->config->connect_timeout * INT64_C(1000);
	u->port = c->host_port ? c->host_port : (uint16_t)u->config->upstream_port;
	rc = resolve(c, u->port, client, u->deadline, &addresses, &why);
	if (rc == ERR_UPSTREAM_RESOLVE)
		return fail(u, rc, "%s", why);
	rc = map_wait(u, rc, "its name is still not resolved");
	if (rc == OK)
		rc = connect_any(u, addresses);
	if (addresses)
		freeaddrinfo(addresses);
	if (rc == OK && tls_verify_needs_files(&u->verify))
		rc = start_tls(u);
	return rc;
}

int upstream_open(struct upstream *u)
{
	int rc = u->endpoint.tls ? OK : start_tls(u);

	if (rc == OK)
		rc = open_websocket(u);
	/* Only the handshake needs the CAs. The connection keeps a reference to the rest of the
	 * context. */
	SSL_CTX_set_cert_store(u->tls, NULL);
	SSL_CTX_free(u->tls);
	u->tls = NULL;
	return rc;
}

void upstream_close(struct upstream *u)
{
	char words[TLS_VERIFY_WORDS_MAX];
	bool broken;

	if (u->endpoint.tls) {
		ERR_clear_error();
		SSL_shutdown(u->endpoint.tls);
		ERR_clear_error();
	}
	SSL_free(u->endpoint.tls);
	SSL_CTX_free(u->tls);
	if (u->endpoint.fd >= 0)
		close(u->endpoint.fd);
	broken = tls_verify_explain_break(u->endpoint.tls_error, words, sizeof(words));
	upstream_init(u);
	if (broken)
		snprintf(u->detail, sizeof(u->detail), "%s", words);
}
