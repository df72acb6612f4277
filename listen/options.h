/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of proxxy-listen, and the environment that completes it.
 */
#ifndef PROXXY_LISTEN_OPTIONS_H
#define PROXXY_LISTEN_OPTIONS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "listen/address.h"

enum {
	OPTIONS_LISTENERS_MAX = 16,
	OPTIONS_SESSIONS_MAX = 100 * 1000, /* the table of sessions is searched when one ends */
	OPTIONS_RUN = -1,                  /* options_parse(): go on */
};

struct options {
	const char *listen[OPTIONS_LISTENERS_MAX]; /* as on the command line */
	struct address addresses[OPTIONS_LISTENERS_MAX];
	size_t n;
	mode_t mode; /* of UNIX sockets */
	size_t max;  /* sessions at once */
	bool health; /* ask a running proxxy-listen */
	char **argv; /* the program that serves a connection, and its arguments, NULL-terminated */
	char *own_argv[2];
	char program[PATH_MAX];
};

/* Parses the command line, and PORT and PROXXY_MAX_SESSIONS from the environment. Returns
 * OPTIONS_RUN, or the exit status of sysexits.h to end with, after it has printed the help, the
 * version or an error. *ret points into argv. */
int options_parse(int argc, char **argv, struct options *ret);

#endif
