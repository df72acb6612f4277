/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests io.h on real sockets: the options that both connections of a session have, waiting with a
 * deadline, and TLS with a server that sends more than data.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"
#include "lib/linger.h"

static int get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, option, &value, &len), 0);
	return value;
}

/* A TCP connection over loopback. */
static void connect_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&address, len), 0);
	pair[1] = accept(listener, NULL, NULL);
	close(listener);
}

static void test_vanished_peers_do_not_hold_a_session(void **state)
{
	int pair[2];

	(void)state;
	connect_pair(pair);
	assert_int_equal(io_prepare(pair[0]), OK);
	assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(pair[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_option(pair[0], SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_KEEPIDLE), 20);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_KEEPINTVL), 10);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 0);

	/* The kernel does not keep unsent data for long after the process has ended. */
	struct endpoint e = io_endpoint(pair[0], NULL);

	linger(&e, NULL, 0);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 10000);
	close(pair[0]);
	close(pair[1]);
}

static void test_read_write_and_the_ways_to_end(void **state)
{
	struct endpoint e;
	char buf[8];
	int pair[2];

	(void)state;
	connect_pair(pair);
	assert_int_equal(io_prepare(pair[0]), OK);
	e = io_endpoint(pair[0], NULL);
	assert_int_equal(io_read(&e, buf, sizeof(buf)), IO_AGAIN);
	assert_false(e.readable);
	assert_int_equal(write(pair[1], "abc", 3), 3);
	assert_int_equal(io_wait(&e, POLLIN, NULL, io_now() + 1000), OK);
	assert_int_equal(io_read(&e, buf, sizeof(buf)), 3);
	shutdown(pair[1], SHUT_WR);
	assert_int_equal(io_wait(&e, POLLIN, NULL, io_now() + 1000), OK);
	assert_int_equal(io_read(&e, buf, sizeof(buf)), IO_END);
	assert_int_equal(io_write(&e, "abc", 3), 3); /* the peer has ended only its own direction */
	close(pair[0]);
	close(pair[1]);

	connect_pair(pair);
	assert_int_equal(io_prepare(pair[0]), OK);
	e = io_endpoint(pair[0], NULL);
	setsockopt(pair[1], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(pair[1]);
	assert_int_equal(io_read(&e, buf, sizeof(buf)), IO_BROKEN);
	assert_int_equal(io_write(&e, "abc", 3), IO_BROKEN);
	close(pair[0]);
}

static void test_wait_keeps_its_deadline_and_watches_the_client(void **state)
{
	int pair[2], other[2];
	struct endpoint e, client;
	int64_t began;

	(void)state;
	connect_pair(pair);
	connect_pair(other);
	io_prepare(pair[0]);
	io_prepare(other[0]);
	e = io_endpoint(pair[0], NULL);
	client = io_endpoint(other[0], NULL);
	began = io_now();
	assert_int_equal(io_wait(&e, POLLIN, &client, began + 50), IO_TIMEOUT);
	assert_true(io_now() - began >= 50 && io_now() - began <= 1000);
	assert_int_equal(write(other[1], "early", 5), 5); /* data does not mean that the client has left */
	assert_int_equal(io_wait(&e, POLLIN, &client, io_now() + 10), IO_TIMEOUT);
	close(other[1]);
	assert_int_equal(io_wait(&e, POLLIN, &client, io_now() + 1000), IO_HANGUP);
	close(pair[0]);
	close(pair[1]);
	close(other[0]);
}

/* --- TLS ---------------------------------------------------------------------------------- */

enum { TICKET = 1500, FRAGMENT = 512 };

/* A TLS server whose records stay in memory until let_go() sends them, and its client, which uses
 * io.h. */
struct server {
	int pair[2]; /* ours, the server's */
	SSL_CTX *contexts[2];
	SSL *tls;
	BIO *in, *out;
	struct endpoint client;
};

static int make_ticket(SSL *tls, void *unused)
{
	static const char large[TICKET];

	(void)unused;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(tls), large, sizeof(large));
}

static SSL_TICKET_RETURN take_ticket(SSL *tls, SSL_SESSION *session, const unsigned char *name, size_t len,
				     SSL_TICKET_STATUS status, void *unused)
{
	(void)tls, (void)session, (void)name, (void)len, (void)status, (void)unused;
	return SSL_TICKET_RETURN_IGNORE;
}

/* Sends n bytes of the server's records to the client, or all if n is 0. */
static void let_go(struct server *s, size_t n)
{
	char bytes[65536];
	int count = BIO_read(s->out, bytes, n ? (int)n : (int)sizeof(bytes));

	if (count > 0)
		assert_int_equal(write(s->pair[1], bytes, (size_t)count), count);
}

static void begin_server(struct server *s)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	SSL *tls;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s->pair), 0);
	fcntl(s->pair[0], F_SETFL, O_NONBLOCK);
	fcntl(s->pair[1], F_SETFL, O_NONBLOCK);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_true(X509_set_pubkey(cert, key) && X509_sign(cert, key, EVP_sha256()) > 0);
	s->contexts[0] = SSL_CTX_new(TLS_client_method());
	s->contexts[1] = SSL_CTX_new(TLS_server_method());
	assert_true(SSL_CTX_use_certificate(s->contexts[1], cert) && SSL_CTX_use_PrivateKey(s->contexts[1], key));
	assert_true(SSL_CTX_set_session_ticket_cb(s->contexts[1], make_ticket, take_ticket, NULL));
	assert_true(SSL_CTX_set_max_send_fragment(s->contexts[1], FRAGMENT) &&
		    SSL_CTX_set_num_tickets(s->contexts[1], 0));
	X509_free(cert);
	EVP_PKEY_free(key);

	tls = SSL_new(s->contexts[0]);
	SSL_set_connect_state(tls);
	s->client = io_endpoint(s->pair[0], NULL);
	assert_int_equal(io_begin_tls(&s->client, tls), OK);
	s->tls = SSL_new(s->contexts[1]);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	SSL_set_bio(s->tls, s->in, s->out);
	SSL_set_accept_state(s->tls);
	for (int i = 0; i < 5; i++) {
		char bytes[8192];
		ssize_t n;

		io_handshake(&s->client);
		n = recv(s->pair[1], bytes, sizeof(bytes), 0);
		if (n > 0)
			BIO_write(s->in, bytes, (int)n);
		SSL_do_handshake(s->tls);
		let_go(s, 0);
	}
	assert_true(SSL_is_init_finished(s->tls) && SSL_is_init_finished(s->client.tls));
}

static void end_server(struct server *s)
{
	SSL_free(s->client.tls);
	SSL_free(s->tls);
	SSL_CTX_free(s->contexts[0]);
	SSL_CTX_free(s->contexts[1]);
	close(s->pair[0]);
	close(s->pair[1]);
}

/* A write while a session ticket is incomplete also reads the rest of the ticket, and the data
 * after it. Then the endpoint must be marked readable, because poll() does not report this data. */
static void test_data_that_a_write_has_read_is_not_forgotten(void **state)
{
	struct server s;
	char bytes[100];

	(void)state;
	begin_server(&s);
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), IO_AGAIN);
	assert_true(SSL_new_session_ticket(s.tls) && SSL_do_handshake(s.tls) == 1);
	assert_int_equal(SSL_write(s.tls, "hello", 5), 5);
	let_go(&s, FRAGMENT + 100);
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), IO_AGAIN);
	assert_false(s.client.readable);
	let_go(&s, 0);
	assert_int_equal(io_write(&s.client, "x", 1), 1);
	assert_true(s.client.readable);
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
	end_server(&s);
}

/* A short read has emptied the socket. Nothing reads again before poll() reports data. */
static void test_a_short_read_is_the_last(void **state)
{
	struct server s;
	char bytes[100];

	(void)state;
	begin_server(&s);
	assert_int_equal(SSL_write(s.tls, "one", 3), 3);
	assert_int_equal(SSL_write(s.tls, "three", 5), 5);
	let_go(&s, 0);
	assert_int_equal(io_read(&s.client, bytes, 2), 2);
	assert_true(s.client.readable); /* the rest of a record */
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), 1);
	assert_true(s.client.readable); /* a second record, which the first read also received */
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), 5);
	assert_false(s.client.readable);
	assert_int_equal(SSL_write(s.tls, "four", 4), 4);
	let_go(&s, 10);
	assert_int_equal(io_wait(&s.client, POLLIN, NULL, io_now() + 1000), OK);
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), IO_AGAIN); /* the record is incomplete */
	let_go(&s, 0);
	assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), 4);
	assert_memory_equal(bytes, "four", 4);
	assert_false(s.client.readable);
	end_server(&s);
}

/* Fills the connection until a TLS record is only partly sent. Returns how many bytes TLS
 * accepted. */
static size_t block(struct server *s)
{
	static const char bytes[65536];
	size_t taken = 0;
	ssize_t n;

	while ((n = io_write(&s->client, bytes, sizeof(bytes))) > 0)
		taken += (size_t)n;
	assert_int_equal(n, IO_AGAIN);
	assert_true(io_backlog(&s->client) > 0);
	return taken;
}

/* The server reads what has arrived. Returns the number of bytes of data in it. */
static size_t take(struct server *s)
{
	char bytes[65536];
	size_t taken = 0;
	ssize_t n;

	while ((n = recv(s->pair[1], bytes, sizeof(bytes), 0)) > 0)
		BIO_write(s->in, bytes, (int)n);
	while ((n = SSL_read(s->tls, bytes, sizeof(bytes))) > 0)
		taken += (size_t)n;
	assert_int_equal(SSL_get_error(s->tls, (int)n), SSL_ERROR_WANT_READ);
	return taken;
}

/* The server reads until it has all sent bytes and none waits, in at most rounds rounds. Returns
 * how many it got. */
static size_t take_all(struct server *s, size_t sent, int rounds)
{
	char bytes[100];
	size_t got = 0;

	for (int i = 0; i < rounds && (got < sent || io_backlog(&s->client) > 0); i++) {
		got += take(s);
		assert_int_equal(io_wait(&s->client, POLLOUT, NULL, io_now() + 1000), OK);
		io_read(&s->client, bytes, sizeof(bytes));
	}
	return got + take(s);
}

/* The server sends text, which the client reads. */
static void hear(struct server *s, const char *text)
{
	const int len = (int)strlen(text);
	char bytes[100];

	assert_int_equal(SSL_write(s->tls, text, len), len);
	let_go(s, 0);
	assert_int_equal(io_wait(&s->client, POLLIN, NULL, io_now() + 1000), OK);
	assert_int_equal(io_read(&s->client, bytes, sizeof(bytes)), len);
	assert_memory_equal(bytes, text, (size_t)len);
}

/* Proxmox updates its TLS keys, and requests the same from us, while it does not read. OpenSSL
 * would end the connection if it had a half-sent record. It has none, because io.c keeps unsent
 * records. */
static void test_key_update_while_a_write_is_blocked(void **state)
{
	struct server s;
	size_t sent;

	(void)state;
	begin_server(&s);
	sent = block(&s);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_key_update(s.tls, SSL_KEY_UPDATE_REQUESTED), 1);
		hear(&s, "hello");
	}
	assert_int_equal(take_all(&s, sent, 100), sent);
	assert_int_equal(io_write(&s.client, "more", 4), 4); /* with the new keys */
	assert_int_equal(take(&s), 4);
	hear(&s, "bye");
	end_server(&s);
}

/* A peer that requests thousands of key updates, and reads no answer, does not fill our memory. */
static void test_key_updates_without_end(void **state)
{
	struct server s;
	char bytes[100];
	size_t sent;

	(void)state;
	begin_server(&s);
	sent = block(&s);
	for (int i = 0; i < 5000 && s.client.read_events == POLLIN; i++) {
		assert_int_equal(SSL_key_update(s.tls, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(s.tls), 1);
		let_go(&s, 0);
		assert_int_equal(io_read(&s.client, bytes, sizeof(bytes)), IO_AGAIN);
	}
	assert_true(io_backlog(&s.client) >= 1 && io_backlog(&s.client) <= 24 * 1024);
	assert_int_equal(take_all(&s, sent, 1000), sent);
	end_server(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vanished_peers_do_not_hold_a_session),
		cmocka_unit_test(test_read_write_and_the_ways_to_end),
		cmocka_unit_test(test_wait_keeps_its_deadline_and_watches_the_client),
		cmocka_unit_test(test_data_that_a_write_has_read_is_not_forgotten),
		cmocka_unit_test(test_a_short_read_is_the_last),
		cmocka_unit_test(test_key_update_while_a_write_is_blocked),
		cmocka_unit_test(test_key_updates_without_end),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
