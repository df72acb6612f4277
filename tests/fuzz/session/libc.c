/* SPDX-License-Identifier: Apache-2.0
 *
 * Replaces libc for a fuzzed session (the linker's --wrap): calls for descriptors, time and the
 * process get their results from the modelled world of world.h. Before and after a session, the
 * calls go to libc. This file is compiled without sanitizers, because they make these calls
 * themselves when they start.
 */
#include "tests/fuzz/session/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "session/sink.h"

enum {
	IDLE_MAX = 2000, /* calls without progress; a turn of the session's loop makes some 10 */
	YEAR_S = 31536000,
};

/* --- the kernel ----------------------------------------------------------------------------- */

/* Counts each call of the session, which must not loop without progress. */
static void count_call(void)
{
	world.idle++;
	REQUIRE(world.idle < IDLE_MAX, "the session does not get on");
}

static bool interrupted(void)
{
	if (world.interruptions == 0)
		return false;
	world.interruptions--;
	errno = EINTR;
	return true;
}

static struct peer *peer_of(int fd)
{
	REQUIRE(fd == WORLD_CLIENT || fd == WORLD_UPSTREAM, "descriptor %d", fd);
	return fd == WORLD_CLIENT ? &world.client : &world.upstream;
}

static size_t at_most(size_t n, size_t limit)
{
	n = n < limit ? n : limit;
	if (world.chops > 0 && n > 0) {
		world.chops--;
		n = n < world.chop ? n : world.chop;
	}
	return n;
}

/* Declares the two functions of --wrap: libc's own, and ours, whose body follows. */
#define WRAP(type, name, ...) \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(ssize_t, recv, int fd, void *buf, size_t size, int flags)
{
	struct peer *p;

	if (!world.on)
		return __real_recv(fd, buf, size, flags);
	count_call();
	p = peer_of(fd);
	if (interrupted())
		return -1;
	REQUIRE(size > 0, "a read of nothing looks like the end");
	if (p->read < p->sent) {
		size = at_most(size, p->sent - p->read);
		memcpy(buf, p->bytes + p->read, size);
		witness_read(p == &world.client, p->bytes + p->read, size);
		p->read += size;
		p->taken = world.now;
		world.idle = 0;
		return (ssize_t)size;
	}
	if (p->fin && !p->reset)
		return 0;
	errno = p->reset ? ECONNRESET : EAGAIN;
	return -1;
}

/* TLS accepted these bytes but could not send them: the next write must begin with the same
 * bytes. */
static void hold_to_offer(struct peer *p, const uint8_t *bytes, size_t size)
{
	REQUIRE(size >= p->n_offered && memcmp(bytes, p->offered, p->n_offered) == 0,
		"other bytes after a write that had to wait");
}

WRAP(ssize_t, send, int fd, const void *buf, size_t size, int flags)
{
	static uint8_t copy[WORLD_BYTES_MAX];
	struct peer *p;

	if (!world.on)
		return __real_send(fd, buf, size, flags);
	count_call();
	p = peer_of(fd);
	if (interrupted())
		return -1;
	REQUIRE(size > 0 && size <= sizeof(copy) && flags & MSG_NOSIGNAL, "a write of %zu bytes", size);
	memcpy(copy, buf, size); /* the address sanitizer checks memcpy() */
	if (p == &world.upstream)
		hold_to_offer(p, copy, size);
	if (p->deaf || p->reset) {
		p->refused = true;
		p->blocked = 0;
		errno = p->reset ? ECONNRESET : EPIPE;
		return -1;
	}
	if (p->room == 0) {
		p->refused = true;
		p->blocked = p->blocked ? p->blocked : world.now;
		p->n_offered = size < sizeof(p->offered) ? size : sizeof(p->offered);
		memcpy(p->offered, copy, p->n_offered);
		errno = EAGAIN;
		return -1;
	}
	p->refused |= size > p->room;
	size = at_most(size, p->room);
	if (p->room != SIZE_MAX)
		p->room -= size;
	p->n_offered = 0;
	p->blocked = 0;
	p->owes = true;
	witness_written(p == &world.client, copy, size);
	world.idle = 0;
	return (ssize_t)size;
}

static short seen(const struct pollfd *fd)
{
	const struct peer *p;
	int events = 0;

	if (fd->fd < 0)
		return 0;
	p = peer_of(fd->fd);
	if (p->read < p->sent || p->fin || p->reset)
		events |= POLLIN;
	if (p->room > 0 || p->deaf || p->reset)
		events |= POLLOUT;
	if (p->fin || p->reset)
		events |= POLLRDHUP;
	return (short)((events & fd->events) | (p->reset ? POLLERR | POLLHUP : 0));
}

WRAP(int, ppoll, struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	int64_t left;

	if (!world.on)
		return __real_ppoll(fds, n, ts, mask);
	count_call();
	if (interrupted())
		return -1;
	left = ts->tv_sec > YEAR_S ? INT64_C(1000) * YEAR_S : ts->tv_sec * 1000 + ts->tv_nsec / 1000000;
	REQUIRE(ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000, "a timeout that is none");
	for (;;) {
		const int64_t before = world.now;
		int count = 0;

		if (world.terminating) {
			world.terminating = false;
			REQUIRE(world.on_sigterm, "SIGTERM would kill");
			world.on_sigterm(SIGTERM);
			errno = EINTR;
			return -1;
		}
		if (world.settings.upstream & 0x40 && witness_pong_due())
			world_pong();
		for (nfds_t i = 0; i < n; i++) {
			fds[i].revents = seen(&fds[i]);
			count += fds[i].revents != 0;
		}
		if (count > 0 || left <= 0)
			return count;
		witness_wait();
		if (world.over || world.pending_time > 0) {
			if (world_pass_time(left))
				return 0;
			left -= world.now - before;
		} else {
			world.idle = 0;
			world_happen();
		}
	}
}

WRAP(int, clock_gettime, clockid_t clock, struct timespec *ret)
{
	if (!world.on)
		return __real_clock_gettime(clock, ret);
	count_call();
	*ret = (struct timespec){ world.now / 1000, world.now % 1000 * 1000000 };
	return 0;
}

WRAP(time_t, time, time_t *ret)
{
	return world.on ? WORLD_EPOCH + (world.now - WORLD_BEGAN) / 1000 : __real_time(ret);
}

WRAP(int, clock_nanosleep, clockid_t clock, int flags, const struct timespec *when, struct timespec *rest)
{
	if (!world.on)
		return __real_clock_nanosleep(clock, flags, when, rest);
	count_call();
	if (interrupted())
		return EINTR;
	if (when->tv_sec * 1000 + when->tv_nsec / 1000000 > world.now)
		world.now = when->tv_sec * 1000 + when->tv_nsec / 1000000;
	return 0;
}

WRAP(int, getpeername, int fd, struct sockaddr *address, socklen_t *len)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(40000),
				  .sin_addr.s_addr = htonl(0xC0000201) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(40000),
				   .sin6_addr.s6_addr = { 0x20, 1, 0xD, 0xB8 } };

	if (!world.on)
		return __real_getpeername(fd, address, len);
	switch (world.settings.rest & 7) {
	case 0:
		errno = ENOTCONN;
		return -1;
	case 1:
		address->sa_family = AF_UNIX;
		return 0;
	case 2: /* 192.0.2.1 as an IPv4-mapped IPv6 address */
		v6.sin6_addr =
			(struct in6_addr){ .s6_addr = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1 } };
		__attribute__((fallthrough));
	case 3:
		memcpy(address, &v6, sizeof(v6));
		*len = sizeof(v6);
		return 0;
	default:
		memcpy(address, &v4, sizeof(v4));
		*len = sizeof(v4);
		return 0;
	}
}

WRAP(int, shutdown, int fd, int how)
{
	if (!world.on)
		return __real_shutdown(fd, how);
	REQUIRE(peer_of(fd) && how == SHUT_WR, "shutdown");
	return 0;
}

WRAP(int, close, int fd)
{
	return world.on ? 0 : __real_close(fd);
}

/* The session opens only /dev/null here. Functions that open other files are replaced as a
 * whole. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	unsigned mode = 0;

	if (flags & O_CREAT) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, unsigned);
		va_end(args);
	}
	if (!world.on)
		return __real_open(path, flags, mode);
	REQUIRE(strcmp(path, "/dev/null") == 0, "%s", path);
	return 3;
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long number, ...);
int __wrap_ioctl(int fd, unsigned long number, ...)
{
	struct peer *p;
	va_list args;
	int *ret;

	va_start(args, number);
	ret = va_arg(args, int *);
	va_end(args);
	if (!world.on)
		return __real_ioctl(fd, number, ret);
	p = peer_of(fd);
	*ret = number == FIONREAD ? (int)(p->sent - p->read) : (int)world_owes(p);
	return 0;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	long value;

	va_start(args, command);
	value = va_arg(args, long);
	va_end(args);
	return world.on ? 0 : __real_fcntl(fd, command, value);
}

WRAP(int, getsockopt, int fd, int level, int option, void *value, socklen_t *len)
{
	struct tcp_info *info = value;
	const struct peer *p;

	if (!world.on)
		return __real_getsockopt(fd, level, option, value, len);
	if (option != TCP_INFO)
		return 0;
	/* A peer that only does not read still acknowledges data. */
	p = peer_of(fd);
	memset(info, 0, sizeof(*info));
	info->tcpi_unacked = world_owes(p);
	info->tcpi_retransmits = p->vanished ? 2 : 0;
	info->tcpi_last_ack_recv = p->vanished ? (unsigned)(world.now - p->vanished) : 0;
	info->tcpi_last_data_recv = (unsigned)(world.now - p->arrived);
	return 0;
}

WRAP(int, setsockopt, int fd, int level, int option, const void *value, socklen_t len)
{
	return world.on ? 0 : __real_setsockopt(fd, level, option, value, len);
}

/* Under inetd, standard error is the client's socket, too. */
WRAP(int, fstat, int fd, struct stat *ret)
{
	if (!world.on)
		return __real_fstat(fd, ret);
	memset(ret, 0, sizeof(*ret));
	ret->st_ino = world.settings.config & 4 ? 1 : (ino_t)fd;
	return 0;
}

WRAP(int, access, const char *path, int mode)
{
	return world.on ? 0 : __real_access(path, mode);
}

WRAP(int, dup2, int from, int to)
{
	return world.on ? to : __real_dup2(from, to);
}

/* --- the process ---------------------------------------------------------------------------- */

typedef void handler(int);

WRAP(handler *, signal, int number, handler *action)
{
	return world.on ? SIG_DFL : __real_signal(number, action);
}

WRAP(int, sigaction, int number, const struct sigaction *action, struct sigaction *old)
{
	if (!world.on)
		return __real_sigaction(number, action, old);
	REQUIRE(number == SIGTERM, "signal %d", number);
	world.on_sigterm = action->sa_handler;
	return 0;
}

WRAP(int, sigprocmask, int how, const sigset_t *set, sigset_t *old)
{
	if (!world.on)
		return __real_sigprocmask(how, set, old);
	return old ? sigemptyset(old) : 0;
}

WRAP(int, setrlimit, int resource, const struct rlimit *limit)
{
	return world.on ? 0 : __real_setrlimit(resource, limit);
}

int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
	(void)option;
	return 0;
}

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status)
{
	if (world.on)
		witness_exit(status);
	__real__exit(status);
}

/* Gives the same bytes in every run, or fails. */
WRAP(int, RAND_bytes, unsigned char *bytes, int n)
{
	if (!world.on)
		return __real_RAND_bytes(bytes, n);
	world.randoms++;
	if (world.settings.rest & 0x80 && world.randoms > 1)
		return 0;
	for (int i = 0; i < n; i++)
		bytes[i] = filler(world.randoms * 64 + (unsigned)i);
	return 1;
}

/* --- the log -------------------------------------------------------------------------------- */

/* Closes nothing: the fuzzer has descriptors that do not belong to the session. */
void __wrap_closefrom(int lowest);
void __wrap_closefrom(int lowest)
{
	REQUIRE(lowest == STDERR_FILENO + 1, "descriptors from %d on", lowest);
}

static bool to_stderr;

void sink_open_stderr(void)
{
	to_stderr = true;
}

int sink_open_socket(const char *path)
{
	(void)path;
	to_stderr = false;
	return 0;
}

void sink_put(const void *record, size_t len)
{
	REQUIRE(!to_stderr || !(world.settings.config & 4), "a log that the client can read");
	REQUIRE(len <= SINK_LINE_MAX, "a line of %zu bytes", len);
	witness_log(record, len);
}

void sink_drain(int64_t deadline)
{
	(void)deadline;
}

unsigned sink_take_lost(void)
{
	return 0;
}

void __wrap_systemd_record(const char *const fields[], size_t n);
void __wrap_systemd_record(const char *const fields[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		witness_log(fields[i], strlen(fields[i]));
}

void __wrap_systemd_status(const char *text);
void __wrap_systemd_status(const char *text)
{
	witness_log(text, strlen(text));
}

int __wrap_systemd_open_journal(void);
int __wrap_systemd_open_journal(void)
{
	return 0;
}
