/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, writes and polls non-blocking TCP connections, with or without TLS, and lets SIGTERM
 * interrupt only the waiting. All programs do their network I/O through it.
 */
#include "lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/tls_socket.h"

enum {
	SIGTERM_CHECK_MS = 20,  /* between two checks for SIGTERM while the session is busy */
	WAITED_MS = 2,          /* a ppoll() that takes so long has waited */
	IO_TCP_RTO_MAX_MS = 44, /* TCP_RTO_MAX_MS of linux/tcp.h; older headers do not have it */
};
static const int64_t POLL_LONGEST_MS = INT32_MAX * INT64_C(1000); /* 68 years: fits into every time_t */

static volatile sig_atomic_t terminated;
static sigset_t waiting_mask; /* the signal mask while io_poll_until() waits: the process's own without SIGTERM */

int64_t io_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void io_sleep_until(int64_t when)
{
	const struct timespec ts = { (time_t)(when / 1000), (long)(when % 1000 * 1000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void on_sigterm(int number)
{
	(void)number;
	terminated = 1;
}

void io_catch_sigterm(void)
{
	struct sigaction action = { .sa_handler = on_sigterm };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &waiting_mask);
	sigdelset(&waiting_mask, SIGTERM);
	sigaction(SIGTERM, &action, NULL);
}

bool io_terminated(void)
{
	return terminated;
}

int io_prepare(int fd)
{
	static const struct {
		int level, option, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, IO_KEEPALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, IO_KEEPALIVE_INTERVAL_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, IO_KEEPALIVE_PROBES },
		{ IPPROTO_TCP, IO_TCP_RTO_MAX_MS, IO_RTO_MAX_MS },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, IO_NOTSENT_LOWAT },
	};
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return ERR_SYSTEM;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(options[i].value));
	return OK;
}

struct endpoint io_endpoint(int fd, SSL *tls)
{
	return (struct endpoint){
		.fd = fd,
		.tls = tls,
		.readable = true,
		.writable = true,
		.read_events = POLLIN,
		.write_events = POLLOUT,
	};
}

int io_begin_tls(struct endpoint *e, SSL *tls)
{
	if (!tls_socket_attach(tls, e->fd))
		return ERR_SYSTEM;
	ERR_clear_error();
	*e = io_endpoint(e->fd, tls);
	return OK;
}

/* --- reading and writing ------------------------------------------------------------------ */

/* The reason in OpenSSL's queue. From 3.2 on it may put "record layer failure" after it. */
static unsigned long last_tls_error(void)
{
	unsigned long error = ERR_peek_last_error();

#ifdef SSL_R_RECORD_LAYER_FAILURE
	if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_RECORD_LAYER_FAILURE)
		error = ERR_peek_error();
#endif
	return error;
}

/* Handles a TLS call that failed with rc. Returns IO_AGAIN if it waits for the socket: then *may is
 * false and *events is what to poll for. Else returns IO_END or IO_BROKEN. */
static ssize_t tls_result(struct endpoint *e, int rc, bool *may, short *events)
{
	switch (SSL_get_error(e->tls, rc)) {
	case SSL_ERROR_WANT_READ:
		*events = POLLIN;
		break;
	case SSL_ERROR_WANT_WRITE:
		*events = POLLOUT;
		break;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	default:
		if (e->tls_error == 0)
			e->tls_error = last_tls_error();
		if (SSL_is_init_finished(e->tls)) /* else it says why the handshake failed */
			ERR_clear_error();
		return IO_BROKEN;
	}
	*may = false;
	return IO_AGAIN;
}

static ssize_t read_tls(struct endpoint *e, void *buf, size_t size)
{
	size_t got;
	ssize_t n;
	int rc;

	tls_socket_enter(e->tls);
	rc = SSL_read_ex(e->tls, buf, size, &got);
	/* This read may have taken the input that a write waits for, so poll() would not report
	 * it. */
	if (!e->writable && e->write_events == POLLIN)
		e->writable = true;
	if (rc != 1) {
		n = tls_result(e, rc, &e->readable, &e->read_events);
		e->timed_out = n == IO_BROKEN && tls_socket_error(e->tls) == ETIMEDOUT;
		return n;
	}
	e->readable = !tls_socket_is_drained(e->tls);
	e->read_events = POLLIN;
	return (ssize_t)got;
}

ssize_t io_read(struct endpoint *e, void *buf, size_t size)
{
	ssize_t n;

	if (e->tls)
		return read_tls(e, buf, size);
	do {
		n = recv(e->fd, buf, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		/* A short read took all there was: poll() reports what comes next. */
		e->readable = (size_t)n == size || n == 0;
		return n; /* 0 is IO_END */
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK) {
		e->timed_out = errno == ETIMEDOUT;
		return IO_BROKEN;
	}
	e->readable = false;
	return IO_AGAIN;
}

/* Sends the waiting TLS bytes, and notes whether more can be written. Returns 0 or IO_BROKEN. */
static ssize_t flush_tls(struct endpoint *e)
{
	if (!tls_socket_flush(e->tls))
		return IO_BROKEN;
	e->writable = tls_socket_backlog(e->tls) == 0;
	e->write_events = POLLOUT;
	return 0;
}

static ssize_t write_tls(struct endpoint *e, const void *buf, size_t size)
{
	size_t put;
	ssize_t n;
	int rc;

	if (tls_socket_backlog(e->tls) > 0) {
		if (flush_tls(e) < 0)
			return IO_BROKEN;
		if (!e->writable)
			return IO_AGAIN;
	}
	tls_socket_enter(e->tls);
	rc = SSL_write_ex(e->tls, buf, size, &put);
	if (rc == 1) {
		n = (ssize_t)put;
		e->writable = tls_socket_backlog(e->tls) == 0;
		e->write_events = POLLOUT;
	} else {
		n = tls_result(e, rc, &e->writable, &e->write_events);
	}
	/* If a handshake message was read in part, SSL_write() continues to read it, and may buffer
	 * data behind it, which poll() does not report. Nor does poll() report a read that waited
	 * for POLLOUT. */
	if (tls_socket_has_input(e->tls) || (e->writable && e->read_events == POLLOUT))
		e->readable = true;
	return n == IO_END ? IO_BROKEN : n;
}

ssize_t io_write(struct endpoint *e, const void *buf, size_t size)
{
	ssize_t n;

	if (e->tls)
		return write_tls(e, buf, size);
	do {
		n = send(e->fd, buf, size, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return IO_BROKEN;
	e->writable = false;
	return IO_AGAIN;
}

size_t io_backlog(const struct endpoint *e)
{
	return e->tls ? tls_socket_backlog(e->tls) : 0;
}

size_t io_unacknowledged(const struct endpoint *e)
{
	int queued = 0;

	if (e->fd < 0 || ioctl(e->fd, SIOCOUTQ, &queued) < 0 || queued < 0)
		queued = 0;
	if (e->shut && queued > 0) /* the FIN counts as a byte */
		queued--;
	return io_backlog(e) + (size_t)queued;
}

bool io_tcp_info(const struct endpoint *e, struct tcp_info *ret_info)
{
	socklen_t len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info)); /* an older kernel fills less */
	return getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, ret_info, &len) == 0;
}

ssize_t io_handshake(struct endpoint *e)
{
	ssize_t n;
	int rc;

	tls_socket_enter(e->tls);
	rc = SSL_do_handshake(e->tls);
	if (rc == 1)
		return 1;
	n = tls_result(e, rc, &e->readable, &e->read_events);
	return n == IO_END ? IO_BROKEN : n;
}

/* Notes a SIGTERM that is pending because it is blocked. Returns true if there is one. */
static bool note_pending_sigterm(void)
{
	sigset_t pending;

	if (terminated || sigpending(&pending) < 0 || sigismember(&pending, SIGTERM) != 1)
		return false;
	terminated = 1;
	return true;
}

int io_poll_until(struct pollfd *fds, nfds_t n, int64_t deadline)
{
	static int64_t last_sigterm_check;
	int64_t now = io_now(), left = deadline - now, after;
	struct timespec ts = { 0, 0 };
	int n_ready;

	/* ppoll() delivers no signal if a descriptor is ready at once; in a busy session one always
	 * is. */
	if (now >= last_sigterm_check + SIGTERM_CHECK_MS) {
		last_sigterm_check = now;
		if (note_pending_sigterm()) {
			errno = EINTR;
			return -1;
		}
	}
	if (left > POLL_LONGEST_MS)
		left = POLL_LONGEST_MS;
	if (left > 0)
		ts = (struct timespec){ (time_t)(left / 1000), (long)(left % 1000 * 1000000) };
	n_ready = ppoll(fds, n, &ts, &waiting_mask);
	if (n_ready < 0)
		return n_ready;
	/* While it waits it delivers the signal. So a session in which someone types needs no check
	 * for each key. */
	after = io_now();
	if (after >= now + WAITED_MS)
		last_sigterm_check = after;
	return n_ready;
}

int io_wait(struct endpoint *e, short events, const struct endpoint *watched, int64_t deadline)
{
	const short wanted = events == POLLIN ? e->read_events : e->write_events;
	struct pollfd fds[2] = {
		{ .fd = e->fd },
		{ .fd = watched ? watched->fd : -1, .events = POLLRDHUP },
	};

	for (;;) {
		int n;

		/* The peer may answer only after it got the waiting TLS bytes. */
		fds[0].events = io_backlog(e) > 0 ? wanted | POLLOUT : wanted;
		n = io_poll_until(fds, 2, deadline);

		if (terminated)
			return IO_TERMINATED;
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (n == 0)
			return IO_TIMEOUT;
		if (n > 0 && fds[1].revents)
			return IO_HANGUP;
		if (n > 0) {
			/* The deadline also holds for a peer that always has something to read. */
			if (io_now() >= deadline)
				return IO_TIMEOUT;
			if (io_backlog(e) > 0 && flush_tls(e) == 0 && !(fds[0].revents & ~(POLLOUT & ~wanted)))
				continue;
			e->readable = e->writable = true;
			return OK;
		}
	}
}

void io_poll(const struct io_want want[2], int64_t deadline)
{
	struct pollfd fds[2];

	for (int i = 0; i < 2; i++) {
		const struct endpoint *e = want[i].endpoint;
		short events = 0;

		if (want[i].read && !e->readable)
			events |= e->read_events;
		if (want[i].write && !e->writable)
			events |= e->write_events;
		if (io_backlog(e) > 0)
			events |= POLLOUT;
		if (!want[i].read && !e->hung_up)
			events |= POLLRDHUP;
		/* poll() reports POLLHUP even if no event is asked for, and would then return at
		 * once each time. */
		fds[i] = (struct pollfd){ .fd = events ? e->fd : -1, .events = events };
	}
	if (io_poll_until(fds, 2, deadline) <= 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct endpoint *e = want[i].endpoint;
		short broken = POLLERR | POLLHUP | POLLNVAL;

		if (!want[i].read && (fds[i].revents & (POLLRDHUP | broken)))
			e->hung_up = true;
		if (fds[i].revents & POLLOUT && io_backlog(e) > 0)
			flush_tls(e); /* a read reports a broken connection */
		if (fds[i].revents & (e->read_events | broken))
			e->readable = true;
		if (fds[i].revents & (e->write_events | broken) && io_backlog(e) == 0)
			e->writable = true;
	}
}

int io_write_all(struct endpoint *e, const void *buf, size_t size, int64_t deadline)
{
	const uint8_t *p = buf;

	while (size > 0) {
		ssize_t n = io_write(e, p, size);
		int rc;

		if (n > 0) {
			p += n;
			size -= (size_t)n;
			continue;
		}
		if (n != IO_AGAIN)
			return IO_BROKEN;
		rc = io_wait(e, POLLOUT, NULL, deadline);
		if (rc < 0)
			return rc;
	}
	return OK;
}

void io_release_buffers(struct endpoint *e)
{
	if (e->tls)
		tls_socket_release(e->tls);
}
