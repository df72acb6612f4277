/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks on the terminal: questions and the password.
 */
#include "setup/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

/* The signal that came while a password was typed, or 0. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/* Opens the terminal. Returns -1 without one. */
static int open_terminal(void)
{
	return open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

bool ask_possible(void)
{
	const int fd = open_terminal();

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		const ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* Reads one line to line[0..size), without the line feed. Signals come only while it waits, with
 * the mask, so that none is lost between two reads (NULL: at any time). Returns false at the end
 * of input, after a signal, and for a line that is too long, which is read to its end. */
static bool read_line(int fd, const sigset_t *mask, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	bool fits = true;
	char c = '\0';

	for (;;) {
		const int ready = ppoll(&p, 1, NULL, mask);
		const ssize_t n = ready > 0 ? read(fd, &c, 1) : -1;

		if (n < 0 && errno == EINTR && !interrupted)
			continue;
		if (n <= 0 || c == '\n')
			break;
		fits &= len < size - 1;
		if (fits)
			line[len++] = c;
	}
	line[len] = '\0';
	return fits && c == '\n' && !interrupted;
}

bool ask_yes(const char *question)
{
	const int fd = open_terminal();
	char line[16];
	bool yes = false, no = fd < 0;

	while (!yes && !no) {
		say(fd, question);
		say(fd, " [yes/no] ");
		no = !read_line(fd, NULL, line, sizeof(line));
		yes = !no && (strcasecmp(line, "yes") == 0 || strcasecmp(line, "y") == 0);
		no |= strcasecmp(line, "no") == 0 || strcasecmp(line, "n") == 0;
	}
	if (fd >= 0)
		close(fd);
	return yes && !no;
}

/* Reads a line without echo. A signal ends it; the terminal is as before in any case. The prompt
 * comes after the echo is off, so that nothing is shown of a password that is typed at once. */
static bool read_silently(int fd, const struct termios *usual, const char *prompt, char *line, size_t size)
{
	static const int numbers[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	enum { N = sizeof(numbers) / sizeof(numbers[0]) };
	const struct sigaction action = { .sa_handler = on_signal };
	struct sigaction before[N];
	struct termios silent = *usual;
	sigset_t blocked, mask;
	bool done;

	interrupted = 0;
	sigemptyset(&blocked);
	for (size_t i = 0; i < N; i++)
		sigaddset(&blocked, numbers[i]);
	sigprocmask(SIG_BLOCK, &blocked, &mask);
	for (size_t i = 0; i < N; i++)
		sigaction(numbers[i], &action, &before[i]);
	silent.c_lflag &= (tcflag_t)~ECHO;
	done = tcsetattr(fd, TCSAFLUSH, &silent) == 0;
	if (done) {
		say(fd, prompt);
		done = read_line(fd, &mask, line, size) && *line;
	}
	tcsetattr(fd, TCSAFLUSH, usual);
	for (size_t i = 0; i < N; i++)
		sigaction(numbers[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return done;
}

bool ask_password(const char *prompt, char *password, size_t size)
{
	const int fd = open_terminal();
	struct termios usual;
	bool done = false;

	if (fd >= 0 && tcgetattr(fd, &usual) == 0) {
		done = read_silently(fd, &usual, prompt, password, size);
		say(fd, "\n");
	}
	if (fd >= 0)
		close(fd);
	if (!done)
		OPENSSL_cleanse(password, size);
	if (interrupted)
		raise(interrupted);
	return done;
}
