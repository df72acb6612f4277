/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy as its clients see it: a WebSocket over a connection that libcurl makes.
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
	CLIENT_URL_MAX = 24 * 1024, /* bytes of a URL; proxxy takes no head over 16 KiB */
	CLIENT_IN = 32 * 1024,      /* bytes of payload that come at once */
};

struct client {
	CURL *curl; /* for curl_easy_cleanup() */
	int fd;     /* libcurl's, for poll() */
	/* What came and is not looked at yet. */
	uint8_t in[WS_HEADER_MAX + CLIENT_IN];
	size_t n_in;
	char *why; /* what went wrong, for the operator, without a secret */
	size_t why_size;
};

/* Connects to url (ws:// or wss://, whose certificate is verified by the system's CAs or those in the file that
 * SSL_CERT_FILE names) and asks for the upgrade. c begins with nothing but why.
 * Returns 0, or ERR_UPSTREAM_CONNECT, _TIMEOUT, _REFUSED (with proxxy's own words), _ANSWER or ERR_SYSTEM with c->why. */
int client_open(struct client *c, const char *url);

/* Each returns how many bytes went or came, 0 when it would block, or -1 when the connection ended. */
ssize_t client_transmit(struct client *c, const void *data, size_t len);
ssize_t client_receive(struct client *c, void *data, size_t size);

/* Waits until fd can do what events ask, or the deadline, an io_now(): then it returns false. */
bool client_wait(int fd, short events, int64_t deadline);

#endif
