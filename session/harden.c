/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepares the process, before it reads anything. proxxy-conn.c calls it.
 */
#include "session/harden.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/error.h"
#include "lib/io.h"

int harden(void)
{
	const struct rlimit none = { 0, 0 };
	int fd;

	closefrom(STDERR_FILENO + 1);
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return ERR_SYSTEM;
	close(fd);
	setrlimit(RLIMIT_CORE, &none);
#ifndef PROXXY_SANITIZE /* the leak sanitizer attaches to its own process with ptrace(2) */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	io_catch_sigterm();
	mallopt(M_ARENA_MAX, 1); /* else the resolver's thread would allocate a heap of its own */
	return OK;
}
