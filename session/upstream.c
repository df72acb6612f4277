/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects to Proxmox and opens the console's WebSocket. proxxy-conn.c calls it; upstream.h says
 * where in this file to find what.
 */
#include "session/upstream.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/http.h"
#include "lib/uri.h"
#include "session/api.h"
#include "session/api_answer.h"
#include "session/dial.h"
#include "ws.h"

enum { PHRASE_MAX = 128 }; /* bytes of Proxmox's reason phrase that the log gets, with its NUL */

void upstream_init(struct upstream *u)
{
	memset(u, 0, offsetof(struct upstream, early));
	u->endpoint = io_endpoint(-1, NULL);
	u->guest_note = "";
}

int upstream_fail(struct upstream *u, int code, const char *format, ...)
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

int upstream_map_wait(struct upstream *u, int rc, const char *late)
{
	switch (rc) {
	case IO_TIMEOUT:
		return upstream_fail(u, ERR_UPSTREAM_TIMEOUT, "%s", late);
	case IO_HANGUP: /* only the client is watched */
		return ERR_CLIENT_GONE;
	case IO_TERMINATED:
		return END_TERMINATED;
	default:
		return rc;
	}
}

/* --- TLS ---------------------------------------------------------------------------------- */

int upstream_prepare(struct upstream *u, const struct config *config, const struct access *access)
{
	u->config = config;
	u->access = access;
	u->verify = (struct tls_verify){ config, access };
	return tls_verify_context(&u->verify, &u->tls, u->detail, sizeof(u->detail));
}

/* Returns the error of a failed handshake; u->detail also gets a hint how to fix it. */
static int tls_failed(struct upstream *u)
{
	char words[TLS_VERIFY_WORDS_MAX];
	const char *hint;
	int code = tls_verify_explain_handshake(&u->verify, u->endpoint.tls, words, sizeof(words), &hint);

	upstream_fail(u, code, "%s", words);
	snprintf(u->detail, sizeof(u->detail), "%.120s: %s%s", u->console->host, words, hint);
	return code;
}

/* Returns the error if the connection ended before an answer came: of TLS, if that was the
 * reason. */
static int no_answer(struct upstream *u)
{
	char words[TLS_VERIFY_WORDS_MAX];

	if (tls_verify_explain_break(u->endpoint.tls_error, words, sizeof(words)))
		return upstream_fail(u, ERR_UPSTREAM_TLS, "%s", words);
	return upstream_fail(u, ERR_UPSTREAM_ANSWER, "connection closed");
}

/* Begins TLS: sends the ClientHello. Reads nothing from Proxmox: tls_socket.c reads only after
 * tls_socket_enter(). Returns 0 or an error of upstream_dial(). */
static int begin_tls(struct upstream *u)
{
	SSL *tls = SSL_new(u->tls);
	int rc;

	if (!tls || !tls_verify_set_host(tls, u->console) || io_begin_tls(&u->endpoint, tls) < 0) {
		SSL_free(tls);
		return ERR_SYSTEM;
	}
	/* The answers have tickets and a password. OpenSSL would keep them in memory that it has
	 * freed. */
	if (u->console->late)
		SSL_set_options(tls, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_set_connect_state(tls);
	rc = SSL_do_handshake(tls);
	return SSL_get_error(tls, rc) == SSL_ERROR_WANT_READ ? OK : tls_failed(u);
}

/* Does the rest of the TLS handshake, with the certificate check of tls_verify.c. Returns 0 or an
 * error of upstream_open(). */
static int finish_tls(struct upstream *u)
{
	for (;;) {
		ssize_t n = io_handshake(&u->endpoint);
		int rc;

		if (n > 0)
			return OK;
		if (n != IO_AGAIN)
			return tls_failed(u);
		rc = io_wait(&u->endpoint, POLLIN, u->client, u->deadline);
		if (rc < 0)
			return upstream_map_wait(u, rc, "it does not answer TLS");
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
		     console_has_token(c) ? "" : "PVEAuthCookie=", c->ticket);
	OPENSSL_cleanse(vncticket, sizeof(vncticket));
	return n > 0 && (size_t)n < size ? n : ERR_SYSTEM;
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
	char phrase[PHRASE_MAX];
	const size_t n = api_answer_quote(r->reason, u->console, phrase, sizeof(phrase));
	const char *known = NULL;

	for (size_t i = 0; i < sizeof(for_client) / sizeof(for_client[0]) && !known; i++)
		if (strstr(phrase, for_client[i]))
			known = for_client[i];
	upstream_fail(u, ERR_UPSTREAM_REFUSED, "%d%s%s", r->status, known ? " " : "", known ? known : "");
	snprintf(u->detail, sizeof(u->detail), "%.100s: %d%s%s", u->console->host, r->status, n ? " " : "", phrase);
	return ERR_UPSTREAM_REFUSED;
}

static const char endless[] = "its answer does not end";

int upstream_read_more(struct upstream *u, size_t *len, int64_t deadline, const char *late)
{
	for (;;) {
		ssize_t n = io_read(&u->endpoint, u->early + *len, sizeof(u->early) - *len);
		int rc;

		if (n > 0) {
			*len += (size_t)n;
			/* Check the clock, the client and SIGTERM here too, or a server that sends
			 * without end would never time out. The endpoint is writable, so this does
			 * not wait. */
			rc = io_wait(&u->endpoint, POLLOUT, u->client, deadline);
			return upstream_map_wait(u, rc, endless);
		}
		if (n != IO_AGAIN)
			return no_answer(u);
		rc = io_wait(&u->endpoint, POLLIN, u->client, deadline);
		if (rc < 0)
			return upstream_map_wait(u, rc, late);
	}
}

int upstream_read_head(struct upstream *u, size_t *len, const char *late, struct http_response *ret)
{
	for (;;) {
		const int head = http_parse_response((char *)u->early, *len, ret);
		int rc;

		if (head < 0 || (head == 0 && *len == sizeof(u->early)))
			return upstream_fail(u, ERR_UPSTREAM_ANSWER, "it is not HTTP");
		if (head > 0 && (ret->status == 101 || ret->status >= 200))
			return head;
		if (head > 0) {
			*len -= (size_t)head;
			memmove(u->early, u->early + head, *len);
			late = endless; /* it answers, but only in the interim (RFC 9110 section 15.2) */
			continue;
		}
		rc = upstream_read_more(u, len, u->deadline, late);
		if (rc < 0)
			return rc;
	}
}

/* Reads Proxmox's answer and checks it (RFC 6455 section 4.1). Leaves the bytes after the answer in
 * u->early, u->n_early of them. Returns 0 or an error of upstream_open(). */
static int read_answer(struct upstream *u, const char *key)
{
	char accept[WS_ACCEPT_LEN + 1];
	struct http_response r;
	size_t len = 0;
	const char *late = u->console->late ? "its console does not answer" :
					      "the console's ticket may be used or expired";
	const int head = upstream_read_head(u, &len, late, &r);

	if (head < 0)
		return head;
	if (r.status != 101)
		return rejected(u, &r);
	if (ws_accept(key, accept) < 0)
		return ERR_SYSTEM;
	/* The server may select only what was offered: no extension, and "binary", which Proxmox
	 * echoes. */
	if (!r.upgrade || !slice_is(r.ws_accept, accept) || r.ws_extensions ||
	    (r.ws_protocol.at && !slice_is(r.ws_protocol, "binary")))
		return upstream_fail(u, ERR_UPSTREAM_ANSWER, "it does not accept the upgrade");
	u->n_early = len - (size_t)head;
	memmove(u->early, u->early + head, u->n_early);
	return OK;
}

/* Sends the request and reads the answer. Returns 0 or an error of upstream_open(). */
static int open_websocket(struct upstream *u)
{
	char request[UPSTREAM_REQUEST_MAX], key[WS_KEY_LEN + 1];
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
		return upstream_map_wait(u, rc, "it does not accept the request");
	return read_answer(u, key);
}

/* --- upstream.h --------------------------------------------------------------------------- */

int upstream_dial(struct upstream *u, struct console *c, const struct endpoint *client)
{
	int rc;

	u->console = c;
	u->client = client;
	u->deadline = io_now() + u->config->connect_timeout * INT64_C(1000);
	rc = dial_proxmox(u);
	if (rc == OK)
		rc = begin_tls(u);
	if (rc == OK && tls_verify_needs_files(&u->verify))
		rc = finish_tls(u);
	return rc;
}

int upstream_open(struct upstream *u)
{
	int rc = SSL_is_init_finished(u->endpoint.tls) ? OK : finish_tls(u);

	if (rc == OK && u->console->late)
		rc = api_request_console(u);
	if (rc == OK)
		rc = open_websocket(u);
	/* Only the handshake needs the CAs. The connection keeps a reference to the rest of the
	 * context. */
	SSL_CTX_set_cert_store(u->tls, NULL);
	SSL_CTX_free(u->tls);
	u->tls = NULL;
	return rc;
}

void upstream_end_secrets(struct upstream *u)
{
	if (u->endpoint.tls)
		SSL_clear_options(u->endpoint.tls, SSL_OP_CLEANSE_PLAINTEXT);
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
#ifdef PROXXY_SANITIZE /* else the process ends: freeing would read tables that relro.c returned */
	SSL_free(u->endpoint.tls);
	SSL_CTX_free(u->tls);
#endif
	if (u->endpoint.fd >= 0)
		close(u->endpoint.fd);
	broken = tls_verify_explain_break(u->endpoint.tls_error, words, sizeof(words));
	upstream_init(u);
	if (broken)
		snprintf(u->detail, sizeof(u->detail), "%s", words);
}
