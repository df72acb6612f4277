/* SPDX-License-Identifier: Apache-2.0
 *
 * The system calls that a session may make: the rules of its filters. make_filters.c compiles them
 * with libseccomp while proxxy is built, on the machine that builds it, for the processor that
 * proxxy is built for. The unit test compiles them again, and compares.
 */
#ifndef PROXXY_FILTER_RULES_H
#define PROXXY_FILTER_RULES_H

#include <errno.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a filter does with calls that no rule names. */
#define FILTER_OPENING_DEFAULT SCMP_ACT_ERRNO(ENOSYS)
#define FILTER_RELAYING_DEFAULT SCMP_ACT_ERRNO(EPERM)

/* What a filter is made for. */
struct filter_target {
	uint32_t architecture; /* SCMP_ARCH_…, not SCMP_ARCH_NATIVE */
	uint32_t pid;          /* the process that the filter is for */
};

/* Adds all rules of a filter to one that was made by filter_begin(). SCMP_SYS() names the calls of
 * every processor; a rule for a call that the target does not have adds nothing. Constants of the
 * headers that a rule compares with must be in values.h. pid may be compared with the lower 32 bits
 * of an argument only. Returns false if libseccomp cannot add a rule. */
bool filter_add_opening(scmp_filter_ctx filter, const struct filter_target *target);
bool filter_add_relaying(scmp_filter_ctx filter, const struct filter_target *target);

/* Returns an empty filter for that processor alone, which the caller releases with
 * seccomp_release(), or NULL. */
scmp_filter_ctx filter_begin(uint32_t default_action, const struct filter_target *target);

/* Returns whether the target has the system call of that name. */
bool filter_target_has(const struct filter_target *target, const char *call);

/* Returns the number of the call that maps memory, in a rule. On 32-bit processors a filter can
 * check mmap2(), but not the older mmap(), whose arguments are in memory. */
int filter_map_call(const struct filter_target *target);

/* Adds an action for each of calls[0..n), whatever their arguments are. Returns false if libseccomp
 * cannot add a rule. */
bool filter_add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n);

/* Adds the calls that only an attacker's code would make, in every phase: they kill the process.
 * Returns as filter_add_calls(). */
bool filter_add_fatal(scmp_filter_ctx filter);

#endif
