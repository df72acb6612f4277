/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts another program: a viewer or a browser.
 */
#ifndef PROXXY_PROGRAM_H
#define PROXXY_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts argv, found as a shell finds it, with none of our descriptors but 0 to 2, and with SIGPIPE
 * as usual. If apart is true, also without our standard input and output, and in a session of its
 * own: the end of this terminal, or Ctrl-C in it, does not end the program.
 * Returns 0 with *ret_pid, or an errno. */
int program_start(char **argv, bool apart, pid_t *ret_pid);

#endif
