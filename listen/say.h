/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes proxxy-listen's log lines to standard error: "proxxy-listen[PID]: TEXT".
 */
#ifndef PROXXY_LISTEN_SAY_H
#define PROXXY_LISTEN_SAY_H

#include <stdint.h>

/* Counts the lines of one kind, of which at most one per second is written. */
struct say_limit {
	int64_t next;     /* a say_now(), before which no line of this kind is written */
	unsigned skipped; /* lines that were not written since the last one */
};

/* Returns milliseconds on CLOCK_MONOTONIC. All times of proxxy-listen are times of this clock. */
int64_t say_now(void);

/* Writes a line. Never blocks: if standard error is a pipe that nobody reads, the line is lost. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Does the same at most once per second for each limit; the next line then says how many lines were
 * left out. */
void say_limited(struct say_limit *limit, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
