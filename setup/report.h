/* SPDX-License-Identifier: Apache-2.0
 *
 * What proxxy-setup prints: what each step did, and errors.
 */
#ifndef PROXXY_SETUP_REPORT_H
#define PROXXY_SETUP_REPORT_H

/* Prints an error on standard error, one line. Replaces all but printable ASCII, because some of
 * the text comes from the network. The text holds no secret. Returns status, an exit status of
 * sysexits.h. */
int report_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints what a step did on standard output, after its subject: "role", "user", … */
void report_step(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns the exit status for an error of lib/error.h. http_status is that of Proxmox's answer: 401
 * and 403 mean EX_NOPERM. */
int report_status(int code, int http_status);

#endif
