/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to Proxmox, see upstream.h.
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
	REQUEST_MAX = 8 * 1024, /* bytes; Proxmox takes no larger head */
	UPSTREAM_PHRASE_MAX = 128, /* bytes of a reason phrase that the log gets, with its NUL */
};

void upstream_init(struct upstream *u)
{
	memset(u, 0, offsetof(struct upstream, early));
	u->endpoint = io_endpoint(-1, NULL);
}

/* Says why: text goes behind code's own words, for the log with the host between. Returns code. */
static int __attribute__((format(printf, 4, 5))) fail(struct upstream *u, const struct console *c, int code,
						      const char *format, ...)
{
	char text[UPSTREAM_REASON_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(u->reason, sizeof(u->reason), "%s: %.100s", error_info(code)->words, text);
	snprintf(u->detail, sizeof(u->detail), "%.120s: %s", c->host, text);
	return code;
}

/* --- TLS ---------------------------------------------------------------------------------- */

int upstream_prepare(struct upstream *u, const struct config *config, const struct claims *claims)
{
	u->config = config;
	u->trust = (struct trust){ config, claims };
	return trust_context(&u->trust, &u->tls, u->detail, sizeof(u->detail));
}

static int tls_failed(struct upstream *u, const struct console *c)
{
	char words[TRUST_WORDS_MAX];
	const char *hint;
	int code = trust_failure(u->endpoint.tls, words, sizeof(words), &hint);

	fail(u, c, code, "%s", words);
	snprintf(u->detail, sizeof(u->detail), "%.120s: %s%s", c->host, words, hint);
	return code;
}

/* Returns the error if the connection ended before an answer came. TLS may be the reason. */
static int no_answer(struct upstream *u, const struct console *c)
{
	char words[TRUST_WORDS_MAX];

	if (trust_broken(u->endpoint.tls_error, words, sizeof(words)))
		return fail(u, c, ERR_UPSTREAM_TLS, "%s", words);
	return fail(u, c, ERR_UPSTREAM_ANSWER, "connection closed");
}

static int start_tls(struct upstream *u, const struct console *c, const struct endpoint *client)
{
	SSL *tls = SSL_new(u->tls);

	if (!tls || !trust_expect(tls, c) || io_begin_tls(&u->endpoint, tls) < 0) {
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
			return tls_failed(u, c);
		rc = io_wait(&u->endpoint, POLLIN, client, u->deadline);
		if (rc == ERR_REQUEST_TIMEOUT)
			return fail(u, c, ERR_UPSTREAM_TIMEOUT, "it does not answer TLS");
		if (rc < 0)
			return rc;
	}
}

/* --- TCP ---------------------------------------------------------------------------------- */

/* One address. Returns 0 and u->endpoint, an errno as ERR_UPSTREAM_CONNECT in *ret_errno, or io_wait()'s errors. */
static int connect_address(struct upstream *u, const struct addrinfo *a, const struct endpoint *client,
			   int64_t deadline, int *ret_errno)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	socklen_t len = sizeof(*ret_errno);
	int rc = OK;

	*ret_errno = 0;
	if (fd < 0 || io_prepare(fd) < 0) {
		*ret_errno = errno;
	} else if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		struct endpoint connecting = io_endpoint(fd, NULL);

		if (errno != EINPROGRESS) {
			*ret_errno = errno;
		} else {
			rc = io_wait(&connecting, POLLOUT, client, deadline);
			if (rc == ERR_REQUEST_TIMEOUT) {
				rc = OK;
				*ret_errno = ETIMEDOUT;
			} else if (rc == OK) {
				getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &len);
			}
		}
	}
	if (rc == OK && *ret_errno == 0) {
		u->endpoint = io_endpoint(fd, NULL);
		return OK;
	}
	if (fd >= 0)
		close(fd);
	return rc < 0 ? rc : ERR_UPSTREAM_CONNECT;
}

/* Each address in the order of RFC 6724 that may be dialled, until one takes the connection; each gets its share of
 * the time that is left, so that one that never answers leaves some to the next. */
static int connect_any(struct upstream *u, const struct console *c, const struct addrinfo *addresses,
		       const struct endpoint *client)
{
	const char *list = u->config->allowed_hosts;
	const enum host_verdict verdict = host_list_judge(list, c->host);
	int left = 0, error = 0, rc;

	for (const struct addrinfo *a = addresses; a && left < UPSTREAM_ADDRESSES_MAX; a = a->ai_next)
		left += host_address_allowed(list, a->ai_addr, verdict);
	if (left == 0)
		return fail(u, c, ERR_HOST_FORBIDDEN, "not in PROXXY_ALLOWED_HOSTS");
	for (const struct addrinfo *a = addresses; a && left > 0; a = a->ai_next) {
		int64_t now = io_now();

		if (!host_address_allowed(list, a->ai_addr, verdict))
			continue;
		rc = connect_address(u, a, client, now + (u->deadline - now) / left--, &error);
		if (rc != ERR_UPSTREAM_CONNECT)
			return rc;
	}
	if (error == ETIMEDOUT)
		return fail(u, c, ERR_UPSTREAM_TIMEOUT, "it does not answer at all");
	return fail(u, c, ERR_UPSTREAM_CONNECT, "%s", strerror(error));
}

/* --- upgrade ------------------------------------------------------------------------------ */

/* GET …/vncwebsocket, as Proxmox's own pages ask for it. "binary" is what releases before 7 insisted on.
 * Returns its size or ERR_SYSTEM when it does not fit. */
static int write_request(char *buf, size_t size, const struct console *c, uint16_t port, const char *key)
{
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
		     c->node, c->type, c->vmid, c->vnc_port, vncticket, console_authority(c, port, authority), key, token ? "" : "PVEAuthCookie=", c->ticket);
	OPENSSL_cleanse(vncticket, sizeof(vncticket));
	return n > 0 && (size_t)n < size ? n : ERR_SYSTEM;
}

static bool has(struct slice s, const char *text)
{
	return memmem(s.at, s.len, text, strlen(text));
}

/* True should a strange server send our own secrets back: as they are, as we sent them, or a token's alone. */
static bool has_secret(struct slice s, const struct console *c)
{
	char encoded[3 * CONSOLE_VNCTICKET_MAX + 1];
	const char *token = strrchr(c->ticket, '=');
	bool found = has(s, c->ticket) || has(s, c->vncticket) || (token && token[1] && has(s, token + 1)) ||
		     (uri_percent_encode(c->vncticket, encoded, sizeof(encoded)) >= 0 && has(s, encoded));

	OPENSSL_cleanse(encoded, sizeof(encoded));
	return found;
}

/* Proxmox says what is wrong in its reason phrase, which can name nodes, hosts and users: the log gets it whole, as
 * plain text that cannot pass for the log's own; the client only phrases that say nothing of the kind. */
static int refused(struct upstream *u, const struct console *c, const struct http_response *r)
{
	static const char *const for_client[] = {
		"permission denied - invalid PVEVNC ticket", "permission denied - invalid PVE ticket", "Permission check failed",
		"Parameter verification failed", "Authentication failed", "No ticket",
	};
	const bool tell = !has_secret(r->reason, c);
	const char *known = NULL;
	char phrase[UPSTREAM_PHRASE_MAX];
	size_t n = 0;

	for (; tell && n < r->reason.len && n < sizeof(phrase) - 1; n++) {
		char ch = r->reason.at[n];

		phrase[n] = ch >= 0x20 && ch < 0x7F && ch != '"' && ch != '=' ? ch : '?';
	}
	phrase[n] = '\0';
	for (size_t i = 0; i < sizeof(for_client) / sizeof(for_client[0]) && !known; i++)
		if (tell && has(r->reason, for_client[i]))
			known = for_client[i];
	fail(u, c, ERR_UPSTREAM_REFUSED, "%d%s%s", r->status, known ? " " : "", known ? known : "");
	snprintf(u->detail, sizeof(u->detail), "%.100s: %d%s%s", c->host, r->status, n ? " " : "", phrase);
	return ERR_UPSTREAM_REFUSED;
}

/* Reads more of Proxmox's answer into u->early, of which *len bytes are there. Returns 0 or an error. */
static int read_more(struct upstream *u, const struct console *c, const struct endpoint *client, size_t *len)
{
	for (;;) {
		ssize_t n = io_read(&u->endpoint, u->early + *len, sizeof(u->early) - *len);
		int rc;

		if (n > 0) {
			*len += (size_t)n;
			/* It can write: this only looks at the clock, the client and SIGTERM. */
			rc = io_wait(&u->endpoint, POLLOUT, client, u->deadline);
			return rc == ERR_REQUEST_TIMEOUT ? fail(u, c, ERR_UPSTREAM_TIMEOUT, "its answer does not end") : rc;
		}
		if (n != IO_AGAIN)
			return no_answer(u, c);
		rc = io_wait(&u->endpoint, POLLIN, client, u->deadline);
		if (rc == ERR_REQUEST_TIMEOUT)
			return fail(u, c, ERR_UPSTREAM_TIMEOUT, "the console's ticket may be used or expired");
		if (rc < 0)
			return rc;
	}
}

/* Reads Proxmox's answer, passing over interim ones, which something between may send (RFC 9110 section 15.2); what
 * is behind it stays in u->early, u->n_early bytes. The response's slices are of the same buffer: good until then. */
static int read_answer(struct upstream *u, const struct console *c, const char *key, const struct endpoint *client)
{
	char accept[WS_ACCEPT_LEN + 1];
	struct http_response r;
	size_t len = 0;
	int rc, head;

	for (;;) {
		head = http_parse_response((char *)u->early, len, &r);
		if (head < 0 || (head == 0 && len == sizeof(u->early)))
			return fail(u, c, ERR_UPSTREAM_ANSWER, "it is not HTTP");
		if (head > 0 && (r.status == 101 || r.status >= 200))
			break;
		if (head > 0) {
			len -= (size_t)head;
			memmove(u->early, u->early + head, len);
			continue;
		}
		rc = read_more(u, c, client, &len);
		if (rc < 0)
			return rc;
	}
	if (r.status != 101)
		return refused(u, c, &r);
	if (ws_accept(key, accept) < 0)
		return ERR_SYSTEM;
	/* RFC 6455 section 4.1: what was not asked for may not be there. Proxmox echoes the protocol. */
	if (!r.upgrade || !slice_is(r.ws_accept, accept) || r.ws_extensions ||
	    (r.ws_protocol.at && !slice_is(r.ws_protocol, "binary")))
		return fail(u, c, ERR_UPSTREAM_ANSWER, "it does not accept the upgrade");
	u->n_early = len - (size_t)head;
	memmove(u->early, u->early + head, u->n_early);
	return OK;
}

static int upgrade(struct upstream *u, const struct console *c, const struct endpoint *client)
{
	char request[REQUEST_MAX], key[WS_KEY_LEN + 1];
	int rc = ws_key_make(key), n;

	if (rc < 0)
		return rc;
	n = write_request(request, sizeof(request), c, u->port, key);
	if (n < 0)
		return n;
	rc = io_write_all(&u->endpoint, request, (size_t)n, u->deadline);
	OPENSSL_cleanse(request, sizeof(request));
	if (rc == ERR_REQUEST_TIMEOUT)
		return fail(u, c, ERR_UPSTREAM_TIMEOUT, "it does not accept the request");
	/* If Proxmox is gone, it may have sent its reason before. */
	if (rc < 0 && rc != ERR_CLIENT_GONE)
		return rc;
	return read_answer(u, c, key, client);
}

int upstream_dial(struct upstream *u, const struct console *c, const struct endpoint *client)
{
	struct addrinfo *addresses = NULL;
	const char *why = "";
	int rc;

	u->deadline = io_now() + u->config->connect_timeout * INT64_C(1000);
	u->port = c->host_port ? c->host_port : (uint16_t)u->config->upstream_port;
	rc = resolve(c, u->port, client, u->deadline, &addresses, &why);
	if (rc == ERR_UPSTREAM_RESOLVE)
		return fail(u, c, rc, "%s", why);
	if (rc == ERR_REQUEST_TIMEOUT)
		return fail(u, c, ERR_UPSTREAM_TIMEOUT, "its name is still not resolved");
	if (rc == OK)
		rc = connect_any(u, c, addresses, client);
	if (addresses)
		freeaddrinfo(addresses);
	if (rc == OK && trust_needs_files(&u->trust))
		rc = start_tls(u, c, client);
	return rc;
}

int upstream_open(struct upstream *u, const struct console *c, const struct endpoint *client)
{
	int rc = u->endpoint.tls ? OK : start_tls(u, c, client);

	if (rc == OK)
		rc = upgrade(u, c, client);
	/* What only the handshake needed: the CAs. There is no second one, and the rest goes with the connection. */
	SSL_CTX_set_cert_store(u->tls, NULL);
	SSL_CTX_free(u->tls);
	u->tls = NULL;
	return rc;
}

void upstream_close(struct upstream *u)
{
	char words[TRUST_WORDS_MAX];
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
	broken = trust_broken(u->endpoint.tls_error, words, sizeof(words));
	upstream_init(u);
	if (broken)
		snprintf(u->detail, sizeof(u->detail), "%s", words);
}
