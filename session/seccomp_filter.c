/* SPDX-License-Identifier: Apache-2.0
 *
 * Loads the system call filters, see seccomp_filter.h.
 */
#include "session/seccomp_filter.h"

#include <errno.h>
#include <filter/filters.h> /* in the build folder */
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(filter_parts) / sizeof(filter_parts[0]) == SECCOMP_FILTERS, "a filter has no name or no code");
_Static_assert((int)FILTER_LONGEST <= (int)SECCOMP_FILTER_MAX, "a filter is longer than expected");

size_t seccomp_filter_get(enum seccomp_filter which, uint32_t pid, struct sock_filter ret[SECCOMP_FILTER_MAX])
{
	const size_t length = filter_parts[which].length;

	memcpy(ret, filter_code + filter_parts[which].from, length * sizeof(ret[0]));
	for (size_t i = 0; i < filter_parts[which].places; i++)
		ret[filter_parts[which].place[i]].k = pid;
	return length;
}

bool seccomp_filter_load(enum seccomp_filter which)
{
	struct sock_filter code[SECCOMP_FILTER_MAX];
	const size_t length = seccomp_filter_get(which, (uint32_t)getpid(), code);
	const struct sock_fprog program = { (unsigned short)length, code };
	/* For all threads: that of an abandoned name lookup may still run. */
	const long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);

	/* The kernel returns the number of a thread that cannot get the filter. */
	if (rc > 0)
		errno = ESRCH;
	return rc == 0;
}
