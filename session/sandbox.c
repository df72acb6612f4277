/* SPDX-License-Identifier: Apache-2.0
 *
 * Enters the system call filter, a Landlock ruleset and resource limits of a session.
 * proxxy-conn.c enters the sandbox when both connections are open.
 */
#include "session/sandbox.h"

#include "lib/error.h"
#include "session/seccomp_filter.h"

#ifdef PROXXY_SANITIZE
int sandbox_enter(void)
{
	return OK;
}
#else

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* --- Landlock ----------------------------------------------------------------------------- */

/* struct landlock_ruleset_attr of Linux 6.12; older kernels know only the first members. */
struct landlock_ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

/* Enters a ruleset without rules. It forbids all file access, TCP connect and bind (Linux 6.7), and
 * signals and abstract Unix sockets outside this process (6.12). The system call filter forbids the
 * same; this is a second barrier in case the filter has a mistake. */
static void enter_landlock(void)
{
	static const struct landlock_ruleset by_version[] = {
		{ 0x1FFF, 0, 0 }, { 0x3FFF, 0, 0 }, { 0x7FFF, 0, 0 },
		{ 0x7FFF, 3, 0 }, { 0xFFFF, 3, 0 }, { 0xFFFF, 3, 3 },
	};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */), fd;
	struct landlock_ruleset rules;
	size_t size = sizeof(rules);

	if (version < 1)
		return; /* the kernel has no Landlock, or it is disabled */
	if (version > (long)COUNT(by_version))
		version = (long)COUNT(by_version);
	rules = by_version[version - 1];
	if (version < 4)
		size = offsetof(struct landlock_ruleset, handled_access_net);
	else if (version < 6)
		size = offsetof(struct landlock_ruleset, scoped);
	fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	if (fd < 0)
		return;
	syscall(SYS_landlock_restrict_self, fd, 0);
	close((int)fd);
}

/* --- limits ------------------------------------------------------------------------------- */

static void set_limit(__rlimit_resource_t resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	setrlimit(resource, &limit);
}

/* Sets resource limits; ignores errors, as the filter forbids the same except writing to files. The
 * only files that are open for writing are those of the session's slots (limits.h), and the log, if
 * it is a file: then whoever fills the disk can do it there. */
static void enter_limits(void)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t limit;
	} table[] = {
		/* fds 0 to 2 stay open, so that no new descriptor can be opened. Not 0: poll(2)
		 * fails if it gets more descriptors than this limit. */
		{ RLIMIT_NOFILE, 3 },   { RLIMIT_NPROC, 0 },  { RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 }, { RLIMIT_RTPRIO, 0 }, { RLIMIT_SIGPENDING, 0 },
	};

	struct stat st;

	for (size_t i = 0; i < COUNT(table); i++)
		set_limit(table[i].resource, table[i].limit);
	if (fstat(STDERR_FILENO, &st) == 0 && !S_ISREG(st.st_mode))
		set_limit(RLIMIT_FSIZE, 0);
}

int sandbox_enter(void)
{
	enter_landlock();
	enter_limits();
	return seccomp_filter_load(SECCOMP_RELAYING) ? OK : ERR_SYSTEM;
}
#endif
