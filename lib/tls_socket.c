/* SPDX-License-Identifier: Apache-2.0
 *
 * A BIO that gives OpenSSL many records with one read, and lets it write only whole records. io.c
 * attaches one to each TLS connection.
 */
#include "lib/tls_socket.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/pages.h"

enum {
	TLS_HEADER = 5,   /* bytes of a record's header */
	TLS_LARGE = 4096, /* records of this many bytes are read directly, not through the buffer */
};

struct tls_socket {
	int fd;
	size_t budget;       /* bytes that this call into OpenSSL may still read */
	size_t ahead;        /* bytes to read beyond those that OpenSSL asks for */
	size_t at_once;      /* its limit */
	size_t at, end;      /* in[at..end) was read from the kernel, but OpenSSL has not read it yet */
	size_t sent, queued; /* out[sent..queued) waits until the kernel has room */
	int error;           /* errno of the last read */
	bool drained;        /* the last read emptied the kernel's buffer: poll() reports what comes next */
	/* Untouched pages of both buffers are never allocated. */
	uint8_t in[TLS_SOCKET_AT_ONCE];
	uint8_t out[TLS_SOCKET_BACKLOG];
};

static struct tls_socket *socket_of(SSL *tls)
{
	return BIO_get_data(SSL_get_rbio(tls));
}

/* --- reading ------------------------------------------------------------------------------ */

/* Reads up to size bytes into buf, and up to s->ahead more into s->in, which must be empty. Returns
 * as readv(); fails with EAGAIN if the budget is used up. */
static ssize_t read_ahead(struct tls_socket *s, char *buf, size_t size)
{
	const struct iovec to[2] = { { buf, size }, { s->in, s->ahead } };
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
	s->error = n < 0 ? errno : 0;
	s->drained = n < (ssize_t)(size + s->ahead);
	s->at = 0;
	s->end = n > (ssize_t)size ? (size_t)n - size : 0;
	return n;
}

/* OpenSSL reads each record's header and then its body; without a buffer these are two system
 * calls. OpenSSL's own read-ahead would move all buffered bytes for each record. Therefore this
 * function reads many small records with one call and copies them. It reads a large record directly
 * to its destination, and only the next record's header into the buffer. */
static int on_read(BIO *bio, char *buf, size_t size, size_t *ret_n)
{
	struct tls_socket *s = BIO_get_data(bio);
	const size_t buffered = s->end - s->at;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (size != TLS_HEADER)
		s->ahead = size >= TLS_LARGE ? TLS_HEADER : s->at_once;
	if (buffered > 0) {
		*ret_n = size < buffered ? size : buffered;
		memcpy(buf, s->in + s->at, *ret_n);
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

/* --- writing ------------------------------------------------------------------------------ */

/* Sends as much of bytes[0..size) as the kernel accepts. Returns how much, or -1 if the connection
 * is broken. */
static ssize_t send_some(const struct tls_socket *s, const void *bytes, size_t size)
{
	ssize_t n;

	do {
		n = send(s->fd, bytes, size, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n;
}

/* Writes the waiting bytes. Returns false if the connection is broken: then it drops them. */
static bool flush_backlog(struct tls_socket *s)
{
	ssize_t n = 0;

	if (s->sent < s->queued)
		n = send_some(s, s->out + s->sent, s->queued - s->sent);
	if (n >= 0)
		s->sent += (size_t)n;
	if (n < 0 || s->sent == s->queued)
		s->sent = s->queued = 0;
	return n >= 0;
}

/* Writes a whole record, or buffers the part that the kernel has no room for. Lets OpenSSL retry if
 * the buffer has no room for all of it. */
static int on_write(BIO *bio, const char *buf, size_t size, size_t *ret_n)
{
	struct tls_socket *s = BIO_get_data(bio);
	ssize_t n = 0;

	BIO_clear_retry_flags(bio);
	if (s->queued == 0)
		n = send_some(s, buf, size);
	else if (!flush_backlog(s))
		n = -1;
	if (n < 0)
		return 0;
	if (s->sent > 0 && size - (size_t)n > sizeof(s->out) - s->queued) {
		memmove(s->out, s->out + s->sent, s->queued - s->sent);
		s->queued -= s->sent;
		s->sent = 0;
	}
	if (size - (size_t)n > sizeof(s->out) - s->queued) {
		if (n == 0) {
			BIO_set_retry_write(bio);
			return 0;
		}
		*ret_n = (size_t)n; /* does not happen: no record is this large. OpenSSL would retry the rest. */
		return 1;
	}
	memcpy(s->out + s->queued, buf + n, size - (size_t)n);
	s->queued += size - (size_t)n;
	*ret_n = size;
	return 1;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH; /* reports success; tls_socket_flush() sends the backlog later */
}

static int on_destroy(BIO *bio)
{
	OPENSSL_free(BIO_get_data(bio));
	return 1;
}

/* --- tls_socket.h ------------------------------------------------------------------------- */

bool tls_socket_attach(SSL *tls, int fd)
{
	static BIO_METHOD *method;
	struct tls_socket *s = OPENSSL_malloc(sizeof(*s));
	BIO *bio;

	if (!method)
		method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");
	if (!s || !method || BIO_meth_set_read_ex(method, on_read) != 1 ||
	    BIO_meth_set_write_ex(method, on_write) != 1 || BIO_meth_set_ctrl(method, on_control) != 1 ||
	    BIO_meth_set_destroy(method, on_destroy) != 1 || !(bio = BIO_new(method))) {
		OPENSSL_free(s);
		return false;
	}
	s->fd = fd;
	s->budget = s->at = s->end = s->sent = s->queued = 0;
	s->error = 0;
	s->drained = false;
	s->ahead = s->at_once = sizeof(s->in);
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls, bio, bio);
	/* One call writes one record: a second record could find the backlog full and stay
	 * partial. */
	SSL_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return true;
}

void tls_socket_enter(SSL *tls)
{
	socket_of(tls)->budget = TLS_SOCKET_BUDGET;
}

void tls_socket_limit(SSL *tls, size_t at_once)
{
	struct tls_socket *s = socket_of(tls);

	s->ahead = s->at_once = at_once < sizeof(s->in) ? at_once : sizeof(s->in);
}

bool tls_socket_has_input(SSL *tls)
{
	const struct tls_socket *s = socket_of(tls);

	return s->at != s->end;
}

bool tls_socket_is_drained(SSL *tls)
{
	return socket_of(tls)->drained && !tls_socket_has_input(tls) && SSL_pending(tls) == 0;
}

int tls_socket_error(SSL *tls)
{
	return socket_of(tls)->error;
}

size_t tls_socket_backlog(SSL *tls)
{
	const struct tls_socket *s = socket_of(tls);

	return s->queued - s->sent;
}

bool tls_socket_flush(SSL *tls)
{
	return flush_backlog(socket_of(tls));
}

void tls_socket_release(SSL *tls)
{
	struct tls_socket *s = socket_of(tls);
	const size_t used = tls_socket_has_input(tls) ? s->end : 0;

	pages_release(s->in + used, sizeof(s->in) - used);
	pages_release(s->out + s->queued, sizeof(s->out) - s->queued);
}
