/* SPDX-License-Identifier: Apache-2.0
 *
 * io.c on real sockets: the options that both connections of a session have, and waiting with a
 * deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "error.h"
#include "io.h"

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
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_KEEPIDLE), 60);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_KEEPINTVL), 15);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_KEEPCNT), 4);
	assert_int_equal(get_option(pair[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 300000);

	/* Nor does what is left to send hold the kernel when the process is gone. */
	struct endpoint e = io_endpoint(pair[0], NULL);

	io_linger(&e, 0);
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
	assert_int_equal(io_write(&e, "abc", 3), 3); /* only one way has ended */
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
	assert_int_equal(io_wait(&e, POLLIN, &client, began + 50), ERR_REQUEST_TIMEOUT);
	assert_in_range(io_now() - began, 50, 1000);
	assert_int_equal(write(other[1], "early", 5), 5); /* data is no leaving */
	assert_int_equal(io_wait(&e, POLLIN, &client, io_now() + 10), ERR_REQUEST_TIMEOUT);
	close(other[1]);
	assert_int_equal(io_wait(&e, POLLIN, &client, io_now() + 1000), ERR_CLIENT_GONE);
	close(pair[0]);
	close(pair[1]);
	close(other[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vanished_peers_do_not_hold_a_session),
		cmocka_unit_test(test_read_write_and_the_ways_to_end),
		cmocka_unit_test(test_wait_keeps_its_deadline_and_watches_the_client),
	};

	return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
