/* SPDX-License-Identifier: Apache-2.0
 *
 * The benchmark's minimal relay: bench/floor ADDRESS:PORT UPSTREAM:PORT, or without arguments, for
 * the connection on standard input, to the upstream server in the environment variable UPSTREAM
 *
 * It does only what any relay must do. With arguments it serves one connection after another;
 * without, one process serves one connection, which shows what a process per session costs. It
 * encrypts the client's bytes for the upstream, and decrypts the upstream's bytes for the client,
 * as soon as they arrive. It parses nothing, has no deadlines and checks no certificate. Its writes
 * block, so a benchmark may use only one direction at a time.
 */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/peer.h"

enum { RECORD = 16384 };

static void block(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static void write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t written = send(fd, bytes, n, MSG_NOSIGNAL);

		if (written <= 0)
			return;
		bytes += written;
		n -= (size_t)written;
	}
}

static void relay(int client, SSL *tls)
{
	static uint8_t buf[RECORD];
	struct pollfd fds[2] = { { .fd = client, .events = POLLIN }, { .fd = SSL_get_fd(tls), .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			return;
		if (fds[0].revents) {
			ssize_t n = recv(client, buf, sizeof(buf), 0);

			if (n <= 0 || SSL_write(tls, buf, (int)n) <= 0)
				return;
		}
		if (fds[1].revents)
			do {
				int n = SSL_read(tls, buf, sizeof(buf));

				if (n <= 0 && SSL_get_error(tls, n) == SSL_ERROR_WANT_READ)
					break; /* a session ticket, and no data */
				if (n <= 0)
					return;
				write_all(client, buf, (size_t)n);
			} while (SSL_pending(tls) > 0);
	}
}

static void serve(int client, const char *address, SSL_CTX *context)
{
	int upstream = peer_connect(address);
	SSL *tls = SSL_new(context);
	struct pollfd connecting = { .fd = upstream, .events = POLLOUT };

	poll(&connecting, 1, -1);
	block(upstream);
	if (!tls || SSL_set_fd(tls, upstream) != 1 || SSL_connect(tls) != 1)
		die("no TLS");
	relay(client, tls);
	SSL_free(tls);
	close(client);
	close(upstream);
}

int main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int listener;

	if ((argc != 3 && !(argc == 1 && getenv("UPSTREAM"))) || !context)
		die("Usage: floor ADDRESS:PORT UPSTREAM:PORT, or UPSTREAM=UPSTREAM:PORT floor");
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
	if (argc == 1) {
		serve(STDIN_FILENO, getenv("UPSTREAM"), context);
		return 0;
	}
	listener = peer_listen(argv[1]);
	block(listener);
	for (;;)
		serve(accept4(listener, NULL, NULL, SOCK_CLOEXEC), argv[2], context);
}
