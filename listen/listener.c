/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens, accepts from and closes listening sockets. proxxy-listen.c calls it.
 */
#include "listen/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	BACKLOG = 4096,      /* connections that wait; Backlog= in proxxy.socket. somaxconn limits it too */
	DEFER_ACCEPT_S = 30, /* a client that sends nothing has no process; as DeferAcceptSec= */
	ALL_PERMISSIONS = 0777,
};

/* Writes a sentence about name and errno to why. Returns status. */
static int fail(char *why, size_t size, int status, const char *step, const char *name)
{
	snprintf(why, size, "cannot %s %s: %s", step, name, strerror(errno));
	return status;
}

/* Returns EX_NOPERM if errno says that something is not allowed, else EX_OSERR. */
static int status_of_errno(void)
{
	return errno == EACCES || errno == EPERM ? EX_NOPERM : EX_OSERR;
}

/* Sets the options of a TCP socket. Returns 0, or -1 and errno. */
static int set_tcp_options(int fd, const struct address *address)
{
	const int on = 1, only_ipv6 = !address->both, defer = DEFER_ACCEPT_S;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -1;
	if (address->at.any.sa_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof(only_ipv6)) < 0)
		return -1;
	/* Without it everything works too: some kernels of sandboxes do not have it. */
	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer));
	return 0;
}

/* Returns true if the file at the address is a socket on which nobody listens any more. */
static bool is_stale(const struct address *address)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(address->at.local.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, &address->at.any, address->size) < 0 && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/* Binds a UNIX socket, whose file gets the mode from the first moment on, and notes which file it
 * is. Returns 0, or -1 and errno. */
static int bind_local(struct listener *l, mode_t mode)
{
	const char *path = l->address.at.local.sun_path;
	const mode_t before = umask(ALL_PERMISSIONS & ~mode);
	struct stat st;
	int rc;

	if (is_stale(&l->address))
		unlink(path);
	rc = bind(l->fd, &l->address.at.any, l->address.size);
	umask(before);
	if (rc < 0 || lstat(path, &st) < 0)
		return -1;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

/* Makes the socket, and binds it. Returns 0, or -1 and errno. */
static int open_and_bind(struct listener *l, mode_t mode)
{
	const int family = l->address.at.any.sa_family;
	int rc;

	l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -1;
	if (family == AF_UNIX)
		rc = bind_local(l, mode);
	else
		rc = set_tcp_options(l->fd, &l->address) < 0 ? -1 : bind(l->fd, &l->address.at.any, l->address.size);
	if (rc == 0)
		return 0;
	rc = errno;
	close(l->fd);
	l->fd = -1;
	errno = rc;
	return -1;
}

int listener_open(struct listener *ret, const struct address *address, const char *name, mode_t mode, char *why,
		  size_t size)
{
	struct listener l = { .fd = -1, .address = *address };
	int rc = open_and_bind(&l, mode);

	/* A kernel without IPv6, or with IPv6 switched off. */
	if (rc < 0 && address->both && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
		memset(&l.address, 0, sizeof(l.address));
		l.address.at.ipv4.sin_family = AF_INET;
		l.address.at.ipv4.sin_port = address->at.ipv6.sin6_port;
		l.address.size = sizeof(l.address.at.ipv4);
		rc = open_and_bind(&l, mode);
	}
	if (rc < 0)
		return fail(why, size, status_of_errno(), "listen on", name);
	if (listen(l.fd, BACKLOG) < 0) {
		fail(why, size, EX_OSERR, "listen on", name);
		listener_close(&l);
		return EX_OSERR;
	}
	*ret = l;
	return EX_OK;
}

int listener_accept(const struct listener *listener)
{
	return accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
}

void listener_hide(const struct listener *listener)
{
	const char *path = listener->address.at.local.sun_path;
	struct stat st;

	if (listener->fd >= 0 && listener->address.at.any.sa_family == AF_UNIX && lstat(path, &st) == 0 &&
	    st.st_dev == listener->dev && st.st_ino == listener->ino)
		unlink(path);
}

void listener_close(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	listener_hide(listener);
	close(listener->fd);
	listener->fd = -1;
}
