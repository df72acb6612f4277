/* SPDX-License-Identifier: Apache-2.0
 *
 * Non-blocking reads and writes on a connection (TCP or a UNIX socket), with or without TLS, and
 * waiting with a deadline. The monotonic clock and SIGTERM belong to the waiting. linger.h ends a connection.
 */
#ifndef PROXXY_IO_H
#define PROXXY_IO_H

#include <openssl/types.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	/* Keepalive: the kernel reports a vanished peer after 50 s. Linux sends no probes while
	 * data is unacknowledged: silence.h covers that case. */
	IO_KEEPALIVE_IDLE_S = 20,      /* silence before the first probe */
	IO_KEEPALIVE_INTERVAL_S = 10,  /* between probes */
	IO_KEEPALIVE_PROBES = 3,       /* unanswered probes that end the connection */
	IO_RTO_MAX_MS = 4 * 1000,      /* limit between retransmissions or zero-window probes (Linux 6.15) */
	IO_NOTSENT_LOWAT = 128 * 1024, /* unsent bytes in the kernel above which a socket is not writable; limits
					 * how much data can queue before back-pressure reaches the sender */
};

/* How a call ended that returns no count of bytes. These results name no peer: the caller knows
 * whose connection it is, and maps them to codes of error.h. They are outside those codes, so that
 * a result that nobody maps is reported as an internal error. */
enum io_result {
	IO_END = 0,           /* io_read(): the peer ended in order (FIN; with TLS its close_notify) */
	IO_AGAIN = -101,      /* nothing can be read or written now */
	IO_BROKEN = -102,     /* the connection or its TLS is broken */
	IO_TIMEOUT = -103,    /* the deadline passed */
	IO_HANGUP = -104,     /* the watched peer closed its connection */
	IO_TERMINATED = -105, /* SIGTERM came */
};

/* One connection. Its owner closes fd and frees tls. */
struct endpoint {
	int fd;                  /* -1 if there is none */
	SSL *tls;                /* NULL without TLS */
	bool readable, writable; /* a read or write may succeed: not after IO_AGAIN, until poll() says so */
	/* What to poll for before the next read or write: TLS may need POLLOUT to read. */
	short read_events, write_events;
	bool hung_up;        /* io_poll() saw the peer close (POLLRDHUP) while we did not read */
	bool timed_out;      /* a read failed with ETIMEDOUT: keepalive found that the peer vanished */
	bool close_received; /* the peer sent a WebSocket Close: nothing after it counts. relay_close.c sets it */
	bool shut;           /* we sent our end: close_notify and FIN */
	/* After IO_BROKEN: OpenSSL's error (ERR_get_error(3)), or 0 if the TCP connection broke. */
	unsigned long tls_error;
};

/* Returns milliseconds on CLOCK_MONOTONIC. All deadlines here are times of this clock. */
int64_t io_now(void);

/* Returns the earlier of two times, or the shorter of two durations. */
static inline int64_t io_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Sleeps until io_now() reaches when. */
void io_sleep_until(int64_t when);

/* Blocks SIGTERM except while io_poll_until() waits, and makes it only set what io_terminated()
 * returns. */
void io_catch_sigterm(void);

/* True once SIGTERM came. */
bool io_terminated(void);

/* Makes fd non-blocking and close-on-exec, and sets the options that both connections of a session
 * need: TCP_NODELAY, keepalive and TCP_NOTSENT_LOWAT. Does not set TCP_USER_TIMEOUT: it overrides
 * keepalive, and would end the connection of a peer that only pauses. Ignores options that the
 * socket or the kernel does not have. Returns 0, or ERR_SYSTEM with errno. */
int io_prepare(int fd);

/* Returns an endpoint for a prepared fd. tls may be NULL, and is one that io_begin_tls() attached
 * otherwise. */
struct endpoint io_endpoint(int fd, SSL *tls);

/* Connects tls, which is new, to e's fd through tls_socket.h. e then owns tls.
 * Returns 0, or ERR_SYSTEM without memory: then the caller still owns tls. */
int io_begin_tls(struct endpoint *e, SSL *tls);

/* Continues e's TLS handshake. Returns 1 when it is done; IO_AGAIN: call io_wait() with POLLIN,
 * which waits for whatever TLS needs; or IO_BROKEN: the reason is in OpenSSL's error queue. */
ssize_t io_handshake(struct endpoint *e);

/* Reads between one and size bytes into buf. Returns the count, IO_END, IO_AGAIN or IO_BROKEN. */
ssize_t io_read(struct endpoint *e, void *buf, size_t size);

/* Writes at least one byte of buf[0..size). Returns the count, IO_AGAIN or IO_BROKEN. After
 * IO_AGAIN the next call must offer the same bytes again (SSL_write(3)). With TLS, one record of
 * the written data may wait until the kernel has room: io_wait(), io_poll() and linger() send
 * it. */
ssize_t io_write(struct endpoint *e, const void *buf, size_t size);

/* Returns how many bytes of TLS records wait until the kernel has room; 0 without TLS. */
size_t io_backlog(const struct endpoint *e);

/* Returns how many bytes written to e its peer's kernel has not acknowledged: io_backlog() and what
 * the kernel still has (SIOCOUTQ), with TLS's overhead. For a UNIX socket, these are the bytes of
 * memory that hold what the peer has not read, which are more: at least 768 for each write. */
size_t io_unacknowledged(const struct endpoint *e);

/* Asks the kernel about e's connection (TCP_INFO). Returns false for a socket that is not TCP. */
struct tcp_info;
bool io_tcp_info(const struct endpoint *e, struct tcp_info *ret_info);

/* ppoll() until deadline, an io_now(); SIGTERM may interrupt it. Returns as ppoll(). */
int io_poll_until(struct pollfd *fds, nfds_t n, int64_t deadline);

/* Waits until e can read (events: POLLIN) or write (POLLOUT) again, after IO_AGAIN. Also watches
 * another connection (NULL: none) for its peer to close it. deadline is an io_now().
 * Returns 0, IO_TIMEOUT, IO_HANGUP (only of watched), IO_TERMINATED, or ERR_SYSTEM if ppoll()
 * failed. */
int io_wait(struct endpoint *e, short events, const struct endpoint *watched, int64_t deadline);

/* Writes all of buf before the deadline, an io_now(). Returns 0, IO_BROKEN, IO_TIMEOUT,
 * IO_TERMINATED or ERR_SYSTEM; after an error part of buf may have been written. */
int io_write_all(struct endpoint *e, const void *buf, size_t size, int64_t deadline);

/* What io_poll() waits for on one endpoint. */
struct io_want {
	struct endpoint *endpoint;
	bool read, write;
};

/* Waits for one of the wanted events, for room for an endpoint's waiting TLS bytes, or, on an
 * endpoint that is not to be read, for its peer to close. Updates readable, writable and hung_up of
 * both endpoints. Also returns at the deadline, an io_now(), and when SIGTERM came. */
void io_poll(const struct io_want want[2], int64_t deadline);

/* Returns the pages of the unused parts of e's TLS buffers to the kernel. */
void io_release_buffers(struct endpoint *e);

#endif
