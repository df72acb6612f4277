/* SPDX-License-Identifier: Apache-2.0
 *
 * Protects a program that is run by hand, and prints its errors.
 */
#include "lib/command.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { LINE_SIZE = 1024 }; /* bytes of an error message, with its NUL; a longer one is cut off */

void command_harden(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
	umask(077);
	signal(SIGPIPE, SIG_IGN);
}

void command_print_error(const char *program, const char *format, va_list args)
{
	char text[LINE_SIZE];

	vsnprintf(text, sizeof(text), format, args);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7F)
			*at = '?'; /* terminals also obey control characters above 0x7F */
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", program, text);
}
