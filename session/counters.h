/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts what sessions do, for proxxy-status: each session adds to counters in one file, which it
 * maps into its memory before it enters its second sandbox. Counting never fails and never ends a
 * session: if there is no file, or the kernel cannot write to it, nothing is counted.
 *
 * A session that was taken over can write any number to the counters. It has no descriptor of the
 * file, so it cannot make the file shorter; if another process does, the kernel's SIGBUS stops the
 * counting, not the session.
 */
#ifndef PROXXY_COUNTERS_H
#define PROXXY_COUNTERS_H

#include <stdint.h>

enum { COUNTERS_RELAYED_MS = 5000 }; /* between two additions of relayed bytes */

/* Maps the counters' file, and makes it if it is missing or has another layout: in
 * COUNTERS_RUNTIME_DIRECTORY if RUNTIME_DIRECTORY in the environment names it, else in
 * state_directory. Call it once, when the client's request was read: the time to connect begins
 * now, an io_now(). */
void counters_open(const char *state_directory, int64_t now);

/* Counts a request that was refused with an error. */
void counters_refused(int code);

/* Counts a console that is open. */
void counters_opened(int64_t now);

/* Takes how many payload bytes were relayed to and from Proxmox until now, and adds what was not
 * added yet, at most once in COUNTERS_RELAYED_MS. */
void counters_relayed(uint64_t up, uint64_t down, int64_t now);

/* Counts the end of a session that lasted so many milliseconds and relayed so many bytes in all. */
void counters_ended(int outcome, int64_t duration, uint64_t up, uint64_t down);

#endif
