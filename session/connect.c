/* SPDX-License-Identifier: Apache-2.0
 *
 * Connects to one address without blocking. dial.c and store.c call it.
 */
#include "session/connect.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/error.h"

/* Waits until connect(2) on fd is done. Returns 0 with its errno, or ETIMEDOUT, in *ret_errno; or
 * as io_wait(). */
static int finish(int fd, const struct endpoint *watched, int64_t deadline, int *ret_errno)
{
	struct endpoint connecting = io_endpoint(fd, NULL);
	socklen_t len = sizeof(*ret_errno);
	int rc = io_wait(&connecting, POLLOUT, watched, deadline);

	if (rc == IO_TIMEOUT)
		*ret_errno = ETIMEDOUT;
	else if (rc == OK)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &len);
	return rc == IO_TIMEOUT ? OK : rc;
}

int connect_address(const struct addrinfo *a, const struct endpoint *watched, int64_t deadline, int *ret_fd,
		    int *ret_errno)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol), rc = OK;

	*ret_errno = 0;
	if (fd < 0 || io_prepare(fd) < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0)
		*ret_errno = errno;
	if (*ret_errno == EINPROGRESS)
		rc = finish(fd, watched, deadline, ret_errno);
	if (rc == OK && *ret_errno == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return rc;
}
