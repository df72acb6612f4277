/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs what the operator must know.
 */
#ifndef PROXXY_STATUS_REPORT_H
#define PROXXY_STATUS_REPORT_H

/* Logs a sentence to standard error; to syslog if standard error is the client's socket, as under
 * xinetd: the client must never receive a log line. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
