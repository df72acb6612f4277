/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests tls_socket.h: a session sends TLS's first message before its sandbox, and must not read
 * anything at that time, whatever the peer has sent.
 */
#include "tests/unit/guard.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/tls_socket.h"

static const char noise[] = "HTTP/1.1 400 This is not TLS\r\n\r\n";

static int waiting(int fd)
{
	int n = -1;

	assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
	return n;
}

static void reads_nothing_before_it_is_entered(void **state)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *tls = SSL_new(context);
	uint8_t hello[4096];
	int ends[2];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(send(ends[1], noise, sizeof(noise), 0), sizeof(noise));
	assert_true(tls_socket_attach(tls, ends[0]));
	SSL_set_connect_state(tls);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_get_error(tls, SSL_do_handshake(tls)), SSL_ERROR_WANT_READ);
		assert_int_equal(waiting(ends[0]), sizeof(noise));
	}
	n = recv(ends[1], hello, sizeof(hello), 0);
	assert_true(n > 5);
	assert_int_equal(hello[0], 22);                    /* a handshake record (RFC 8446 section 5.1) */
	assert_int_equal(hello[5], 1);                     /* a ClientHello */
	assert_int_equal(hello[3] << 8 | hello[4], n - 5); /* which is one, and complete */
	assert_int_equal(recv(ends[1], hello, sizeof(hello), 0), -1);

	tls_socket_enter(tls);
	assert_int_equal(SSL_get_error(tls, SSL_do_handshake(tls)), SSL_ERROR_SSL);
	assert_int_equal(waiting(ends[0]), 0);
	SSL_free(tls);
	SSL_CTX_free(context);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(reads_nothing_before_it_is_entered) };

	return RUN(tests);
}
