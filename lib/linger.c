/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends connections: sends close_notify and FIN, then discards input until the peer has closed too
 * or its time is over. Every program here calls it last, before the process ends.
 */
#include "lib/linger.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "lib/tls_socket.h"

enum {
	READS_AT_ONCE = 16,   /* reads of 16 KiB between two looks at the clock */
	CHECK_MS = 100,       /* between two checks whether the peer still acknowledges data */
	CHECK_CLOSED_MS = 10, /* the same after the peer closed, until it has the last bytes */
};

/* A connection that is being ended. */
struct ending {
	struct endpoint *e;    /* NULL when it has ended */
	size_t unacknowledged; /* bytes at the last check */
	int64_t progress_at;   /* when unacknowledged last changed */
	bool peer_closed;      /* the peer sends no more; our last bytes may still be in transit */
};

/* Begins to end e (NULL: nothing to do): sends close_notify after the written data. */
static void begin(struct ending *end, struct endpoint *e, int64_t now)
{
	static const int timeout = LINGER_ORPHAN_MS;

	*end = (struct ending){ .e = e && e->fd >= 0 && !e->shut ? e : NULL, .progress_at = now };
	if (!end->e)
		return;
	end->peer_closed = e->close_received;
	/* After the process ended, the kernel must not retry for minutes: sockets of vanished peers
	 * would pile up. */
	setsockopt(e->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	if (e->tls) {
		ERR_clear_error();
		SSL_shutdown(e->tls);
		ERR_clear_error();
	}
	end->unacknowledged = io_unacknowledged(e);
}

/* Reads and discards input, and notes whether the peer closed. Returns false if the connection is
 * broken. */
static bool discard_input(struct ending *end)
{
	uint8_t discarded[16384];

	for (int i = 0; i < READS_AT_ONCE && !end->peer_closed; i++) {
		ssize_t n = recv(end->e->fd, discarded, sizeof(discarded), 0);

		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return false;
		end->peer_closed = n == 0;
		if (n < (ssize_t)sizeof(discarded))
			break;
	}
	return true;
}

/* True if a reset ended the connection: the peer will acknowledge nothing more. */
static bool was_reset(const struct endpoint *e)
{
	struct tcp_info info;

	return io_tcp_info(e, &info) && info.tcpi_state == TCP_CLOSE;
}

/* Sends and discards what is possible now. Returns when to continue, or 0 if the connection has
 * ended. */
static int64_t proceed(struct ending *end, int64_t now)
{
	struct endpoint *e = end->e;
	size_t unacknowledged;

	if (e->tls && !tls_socket_flush(e->tls))
		return 0;
	if (!e->shut && io_backlog(e) == 0) {
		shutdown(e->fd, SHUT_WR);
		e->shut = true;
	}
	if (!discard_input(end))
		return 0;
	unacknowledged = io_unacknowledged(e);
	if (unacknowledged != end->unacknowledged)
		end->progress_at = now;
	end->unacknowledged = unacknowledged;
	if (now >= end->progress_at + LINGER_MS || (end->peer_closed && (unacknowledged == 0 || was_reset(e))))
		return 0;
	if (end->peer_closed) /* no poll event reports an acknowledgement */
		return now + CHECK_CLOSED_MS;
	return unacknowledged > 0 ? now + CHECK_MS : end->progress_at + LINGER_MS;
}

/* What to poll an ending connection for: input, unless the peer closed, and room for waiting TLS
 * bytes. */
static struct pollfd poll_for(const struct ending *end)
{
	if (end->e && io_backlog(end->e) > 0)
		return (struct pollfd){ .fd = end->e->fd, .events = POLLIN | POLLOUT };
	return (struct pollfd){ .fd = end->e && !end->peer_closed ? end->e->fd : -1, .events = POLLIN };
}

void linger(struct endpoint *a, struct endpoint *b, int64_t deadline)
{
	struct ending ends[2];
	int64_t now = io_now();
	bool shortened = false; /* SIGTERM moved the deadline */

	begin(&ends[0], a, now);
	begin(&ends[1], b, now);
	while (ends[0].e || ends[1].e) {
		struct pollfd fds[2];
		int64_t next;

		now = io_now();
		if (io_terminated() && !shortened) {
			shortened = true;
			deadline = io_earlier(deadline, now + LINGER_MS);
		}
		next = deadline;
		for (int i = 0; i < 2; i++) {
			const int64_t again = ends[i].e && now < deadline ? proceed(&ends[i], now) : 0;

			if (again == 0)
				ends[i].e = NULL;
			else if (again < next)
				next = again;
			fds[i] = poll_for(&ends[i]);
		}
		if (ends[0].e || ends[1].e)
			io_poll_until(fds, 2, next);
	}
}
