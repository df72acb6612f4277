/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, connections and waiting, see io.h.
 */
#include "lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/tls_socket.h"

enum { SIGTERM_EVERY_MS = 20 }; /* how soon a busy session hears it */
static const int64_t POLL_LONGEST_MS = INT32_MAX * INT64_C(1000); /* 68 years: fits into every time_t */

enum {
	IO_TCP_RTO_MAX_MS = 44, /* TCP_RTO_MAX_MS of linux/tcp.h; older kernels do not have it */
	PARTING_READS = 16,    /* reads of 16 KiB between two looks at the clock */
	PARTING_LOOK_MS = 100, /* between two looks whether the peer still accepts data */
	PARTING_SOON_MS = 10,  /* the same after the peer closed, until it has the last bytes */
};

static volatile sig_atomic_t terminated;
static sigset_t waiting_mask; /* signals that stay blocked while we wait */

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
		.fd = fd, .tls = tls, .readable = true, .writable = true, .read_events = POLLIN, .write_events = POLLOUT,
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

/* What a TLS call that did not get on waits for, or how it ended. */
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

ssize_t io_read(struct endpoint *e, void *buf, size_t size)
{
	ssize_t n;

	if (e->tls) {
		size_t got;
		int rc;

		tls_socket_enter(e->tls);
		rc = SSL_read_ex(e->tls, buf, size, &got);
		/* This read may have got input that a write waits for: poll() does not report it. */
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
	do {
		n = recv(e->fd, buf, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		/* Less than asked for is all there is: poll() can tell, no need to ask again. */
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

/* Sends the waiting TLS bytes, and notes whether there is room for more. Returns 0 or IO_BROKEN. */
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
	/* After a partly read handshake message, SSL_write() also reads, and poll() does not report what it
	 * has buffered. The same holds for a read that waited for room to write. */
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

/* Takes a SIGTERM that waits. Returns true when there was one. */
static bool take_sigterm(void)
{
	sigset_t waiting;

	if (terminated || sigpending(&waiting) < 0 || sigismember(&waiting, SIGTERM) != 1)
		return false;
	terminated = 1;
	return true;
}

/* ppoll() with SIGTERM let through, until the deadline. Returns as ppoll(). */
static int poll_until(struct pollfd *fds, nfds_t n, int64_t deadline)
{
	static int64_t looked;
	int64_t now = io_now(), left = deadline - now;
	struct timespec ts = { 0, 0 };

	/* ppoll() delivers no signal when something is ready at once, and with a busy session something always is. */
	if (now >= looked + SIGTERM_EVERY_MS) {
		looked = now;
		if (take_sigterm()) {
			errno = EINTR;
			return -1;
		}
	}
	if (left > POLL_LONGEST_MS)
		left = POLL_LONGEST_MS;
	if (left > 0)
		ts = (struct timespec){ (time_t)(left / 1000), (long)(left % 1000 * 1000000) };
	return ppoll(fds, n, &ts, &waiting_mask);
}

int io_wait(struct endpoint *e, short events, const struct endpoint *client, int64_t deadline)
{
	const short wanted = events == POLLIN ? e->read_events : e->write_events;
	struct pollfd fds[2] = {
		{ .fd = e->fd },
		{ .fd = client ? client->fd : -1, .events = POLLRDHUP },
	};

	for (;;) {
		int n;

		/* Waiting TLS bytes must be sent, or the peer never answers. */
		fds[0].events = io_backlog(e) > 0 ? wanted | POLLOUT : wanted;
		n = poll_until(fds, 2, deadline);

		if (terminated)
			return END_TERMINATED;
		if (n < 0 && errno != EINTR)
			return ERR_SYSTEM;
		if (n == 0)
			return ERR_REQUEST_TIMEOUT;
		if (n > 0 && fds[1].revents)
			return ERR_CLIENT_GONE;
		if (n > 0) {
			/* A peer that always has something has no more time than others. */
			if (io_now() >= deadline)
				return ERR_REQUEST_TIMEOUT;
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
		/* Never poll for nothing: a hang-up would wake us over and over. */
		fds[i] = (struct pollfd){ .fd = events ? e->fd : -1, .events = events };
	}
	if (poll_until(fds, 2, deadline) <= 0)
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
			return ERR_CLIENT_GONE;
		rc = io_wait(e, POLLOUT, NULL, deadline);
		if (rc < 0)
			return rc;
	}
	return OK;
}

void io_give_back(void *at, size_t size)
{
	const uintptr_t page = (uintptr_t)getpagesize();
	const uintptr_t begin = ((uintptr_t)at + page - 1) / page * page, end = ((uintptr_t)at + size) / page * page;

	if (begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void io_rest(struct endpoint *e)
{
	if (e->tls)
		tls_socket_rest(e->tls);
}

/* --- the end ------------------------------------------------------------------------------ */

/* The state of an endpoint that is being ended. */
struct parting {
	struct endpoint *e; /* NULL when it has ended */
	size_t left;        /* unacknowledged bytes at the last look */
	int64_t moved;      /* when left last changed */
	bool closed;        /* the peer sends no more; our last bytes may still be under way */
};

static void begin_parting(struct parting *p, struct endpoint *e, int64_t now)
{
	static const int timeout = IO_ORPHAN_TIMEOUT_MS;

	*p = (struct parting){ .e = e && e->fd >= 0 && !e->shut ? e : NULL, .moved = now };
	if (!p->e)
		return;
	p->closed = e->said_all;
	/* Without a process there is nobody whose pause to bear with: vanished clients must not pile up in the kernel. */
	setsockopt(e->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	if (e->tls) {
		ERR_clear_error();
		SSL_shutdown(e->tls);
		ERR_clear_error();
	}
	p->left = io_unacknowledged(e);
}

/* Reads and discards input, and notes whether the peer closed. Returns false if the connection is broken. */
static bool read_away(struct parting *p)
{
	uint8_t rest[16384];

	for (int i = 0; i < PARTING_READS && !p->closed; i++) {
		ssize_t n = recv(p->e->fd, rest, sizeof(rest), 0);

		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return false;
		p->closed = n == 0;
		if (n < (ssize_t)sizeof(rest))
			break;
	}
	return true;
}

/* True if a reset ended the connection: the peer will acknowledge nothing more. */
static bool was_reset(const struct endpoint *e)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	return getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 && info.tcpi_state == TCP_CLOSE;
}

/* Continues to end an endpoint. Returns when to look again, or 0 if it has ended. */
static int64_t part(struct parting *p, int64_t now)
{
	struct endpoint *e = p->e;
	size_t left;

	if (e->tls && !tls_socket_flush(e->tls))
		return 0;
	if (!e->shut && io_backlog(e) == 0) {
		shutdown(e->fd, SHUT_WR);
		e->shut = true;
	}
	if (!read_away(p))
		return 0;
	left = io_unacknowledged(e);
	if (left != p->left)
		p->moved = now;
	p->left = left;
	if (now >= p->moved + IO_LINGER_MS || (p->closed && (left == 0 || was_reset(e))))
		return 0;
	if (p->closed) /* no poll event reports an acknowledgement */
		return now + PARTING_SOON_MS;
	return left > 0 ? now + PARTING_LOOK_MS : p->moved + IO_LINGER_MS;
}

void io_linger(struct endpoint *a, struct endpoint *b, int64_t deadline)
{
	struct parting ends[2];
	int64_t now = io_now();
	bool cut = false;

	begin_parting(&ends[0], a, now);
	begin_parting(&ends[1], b, now);
	while (ends[0].e || ends[1].e) {
		struct pollfd fds[2];
		int64_t look = deadline;

		now = io_now();
		if (terminated && !cut) {
			cut = true;
			deadline = look = now + IO_LINGER_MS < deadline ? now + IO_LINGER_MS : deadline;
		}
		for (int i = 0; i < 2; i++) {
			struct endpoint *e = ends[i].e;
			int64_t again = e && now < deadline ? part(&ends[i], now) : 0;

			if (again == 0)
				ends[i].e = NULL;
			else if (again < look)
				look = again;
			fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
			if (again && io_backlog(e) > 0)
				fds[i] = (struct pollfd){ .fd = e->fd, .events = POLLIN | POLLOUT };
			else if (again && !ends[i].closed)
				fds[i].fd = e->fd;
		}
		if (ends[0].e || ends[1].e)
			poll_until(fds, 2, look);
	}
}
