/* SPDX-License-Identifier: Apache-2.0
 *
 * The sessions: processes that proxxy-listen started and that have not ended.
 */
#ifndef PROXXY_LISTEN_SESSIONS_H
#define PROXXY_LISTEN_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Reserves the table for at most max sessions at once. Returns false if there is no memory. Called
 * once. */
bool sessions_init(size_t max);

/* Returns how many sessions run. */
size_t sessions_count(void);

/* Returns true if there can be no more sessions. */
bool sessions_full(void);

/* Starts argv[0], a path, with connection as fd 0 and 1, our standard error and our environment,
 * all signals at their defaults and none blocked, in a process group of its own: Ctrl-C in a
 * terminal then reaches only proxxy-listen. The caller still owns connection. Must not be called if
 * sessions_full().
 * Returns 0, or an errno of posix_spawn(3): EAGAIN and ENOMEM are those that may pass. */
int sessions_start(char *const argv[], int connection);

/* Reaps all children that have ended: sessions, and as PID 1 other processes' orphans. Writes a
 * line about each session that a signal ended, unless it is the one sent last by
 * sessions_signal(). */
void sessions_reap(void);

/* Sends a signal to every session. */
void sessions_signal(int number);

#endif
