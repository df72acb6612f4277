/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts the sessions of a machine where systemd does not, by their processes.
 */
#ifndef PROXXY_STATUS_PROCESSES_H
#define PROXXY_STATUS_PROCESSES_H

/* Returns how many processes of this machine (or container) have that name, of at most 15 bytes, as
 * proc(5)'s comm has it. Returns -1 if /proc does not show all processes. */
int processes_count(const char *name);

#endif
