/* SPDX-License-Identifier: Apache-2.0
 *
 * Enters the system call filters, Landlock rulesets and resource limits of a session. proxxy-conn.c
 * enters the first sandbox before it reads from the client, and the second one when both
 * connections are open.
 */
#include "session/sandbox.h"

#include "lib/error.h"
#include "session/seccomp_filter.h"

#ifdef PROXXY_SANITIZE
int sandbox_enter_first(const struct config *config)
{
	(void)config;
	return OK;
}

int sandbox_enter(void)
{
	return OK;
}
#else

#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/landlock.h"
#include "session/log.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

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

int sandbox_enter_first(const struct config *config)
{
	if (!landlock_enter_opening(config))
		log_warning("Landlock is refused, probably by a filter of the container or of systemd that does "
			    "not know its calls: until it is connected, the session can open each file that its user "
			    "may");
	return seccomp_filter_load(SECCOMP_OPENING) ? OK : ERR_SYSTEM;
}

int sandbox_enter(void)
{
	landlock_enter_relaying();
	enter_limits();
	return seccomp_filter_load(SECCOMP_RELAYING) ? OK : ERR_SYSTEM;
}
#endif
