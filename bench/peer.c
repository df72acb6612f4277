/* SPDX-License-Identifier: Apache-2.0
 *
 * Implements peer.h: what the benchmark's programs share.
 */
#include "bench/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ws.h"

const char peer_banner[BANNER_LEN + 1] = "RFB 003.008\n", peer_ack[ACK_LEN + 1] = "done";
const char peer_challenge[CHALLENGE_LEN + 1] = "0123456789abcdef";
/* 1024 × 768 pixels of 32 bits, and the name's length (RFC 6143 section 7.3.2). */
const char peer_server_init[SERVER_INIT_LEN + 1] = "\4\0\3\0\x20\x18\0\1\0\xff\0\xff\0\xff\x10\x8\0\0\0\0"
						   "\0\0\0\6qemu00";

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- the pattern -------------------------------------------------------------------------- */

const uint8_t *pattern_at(uint64_t offset)
{
	static uint8_t pattern[PATTERN_PERIOD + PEER_IN];
	static bool made;
	uint64_t state = 88172645463325252;

	if (!made) {
		for (size_t i = 0; i < PATTERN_PERIOD; i++) { /* Marsaglia's xorshift64 */
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			pattern[i] = (uint8_t)(state >> 56);
		}
		memcpy(pattern + PATTERN_PERIOD, pattern, PEER_IN);
		made = true;
	}
	return pattern + offset % PATTERN_PERIOD;
}

void pattern_check(const uint8_t *bytes, size_t n, uint64_t offset)
{
	if (memcmp(bytes, pattern_at(offset), n) != 0)
		die("bytes %llu to %llu are not what was sent", (unsigned long long)offset,
		    (unsigned long long)(offset + n));
}

/* --- connections -------------------------------------------------------------------------- */

static void *allocate(size_t size)
{
	void *p = malloc(size);

	if (!p)
		die("out of memory");
	return p;
}

void peer_begin(struct peer *p, int fd, SSL_CTX *tls, bool server)
{
	static const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*p = (struct peer){ .fd = fd, .established = !tls, .in = allocate(PEER_IN), .out = allocate(PEER_OUT) };
	if (!tls)
		return;
	p->tls = SSL_new(tls);
	p->records = BIO_new(BIO_s_mem());
	if (!p->tls || !p->records)
		die("out of memory");
	SSL_set_bio(p->tls, BIO_new_socket(fd, BIO_NOCLOSE), p->records);
	if (server)
		SSL_set_accept_state(p->tls);
	else
		SSL_set_connect_state(p->tls);
}

void peer_end(struct peer *p)
{
	SSL_free(p->tls);
	close(p->fd);
	free(p->in);
	free(p->out);
	*p = (struct peer){ .fd = -1 };
}

/* Handles a TLS call that failed. Returns true if it only has to wait for the socket. */
static bool tls_waits(struct peer *p, int rc)
{
	int error = SSL_get_error(p->tls, rc);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return true;
	p->ended = true; /* even without close_notify: a caller that needs more data reports the error */
	ERR_clear_error();
	return false;
}

static bool establish(struct peer *p)
{
	int rc;

	if (p->established)
		return true;
	rc = SSL_do_handshake(p->tls);
	p->established = rc == 1;
	if (!p->established && !tls_waits(p, rc))
		die("TLS handshake failed");
	peer_flush(p);
	return p->established;
}

bool peer_read(struct peer *p)
{
	const size_t before = p->in_len;

	if (p->ended || !establish(p))
		return false;
	while (p->in_len < PEER_IN) {
		const size_t space = PEER_IN - p->in_len;
		ssize_t n;

		if (p->tls) {
			int rc = SSL_read(p->tls, p->in + p->in_len, (int)space);

			if (rc <= 0) {
				tls_waits(p, rc);
				break;
			}
			n = rc;
		} else {
			n = recv(p->fd, p->in + p->in_len, space, 0);
			if (n < 0 && errno == EAGAIN)
				break;
			p->ended = n <= 0;
			if (p->ended)
				break;
		}
		p->in_len += (size_t)n;
		if (!p->tls && (size_t)n < space)
			break; /* the socket has no more */
	}
	return p->in_len > before;
}

bool peer_has_more(const struct peer *p)
{
	return p->tls && !p->ended && SSL_pending(p->tls) > 0;
}

void peer_taken(struct peer *p, size_t n)
{
	p->in_len -= n;
	memmove(p->in, p->in + n, p->in_len);
}

void peer_say(struct peer *p, const void *bytes, size_t n)
{
	if (p->ended)
		return;
	if (p->tls) {
		if (SSL_write(p->tls, bytes, (int)n) != (int)n)
			die("TLS takes no more");
		return;
	}
	if (p->out_len + n > PEER_OUT) {
		p->out_len -= p->out_at;
		memmove(p->out, p->out + p->out_at, p->out_len);
		p->out_at = 0;
	}
	if (p->out_len + n > PEER_OUT)
		die("too much to write at once");
	memcpy(p->out + p->out_len, bytes, n);
	p->out_len += n;
}

static size_t ready(const struct peer *p, const uint8_t **ret_bytes)
{
	char *bytes;

	if (p->tls) {
		size_t n = (size_t)BIO_get_mem_data(p->records, &bytes);

		*ret_bytes = (uint8_t *)bytes + p->out_at;
		return n - p->out_at;
	}
	*ret_bytes = p->out + p->out_at;
	return p->out_len - p->out_at;
}

size_t peer_pending(const struct peer *p)
{
	const uint8_t *bytes;

	return ready(p, &bytes);
}

bool peer_flush(struct peer *p)
{
	const uint8_t *bytes;
	size_t n;

	while ((n = ready(p, &bytes)) > 0) {
		ssize_t written = send(p->fd, bytes, n, MSG_NOSIGNAL);

		if (written < 0) {
			if (errno == EAGAIN)
				return false;
			p->ended = true;
			break;
		}
		p->out_at += (size_t)written;
	}
	if (p->tls)
		(void)BIO_reset(p->records);
	p->out_at = p->out_len = 0;
	return true;
}

/* --- frames ------------------------------------------------------------------------------- */

static const uint8_t mask[4] = { 0x37, 0xFA, 0x21, 0x3D };

void peer_mask(uint8_t *bytes, size_t n, const uint8_t key[4])
{
	uint64_t wide;

	memcpy(&wide, key, 4);
	wide |= wide << 32;
	for (; n >= 8; bytes += 8, n -= 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		word ^= wide;
		memcpy(bytes, &word, 8);
	}
	ws_mask(bytes, n, key);
}

void peer_say_frame(struct peer *p, bool to_server, const void *bytes, size_t n)
{
	static uint8_t frame[WS_CONTROL_FRAME_MAX + PEER_IN];
	struct ws_header header = { .fin = true, .opcode = WS_BINARY, .length = n, .masked = to_server };
	size_t size;

	if (n > PEER_IN)
		die("a frame of %zu bytes is too large", n);
	memcpy(header.mask, mask, sizeof(mask));
	size = ws_write_header(frame, &header);
	memcpy(frame + size, bytes, n);
	if (to_server)
		peer_mask(frame + size, n, mask);
	peer_say(p, frame, size + n);
}

void peer_say_pattern(struct peer *p, bool to_server, size_t n, uint64_t offset)
{
	peer_say_frame(p, to_server, pattern_at(offset), n);
}

/* --- addresses ---------------------------------------------------------------------------- */

static struct sockaddr_in parse(const char *address)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *colon = strchr(address, ':');
	char host[64];

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		die("%s is not ADDRESS:PORT", address);
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	a.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		die("%s is not an IPv4 address", host);
	return a;
}

int peer_connect(const char *address)
{
	struct sockaddr_in a = parse(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS))
		die("%s: %s", address, strerror(errno));
	return fd;
}

int peer_listen(const char *address)
{
	struct sockaddr_in a = parse(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0)
		die("%s: %s", address, strerror(errno));
	return fd;
}
