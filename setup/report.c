/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints what each step of proxxy-setup did, and errors.
 */
#include "setup/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "lib/command.h"
#include "lib/error.h"
#include "lib/terminal.h"

enum { LINE_MAX_LEN = 4096 /* bytes of a line, with its NUL; HOSTS of a large cluster is the longest */ };

int report_error(int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	command_print_error("proxxy-setup", format, args);
	va_end(args);
	return status;
}

void report_step(const char *subject, const char *format, ...)
{
	char text[LINE_MAX_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("%-12s %s\n", subject, terminal_clean(text));
	fflush(stdout);
}

int report_status(int code, int http_status)
{
	if (code == ERR_UPSTREAM_ANSWER)
		return EX_PROTOCOL;
	return code == ERR_UPSTREAM_REFUSED && (http_status == 401 || http_status == 403) ?
		       EX_NOPERM :
		       error_info(code)->exit_status;
}
