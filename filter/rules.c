/* SPDX-License-Identifier: Apache-2.0
 *
 * What both filters share, see rules.h. The processor that a filter is for need not be the one that
 * makes it.
 */
#include "filter/rules.h"

#include <stddef.h>

/* clang-format off */

static const int fatal[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(bpf), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(reboot), SCMP_SYS(setuid),
	SCMP_SYS(setresuid), SCMP_SYS(setgid), SCMP_SYS(capset), SCMP_SYS(setuid32), SCMP_SYS(setresuid32),
	SCMP_SYS(setgid32),
};

/* clang-format on */

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

int filter_map_call(const struct filter_target *target)
{
	return filter_target_has(target, "mmap2") ? SCMP_SYS(mmap2) : SCMP_SYS(mmap);
}

bool filter_add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = seccomp_rule_add(filter, action, calls[i], 0);
	return rc == 0;
}

bool filter_add_fatal(scmp_filter_ctx filter)
{
	return filter_add_calls(filter, SCMP_ACT_KILL_PROCESS, fatal, sizeof(fatal) / sizeof(fatal[0]));
}
