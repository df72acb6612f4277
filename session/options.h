/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of proxxy-conn: options that print something in place of a session.
 */
#ifndef PROXXY_OPTIONS_H
#define PROXXY_OPTIONS_H

#include <stdio.h>

enum { OPTIONS_NONE = -1 }; /* there are no options: serve a session */

/* Does what the option says: --help, --version, --settings or --check. Prints the usage on standard
 * error for any other argument. Returns an exit status, or OPTIONS_NONE. */
int options_run(int argc, char **argv);

/* Prints one screen of help. Returns EX_OK for stdout, else EX_USAGE. */
int options_usage(FILE *out);

#endif
