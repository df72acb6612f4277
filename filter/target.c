/* SPDX-License-Identifier: Apache-2.0
 *
 * The processor that a filter is for, see rules.h. It need not be the one that makes the filter.
 */
#include "filter/rules.h"

#include <stddef.h>

/* libseccomp's API level that has SCMP_ACT_KILL_PROCESS (Linux 4.14). */
enum { API_LEVEL = 3 };

scmp_filter_ctx filter_begin(uint32_t default_action, const struct filter_target *target)
{
	scmp_filter_ctx filter;

	/* Else libseccomp asks the kernel that it runs on, which need not be that of a session: a
	 * container or an emulator that builds may not have seccomp(2). */
	if (seccomp_api_set(API_LEVEL) != 0)
		return NULL;
	filter = seccomp_init(default_action);
	if (!filter || target->architecture == seccomp_arch_native())
		return filter;
	if (seccomp_arch_add(filter, target->architecture) == 0 && seccomp_arch_remove(filter, SCMP_ARCH_NATIVE) == 0)
		return filter;
	seccomp_release(filter);
	return NULL;
}

bool filter_target_has(const struct filter_target *target, const char *call)
{
	/* libseccomp gives calls that only other processors have a negative number. */
	return seccomp_syscall_resolve_name_arch(target->architecture, call) >= 0;
}
