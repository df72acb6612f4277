/* SPDX-License-Identifier: Apache-2.0
 *
 * The system call filters of a session. filter/ has their rules, which are compiled while proxxy is
 * built (filter/make_filters.c).
 */
#ifndef PROXXY_SECCOMP_FILTER_H
#define PROXXY_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order of the table in filter/make_filters.c. */
enum seccomp_filter {
	SECCOMP_OPENING,  /* before the first byte of the client: filter/opening.c */
	SECCOMP_RELAYING, /* when both connections are open: filter/relaying.c */
	SECCOMP_FILTERS,
};

enum { SECCOMP_FILTER_MAX = 512 }; /* instructions of a filter */

/* Loads a filter for all threads, for the rest of the process. Filters that were loaded before
 * stay: the kernel asks all, and the strictest decides. The caller must have set no_new_privs.
 * Returns false with errno if the kernel refuses: ESRCH if a thread has a filter that this one has
 * not. */
bool seccomp_filter_load(enum seccomp_filter which);

/* Writes a filter for the process of that number. Returns its length in instructions. */
size_t seccomp_filter_get(enum seccomp_filter which, uint32_t pid, struct sock_filter ret[SECCOMP_FILTER_MAX]);

#endif
