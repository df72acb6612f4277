/* SPDX-License-Identifier: Apache-2.0
 *
 * Time, connections and waiting, see io.h.
 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

enum { SIGTERM_EVERY_MS = 100 }; /* how soon a busy session hears it */
static const int64_t POLL_LONGEST_MS = INT32_MAX * INT64_C(1000); /* what every processor's time_t holds: 68 years */

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
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, IO_USER_TIMEOUT_MS },
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

/* --- TLS's socket ------------------------------------------------------------------------- */

enum { TLS_HEADER = 5, TLS_LARGE = 4096 }; /* bytes: of a record's header, and of a record that is worth no copy */

struct tls_socket {
	int fd;
	size_t budget;  /* bytes that may still be read in this call */
	size_t ahead;   /* bytes that are read beyond those asked for */
	size_t at, end; /* of buf: what was read and TLS has not asked for yet */
	bool drained;   /* the kernel gave less than was asked for: poll() will tell of more */
	uint8_t buf[IO_TLS_AT_ONCE]; /* its pages cost nothing until they are used */
};

/* Reads size bytes into buf, and what comes behind them into the buffer, which is empty. Returns as readv(). */
static ssize_t read_ahead(struct tls_socket *s, char *buf, size_t size)
{
	const struct iovec to[2] = { { buf, size }, { s->buf, s->ahead } };
	ssize_t n;

	if (s->budget == 0) {
		errno = EAGAIN;
		return -1;
	}
	do {
		n = readv(s->fd, to, 2);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		s->budget -= (size_t)n < s->budget ? (size_t)n : s->budget;
	s->drained = n < (ssize_t)(size + s->ahead);
	s->at = 0;
	s->end = n > (ssize_t)size ? (size_t)n - size : 0;
	return n;
}

/* OpenSSL asks for each record's header and then for the rest, two system calls without a buffer; its own read-ahead
 * moves all that it has read with each record. So small records are read many at once and copied, and with a large
 * one, which goes where it is asked for, only the next one's header. */
static int socket_read(BIO *bio, char *buf, size_t size, size_t *ret_n)
{
	struct tls_socket *s = BIO_get_data(bio);
	const size_t buffered = s->end - s->at;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (size != TLS_HEADER)
		s->ahead = size >= TLS_LARGE ? TLS_HEADER : sizeof(s->buf);
	if (buffered > 0) {
		*ret_n = size < buffered ? size : buffered;
		memcpy(buf, s->buf + s->at, *ret_n);
		s->at += *ret_n;
		return 1;
	}
	n = read_ahead(s, buf, size);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	if (n <= 0)
		return 0;
	*ret_n = (size_t)n < size ? (size_t)n : size;
	return 1;
}

static int socket_write(BIO *bio, const char *buf, size_t size, size_t *ret_n)
{
	const struct tls_socket *s = BIO_get_data(bio);
	ssize_t n;

	do {
		n = send(s->fd, buf, size, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_write(bio);
	if (n <= 0)
		return 0;
	*ret_n = (size_t)n;
	return 1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH; /* nothing is kept back */
}

static int socket_destroy(BIO *bio)
{
	OPENSSL_free(BIO_get_data(bio));
	return 1;
}

int io_begin_tls(struct endpoint *e, SSL *tls)
{
	static BIO_METHOD *method;
	struct tls_socket *s = OPENSSL_malloc(sizeof(*s));
	BIO *bio;

	if (!method)
		method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
	if (!s || !method || BIO_meth_set_read_ex(method, socket_read) != 1 || BIO_meth_set_write_ex(method, socket_write) != 1 ||
	    BIO_meth_set_ctrl(method, socket_control) != 1 || BIO_meth_set_destroy(method, socket_destroy) != 1 ||
	    !(bio = BIO_new(method))) {
		OPENSSL_free(s);
		return ERR_SYSTEM;
	}
	s->fd = e->fd;
	s->budget = s->at = s->end = 0;
	s->drained = false;
	s->ahead = sizeof(s->buf);
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls, bio, bio);
	ERR_clear_error();
	*e = io_endpoint(e->fd, tls);
	return OK;
}

static struct tls_socket *socket_of(const struct endpoint *e)
{
	return BIO_get_data(SSL_get_rbio(e->tls));
}

/* A call into TLS begins, with its budget. OpenSSL's error queue, which SSL_get_error() looks into, is empty then:
 * io_begin_tls() and tls_result() leave it so. */
static void enter_tls(const struct endpoint *e)
{
	socket_of(e)->budget = IO_TLS_BUDGET;
}

static bool has_buffered(const struct endpoint *e)
{
	const struct tls_socket *s = socket_of(e);

	return s->at != s->end;
}

/* True when another read would find nothing: in TLS, in our buffer, or in the kernel. */
static bool is_drained(const struct endpoint *e)
{
	const struct tls_socket *s = socket_of(e);

	return s->drained && !has_buffered(e) && SSL_pending(e->tls) == 0;
}

/* --- reading and writing ------------------------------------------------------------------ */

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
			e->tls_error = ERR_peek_last_error();
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

		enter_tls(e);
		rc = SSL_read_ex(e->tls, buf, size, &got);
		if (rc != 1)
			return tls_result(e, rc, &e->readable, &e->read_events);
		e->readable = !is_drained(e);
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
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return IO_BROKEN;
	e->readable = false;
	return IO_AGAIN;
}

ssize_t io_write(struct endpoint *e, const void *buf, size_t size)
{
	ssize_t n;

	if (e->tls) {
		size_t put;
		int rc;

		enter_tls(e);
		rc = SSL_write_ex(e->tls, buf, size, &put);
		if (rc == 1) {
			n = (ssize_t)put;
			e->write_events = POLLOUT;
		} else {
			n = tls_result(e, rc, &e->writable, &e->write_events);
		}
		/* With a message of the handshake half read, writing reads: what came behind it poll() will not tell. */
		if (has_buffered(e))
			e->readable = true;
		return n == IO_END ? IO_BROKEN : n;
	}
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

ssize_t io_handshake(struct endpoint *e)
{
	ssize_t n;
	int rc;

	enter_tls(e);
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
	struct pollfd fds[2] = {
		{ .fd = e->fd, .events = events == POLLIN ? e->read_events : e->write_events },
		{ .fd = client ? client->fd : -1, .events = POLLRDHUP },
	};

	for (;;) {
		int n = poll_until(fds, 2, deadline);

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
		if (fds[i].revents & (e->read_events | broken))
			e->readable = true;
		if (fds[i].revents & (e->write_events | broken))
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
	struct tls_socket *s;
	size_t used;

	if (!e->tls)
		return;
	s = socket_of(e);
	used = has_buffered(e) ? s->end : 0;
	io_give_back(s->buf + used, sizeof(s->buf) - used);
}

void io_linger(struct endpoint *e, int64_t deadline)
{
	static const int timeout = IO_ORPHAN_TIMEOUT_MS;
	uint8_t rest[4096];

	/* Without a process there is nobody whose pause to bear with: vanished clients must not pile up in the kernel. */
	setsockopt(e->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	shutdown(e->fd, SHUT_WR);
	while (io_now() < deadline) {
		ssize_t n = io_read(e, rest, sizeof(rest));

		if (n == IO_END || n == IO_BROKEN)
			return;
		if (n == IO_AGAIN) {
			struct pollfd fd = { .fd = e->fd, .events = POLLIN };

			poll_until(&fd, 1, deadline); /* SIGTERM has been heard, if it came */
		}
	}
}
