/* SPDX-License-Identifier: Apache-2.0
 *
 * A WebSocket client for proxxy (RFC 6455), over a connection that libcurl opens. viewer.c uses it
 * for "proxxy-url --vnc".
 */
#ifndef PROXXY_CLIENT_H
#define PROXXY_CLIENT_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ws.h"

enum {
	CLIENT_TIMEOUT_S = 15,      /* to connect, and for proxxy's answer */
	CLIENT_URL_MAX = 24 * 1024, /* bytes of a URL; proxxy accepts a request head of 16 KiB */
	CLIENT_IN = 32 * 1024,      /* bytes of payload that are received at once */
};

struct client {
	CURL *curl; /* the caller frees it with curl_easy_cleanup(), also after an error */
	int fd;     /* libcurl's socket, for poll() */
	/* Received bytes that are not processed yet. */
	uint8_t in[WS_HEADER_MAX + CLIENT_IN];
	size_t n_in;
	char *why; /* the caller's buffer for a sentence about a failure, without a secret */
	size_t why_size;
};

/* Connects to url (ws:// or wss://) and sends the upgrade request, with the payload, a JWE, in a
 * subprotocol; "" if url has one in its query. The system's CAs, or those in
 * the file that SSL_CERT_FILE names, must have signed proxxy's certificate. Initially only c->why
 * and c->why_size are set.
 * Returns 0; c->in may then hold the first bytes of a frame. Otherwise returns
 * ERR_UPSTREAM_CONNECT, ERR_UPSTREAM_TIMEOUT, ERR_UPSTREAM_REFUSED (an HTTP error),
 * ERR_UPSTREAM_ANSWER or ERR_SYSTEM, and sets c->why. */
int client_open(struct client *c, const char *url, const char *payload);

/* Send and receive without blocking. Each returns the number of bytes, 0 if it would block, or -1
 * if the connection has ended. */
ssize_t client_transmit(struct client *c, const void *data, size_t len);
ssize_t client_receive(struct client *c, void *data, size_t size);

/* Waits until poll(2) reports events, an error or a hang-up on fd. Returns false at the deadline,
 * in io_now()'s milliseconds. */
bool client_wait(int fd, short events, int64_t deadline);

#endif
