/* SPDX-License-Identifier: Apache-2.0
 *
 * Chooses where proxxy-status logs. The other files of this folder call it.
 */
#include "status/report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

static bool stderr_is_client(void)
{
	struct stat in, err;

	return fstat(STDIN_FILENO, &in) == 0 && fstat(STDERR_FILENO, &err) == 0 && in.st_dev == err.st_dev &&
	       in.st_ino == err.st_ino;
}

void report(const char *format, ...)
{
	char words[512];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	if (stderr_is_client())
		syslog(LOG_DAEMON | LOG_ERR, "%s", words);
	else
		fprintf(stderr, "%s\n", words);
}
