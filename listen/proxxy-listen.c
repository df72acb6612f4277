/* SPDX-License-Identifier: Apache-2.0
 *
 * proxxy-listen: accepts connections and starts a process for each of them (proxxy-conn), where
 * systemd does not: in a container, also as PID 1 without an init, and in the foreground. It reads
 * nothing from a connection, so it has no parser that a client could attack, and needs no library.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "listen/health.h"
#include "listen/listener.h"
#include "listen/options.h"
#include "listen/say.h"
#include "listen/sessions.h"

enum {
	/* After SIGTERM a session sends its Close and takes 6.5 s at most to end. TimeoutStopSec=
	 * in proxxy@.service is the same. Docker and Podman kill a container after 10 s. */
	GOODBYE_MS = 8 * 1000,
	/* When a process cannot be started, its client waits with an open connection and the others
	 * wait in the kernel. Then it is cut off, so that a balancer tries another host. */
	HOLD_MS = 1000,
	RETRY_MS = 100,    /* between two attempts to start a process or to accept */
	LAST_CALLS = 4096, /* connections that a drain accepts before it closes the sockets: the backlog */
	WHY_MAX = 512,     /* bytes of an error's sentence */
	NEVER = -1,        /* poll(): no deadline */
};

enum phase { ACCEPTING, DRAINING, ENDING, KILLED };

static struct options options;
static struct listener listeners[OPTIONS_LISTENERS_MAX];
static int signals = -1; /* a signalfd(2) */
static enum phase phase = ACCEPTING;
static bool was_full;

static struct {
	int fd;                /* a connection whose process could not be started yet; -1 for none */
	int64_t retry, giveup; /* times of say_now() */
} held = { .fd = -1 };

static int64_t pause_until; /* accept(2) failed: not before this time again */
static int64_t kill_at;     /* in the phase ENDING */

static struct say_limit cannot_start, cannot_accept, full;

/* --- start -------------------------------------------------------------------------------- */

/* Opens fds 0 to 2 if they are closed, closes all others, and hides our environment, which may hold
 * the key, from other processes of our user (proc(5)). Returns false if that fails. */
static bool harden(void)
{
	int fd;

	closefrom(STDERR_FILENO + 1);
	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	close(fd);
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		fcntl(fd, F_SETFD, 0); /* those opened above must stay open in sessions */
#ifndef PROXXY_SANITIZE                /* the leak sanitizer attaches to its own process with ptrace(2) */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	return true;
}

/* Blocks the signals and opens the descriptor that reports them. The kernel does not deliver a
 * signal without a handler to PID 1, but it keeps a blocked one. Returns false if that fails. */
static bool catch_signals(void)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD };
	struct sigaction before;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++) {
		sigaction(caught[i], NULL, &before);
		if (caught[i] == SIGHUP && before.sa_handler == SIG_IGN)
			continue; /* nohup(1) */
		signal(caught[i], SIG_DFL);
		sigaddset(&set, caught[i]);
	}
	signal(SIGPIPE, SIG_IGN); /* of the log */
	sigprocmask(SIG_SETMASK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals >= 0;
}

/* Opens all sockets. Returns EX_OK, or the exit status after an error was written; all are then
 * closed. */
static int open_listeners(void)
{
	char why[WHY_MAX];
	int rc;

	for (size_t i = 0; i < options.n; i++) {
		rc = listener_open(&listeners[i], &options.addresses[i], options.listen[i], options.mode, why,
				   sizeof(why));
		if (rc == EX_OK)
			continue;
		say("%s", why);
		while (i-- > 0)
			listener_close(&listeners[i]);
		return rc;
	}
	for (size_t i = 0; i < options.n; i++)
		say("Listening on %s%s, at most %zu processes", options.addresses[i].both ? "port " : "",
		    options.listen[i], options.max);
	return EX_OK;
}

static void close_listeners(void)
{
	for (size_t i = 0; i < options.n; i++)
		listener_close(&listeners[i]);
}

/* --- connections -------------------------------------------------------------------------- */

/* True for an error of posix_spawn(3) that may pass: limits of processes, memory. */
static bool may_pass(int error)
{
	return error == EAGAIN || error == ENOMEM;
}

/* Tries to start a session for the connection fd. Returns true when our copy of fd is closed: the
 * session runs, or it cannot be started now and this is the last attempt. */
static bool try_start(int fd, bool last)
{
	const int error = sessions_start(options.argv, fd);

	if (may_pass(error) && !last)
		return false;
	if (error)
		say_limited(&cannot_start, "Cannot start %s: %s. A client was cut off sessions=%zu", options.argv[0],
			    strerror(error), sessions_count());
	close(fd);
	return true;
}

/* Starts a session for the new connection fd. If that is not possible now, holds fd. */
static void start_session(int fd)
{
	if (try_start(fd, held.fd >= 0))
		return;
	held.fd = fd;
	held.giveup = say_now() + HOLD_MS;
	held.retry = say_now() + RETRY_MS;
}

/* Tries again to start the session of the held connection, if it is time. */
static void retry_held(void)
{
	const int64_t now = say_now();

	if (held.fd < 0 || now < held.retry || sessions_full())
		return;
	held.retry = now + RETRY_MS;
	if (try_start(held.fd, now >= held.giveup))
		held.fd = -1;
}

/* Accepts one connection of a listener that has one. */
static void accept_one(const struct listener *listener)
{
	const int fd = listener_accept(listener);

	if (fd >= 0) {
		start_session(fd);
		return;
	}
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED: /* the client left meanwhile; the others are of accept(2), "Error handling" */
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM: /* a firewall's rule */
		return;
	default: /* no descriptors (EMFILE, ENFILE), no memory (ENOBUFS, ENOMEM) */
		say_limited(&cannot_accept, "Cannot accept: %s. Clients wait sessions=%zu", strerror(errno),
			    sessions_count());
		pause_until = say_now() + RETRY_MS;
	}
}

/* --- the end ------------------------------------------------------------------------------ */

/* Accepts the connections that have arrived already, and then closes the sockets: these clients
 * would see a reset. */
static void drain(void)
{
	int fd, calls = 0;

	if (phase != ACCEPTING)
		return;
	phase = DRAINING;
	for (size_t i = 0; i < options.n; i++) {
		listener_hide(&listeners[i]);
		while (calls++ < LAST_CALLS && !sessions_full() && (fd = listener_accept(&listeners[i])) >= 0)
			start_session(fd);
	}
	close_listeners();
	say("Draining: accepts nothing more, exits after the last session sessions=%zu", sessions_count());
}

/* Closes the sockets and tells every session to end. */
static void end(const char *signal_name)
{
	if (phase >= ENDING)
		return;
	phase = ENDING;
	close_listeners();
	if (held.fd >= 0)
		close(held.fd);
	held.fd = -1;
	say("%s: accepts nothing more, ends all sessions sessions=%zu", signal_name, sessions_count());
	sessions_signal(SIGTERM);
	kill_at = say_now() + GOODBYE_MS;
}

static void kill_rest(void)
{
	if (phase != ENDING || say_now() < kill_at)
		return;
	phase = KILLED;
	say("Kills the sessions that did not end within %d s sessions=%zu", GOODBYE_MS / 1000, sessions_count());
	sessions_signal(SIGKILL);
}

static void read_signals(void)
{
	struct signalfd_siginfo got;

	while (read(signals, &got, sizeof(got)) == (ssize_t)sizeof(got))
		switch (got.ssi_signo) {
		case SIGCHLD:
			sessions_reap();
			if (held.fd >= 0)
				held.retry = 0; /* there may be room for a process now */
			break;
		case SIGUSR1:
			drain();
			break;
		default:
			end(got.ssi_signo == SIGTERM ? "SIGTERM" : got.ssi_signo == SIGINT ? "SIGINT" : "SIGHUP");
		}
}

/* --- the loop ----------------------------------------------------------------------------- */

/* True if a connection may be accepted now. Writes a line when all processes are in use. */
static bool can_accept(void)
{
	const bool is_full = sessions_full();

	if (phase != ACCEPTING)
		return false;
	if (is_full && !was_full)
		say_limited(&full, "All processes are in use, clients wait sessions=%zu", sessions_count());
	was_full = is_full;
	return !is_full && held.fd < 0 && say_now() >= pause_until;
}

/* Returns for how many milliseconds the loop may wait for a descriptor. */
static int time_to_wait(void)
{
	const int64_t now = say_now();
	int64_t until = INT64_MAX;

	if (held.fd >= 0 && !sessions_full())
		until = held.retry;
	if (phase == ACCEPTING && pause_until > now && pause_until < until)
		until = pause_until;
	if (phase == ENDING && kill_at < until)
		until = kill_at;
	if (until == INT64_MAX)
		return NEVER;
	return until <= now ? 0 : (int)(until - now);
}

/* Waits for signals and connections, until the last session has ended after a signal. */
static void serve(void)
{
	struct pollfd fds[1 + OPTIONS_LISTENERS_MAX] = { { .fd = signals, .events = POLLIN } };

	while (phase == ACCEPTING || sessions_count() > 0 || held.fd >= 0) {
		const bool accepts = can_accept();
		const nfds_t n = accepts ? 1 + options.n : 1;

		for (size_t i = 0; i < options.n; i++)
			fds[1 + i] = (struct pollfd){ .fd = listeners[i].fd, .events = POLLIN };
		if (poll(fds, n, time_to_wait()) < 0)
			fds[0].revents = 0;
		if (fds[0].revents)
			read_signals();
		retry_held();
		kill_rest();
		for (size_t i = 0; accepts && i < options.n && can_accept(); i++)
			if (fds[1 + i].revents)
				accept_one(&listeners[i]);
	}
}

int main(int argc, char **argv)
{
	int rc = options_parse(argc, argv, &options);

	if (rc != OPTIONS_RUN)
		return rc;
	if (options.health)
		return health_check(&options.addresses[0], options.listen[0]);
	if (!harden() || !catch_signals() || !sessions_init(options.max)) {
		say("Cannot start: %s", strerror(errno));
		return EX_OSERR;
	}
	rc = open_listeners();
	if (rc != EX_OK)
		return rc;
	serve();
	say("Stopped");
	return EX_OK;
}
