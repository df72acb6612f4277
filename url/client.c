/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens a WebSocket to proxxy through libcurl, and sends and receives bytes on it.
 */
#include "url/client.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/error.h"
#include "lib/http.h"
#include "lib/io.h"
#include "lib/strict_json.h"

enum {
	ORIGIN_MAX = 600, /* bytes of a URL up to its path, with its NUL */
	BODY_MS = 1000,   /* for the body of an HTTP error, after which the connection may stay open */
};

/* Sets c->why. Returns code. */
#define fail(c, code, ...) error_why((c)->why, (c)->why_size, code, __VA_ARGS__)

ssize_t client_transmit(struct client *c, const void *data, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(c->curl, data, len, &n);

	return code == CURLE_AGAIN ? 0 : code == CURLE_OK ? (ssize_t)n : -1;
}

ssize_t client_receive(struct client *c, void *data, size_t size)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(c->curl, data, size, &n);

	return code == CURLE_AGAIN ? 0 : code == CURLE_OK && n > 0 ? (ssize_t)n : -1;
}

bool client_wait(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left;
	int n = 0;

	do {
		left = deadline - io_now();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

static int connect_url(struct client *c, const char *url)
{
	const char *ca_file = getenv("SSL_CERT_FILE"), *rest = strstr(url, "://");
	char origin[ORIGIN_MAX], error[CURL_ERROR_SIZE] = "";
	CURLcode code;
	curl_socket_t fd;

	/* libcurl only connects. send_request() sends the rest of the URL, which may include the
	 * payload. */
	if ((size_t)snprintf(origin, sizeof(origin), "%s%.*s", strncmp(url, "wss:", 4) == 0 ? "https" : "http",
			     (int)(3 + strcspn(rest + 3, "/?")), rest) >= sizeof(origin))
		return fail(c, ERR_SYSTEM, "the URL's host is too long");
	c->curl = curl_easy_init();
	if (!c->curl)
		return fail(c, ERR_SYSTEM, "libcurl cannot be initialized");
	curl_easy_setopt(c->curl, CURLOPT_URL, origin);
	curl_easy_setopt(c->curl, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(c->curl, CURLOPT_HTTPPROXYTUNNEL, 1L); /* if the environment sets an HTTP proxy */
	/* Offer only HTTP/1.1 in ALPN: our upgrade request needs it. */
	curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPIDLE, (long)IO_KEEPALIVE_IDLE_S);
	curl_easy_setopt(c->curl, CURLOPT_TCP_KEEPINTVL, (long)IO_KEEPALIVE_INTERVAL_S);
	if (ca_file && *ca_file) {
		curl_easy_setopt(c->curl, CURLOPT_CAINFO, ca_file);
		curl_easy_setopt(c->curl, CURLOPT_CAPATH, NULL);
	}
	code = curl_easy_perform(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
	if (code != CURLE_OK)
		return fail(c, ERR_UPSTREAM_CONNECT, "proxxy at %.100s: %s", origin,
			    *error ? error : curl_easy_strerror(code));
	if (curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD)
		return fail(c, ERR_SYSTEM, "libcurl returned no connection");
	c->fd = fd;
	return OK;
}

static int send_request(struct client *c, const char *url, const char *payload, const char *key, int64_t deadline)
{
	static char request[CLIENT_URL_MAX + 1024];
	const char *host = strstr(url, "://") + 3, *target = host + strcspn(host, "/?");
	const int n = snprintf(request, sizeof(request),
			       "GET %s%s HTTP/1.1\r\n"
			       "Host: %.*s\r\n"
			       "Upgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Version: 13\r\n"
			       "Sec-WebSocket-Key: %s\r\n"
			       "Sec-WebSocket-Protocol: binary%s%s\r\n"
			       "User-Agent: proxxy-url/" PROXXY_VERSION "\r\n"
			       "\r\n",
			       *target == '/' ? "" : "/", target, (int)(target - host), host, key,
			       *payload ? ", " HTTP_PAYLOAD_PROTOCOL : "", payload);
	int rc = n > 0 && (size_t)n < sizeof(request) ? OK : fail(c, ERR_SYSTEM, "the payload is too long");

	for (size_t at = 0; rc == OK && at < (size_t)n;) {
		ssize_t got = client_transmit(c, request + at, (size_t)n - at);

		at += got > 0 ? (size_t)got : 0;
		if (got < 0)
			rc = fail(c, ERR_UPSTREAM_CONNECT, "proxxy closed the connection");
		else if (got == 0 && !client_wait(c->fd, POLLOUT, deadline))
			rc = fail(c, ERR_UPSTREAM_TIMEOUT, "proxxy does not read the request");
	}
	OPENSSL_cleanse(request, sizeof(request));
	return rc;
}

/* Describes an HTTP error by its status and the "error" in proxxy's JSON. Returns
 * ERR_UPSTREAM_REFUSED. */
static int describe_refusal(struct client *c, int status, const char *body, size_t len)
{
	struct json_object *answer = strict_json_parse(body, len);
	const char *error = strict_json_string(answer, "error", &len);

	fail(c, ERR_UPSTREAM_REFUSED, "proxxy answered %d%s%.200s", status, error ? " " : "", error ? error : "");
	strict_json_wipe(answer);
	return ERR_UPSTREAM_REFUSED;
}

/* Reads the answer: the head of a 101, or the head and body of an HTTP error. Bytes after a 101
 * stay in c->in. */
static int read_answer(struct client *c, const char *key, int64_t deadline)
{
	char accept[WS_ACCEPT_LEN + 1];
	struct http_response r;
	int head = 0;
	bool ended = false;
	int64_t until = deadline;

	for (;;) {
		ssize_t got;

		head = http_parse_response((char *)c->in, c->n_in, &r);
		if (head < 0 || (head == 0 && (ended || c->n_in == sizeof(c->in))))
			return fail(c, ERR_UPSTREAM_ANSWER, "the server at that address is not proxxy");
		if (head > 0 && (r.status == 101 || ended || c->n_in == sizeof(c->in)))
			break;
		got = client_receive(c, c->in + c->n_in, sizeof(c->in) - c->n_in);
		ended = got < 0;
		c->n_in += got > 0 ? (size_t)got : 0;
		if (head > 0 && until == deadline)
			until = io_now() + BODY_MS;
		if (got == 0 && !client_wait(c->fd, POLLIN, until)) {
			if (c->n_in == 0)
				return fail(c, ERR_UPSTREAM_TIMEOUT, "proxxy does not answer");
			ended = true;
		}
	}
	if (r.status != 101)
		return describe_refusal(c, r.status, (char *)c->in + head, c->n_in - (size_t)head);
	if (ws_accept(key, accept) < 0 || !r.upgrade || !slice_is(r.ws_accept, accept))
		return fail(c, ERR_UPSTREAM_ANSWER, "the server at that address does not accept the upgrade");
	c->n_in -= (size_t)head;
	memmove(c->in, c->in + head, c->n_in);
	return OK;
}

int client_open(struct client *c, const char *url, const char *payload)
{
	const int64_t deadline = io_now() + CLIENT_TIMEOUT_S * INT64_C(1000);
	char key[WS_KEY_LEN + 1];
	int rc = connect_url(c, url);

	if (rc == OK)
		rc = ws_key_make(key);
	if (rc == OK)
		rc = send_request(c, url, payload, key, deadline);
	return rc == OK ? read_answer(c, key, deadline) : rc;
}
