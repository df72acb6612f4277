/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, and the two ends of a session: non-blocking reads and writes on a TCP connection, with
 * or without TLS, and waiting for them with a deadline.
 */
#ifndef PROXXY_IO_H
#define PROXXY_IO_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	/* Keepalive: a peer that vanished is noticed after 50 s. Linux sends no probes while data
	 * is unacknowledged: silence.h covers that case. */
	IO_KEEPALIVE_IDLE_S = 20,       /* silence before the first probe */
	IO_KEEPALIVE_INTERVAL_S = 10,   /* between probes */
	IO_KEEPALIVE_PROBES = 3,        /* unanswered probes that end the connection */
	IO_RTO_MAX_MS = 4 * 1000,       /* limit between retransmissions or zero-window probes (Linux 6.15) */
	IO_ORPHAN_TIMEOUT_MS = 10 * 1000, /* for the kernel to send queued data after the process ended */
	IO_LINGER_MS = 3000,            /* for a peer that accepts no data to close, see io_linger() */
	IO_NOTSENT_LOWAT = 128 * 1024,  /* bytes that the kernel holds unsent: back-pressure is felt before megabytes queue */
};

/* Results of io_read() and io_write() that are not a count of bytes. */
enum { IO_END = 0, IO_AGAIN = -1, IO_BROKEN = -2 };

struct endpoint {
	int fd;     /* -1 when there is none */
	SSL *tls;   /* NULL without TLS */
	bool readable, writable;         /* the next read or write may get somewhere */
	bool hung_up;                    /* the peer was seen to leave while nothing was asked of it */
	bool timed_out;                  /* a read failed because the peer's kernel no longer answers */
	bool said_all;                   /* the peer sends nothing more, although it has not closed yet: its Close came */
	bool shut;                       /* we sent our end: close_notify and FIN */
	short read_events, write_events; /* what poll() must see before it may; TLS can need the opposite */
	/* After IO_BROKEN: OpenSSL's error (ERR_get_error(3)), or 0 if the TCP connection broke. */
	unsigned long tls_error;
};

/* Milliseconds on CLOCK_MONOTONIC. */
int64_t io_now(void);

/* Sleeps until io_now() reaches when. */
void io_sleep_until(int64_t when);

/* Lets SIGTERM be seen by io_wait() and io_poll(), and nowhere else. */
void io_catch_sigterm(void);

/* True once SIGTERM came. */
bool io_terminated(void);

/* Makes fd non-blocking and close-on-exec, and sets the options of both connections of a session:
 * TCP_NODELAY, keepalive and TCP_NOTSENT_LOWAT. It does not set TCP_USER_TIMEOUT, which would
 * override keepalive and end a peer that pauses. Returns 0 or ERR_SYSTEM. A socket that is not TCP
 * keeps its options. */
int io_prepare(int fd);

/* Begins an endpoint on a prepared fd. */
struct endpoint io_endpoint(int fd, SSL *tls);

/* Connects tls, which is new, to e's fd through tls_socket.h. e then owns tls.
 * Returns 0, or ERR_SYSTEM: then the caller still owns tls. */
int io_begin_tls(struct endpoint *e, SSL *tls);

/* Reads what is there, at least one byte and at most size. Returns the count, IO_END when the peer
 * ended in order (FIN; with TLS its close_notify), IO_AGAIN, or IO_BROKEN. */
ssize_t io_read(struct endpoint *e, void *buf, size_t size);

/* Writes what fits, at least one byte. After IO_AGAIN the caller must offer the same bytes
 * again. With TLS, up to a record of the written data may still wait until the kernel has room:
 * io_wait(), io_poll() and io_linger() send it.
 * Returns the count, IO_AGAIN or IO_BROKEN. */
ssize_t io_write(struct endpoint *e, const void *buf, size_t size);

/* Returns how many bytes of TLS, already written to e, wait until the kernel has room. */
size_t io_backlog(const struct endpoint *e);

/* Returns how many bytes written to e the peer's kernel has not acknowledged, counted on the
 * wire. */
size_t io_unacknowledged(const struct endpoint *e);

/* Gets on with e's TLS handshake. Returns 1 when it is done, IO_AGAIN (io_wait() for POLLIN, whichever
 * way TLS needs), or IO_BROKEN, OpenSSL's error queue then still telling why. */
ssize_t io_handshake(struct endpoint *e);

/* Waits until e can read (POLLIN) or write (POLLOUT) again, after IO_AGAIN, while watching that
 * the client (NULL: nobody) does not leave. deadline is an io_now().
 * Returns 0, ERR_REQUEST_TIMEOUT when the deadline passed, ERR_CLIENT_GONE, END_TERMINATED. */
int io_wait(struct endpoint *e, short events, const struct endpoint *client, int64_t deadline);

/* Waits until anything that either endpoint waits for has come (it is not readable or writable, and want
 * says that this is asked for), and notes it in the endpoints; of one that is not read, whether it hung
 * up. Returns also at the deadline, or when SIGTERM came. */
struct io_want {
	struct endpoint *endpoint;
	bool read, write;
};
void io_poll(const struct io_want want[2], int64_t deadline);

/* Writes all of buf before the deadline. Returns as io_wait(), or ERR_CLIENT_GONE. */
int io_write_all(struct endpoint *e, const void *buf, size_t size, int64_t deadline);

/* Gives the pages that lie wholly in at[0..size) back to the kernel: nothing there is of use any more. */
void io_give_back(void *at, size_t size);

/* The same for the part of e's buffer that nothing is in. */
void io_rest(struct endpoint *e);

/* Ends one or two connections (NULL: none). Sends close_notify and FIN after the written data, then
 * reads and discards until the peer closes: closing with unread data would reset the connection,
 * and the peer would lose the last data. A peer that acknowledges nothing more has IO_LINGER_MS to
 * close. One that still accepts data has until the deadline (an io_now()). After SIGTERM the limit
 * is IO_LINGER_MS for all. A second call does nothing. */
void io_linger(struct endpoint *a, struct endpoint *b, int64_t deadline);

#endif
