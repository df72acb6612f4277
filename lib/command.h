/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs share that administrators and backends run by hand: proxxy-url and
 * proxxy-setup.
 */
#ifndef PROXXY_COMMAND_H
#define PROXXY_COMMAND_H

#include <stdarg.h>

/* Protects the tokens, tickets and keys in this process: no core dumps, other processes of the user
 * cannot read its memory, and new files are for their owner alone. Ignores SIGPIPE: write() then
 * returns EPIPE. */
void command_harden(void);

/* Prints "PROGRAM: " and the formatted text on standard error, one line, after what is on standard
 * output. Replaces all but printable ASCII, because some of the text comes from the network. The
 * text must hold no secret. */
void command_print_error(const char *program, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

#endif
