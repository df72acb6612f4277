/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats and writes log lines, each in one write.
 */
#include "listen/say.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX = 1024,  /* bytes; less than PIPE_BUF, so lines of several processes do not mix */
	LIMIT_MS = 1000,  /* between two lines of one kind */
	SKIPPED_MAX = 64, /* bytes of the words about lines that were left out */
};

int64_t say_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void write_line(const char *words, const char *format, va_list args)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[LINE_MAX - SKIPPED_MAX - 40], line[LINE_MAX];
	ssize_t written;
	int len;

	vsnprintf(text, sizeof(text), format, args);
	len = snprintf(line, sizeof(line), "proxxy-listen[%d]: %s%s\n", (int)getpid(), text, words);
	/* A pipe that is writable has room for PIPE_BUF bytes. */
	if (len <= 0 || poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT))
		return;
	written = write(STDERR_FILENO, line, (size_t)len);
	(void)written; /* an error cannot be reported anywhere */
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line("", format, args);
	va_end(args);
}

void say_limited(struct say_limit *limit, const char *format, ...)
{
	const int64_t now = say_now();
	char words[SKIPPED_MAX] = "";
	va_list args;

	if (now < limit->next) {
		limit->skipped++;
		return;
	}
	if (limit->skipped)
		snprintf(words, sizeof(words), " (and %u times more since the last such line)", limit->skipped);
	limit->next = now + LIMIT_MS;
	limit->skipped = 0;
	va_start(args, format);
	write_line(words, format, args);
	va_end(args);
}
